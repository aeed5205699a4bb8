//! Keys and their written form, Multikey (W3C Controlled Identifiers 1.0, 2.2.2; FEP-521a).
//!
//! This module never knows whose key it holds.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

mod pem;

/// The multicodec prefixes that precede a key's bytes.
const ED25519_PUBLIC: [u8; 2] = [0xed, 0x01];
const ED25519_SECRET: [u8; 2] = [0x80, 0x26];
const RSA_PUBLIC: [u8; 2] = [0x85, 0x24];

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
    /// Not an RSA public key in the one DER encoding of PKCS#1, nor that in PEM.
    #[error("not an RSA public key in DER")]
    NotRsa,
    /// An RSA key that is too short to be safe or too long to be cheap.
    #[error("an RSA key of {bits} bits is not accepted: 2048 to 4096 are")]
    RsaSize {
        /// Bits of the modulus.
        bits: usize,
    },
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
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
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

/// An RSA public key of 2048 to 4096 bits, for the HTTP signatures of the fediverse (FEP-521a).
///
/// Its shape is checked here; signatures by it are checked where RSA is at hand.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey(Vec<u8>);

impl RsaPublicKey {
    /// From PKCS#1 DER, `RSAPublicKey` (RFC 8017, A.1.1).
    ///
    /// # Errors
    /// [`KeyError::NotRsa`] and [`KeyError::RsaSize`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = read_rsa_der(der).ok_or(KeyError::NotRsa)?;
        let leading = modulus
            .first()
            .map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len() * 8 - leading;
        if !(2_048..=4_096).contains(&bits) {
            return Err(KeyError::RsaSize { bits });
        }
        // Even numbers are no modulus, and 1 as exponent makes every message its own signature.
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        if !odd(modulus) || !odd(exponent) || exponent == [1] || exponent.len() > 4 {
            return Err(KeyError::NotRsa);
        }
        Ok(Self(der.to_vec()))
    }

    /// Reads a Multikey, `z4MX…`.
    ///
    /// # Errors
    /// [`KeyError::NotMultibase`], and as [`RsaPublicKey::from_pkcs1_der`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = read_multibase(text, MULTIKEY_CHARS_MAX).ok_or(KeyError::NotMultibase)?;
        Self::from_pkcs1_der(bytes.strip_prefix(&RSA_PUBLIC).ok_or(KeyError::NotRsa)?)
    }

    /// The key in PKCS#1 DER.
    pub fn as_pkcs1_der(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for RsaPublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&write_multibase(&[&RSA_PUBLIC, self.0.as_slice()].concat()))
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Modulus and exponent without leading zero bytes: a sequence of two positive integers and nothing
/// else, each length written in the shortest way.
fn read_rsa_der(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = read_der(der, 0x30)?;
    let (modulus, exponent) = read_der(sequence, 0x02)?;
    let (exponent, after) = read_der(exponent, 0x02)?;
    if !rest.is_empty() || !after.is_empty() {
        return None;
    }
    Some((read_positive(modulus)?, read_positive(exponent)?))
}

fn read_positive(number: &[u8]) -> Option<&[u8]> {
    match number {
        [0, rest @ ..] if matches!(rest, [0x80..=0xff, ..]) => Some(rest),
        [0x01..=0x7f, ..] => Some(number),
        _ => None,
    }
}

/// The content of the first DER value if its tag is `wanted`, and what follows it.
fn read_der(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (length, rest) = match rest {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(*high) << 8 | usize::from(*low), rest)
        }
        _ => return None,
    };
    if tag == wanted {
        rest.split_at_checked(length)
    } else {
        None
    }
}

/// An RSA-4096 Multikey has some 720 characters; decoding takes the square of the length.
const MULTIKEY_CHARS_MAX: usize = 1_000;

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
    let bytes = read_multibase(text, MULTIKEY_CHARS_MAX).ok_or(KeyError::NotMultibase)?;
    let key = bytes
        .strip_prefix(&prefix)
        .ok_or_else(|| KeyError::WrongKind {
            prefix: bytes.iter().copied().take(2).collect(),
        })?;
    key.try_into()
        .map_err(|_| KeyError::WrongLength { bytes: key.len() })
}

#[cfg(test)]
mod tests {
    use super::{KeyError, PublicKey, RsaPublicKey, SecretKey, write_multibase};

    /// A modulus of `bits` bits, all of them set, and 65537, in PKCS#1 DER.
    fn rsa_der(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        if modulus[0] >= 0x80 {
            modulus.insert(0, 0);
        }
        let value = |tag: u8, content: &[u8]| {
            let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, high, low], content].concat()
        };
        value(
            0x30,
            &[value(0x02, &modulus), vec![0x02, 3, 1, 0, 1]].concat(),
        )
    }

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
        assert_eq!(
            key([0xec, 1], 32),
            Err(KeyError::WrongKind {
                prefix: vec![0xec, 1]
            })
        );
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

    #[test]
    fn rsa_keys_of_2048_to_4096_bits_read_back_from_their_multikeys() {
        for bits in [2_048, 3_072, 4_096] {
            let key = RsaPublicKey::from_pkcs1_der(&rsa_der(bits)).unwrap();
            assert_eq!(RsaPublicKey::parse(&key.to_string()), Ok(key.clone()));
            assert!(matches!(
                PublicKey::parse(&key.to_string()),
                Err(KeyError::WrongKind { .. })
            ));
        }
        let ed25519 = SecretKey::from_seed(&[7; 32]).public().to_string();
        assert_eq!(RsaPublicKey::parse(&ed25519), Err(KeyError::NotRsa));
    }

    #[test]
    fn rsa_keys_that_are_too_short_too_long_or_written_otherwise_are_refused() {
        for bits in [1_024 * 2 - 1, 4_097] {
            let refused = RsaPublicKey::from_pkcs1_der(&rsa_der(bits));
            assert_eq!(refused, Err(KeyError::RsaSize { bits }));
        }
        let good = rsa_der(2_048);
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut der = good.clone();
            change(&mut der);
            RsaPublicKey::from_pkcs1_der(&der) == Err(KeyError::NotRsa)
        };
        assert!(refused(&|der| der.clear()));
        assert!(refused(&|der| der.push(0)));
        assert!(refused(&|der| der.truncate(200)));
        assert!(refused(&|der| der[0] = 0x31));
        assert!(refused(&|der| der[1] = 0x80));
        // Negative; even; an exponent of 65536; a length of one byte written in two.
        assert!(refused(&|der| der[8] = 0x80));
        assert!(refused(&|der| der[264] = 0xfe));
        assert!(refused(&|der| *der.last_mut().unwrap() = 0));
        assert!(refused(&|der| der[6..8].copy_from_slice(&[0, 0x7f])));
    }
}
