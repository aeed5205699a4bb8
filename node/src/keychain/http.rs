//! The key that this node's requests to other servers are signed with.
//!
//! One for the node and all organisations at home here: a request's signature shows which host sent it
//! and dies with it, and the host sends for them all. An organisation that moves takes nothing of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Keychain, KeychainError, NODE};
use crate::rsa::RsaKey;

const KIND: &str = "http";

impl Keychain {
    /// The RSA key for requests; made where there is none yet, as in folders that are older than it
    /// or that were put back without it.
    ///
    /// # Errors
    /// [`KeychainError::Form`] for a file that is damaged; [`KeychainError::Chance`] if no key can be
    /// made.
    pub fn http_key(&self) -> Result<RsaKey, KeychainError> {
        let path = self.file(NODE, KIND);
        if path.exists() {
            let der = STANDARD.decode(self.read(&path)?.trim()).ok();
            let key = der.and_then(|der| RsaKey::from_pkcs8(&der).ok());
            return key.ok_or(KeychainError::Form { path });
        }
        let chance = |error: crate::rsa::RsaError| KeychainError::Chance(error.to_string());
        let key = RsaKey::generate().map_err(chance)?;
        self.write(&path, &STANDARD.encode(key.to_pkcs8().map_err(chance)?))?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Keychain, KeychainError};

    #[test]
    fn the_key_for_requests_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let keychain = Keychain::open(folder.path()).unwrap();
        let key = keychain.http_key().unwrap();
        let again = Keychain::open(folder.path()).unwrap().http_key().unwrap();
        assert_eq!(key.public(), again.public());
        let file = folder.path().join("node.http");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(keychain.signers().unwrap().len(), 0);
        fs::write(&file, "damaged").unwrap();
        assert!(matches!(
            keychain.http_key(),
            Err(KeychainError::Form { .. })
        ));
    }
}
