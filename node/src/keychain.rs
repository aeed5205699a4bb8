//! Secret keys on disk: a folder of files that only their owner may read.
//!
//! The node needs record keys to publish. Update keys change an identity; they are written beside at
//! first, and their owner may move them off the machine (docs/operators.md).
//!
//! A change of an identity is prepared whole in a file before any of it leaves the machine, so that
//! whatever breaks, the same command goes on with the same entry: two different ones with one number
//! would be a fork. [`Keychain::change`] prepares, [`Keychain::settle`] takes the new keys up.

pub mod card;
mod http;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use card::Card;
use protocol::id::{Did, EntryHash};
use protocol::identity::write::{Change, Place, create, update};
use protocol::identity::{LogEntry, LogError, LogState, WitnessProofs, key_hash};
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
    /// The key that would sign the next entry is not one that the log allows.
    #[error("{what} cannot sign the next entry of this identity's log: {advice}")]
    NotCommitted {
        /// What was offered.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// There is no update key here.
    #[error("the update key is not here: put {} back, or name it with --update-key FILE", path.display())]
    NoUpdateKey {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another change was begun and not finished.
    #[error("“{step}” was begun and is not finished: run it again; only if nobody can have received it, delete {} first", path.display())]
    Unfinished {
        /// What to run again.
        step: String,
        /// Where it is prepared.
        path: PathBuf,
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

impl KeychainError {
    /// A recovery card that the log does not, or no longer, commit to.
    pub fn stale_card() -> Self {
        Self::NotCommitted {
            what: "this recovery card",
            advice: STALE_CARD,
        }
    }
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

/// A change of an identity.
pub struct Step {
    /// What is typed to do it, by which an unfinished one is known again.
    pub name: String,
    /// Where the log is served after it.
    pub place: Place,
    /// Which keys it replaces.
    pub renewal: Renewal,
    /// The key that signs it.
    pub signing: Signing,
}

/// Which keys a change replaces, beside the one that signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// None.
    Nothing,
    /// The record key.
    RecordKey,
    /// The record key, and the escrow key if it still lies here: what was in the folder was read.
    Folder,
    /// Every key, both recovery keys too.
    Everything,
    /// The keys that may sign the next entry become somebody else's, who gave these digests: the
    /// identity is let go.
    HandOver(Vec<EntryHash>),
}

impl Renewal {
    /// Whether a log commits to the keys of a hand-over, and to no others, already.
    pub fn is_done_in(&self, state: &LogState) -> bool {
        match self {
            Self::HandOver(digests) => {
                *state.next_key_hashes() == digests.iter().copied().collect::<BTreeSet<_>>()
            }
            _ => false,
        }
    }
}

/// The key that signs a change.
pub enum Signing {
    /// The update key in its file.
    Working,
    /// The update key, kept elsewhere.
    Given(SecretKey),
    /// A recovery key.
    Card(SecretKey),
}

/// A change that is prepared, before anything of it is published.
pub struct Changed {
    /// The entry.
    pub entry: LogEntry,
    /// Who signs records under it.
    pub signer: Signer,
    /// The new recovery card, if the old ones end with this change.
    pub card: Option<Card>,
    /// Whether it was prepared by an earlier run, which may have published it.
    pub is_resumed: bool,
}

/// The file of a change that the log may not have taken yet.
const PENDING: &str = "pending";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    step: String,
    entry: String,
    did: String,
    record_key: String,
    /// None if the identity is let go.
    update_key: Option<String>,
    escrow: Option<String>,
    card: Option<String>,
}

/// A new identity, before anything of it is published.
pub struct Founded {
    /// The first entry of its log.
    pub entry: LogEntry,
    /// Who it is.
    pub did: Did,
    /// The printed card.
    pub card: Card,
    /// Where the second recovery key was written, to be given to someone trusted.
    pub escrow_file: PathBuf,
}

const STALE_UPDATE_KEY: &str = "the log has gone on without it, from another copy of these keys or by a recovery card; use the newest copy, or recover with the newest card";
const STALE_CARD: &str =
    "it was used already, or replaced by a newer card; look for the newest card or the escrow file";

/// New keys for everything.
struct Fresh {
    record: SecretKey,
    working: SecretKey,
    printed: SecretKey,
    escrow: SecretKey,
}

impl Fresh {
    fn all() -> Result<Self, KeychainError> {
        Ok(Self {
            record: new_key()?,
            working: new_key()?,
            printed: new_key()?,
            escrow: new_key()?,
        })
    }

    /// What a log commits to: any of the three may sign the next entry.
    fn hashes(&self) -> BTreeSet<EntryHash> {
        [&self.working, &self.printed, &self.escrow]
            .map(|key| key_hash(&key.public()))
            .into()
    }
}

impl Pending {
    fn read(&self, chain: &Keychain, handle: &str) -> Result<Changed, KeychainError> {
        let form = || KeychainError::Form {
            path: chain.file(handle, PENDING),
        };
        let card = self.card.as_deref().map(Card::parse).transpose();
        Ok(Changed {
            entry: LogEntry::parse(self.entry.as_bytes()).map_err(|_| form())?,
            signer: Signer {
                handle: handle.to_owned(),
                did: Did::parse(&self.did).map_err(|_| form())?,
                key: SecretKey::parse(&self.record_key).map_err(|_| form())?,
            },
            card: card.map_err(|_| form())?,
            is_resumed: true,
        })
    }
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
        let first = new_key()?;
        let fresh = Fresh::all()?;
        let change = Change {
            place,
            record_keys: [fresh.record.public()].into(),
            next_key_hashes: fresh.hashes(),
            also_known_as: Vec::new(),
            services: Vec::new(),
        };
        let entry = create(&change, &first, now)?;
        let did = entry.did().clone();
        let escrow_file = self.write_update_keys(handle, &did, &fresh)?;
        self.write_record_key(handle, &did, &fresh.record)?;
        Ok(Founded {
            entry,
            card: Card {
                scid: *did.scid(),
                key: fresh.printed,
            },
            did,
            escrow_file,
        })
    }

    /// Makes the keys of an identity that is somebody else's still, and gives its printed card and the
    /// digests by which its present keeper is to commit to them.
    ///
    /// # Errors
    /// A file cannot be written, or there are keys already.
    pub fn await_hand_over(
        &self,
        handle: &str,
        did: &Did,
    ) -> Result<(Card, Vec<EntryHash>), KeychainError> {
        let fresh = Fresh::all()?;
        self.write_update_keys(handle, did, &fresh)?;
        let hashes = fresh.hashes().into_iter().collect();
        let card = Card {
            scid: *did.scid(),
            key: fresh.printed,
        };
        Ok((card, hashes))
    }

    fn write_update_keys(
        &self,
        handle: &str,
        did: &Did,
        fresh: &Fresh,
    ) -> Result<PathBuf, KeychainError> {
        let escrow_file = self.file(handle, "escrow");
        let escrow = Card {
            scid: *did.scid(),
            key: SecretKey::parse(&fresh.escrow.to_secret_multikey()).map_err(|_| {
                KeychainError::Form {
                    path: escrow_file.clone(),
                }
            })?,
        };
        self.write(&escrow_file, &escrow.to_string())?;
        self.write(
            &self.file(handle, "update"),
            &fresh.working.to_secret_multikey(),
        )?;
        Ok(escrow_file)
    }

    /// Prepares the next entry of a log and the keys that come with it, in a file. They are in force
    /// after [`Keychain::settle`], once the log has taken the entry. If the same step was prepared before
    /// and still fits, that very entry is given again.
    ///
    /// # Errors
    /// [`KeychainError::Unfinished`] if another step was begun; the signing key is not here, or is not one
    /// that the log allows.
    pub fn change(
        &self,
        handle: &str,
        state: &LogState,
        step: Step,
        now: Timestamp,
    ) -> Result<Changed, KeychainError> {
        self.settle(handle, state)?;
        if let Some(begun) = self.pending(handle)? {
            let entry = begun.read(self, handle)?;
            if state
                .next(&entry.entry, now, &WitnessProofs::empty())
                .is_ok()
            {
                return match begun.step == step.name {
                    true => Ok(entry),
                    false => Err(KeychainError::Unfinished {
                        step: begun.step,
                        path: self.file(handle, PENDING),
                    }),
                };
            }
            // The log went on otherwise: what was prepared can never follow.
        }
        let (signing, offered, advice) = match step.signing {
            Signing::Working => {
                let path = self.file(handle, "update");
                if !path.exists() {
                    return Err(KeychainError::NoUpdateKey { path });
                }
                let text = self.read(&path)?;
                let key =
                    SecretKey::parse(text.trim()).map_err(|_| KeychainError::Form { path })?;
                (key, "the update key in this folder", STALE_UPDATE_KEY)
            }
            Signing::Given(key) => (key, "the update key that was given", STALE_UPDATE_KEY),
            Signing::Card(key) => (key, "this recovery card", STALE_CARD),
        };
        let own = key_hash(&signing.public());
        if !state.next_key_hashes().contains(&own) {
            return Err(KeychainError::NotCommitted {
                what: offered,
                advice,
            });
        }
        let fresh = Fresh::all()?;
        let mut change = Change::of(state);
        change.place = step.place;
        // Recovery keys stay committed unless they are replaced.
        let mut next = state.next_key_hashes().clone();
        next.remove(&own);
        next.insert(key_hash(&fresh.working.public()));
        let scid = *state.scid();
        let (mut card, mut escrow) = (None, None);
        match &step.renewal {
            Renewal::Nothing | Renewal::RecordKey => {}
            Renewal::Folder => {
                if let Some(old) = self.escrow(handle)? {
                    next.remove(&old.hash());
                    next.insert(key_hash(&fresh.escrow.public()));
                    escrow = Some(Card {
                        scid,
                        key: fresh.escrow,
                    });
                }
            }
            Renewal::Everything => {
                next = fresh.hashes();
                card = Some(Card {
                    scid,
                    key: fresh.printed,
                });
                escrow = Some(Card {
                    scid,
                    key: fresh.escrow,
                });
            }
            Renewal::HandOver(hashes) => next = hashes.iter().copied().collect(),
        }
        change.next_key_hashes = next;
        let is_kept = matches!(step.renewal, Renewal::Nothing | Renewal::HandOver(_));
        let record = match is_kept {
            true => self.signer(handle)?.key,
            false => fresh.record,
        };
        change.record_keys = [record.public()].into();
        let entry = update(state, &change, &signing, now)?;
        let is_let_go = matches!(step.renewal, Renewal::HandOver(_));
        // Before the entry goes anywhere: whoever takes it commits us to these keys.
        let pending = Pending {
            step: step.name,
            entry: String::from_utf8_lossy(&entry.to_canonical_bytes()).into_owned(),
            did: entry.did().to_string(),
            record_key: record.to_secret_multikey(),
            update_key: (!is_let_go).then(|| fresh.working.to_secret_multikey()),
            escrow: escrow.map(|escrow| escrow.to_string()),
            card: card.as_ref().map(Card::to_string),
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
        Ok(Changed {
            entry,
            signer,
            card,
            is_resumed: false,
        })
    }

    /// Takes up the keys of the entry that [`Keychain::change`] made, if the log has taken it; leaves
    /// them aside if not.
    ///
    /// # Errors
    /// A file that is damaged or cannot be written.
    pub fn settle(&self, handle: &str, state: &LogState) -> Result<(), KeychainError> {
        let Some(pending) = self.pending(handle)? else {
            return Ok(());
        };
        let changed = pending.read(self, handle)?;
        if state.version_id() != changed.entry.version_id() {
            return Ok(());
        }
        match &pending.update_key {
            Some(key) => self.write(&self.file(handle, "update"), key)?,
            None => {
                // Let go: what is left could only be used to forge a fork.
                self.remove(&self.file(handle, "update"))?;
                self.remove(&self.file(handle, "escrow"))?;
            }
        }
        if let Some(escrow) = &pending.escrow {
            self.write(&self.file(handle, "escrow"), escrow)?;
        }
        self.write_record_key(handle, &changed.signer.did, &changed.signer.key)?;
        self.abandon(handle)
    }

    /// Forgets a prepared change: only right if nobody can have received it.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn abandon(&self, handle: &str) -> Result<(), KeychainError> {
        self.remove(&self.file(handle, PENDING))
    }

    /// The entry of a change that was prepared and is not finished.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn pending_entry(&self, handle: &str) -> Result<Option<LogEntry>, KeychainError> {
        match self.pending(handle)? {
            None => Ok(None),
            Some(pending) => Ok(Some(pending.read(self, handle)?.entry)),
        }
    }

    /// What is typed to go on with a change that was prepared and is not finished.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn unfinished(&self, handle: &str) -> Result<Option<String>, KeychainError> {
        Ok(self.pending(handle)?.map(|pending| pending.step))
    }

    /// Whether the log commits to the update key that lies here, so that it may sign the next entry.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn holds_next_key(&self, handle: &str, state: &LogState) -> Result<bool, KeychainError> {
        let path = self.file(handle, "update");
        if !path.exists() {
            return Ok(false);
        }
        let key =
            SecretKey::parse(self.read(&path)?.trim()).map_err(|_| KeychainError::Form { path })?;
        Ok(state.next_key_hashes().contains(&key_hash(&key.public())))
    }

    /// The second recovery key, while it lies here.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn escrow(&self, handle: &str) -> Result<Option<Card>, KeychainError> {
        let path = self.file(handle, "escrow");
        if !path.exists() {
            return Ok(None);
        }
        let card = Card::parse(&self.read(&path)?).map_err(|_| KeychainError::Form { path })?;
        Ok(Some(card))
    }

    fn pending(&self, handle: &str) -> Result<Option<Pending>, KeychainError> {
        let path = self.file(handle, PENDING);
        if !path.exists() {
            return Ok(None);
        }
        let pending = serde_json::from_str(&self.read(&path)?);
        Ok(Some(pending.map_err(|_| KeychainError::Form { path })?))
    }

    /// Removes a file that may not be there.
    fn remove(&self, path: &Path) -> Result<(), KeychainError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeychainError::File {
                path: path.to_owned(),
                source: error,
            }),
            _ => Ok(()),
        }
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

    /// When a file of the folder was made, replaced or removed last.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn changed(&self) -> Result<std::time::SystemTime, KeychainError> {
        let about = fs::metadata(&self.folder).and_then(|about| about.modified());
        about.map_err(|source| KeychainError::File {
            path: self.folder.clone(),
            source,
        })
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

#[cfg(test)]
mod tests {
    use std::fs;

    use protocol::identity::write::Place;
    use protocol::identity::{LogState, WitnessProofs, key_hash};
    use protocol::time::Timestamp;

    use super::{Changed, Keychain, KeychainError, Renewal, Signing, Step};

    const HANDLE: &str = "itu";

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T10:00:00Z").unwrap()
    }

    fn founded() -> (tempfile::TempDir, Keychain, LogState) {
        let folder = tempfile::tempdir().unwrap();
        let chain = Keychain::open(&folder.path().join("keys")).unwrap();
        let place = Place::new("hub.example", None, &["orgs", HANDLE]).unwrap();
        let entry = chain.found(HANDLE, place, now()).unwrap().entry;
        let state = LogState::begin(&entry, now(), &WitnessProofs::empty()).unwrap();
        (folder, chain, state)
    }

    fn step(name: &str, renewal: Renewal, state: &LogState) -> Step {
        Step {
            name: name.to_owned(),
            place: Place::of(state.did()),
            renewal,
            signing: Signing::Working,
        }
    }

    fn after(state: &LogState, changed: &Changed) -> LogState {
        let later = now().plus_seconds(600);
        state
            .next(&changed.entry, later, &WitnessProofs::empty())
            .unwrap()
    }

    #[test]
    fn a_step_that_was_begun_gives_the_same_entry_until_the_log_has_taken_it_and_others_wait() {
        let (_folder, chain, state) = founded();
        let change = |name: &str| {
            let step = step(name, Renewal::RecordKey, &state);
            chain.change(HANDLE, &state, step, now().plus_seconds(60))
        };
        let first = change("rotate").unwrap();
        let again = change("rotate").unwrap();
        assert!(!first.is_resumed && again.is_resumed);
        assert_eq!(again.entry.version_id(), first.entry.version_id());
        assert_eq!(again.signer.key.public(), first.signer.key.public());
        assert!(matches!(
            change("move"),
            Err(KeychainError::Unfinished { step, .. }) if step == "rotate"
        ));
        // The old keys are in force until the log has taken it, the new ones after.
        assert_ne!(
            chain.signer(HANDLE).unwrap().key.public(),
            first.signer.key.public()
        );
        chain.settle(HANDLE, &after(&state, &first)).unwrap();
        assert_eq!(
            chain.signer(HANDLE).unwrap().key.public(),
            first.signer.key.public()
        );
        assert_eq!(chain.unfinished(HANDLE).unwrap(), None);
    }

    #[test]
    fn what_was_begun_is_passed_over_once_the_log_went_on_otherwise() {
        let (_folder, chain, state) = founded();
        let stale = chain
            .change(
                HANDLE,
                &state,
                step("move", Renewal::Nothing, &state),
                now(),
            )
            .unwrap();
        // The same keys from a backup, used elsewhere meanwhile.
        chain.abandon(HANDLE).unwrap();
        let taken = chain
            .change(
                HANDLE,
                &state,
                step("rotate", Renewal::RecordKey, &state),
                now(),
            )
            .unwrap();
        let state = after(&state, &taken);
        chain.settle(HANDLE, &state).unwrap();
        let next = chain
            .change(
                HANDLE,
                &state,
                step("move", Renewal::Nothing, &state),
                now(),
            )
            .unwrap();
        assert_ne!(next.entry.version_id(), stale.entry.version_id());
        assert!(!next.is_resumed);
    }

    #[test]
    fn a_folder_that_was_read_gets_a_new_escrow_key_only_if_the_old_one_lay_in_it() {
        let (_folder, chain, state) = founded();
        let old = chain.escrow(HANDLE).unwrap().unwrap().hash();
        let renew = || step("rotate", Renewal::Folder, &state);
        let changed = chain.change(HANDLE, &state, renew(), now()).unwrap();
        let committed = after(&state, &changed).next_key_hashes().clone();
        assert_eq!((committed.len(), committed.contains(&old)), (3, false));
        chain.abandon(HANDLE).unwrap();
        // Given away: it was not read.
        fs::remove_file(chain.file(HANDLE, "escrow")).unwrap();
        let changed = chain.change(HANDLE, &state, renew(), now()).unwrap();
        let committed = after(&state, &changed).next_key_hashes().clone();
        assert_eq!((committed.len(), committed.contains(&old)), (3, true));
    }

    #[test]
    fn an_identity_that_was_let_go_leaves_no_key_that_could_change_it() {
        let (_folder, chain, state) = founded();
        let (_other, owner, _) = founded();
        let digests: Vec<_> = (0..3)
            .map(|_| key_hash(&super::new_key().unwrap().public()))
            .collect();
        let renewal = Renewal::HandOver(digests.clone());
        let changed = chain
            .change(
                HANDLE,
                &state,
                step("release", renewal.clone(), &state),
                now(),
            )
            .unwrap();
        let state = after(&state, &changed);
        chain.settle(HANDLE, &state).unwrap();
        assert!(renewal.is_done_in(&state));
        assert!(matches!(
            chain.change(
                HANDLE,
                &state,
                step("rotate", Renewal::RecordKey, &state),
                now()
            ),
            Err(KeychainError::NoUpdateKey { .. })
        ));
        assert!(chain.escrow(HANDLE).unwrap().is_none());
        assert!(!owner.holds_next_key(HANDLE, &state).unwrap());
        // It signs records until its owner lists a key of its own.
        assert!(
            state
                .keys()
                .counts(&chain.signer(HANDLE).unwrap().key.public())
        );
    }
}
