//! RSA, which most of the fediverse signs its requests with (docs/protocol.md, 5). The only user of
//! the TLS library's arithmetic; nothing that lasts is ever signed with it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA512,
    RsaParameters, UnparsedPublicKey,
};
use protocol::httpsig::{Algorithm, HttpSigError, KeyKind, ParsedSignature};
use protocol::key::RsaPublicKey;

/// The library did not do what it was asked, or bytes are no key. It does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the RSA key cannot be made or used")]
pub struct RsaError;

/// An RSA-2048 key that signs requests. Clones share it.
#[derive(Clone)]
pub struct RsaKey {
    pair: Arc<KeyPair>,
    public: RsaPublicKey,
}

impl RsaKey {
    /// A new key from the machine's random numbers; it takes some tenths of a second.
    ///
    /// # Errors
    /// The machine gives no random numbers.
    pub fn generate() -> Result<Self, RsaError> {
        Self::of(KeyPair::generate(KeySize::Rsa2048).map_err(|_| RsaError)?)
    }

    /// Reads a key in PKCS#8 DER.
    ///
    /// # Errors
    /// The bytes are no RSA key of 2048 to 4096 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, RsaError> {
        Self::of(KeyPair::from_pkcs8(der).map_err(|_| RsaError)?)
    }

    fn of(pair: KeyPair) -> Result<Self, RsaError> {
        let public = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref());
        Ok(Self {
            public: public.map_err(|_| RsaError)?,
            pair: Arc::new(pair),
        })
    }

    /// The key with its secret, in PKCS#8 DER, for a key file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, RsaError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| RsaError)?;
        Ok(der.as_ref().to_vec())
    }

    /// The public half.
    pub fn public(&self) -> &RsaPublicKey {
        &self.public
    }

    /// Signs by RSASSA-PKCS1-v1_5 with SHA-256.
    ///
    /// # Errors
    /// The library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let chance = SystemRandom::new();
        let signed = self
            .pair
            .sign(&RSA_PKCS1_SHA256, &chance, message, &mut signature);
        signed.map_err(|_| RsaError)?;
        Ok(signature)
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RsaKey(of {})", self.public)
    }
}

/// Whether `key` made the signature of a request (RFC 9421, 3.3.1 and 3.3.2). Time and coverage are
/// asked of [`ParsedSignature::check_policy`].
///
/// # Errors
/// [`HttpSigError::AlgorithmMismatch`] and [`HttpSigError::BadSignature`].
pub fn verify(signature: &ParsedSignature, key: &RsaPublicKey) -> Result<(), HttpSigError> {
    let parameters: &'static RsaParameters = match signature.algorithm_for(KeyKind::Rsa)? {
        Algorithm::RsaPssSha512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::RsaV15Sha256 | Algorithm::Ed25519 => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(parameters, key.as_pkcs1_der())
        .verify(signature.base(), signature.signature())
        .map_err(|_| HttpSigError::BadSignature)
}
