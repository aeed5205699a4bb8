//! Proofs in documents: W3C Data Integrity EdDSA Cryptosuites 1.0, `eddsa-jcs-2022`; FEP-8b32.
//!
//! One proof format serves records, key logs and activities. What is signed is
//! `SHA-256(JCS(proof without proofValue)) ‖ SHA-256(JCS(document without proof))`, proof first.
//! Whose key it was is asked elsewhere.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::canonical::to_canonical_without;
use crate::key::{KeyError, PublicKey, SecretKey, read_multibase, write_multibase};
use crate::time::{Timestamp, TimestampError};

/// The only suite of this network.
pub const CRYPTOSUITE: &str = "eddsa-jcs-2022";

/// What a proof is for.
pub const ASSERTION_METHOD: &str = "assertionMethod";

/// Why a document's proof is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is none.
    #[error("the document has no proof")]
    Missing,
    /// More than one, or not an object.
    #[error("the document must have exactly one proof, an object")]
    NotOne,
    /// A member of the proof is missing or of the wrong type.
    #[error("the proof's “{member}” must be {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Another type or suite.
    #[error(
        "the proof is of kind “{found}”: only DataIntegrityProof with {CRYPTOSUITE} is read here"
    )]
    Unsupported {
        /// What it says it is.
        found: String,
    },
    /// A date in the proof that is none.
    #[error("the proof's date: {0}")]
    Date(#[from] TimestampError),
    /// The proof's `expires` is not after its `created`.
    #[error("the proof expires before it was made")]
    ExpiresBeforeCreated,
    /// The fragment of `verificationMethod` is no Ed25519 Multikey.
    #[error("the proof's verificationMethod: {0}")]
    Key(#[from] KeyError),
    /// The document's `@context` and the proof's differ.
    #[error("a document with @context must repeat it in its proof")]
    Context,
    /// The signature does not fit the document and the key.
    #[error("the signature does not fit: the document was changed, or another key signed it")]
    BadSignature,
}

/// A proof, taken apart. What it claims is not checked yet.
#[derive(Debug, Clone)]
pub struct Proof {
    configuration: Map<String, Value>,
    signature: [u8; 64],
    verification_method: String,
    purpose: String,
    created: Option<Timestamp>,
}

impl Proof {
    /// Reads the one proof of a document.
    ///
    /// # Errors
    /// Everything of [`ProofError`] but a signature that does not fit.
    pub fn of(document: &Map<String, Value>) -> Result<Self, ProofError> {
        match document.get("proof") {
            None => Err(ProofError::Missing),
            Some(Value::Object(proof)) => Self::read(proof, document.get("@context")),
            Some(_) => Err(ProofError::NotOne),
        }
    }

    /// Reads a proof that stands by itself, such as one of a list.
    ///
    /// # Errors
    /// As [`Proof::of`].
    pub fn read(proof: &Map<String, Value>, context: Option<&Value>) -> Result<Self, ProofError> {
        let text = |member: &'static str| match proof.get(member) {
            Some(Value::String(text)) => Ok(text.as_str()),
            _ => Err(ProofError::Member {
                member,
                expected: "a text",
            }),
        };
        let kind = text("type")?;
        if kind != "DataIntegrityProof" {
            return Err(ProofError::Unsupported {
                found: shortened(kind),
            });
        }
        let suite = text("cryptosuite")?;
        if suite != CRYPTOSUITE {
            return Err(ProofError::Unsupported {
                found: shortened(suite),
            });
        }
        let date = |member: &'static str| -> Result<Option<Timestamp>, ProofError> {
            match proof.get(member) {
                None => Ok(None),
                Some(_) => Ok(Some(Timestamp::parse(text(member)?)?)),
            }
        };
        let created = date("created")?;
        if let (Some(expires), Some(created)) = (date("expires")?, created)
            && expires <= created
        {
            return Err(ProofError::ExpiresBeforeCreated);
        }
        // The proof's context may be left out of a foreign document only if that has none.
        if proof.get("@context") != context {
            return Err(ProofError::Context);
        }
        let signature = read_multibase(text("proofValue")?, 120)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(ProofError::Member {
                member: "proofValue",
                expected: "64 bytes as “z” and base58btc",
            })?;
        Ok(Self {
            signature,
            verification_method: text("verificationMethod")?.to_owned(),
            purpose: text("proofPurpose")?.to_owned(),
            created,
            configuration: proof.clone(),
        })
    }

    /// The key's URL as the signer wrote it.
    pub fn verification_method(&self) -> &str {
        &self.verification_method
    }

    /// The key that the fragment of `verificationMethod` spells out. It is a claim: ask the author's
    /// log before believing it.
    ///
    /// # Errors
    /// The fragment is missing or no Ed25519 Multikey.
    pub fn claimed_key(&self) -> Result<PublicKey, ProofError> {
        let (_, fragment) = self.verification_method.split_once('#').unwrap_or_default();
        Ok(PublicKey::parse(fragment)?)
    }

    /// What the proof is for, such as [`ASSERTION_METHOD`].
    pub fn purpose(&self) -> &str {
        &self.purpose
    }

    /// When it says it was made. Orders nothing.
    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Checks the signature over `document` (whatever `proof` it carries is left aside).
    ///
    /// # Errors
    /// [`ProofError::BadSignature`].
    pub fn check(&self, document: &Map<String, Value>, key: &PublicKey) -> Result<(), ProofError> {
        let signed = signing_input(&self.configuration, document);
        if key.verifies(&signed, &self.signature) {
            Ok(())
        } else {
            Err(ProofError::BadSignature)
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The 64 bytes that are signed: hash of the proof's options, then hash of the document.
pub fn signing_input(
    configuration: &Map<String, Value>,
    document: &Map<String, Value>,
) -> [u8; 64] {
    let mut input = [0; 64];
    input[..32].copy_from_slice(&Sha256::digest(to_canonical_without(
        configuration,
        "proofValue",
    )));
    input[32..].copy_from_slice(&Sha256::digest(to_canonical_without(document, "proof")));
    input
}

/// Makes the proof of a document; whatever `proof` it carries is left aside.
///
/// `verification_method` is the key's URL as verifiers will look it up, such as a DID, `#` and the
/// Multikey.
pub fn sign(
    document: &Map<String, Value>,
    key: &SecretKey,
    verification_method: &str,
    created: Timestamp,
) -> Map<String, Value> {
    let mut proof = Map::new();
    let mut put = |name: &str, value: Value| proof.insert(name.to_owned(), value);
    if let Some(context) = document.get("@context") {
        put("@context", context.clone());
    }
    put("type", "DataIntegrityProof".into());
    put("cryptosuite", CRYPTOSUITE.into());
    put("created", created.to_string().into());
    put("verificationMethod", verification_method.into());
    put("proofPurpose", ASSERTION_METHOD.into());
    let signature = key.sign(&signing_input(&proof, document));
    proof.insert("proofValue".to_owned(), write_multibase(&signature).into());
    proof
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Proof, ProofError, sign};
    use crate::key::SecretKey;
    use crate::time::Timestamp;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn signed(document: Value) -> (Map<String, Value>, SecretKey) {
        let key = SecretKey::from_seed(&[1; 32]);
        let mut document = object(document);
        let method = format!("https://hub.example/actor#{}", key.public());
        let proof = sign(&document, &key, &method, Timestamp::from_unix_seconds(0));
        document.insert("proof".into(), proof.into());
        (document, key)
    }

    #[test]
    fn what_was_signed_verifies_and_every_change_is_noticed() {
        let (document, key) =
            signed(json!({"a": [1, {"b": "c"}], "@context": "https://x.example"}));
        let proof = Proof::of(&document).unwrap();
        assert_eq!(proof.claimed_key().unwrap(), key.public());
        assert_eq!(proof.check(&document, &key.public()), Ok(()));
        for (pointer, value) in [
            ("/a/0", json!(2)),
            ("/a/1/b", json!("d")),
            ("/proof/created", json!("1970-01-01T00:00:01Z")),
            ("/proof/proofPurpose", json!("authentication")),
        ] {
            let mut changed = Value::Object(document.clone());
            *changed.pointer_mut(pointer).unwrap() = value;
            let changed = object(changed);
            let proof = Proof::of(&changed).unwrap();
            assert_eq!(
                proof.check(&changed, &key.public()),
                Err(ProofError::BadSignature),
                "{pointer}"
            );
        }
        let mut extra = document.clone();
        extra.insert("z".into(), 1.into());
        assert_eq!(
            proof.check(&extra, &key.public()),
            Err(ProofError::BadSignature)
        );
    }

    #[test]
    fn s19_s20_s30_proofs_of_another_make_are_refused_by_name() {
        let (document, _) = signed(json!({"a": 1}));
        let with = |name: &str, value: Value| {
            let mut changed = Value::Object(document.clone());
            changed["proof"][name] = value;
            Proof::of(&object(changed)).unwrap_err()
        };
        assert!(matches!(
            with("cryptosuite", json!("eddsa-rdfc-2022")),
            ProofError::Unsupported { .. }
        ));
        assert!(matches!(
            with("type", json!("Ed25519Signature2020")),
            ProofError::Unsupported { .. }
        ));
        assert!(matches!(
            with("created", json!("tomorrow")),
            ProofError::Date(_)
        ));
        assert!(matches!(
            with("expires", json!("1969-01-01T00:00:00Z")),
            ProofError::ExpiresBeforeCreated
        ));
        assert!(matches!(
            with("@context", json!("https://m.example")),
            ProofError::Context
        ));
        for value in ["ff00", "zff", "u3vYz", "", "z"] {
            assert!(
                matches!(
                    with("proofValue", json!(value)),
                    ProofError::Member {
                        member: "proofValue",
                        ..
                    }
                ),
                "{value}"
            );
        }
        let two = object(json!({"proof": [document["proof"], document["proof"]]}));
        assert!(matches!(Proof::of(&two), Err(ProofError::NotOne)));
        assert!(matches!(
            Proof::of(&object(json!({}))),
            Err(ProofError::Missing)
        ));
    }
}
