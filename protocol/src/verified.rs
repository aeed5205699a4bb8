//! Belief is a type: the two steps from a stranger's [`Envelope`] to a [`Verified`] record.
//!
//! The first step, [`Envelope::prove`], costs a signature check and needs nothing but the bytes, so
//! it runs on any thread. The second, [`Proven::against`], asks the author's key ring and costs
//! nothing, so a store runs it inside the transaction in which that ring is current.

use std::ops::Deref;

use serde_json::{Map, Value};

use crate::acceptance::{Rules, Standing};
use crate::envelope::{Envelope, Header};
use crate::id::VersionHash;
use crate::identity::KeyRing;
use crate::key::PublicKey;
use crate::proof::{ASSERTION_METHOD, ProofError};

/// Something that was checked against its author's key log. Only this module makes one.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A record as a whole.
#[derive(Debug, Clone)]
pub struct Record {
    /// The members that every type has.
    pub header: Header,
    /// The canonical form of the whole record as it was signed, `body` and `proof` included.
    pub canonical: Box<[u8]>,
    /// The digest that names this version.
    pub hash: VersionHash,
    /// The key that signed it.
    pub key: PublicKey,
}

impl Record {
    /// The whole record as JSON, read from its canonical form.
    pub fn tree(&self) -> Map<String, Value> {
        // What was written from a tree reads as one.
        serde_json::from_slice(&self.canonical).unwrap_or_default()
    }

    /// What the author says, if the version is active.
    pub fn body(&self) -> Option<Map<String, Value>> {
        match self.tree().remove("body") {
            Some(Value::Object(body)) => Some(body),
            _ => None,
        }
    }
}

/// Why a record is not taken as its author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The proof is broken, or not for this document.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof names a key of somebody other than the record's author.
    #[error("the proof names a key of “{signer}”, which is not the record's author")]
    ForeignSigner {
        /// The identifier before the `#`.
        signer: String,
    },
    /// The proof is for something other than an assertion.
    #[error("the proof's purpose is “{found}”, not {ASSERTION_METHOD}")]
    Purpose {
        /// What it is for.
        found: String,
    },
    /// The author's log listed the key once and lists it no longer.
    #[error("the key {key} was retired by its owner")]
    KeyRetired {
        /// The key.
        key: PublicKey,
    },
    /// The author's log is deactivated.
    #[error("the author has closed its identity")]
    AuthorClosed,
}

/// A record whose signature fits the key that it names. Whether its author lists that key is open.
#[derive(Debug, Clone)]
pub struct Proven(Record);

/// What the author's key ring says of a proven record.
#[derive(Debug, Clone)]
pub enum Judged {
    /// It is the author's.
    Verified(Verified<Record>),
    /// The author, or this key, is not known yet: keep it and ask again when the log grows.
    NotYet(Proven),
}

impl Envelope {
    /// Checks the signature under the key that the proof names.
    ///
    /// # Errors
    /// A broken proof, a proof for another purpose, or one that names another author's key. The host
    /// parts of both DIDs are hints and may differ: authors are compared by SCID.
    pub fn prove(self) -> Result<Proven, VerifyError> {
        if self.proof.purpose() != ASSERTION_METHOD {
            return Err(VerifyError::Purpose {
                found: self.proof.purpose().chars().take(60).collect(),
            });
        }
        let method = self.proof.verification_method();
        let (signer, _) = method.split_once('#').unwrap_or((method, ""));
        let is_author = crate::id::Did::parse(signer)
            .is_ok_and(|signer| signer.scid() == self.header.author.scid());
        if !is_author {
            return Err(VerifyError::ForeignSigner {
                signer: signer.chars().take(120).collect(),
            });
        }
        let key = self.proof.claimed_key()?;
        self.proof.check(&self.tree, &key)?;
        Ok(Proven(Record {
            header: self.header,
            canonical: self.canonical,
            hash: self.hash,
            key,
        }))
    }

    /// Both steps at once, for a reader with the author's log at hand.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(self, ring: &KeyRing) -> Result<Judged, VerifyError> {
        self.prove()?.against(&Rules::decided(), Some(ring))
    }
}

impl Proven {
    /// What is claimed, and by which key.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// Asks the author's key ring; `None` if no log of the author is known.
    ///
    /// # Errors
    /// [`VerifyError::KeyRetired`] and [`VerifyError::AuthorClosed`]: this version will never count.
    pub fn against(self, rules: &Rules, ring: Option<&KeyRing>) -> Result<Judged, VerifyError> {
        match rules.standing(self.0.header.author.scid(), ring, &self.0.key) {
            Standing::Counts => Ok(Judged::Verified(Verified(self.0))),
            Standing::Unknown => Ok(Judged::NotYet(self)),
            Standing::Retired => Err(VerifyError::KeyRetired { key: self.0.key }),
            Standing::Closed => Err(VerifyError::AuthorClosed),
        }
    }
}
