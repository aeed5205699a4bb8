//! Secret keys on disk: a folder of files that only their owner may read.
//!
//! The node needs record keys to publish. Update keys change an identity; they are written beside at
//! first, and their owner may move them off the machine (docs/operators.md).

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use protocol::id::Did;
use protocol::identity::write::{Change, Place, create, update};
use protocol::identity::{LogEntry, LogError, LogState, key_hash};
use protocol::key::SecretKey;
use protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The handle of the node's own identity.
pub const NODE: &str = "node";

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeychainError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the file.
    #[error("{} can be read by others on this machine: run `chmod 600 {}`, and rotate its keys if someone may have read them", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what it should be.
    #[error("{} is no key file of this program", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// There is no such identity here.
    #[error(
        "there is no organisation “{handle}” here: `baraza org list` shows those that there are"
    )]
    Unknown {
        /// The handle.
        handle: String,
    },
    /// The name is no handle, or is taken.
    #[error("“{handle}” {problem}")]
    Handle {
        /// The handle.
        handle: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// No random numbers.
    #[error("this machine gives no random numbers: {0}")]
    Chance(String),
    /// The log entry cannot be made.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// An identity whose record key is here.
#[derive(Debug)]
pub struct Signer {
    /// The name within this node.
    pub handle: String,
    /// The author.
    pub did: Did,
    /// The key that signs its records.
    pub key: SecretKey,
}

/// The content of a key file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    did: String,
    record_key: String,
}

/// The next entry of a log, before anything of it is published.
pub struct Changed {
    /// The entry.
    pub entry: LogEntry,
    /// Who signs records under it.
    pub signer: Signer,
}

/// The file of keys that a log entry commits to which may not have been taken yet.
const PENDING: &str = "pending";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    did: String,
    record_key: String,
    update_key: String,
}

/// A new identity, before anything of it is published.
pub struct Founded {
    /// The first entry of its log.
    pub entry: LogEntry,
    /// Who it is.
    pub did: Did,
    /// The code on the printed card: a secret key that can take the identity back.
    pub recovery_code: String,
    /// Where the second recovery key was written, to be given to someone trusted.
    pub escrow_file: PathBuf,
}

/// The folder of keys.
#[derive(Debug, Clone)]
pub struct Keychain {
    folder: PathBuf,
}

impl Keychain {
    /// The keys in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`KeychainError::File`]; [`KeychainError::Exposed`] if others may read any of the files.
    pub fn open(folder: &Path) -> Result<Self, KeychainError> {
        let chain = Self {
            folder: folder.to_owned(),
        };
        let fault = |source| KeychainError::File {
            path: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(fault)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(fault)?;
        for entry in fs::read_dir(folder).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let mode = fs::metadata(&path)
                .map_err(|source| KeychainError::File {
                    path: path.clone(),
                    source,
                })?
                .permissions()
                .mode();
            if mode & 0o077 != 0 {
                return Err(KeychainError::Exposed { path });
            }
        }
        Ok(chain)
    }

    /// Makes an identity: all its keys, written here, and the first entry of its log.
    ///
    /// # Errors
    /// See [`KeychainError`]; nothing is left behind then.
    pub fn found(
        &self,
        handle: &str,
        place: Place,
        now: Timestamp,
    ) -> Result<Founded, KeychainError> {
        check_handle(handle)?;
        if self.file(handle, "key").exists() {
            return Err(KeychainError::Handle {
                handle: handle.to_owned(),
                problem: "is taken on this node: choose another handle",
            });
        }
        let [first, next, printed, escrow, record] =
            [new_key()?, new_key()?, new_key()?, new_key()?, new_key()?];
        let change = Change {
            place,
            record_keys: [record.public()].into(),
            next_key_hashes: [&next, &printed, &escrow]
                .map(|key| key_hash(&key.public()))
                .into(),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        let entry = create(&change, &first, now)?;
        let did = entry.did().clone();
        let escrow_file = self.file(handle, "escrow");
        self.write(&escrow_file, &escrow.to_secret_multikey())?;
        self.write(&self.file(handle, "update"), &next.to_secret_multikey())?;
        self.write_record_key(handle, &did, &record)?;
        Ok(Founded {
            entry,
            did,
            recovery_code: printed.to_secret_multikey(),
            escrow_file,
        })
    }

    /// Makes the next entry of a log: the update key that was committed to signs it, and a new one is
    /// committed to and written here. Recovery keys stay committed. The new keys are in force after
    /// [`Keychain::settle`], once the log has taken the entry.
    ///
    /// # Errors
    /// The update key is not here, or is not one that the log allows.
    pub fn change(
        &self,
        handle: &str,
        state: &LogState,
        place: Place,
        new_record_key: bool,
        now: Timestamp,
    ) -> Result<Changed, KeychainError> {
        self.settle(handle, state)?;
        let path = self.file(handle, "update");
        let signing = SecretKey::parse(self.read(&path)?.trim())
            .map_err(|_| KeychainError::Form { path: path.clone() })?;
        let next = new_key()?;
        let mut change = Change::of(state);
        change.place = place;
        change.next_key_hashes = state.next_key_hashes().clone();
        change.next_key_hashes.remove(&key_hash(&signing.public()));
        change.next_key_hashes.insert(key_hash(&next.public()));
        let record = match new_record_key {
            true => new_key()?,
            false => self.signer(handle)?.key,
        };
        if new_record_key {
            change.record_keys = [record.public()].into();
        }
        let entry = update(state, &change, &signing, now)?;
        // Before the entry goes anywhere: whoever takes it commits us to these keys.
        let pending = Pending {
            did: entry.did().to_string(),
            record_key: record.to_secret_multikey(),
            update_key: next.to_secret_multikey(),
        };
        let path = self.file(handle, PENDING);
        let text = serde_json::to_string(&pending)
            .map_err(|_| KeychainError::Form { path: path.clone() })?;
        self.write(&path, &text)?;
        let signer = Signer {
            handle: handle.to_owned(),
            did: entry.did().clone(),
            key: record,
        };
        Ok(Changed { entry, signer })
    }

    /// Takes up the keys of the entry that [`Keychain::change`] made, if the log has taken it; leaves
    /// them aside if not.
    ///
    /// # Errors
    /// A file that is damaged or cannot be written.
    pub fn settle(&self, handle: &str, state: &LogState) -> Result<(), KeychainError> {
        let path = self.file(handle, PENDING);
        if !path.exists() {
            return Ok(());
        }
        let form = || KeychainError::Form { path: path.clone() };
        let pending: Pending = serde_json::from_str(&self.read(&path)?).map_err(|_| form())?;
        let next = SecretKey::parse(&pending.update_key).map_err(|_| form())?;
        if !state.next_key_hashes().contains(&key_hash(&next.public())) {
            return Ok(());
        }
        let did = Did::parse(&pending.did).map_err(|_| form())?;
        let record = SecretKey::parse(&pending.record_key).map_err(|_| form())?;
        self.write(&self.file(handle, "update"), &pending.update_key)?;
        self.write_record_key(handle, &did, &record)?;
        fs::remove_file(&path).map_err(|source| KeychainError::File {
            path: path.clone(),
            source,
        })
    }

    /// The identity with this handle, to sign records.
    ///
    /// # Errors
    /// [`KeychainError::Unknown`], or a file that is damaged.
    pub fn signer(&self, handle: &str) -> Result<Signer, KeychainError> {
        let path = self.file(handle, "key");
        if !is_handle(handle) || !path.exists() {
            return Err(KeychainError::Unknown {
                handle: handle.to_owned(),
            });
        }
        let form = || KeychainError::Form { path: path.clone() };
        let file: KeyFile = serde_json::from_str(&self.read(&path)?).map_err(|_| form())?;
        Ok(Signer {
            handle: handle.to_owned(),
            did: Did::parse(&file.did).map_err(|_| form())?,
            key: SecretKey::parse(&file.record_key).map_err(|_| form())?,
        })
    }

    /// Every identity whose record key is here, by handle.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn signers(&self) -> Result<Vec<Signer>, KeychainError> {
        let fault = |source| KeychainError::File {
            path: self.folder.clone(),
            source,
        };
        let mut handles = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fault)? {
            let name = entry.map_err(fault)?.file_name();
            handles.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(".key"))
                    .map(ToOwned::to_owned),
            );
        }
        handles.sort();
        handles.iter().map(|handle| self.signer(handle)).collect()
    }

    /// Takes the keys of an identity in from another node's keychain: how an identity moves.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn adopt(&self, handle: &str, from: &Self) -> Result<(), KeychainError> {
        for kind in ["escrow", "update", "key"] {
            let source = from.file(handle, kind);
            if source.exists() {
                self.write(&self.file(handle, kind), &from.read(&source)?)?;
            }
        }
        Ok(())
    }

    fn write_record_key(
        &self,
        handle: &str,
        did: &Did,
        key: &SecretKey,
    ) -> Result<(), KeychainError> {
        let path = self.file(handle, "key");
        let file = KeyFile {
            did: did.to_string(),
            record_key: key.to_secret_multikey(),
        };
        let text =
            serde_json::to_string(&file).map_err(|_| KeychainError::Form { path: path.clone() })?;
        self.write(&path, &text)
    }

    fn file(&self, handle: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{handle}.{kind}"))
    }

    fn read(&self, path: &Path) -> Result<String, KeychainError> {
        fs::read_to_string(path).map_err(|source| KeychainError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// Writes a file whole or not at all, so that a crash leaves the old key or the new one.
    fn write(&self, path: &Path, text: &str) -> Result<(), KeychainError> {
        let fault = |source| KeychainError::File {
            path: path.to_owned(),
            source,
        };
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)
            .map_err(fault)?;
        writeln!(file, "{text}")
            .and_then(|()| file.sync_all())
            .map_err(fault)?;
        fs::rename(&draft, path).map_err(fault)?;
        fs::File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(fault)
    }
}

/// Refuses what is no handle, with words for whoever typed it.
///
/// # Errors
/// [`KeychainError::Handle`].
pub fn check_handle(text: &str) -> Result<(), KeychainError> {
    if is_handle(text) {
        return Ok(());
    }
    Err(KeychainError::Handle {
        handle: text.to_owned(),
        problem: "is no handle: use 1 to 63 of a-z 0-9 and -, beginning with a letter or digit",
    })
}

/// Whether a text may name an organisation within a node: it stands in addresses and file names.
pub fn is_handle(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A new key from the machine's random numbers.
///
/// # Errors
/// [`KeychainError::Chance`].
pub fn new_key() -> Result<SecretKey, KeychainError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| KeychainError::Chance(error.to_string()))?;
    Ok(SecretKey::from_seed(&seed))
}

/// A new random name of 16 characters, for epochs and nonces.
///
/// # Errors
/// [`KeychainError::Chance`].
pub fn random_name() -> Result<String, KeychainError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| KeychainError::Chance(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
