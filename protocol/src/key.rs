//! Keys and their written form, Multikey (W3C Controlled Identifiers 1.0, 2.2.2; FEP-521a).
//!
//! This module never knows whose key it holds.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// The multicodec prefixes that precede a key's bytes.
const ED25519_PUBLIC: [u8; 2] = [0xed, 0x01];
const ED25519_SECRET: [u8; 2] = [0x80, 0x26];

/// A text or bytes that are no key we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `z` and base58btc.
    #[error("a Multikey is written “z” and base58btc")]
    NotMultibase,
    /// Another kind of key, such as X25519 or RSA, where Ed25519 is needed.
    #[error("not an Ed25519 key: the multicodec prefix is {prefix:02x?}")]
    WrongKind {
        /// The first two bytes.
        prefix: Vec<u8>,
    },
    /// Not 32 bytes after the prefix.
    #[error("an Ed25519 key has 32 bytes, not {bytes}")]
    WrongLength {
        /// Bytes after the prefix.
        bytes: usize,
    },
    /// Not a point of the curve, or written in a second way.
    #[error("these 32 bytes are not the one encoding of a point of the curve")]
    NotAPoint,
    /// A point of small order: signatures by it can be made to fit any message.
    #[error("a key of small order is never accepted")]
    SmallOrder,
}

/// An Ed25519 public key that is canonical and of large order.
///
/// Ordered and compared by its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] and [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        // The library keeps the bytes as given, so a second encoding of one point would pass.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    /// Reads a Multikey, `z6Mk…`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&read_multikey(text, ED25519_PUBLIC)?)
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` was made over `message` by this key's secret: the strict check, which
    /// all peers must use alike.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    /// This key as a `did:key` URL with its fragment, as key logs name their signers.
    pub fn to_did_key_url(self) -> String {
        format!("did:key:{self}#{self}")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&write_multikey(self.as_bytes(), ED25519_PUBLIC))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// An Ed25519 secret key. It is never printed by `Debug` and wiped when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From the 32 random bytes that are the secret (RFC 8032, 5.1.5). The caller brings the chance.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads a secret Multikey, `z3u2…`.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        read_multikey(text, ED25519_SECRET).map(|seed| Self::from_seed(&seed))
    }

    /// The secret Multikey, `z3u2…`, for a key file or a printed card.
    pub fn to_secret_multikey(&self) -> String {
        write_multikey(self.0.as_bytes(), ED25519_SECRET)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs the bytes (RFC 8032; the same bytes always give the same signature).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SecretKey(of {})", self.public())
    }
}

/// Writes bytes as multibase base58btc, `z…`.
pub(crate) fn write_multibase(bytes: &[u8]) -> String {
    format!("z{}", bs58::encode(bytes).into_string())
}

/// Reads multibase base58btc of at most `chars_max` characters.
pub(crate) fn read_multibase(text: &str, chars_max: usize) -> Option<Vec<u8>> {
    if text.len() > chars_max {
        return None;
    }
    bs58::decode(text.strip_prefix('z')?).into_vec().ok()
}

fn write_multikey(key: &[u8; 32], prefix: [u8; 2]) -> String {
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&prefix);
    bytes[2..].copy_from_slice(key);
    write_multibase(&bytes)
}

fn read_multikey(text: &str, prefix: [u8; 2]) -> Result<[u8; 32], KeyError> {
    // An RSA-4096 Multikey has some 720 characters; decoding takes the square of the length.
    let bytes = read_multibase(text, 1_000).ok_or(KeyError::NotMultibase)?;
    let key = bytes.strip_prefix(&prefix).ok_or_else(|| KeyError::WrongKind {
        prefix: bytes.iter().copied().take(2).collect(),
    })?;
    key.try_into().map_err(|_| KeyError::WrongLength { bytes: key.len() })
}

#[cfg(test)]
mod tests {
    use super::{KeyError, PublicKey, SecretKey, write_multibase};

    #[test]
    fn keys_read_back_from_their_multikeys() {
        let secret = SecretKey::from_seed(&[7; 32]);
        let public = PublicKey::parse(&secret.public().to_string()).unwrap();
        assert_eq!(public, secret.public());
        let again = SecretKey::parse(&secret.to_secret_multikey()).unwrap();
        assert!(public.verifies(b"m", &again.sign(b"m")));
        assert!(!public.verifies(b"n", &again.sign(b"m")));
        assert!(!format!("{secret:?}").contains("z3u2"));
    }

    #[test]
    fn k06_keys_of_the_wrong_length_or_kind_are_refused_by_name() {
        let key = |prefix: [u8; 2], length: usize| {
            let mut bytes = prefix.to_vec();
            bytes.extend(vec![9; length]);
            PublicKey::parse(&write_multibase(&bytes))
        };
        assert_eq!(key([0xed, 1], 31), Err(KeyError::WrongLength { bytes: 31 }));
        assert_eq!(key([0xed, 1], 33), Err(KeyError::WrongLength { bytes: 33 }));
        assert_eq!(key([0xec, 1], 32), Err(KeyError::WrongKind { prefix: vec![0xec, 1] }));
        assert_eq!(PublicKey::parse("6Mk"), Err(KeyError::NotMultibase));
        assert_eq!(PublicKey::parse("u6Mk"), Err(KeyError::NotMultibase));
        assert_eq!(PublicKey::parse("z0OIl"), Err(KeyError::NotMultibase));
    }

    #[test]
    fn s22_keys_of_small_order_or_a_second_spelling_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(KeyError::SmallOrder));
        // The identity again, with y = 1 + p.
        let mut second = [0xff; 32];
        second[0] = 0xee;
        second[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&second), Err(KeyError::NotAPoint));
    }
}
