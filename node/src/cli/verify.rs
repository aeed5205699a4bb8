//! `baraza verify`: each step of believing a record, in words, with nothing but files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use protocol::acceptance::{Rules, Standing};
use protocol::envelope::Envelope;
use protocol::identity::{LogState, WitnessProofs, verify_log};
use protocol::proof::CRYPTOSUITE;
use serde_json::json;
use tokio::sync::mpsc;

use crate::bundle;
use crate::clock::Clock;
use crate::commands::{Command, Done};
use crate::config::Config;
use crate::control;
use crate::node::NodeError;
use crate::store::Store;

/// Largest file of one record or log; bundles are read as they come.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

fn refused(error: impl std::fmt::Display) -> NodeError {
    NodeError::Refused(error.to_string())
}

/// What was found, step by step.
#[derive(Default)]
struct Steps {
    lines: Vec<String>,
    is_good: bool,
}

impl Steps {
    fn good(&mut self, step: String) {
        self.lines.push(format!("  ok      {step}"));
    }

    fn bad(&mut self, step: String) {
        self.lines.push(format!("  FAILED  {step}"));
    }
}

/// Checks a bundle.
pub(super) fn bundle(path: &Path, clock: &dyn Clock) -> Result<Done, NodeError> {
    let file = File::open(path).map_err(|error| refused(format!("{}: {error}", path.display())))?;
    let checked = bundle::check(file, clock.now()).map_err(refused)?;
    let mut text = format!(
        "{} authors whose logs verify, {} records that verify, {} records without their author's log, {} refused",
        checked.authors,
        checked.verified,
        checked.without_log,
        checked.refused.len()
    );
    for reason in checked.refused.iter().take(50) {
        text.push_str(&format!("\n  {reason}"));
    }
    text.push_str(&bundle::tell(&checked.counted));
    let is_complete = checked.refused.is_empty()
        && checked.without_log == 0
        && checked.counted.iter().all(|counted| counted.is_complete);
    Ok(Done {
        text,
        json: serde_json::to_value(&checked).map_err(refused)?,
        is_complete,
    })
}

/// Checks a record, a log or a bundle, whichever the file is.
pub(super) async fn file(
    path: &Path,
    log: Option<&Path>,
    folder: &Path,
    clock: &dyn Clock,
) -> Result<Done, NodeError> {
    let bytes = read(path)?;
    let is_packed = bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    let start = String::from_utf8_lossy(bytes.get(..4_096.min(bytes.len())).unwrap_or_default())
        .into_owned();
    if is_packed || start.contains("\"record\":") || start.contains("\"log\":") {
        return bundle(path, clock);
    }
    if start.contains("\"versionId\"") {
        return Ok(check_log(&bytes, clock));
    }
    let log = match log {
        Some(path) => Some(read(path)?),
        None => log_from_node(&bytes, folder).await,
    };
    Ok(check_record(&bytes, log.as_deref(), clock))
}

fn read(path: &Path) -> Result<Vec<u8>, NodeError> {
    let fault = |error: std::io::Error| refused(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(fault)?;
    } else {
        File::open(path)
            .map_err(fault)?
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(fault)?;
    }
    Ok(bytes)
}

/// The author's log as the node in `folder` holds it, if there is one and it does.
async fn log_from_node(record: &[u8], folder: &Path) -> Option<Vec<u8>> {
    let scid = *Envelope::parse(record).ok()?.header().author.scid();
    let config = Config::load(folder).ok()?;
    let (progress, _steps) = mpsc::channel(1);
    let command = Command::Log {
        scid: scid.to_string(),
    };
    let lines = match control::ask(&config.control_socket(), &command, &progress).await {
        Ok(Some(Ok(done))) => done.text.into_bytes(),
        Ok(Some(Err(_))) | Err(_) => return None,
        Ok(None) if !config.store_folder().exists() => return None,
        Ok(None) => {
            let store = Store::open(&config.store_folder(), String::new()).ok()?;
            store.active_log_of(&scid).ok()?.join(&b'\n')
        }
    };
    (!lines.is_empty()).then_some(lines)
}

fn check_log(bytes: &[u8], clock: &dyn Clock) -> Done {
    let mut steps = Steps::default();
    match verify_log(bytes, &WitnessProofs::empty(), clock.now()) {
        Ok(state) => {
            say_log(&mut steps, &state);
            steps.is_good = true;
        }
        Err(error) => steps.bad(format!("the key log: {error}")),
    }
    finish("key log", steps, json!({}))
}

fn say_log(steps: &mut Steps, state: &LogState) {
    steps.good(match state.version_id().number {
        1 => "the key log has one entry, which names itself by its own hash".to_owned(),
        number => format!("the key log has {number} entries, each signed as the one before allows"),
    });
    steps.good(format!("it belongs to {}", state.did()));
    let keys: Vec<String> = state.keys().listed().map(ToString::to_string).collect();
    steps.good(match keys.as_slice() {
        [] => "it lists no key for records".to_owned(),
        keys => format!("it lists for records: {}", keys.join(", ")),
    });
    if state.is_deactivated() {
        steps.good("the identity is closed: nothing that it signed counts".to_owned());
    }
}

fn check_record(bytes: &[u8], log: Option<&[u8]>, clock: &dyn Clock) -> Done {
    let mut steps = Steps::default();
    let json = check_steps(&mut steps, bytes, log, clock).unwrap_or_default();
    finish("record", steps, json)
}

/// Goes as far as it can; `None` where a step failed.
fn check_steps(
    steps: &mut Steps,
    bytes: &[u8],
    log: Option<&[u8]>,
    clock: &dyn Clock,
) -> Option<serde_json::Value> {
    let envelope = match Envelope::parse(bytes) {
        Ok(envelope) => envelope,
        Err(error) => {
            steps.bad(format!("reading it: {error}"));
            return None;
        }
    };
    let (header, hash) = (envelope.header().clone(), envelope.hash());
    let id = header.record_id();
    steps.good(format!(
        "it is strict JSON: {} {id}, version {}",
        header.kind, header.seq
    ));
    steps.good(format!(
        "its canonical form has {} bytes and the hash {hash}",
        envelope.canonical().len()
    ));
    let proven = match envelope.prove() {
        Ok(proven) => proven,
        Err(error) => {
            steps.bad(format!("its {CRYPTOSUITE} proof: {error}"));
            return None;
        }
    };
    let key = proven.record().key;
    steps.good(format!(
        "its {CRYPTOSUITE} proof fits every byte, under the key {key}"
    ));
    let Some(log) = log else {
        steps.bad("its author's key log is not at hand: give it with --log did.jsonl".to_owned());
        return None;
    };
    let state = match verify_log(log, &WitnessProofs::empty(), clock.now()) {
        Ok(state) => state,
        Err(error) => {
            steps.bad(format!("the author's key log: {error}"));
            return None;
        }
    };
    say_log(steps, &state);
    match Rules::decided().standing(&id.author, Some(state.keys()), &key) {
        Standing::Counts => {
            steps.good("that log lists the key: the author says this".to_owned());
            steps.is_good = true;
        }
        Standing::Unknown => {
            steps.bad("that log is another author's, or does not list the key".to_owned())
        }
        Standing::Retired => steps.bad(
            "that log listed the key once and dropped it: what it signed no longer counts"
                .to_owned(),
        ),
        Standing::Closed => steps.bad("the author has closed its identity".to_owned()),
    }
    Some(
        json!({"id": id.to_string(), "seq": header.seq, "version": hash.to_string(), "key": key.to_string()}),
    )
}

fn finish(what: &str, steps: Steps, mut json: serde_json::Value) -> Done {
    let verdict = if steps.is_good {
        "verifies"
    } else {
        "does NOT verify"
    };
    if let Some(members) = json.as_object_mut() {
        members.insert("verified".to_owned(), steps.is_good.into());
    } else {
        json = json!({"verified": steps.is_good});
    }
    let text = format!("{}\nThis {what} {verdict}.", steps.lines.join("\n"));
    Done {
        text,
        json,
        is_complete: steps.is_good,
    }
}
