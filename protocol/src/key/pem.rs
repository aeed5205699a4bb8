//! RSA public keys in PEM, as the fediverse writes them under `publicKeyPem`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, RsaPublicKey, read_der};

/// `SubjectPublicKeyInfo` (RFC 5280, 4.1), and PKCS#1 itself (RFC 8017, A.1.1).
const INFO: &str = "PUBLIC KEY";
const PKCS1: &str = "RSA PUBLIC KEY";

/// `rsaEncryption` with its parameter `NULL` (RFC 8017, A.1).
const RSA_ENCRYPTION: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// Longest text that is decoded: RSA-4096 has some 800 characters.
const PEM_CHARS_MAX: usize = 2_000;

impl RsaPublicKey {
    /// Reads one key in PEM (RFC 7468), as `PUBLIC KEY` or `RSA PUBLIC KEY`. Line ends and space
    /// around lines may be any.
    ///
    /// # Errors
    /// [`KeyError::NotRsa`] and [`KeyError::RsaSize`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > PEM_CHARS_MAX {
            return Err(KeyError::NotRsa);
        }
        let body = |label: &str| {
            let rest = text
                .trim()
                .strip_prefix(&format!("-----BEGIN {label}-----"))?;
            let base64 = rest.strip_suffix(&format!("-----END {label}-----"))?;
            let base64: String = base64.split_ascii_whitespace().collect();
            STANDARD.decode(base64).ok()
        };
        if let Some(der) = body(PKCS1) {
            return Self::from_pkcs1_der(&der);
        }
        let der = body(INFO).ok_or(KeyError::NotRsa)?;
        Self::from_pkcs1_der(in_info(&der).ok_or(KeyError::NotRsa)?)
    }

    /// Writes the key in PEM, as `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        let bits = [&[0], self.as_pkcs1_der()].concat();
        let info = [&RSA_ENCRYPTION, der(0x03, &bits).as_slice()].concat();
        let base64 = STANDARD.encode(der(0x30, &info));
        let mut pem = format!("-----BEGIN {INFO}-----\n");
        let mut rest = base64.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(&format!("-----END {INFO}-----\n"));
        pem
    }
}

/// The key within a `SubjectPublicKeyInfo`.
fn in_info(der: &[u8]) -> Option<&[u8]> {
    let (info, rest) = read_der(der, 0x30)?;
    let (bits, after) = read_der(info.strip_prefix(&RSA_ENCRYPTION)?, 0x03)?;
    match bits {
        [0, key @ ..] if rest.is_empty() && after.is_empty() => Some(key),
        _ => None,
    }
}

/// One DER value; its content has fewer than 65,536 bytes, as every key here.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut value = vec![tag];
    match (content.len(), content.len().to_be_bytes()) {
        (..=0x7f, [.., low]) => value.push(low),
        (0x80..=0xff, [.., low]) => value.extend([0x81, low]),
        (_, [.., high, low]) => value.extend([0x82, high, low]),
    }
    value.extend_from_slice(content);
    value
}

#[cfg(test)]
mod tests;
