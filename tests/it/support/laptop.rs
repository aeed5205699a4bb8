//! A provider's own machine: a folder with an identity, and no node.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::canonical::to_canonical;
use protocol::id::Did;
use protocol::key::SecretKey;
use protocol::limits::INTEGER_MAX;
use protocol::proof::sign;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::author::new_key;
use super::node::{Ran, binary};
use super::now;

pub(crate) struct Laptop {
    folder: TempDir,
}

impl Laptop {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    /// Somebody else's machine with a copy of everything.
    pub(crate) fn copy_of(other: &Self) -> Self {
        let copy = Self::new();
        let copied = Command::new("cp")
            .args([
                "-a",
                other.dir().to_str().unwrap(),
                copy.dir().to_str().unwrap(),
            ])
            .status();
        assert!(copied.unwrap().success());
        copy
    }

    /// A machine with a new identity; gives what was said of it.
    pub(crate) fn with_identity(at: &str) -> (Self, Value) {
        let laptop = Self::new();
        let said = laptop.json(&["identity", "new", "--name", "Pacific ICT", "--at", at]);
        (laptop, said)
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("identity")
    }

    /// A folder beside the identity's.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// Runs a command that is typed something.
    pub(crate) fn run_with(&self, arguments: &[&str], typed: &str) -> Ran {
        let mut child = Command::new(binary())
            .args(arguments)
            .arg("--dir")
            .arg(self.dir())
            .env_remove("BARAZA_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.push("--json");
        self.run(&all).ok().json()
    }

    /// Signs drafts; gives the file of signed records.
    pub(crate) fn sign(&self, drafts: &Value) -> String {
        let drafts = self.write("drafts.json", drafts.to_string());
        let signed = self.run(&["sign", &drafts]).ok().out;
        self.write("signed.ndjson", signed)
    }

    /// Signs drafts and pushes them.
    pub(crate) fn publish(&self, node: &str, drafts: &Value) -> Value {
        let records = self.sign(drafts);
        self.json(&["push", node, &records])
    }

    /// What somebody has who copied the record key.
    pub(crate) fn stolen(&self) -> Thief {
        Thief::with_key_file(&self.dir().join("keys/identity.key"))
    }
}

/// Somebody with another's record key. What it signs has the highest number that there is.
pub(crate) struct Thief {
    did: Did,
    key: SecretKey,
}

impl Thief {
    /// What somebody has who read a file of keys.
    pub(crate) fn with_key_file(file: &Path) -> Self {
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        Self {
            did: Did::parse(file["did"].as_str().unwrap()).unwrap(),
            key: SecretKey::parse(file["recordKey"].as_str().unwrap()).unwrap(),
        }
    }

    /// Somebody who claims to be the same, with a key that no log lists.
    pub(crate) fn under_another_key(&self) -> Self {
        Self {
            did: self.did.clone(),
            key: new_key(),
        }
    }

    /// The public key.
    pub(crate) fn key(&self) -> String {
        self.key.public().to_string()
    }

    pub(crate) fn withdrawal(&self, local: &str) -> Vec<u8> {
        self.sign(local, json!({"status": "withdrawn"}))
    }

    pub(crate) fn offering(&self, local: &str, name: &str) -> Vec<u8> {
        let body = json!({"kind": "funding", "name": {"en": name}});
        self.sign(local, json!({"status": "active", "body": body}))
    }

    fn sign(&self, local: &str, said: Value) -> Vec<u8> {
        let mut tree: Map<String, Value> = said.as_object().unwrap().clone();
        let common = json!({
            "spec": "baraza/1", "type": "Offering", "author": self.did.to_string(), "localId": local,
            "seq": INTEGER_MAX, "issued": now().to_string(), "licence": "CC-BY-4.0",
        });
        tree.extend(common.as_object().unwrap().clone());
        let method = format!("{}#{}", self.did, self.key.public());
        let proof = sign(&tree, &self.key, &method, now());
        tree.insert("proof".into(), proof.into());
        to_canonical(&Value::Object(tree))
    }
}
