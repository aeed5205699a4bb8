//! The did:webvh 1.0 test suite (decentralized-identity/didwebvh-test-suite), logs and negatives.
//!
//! The vectors lie outside the repository, in the folder `shared` beside the workspace or where
//! `BARAZA_SHARED` says. Without them the tests say so and pass.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at a fault"
)]

use std::fs;
use std::path::{Path, PathBuf};

use baraza_protocol::id::{Did, Scid};
use baraza_protocol::identity::{
    Branches, LogEntry, LogError, LogState, Taken, WitnessProofs, read_lines, verify_log,
};
use baraza_protocol::proof::ProofError;
use baraza_protocol::time::Timestamp;
use serde_json::Value;

const POSITIVE: [&str; 13] = [
    "basic-create",
    "basic-update",
    "deactivate",
    "key-rotation",
    "multi-update",
    "multiple-update-keys",
    "portable",
    "portable-move",
    "pre-rotation",
    "pre-rotation-consume",
    "services",
    "witness-threshold",
    "witness-update",
];

/// Logs of the suite that its own method forbids: their second entry replaces two witnesses by one
/// and has the approval of that one alone. The list that is replaced must approve its replacement
/// (did:webvh 1.0, Witness Lists); the method's editor says so of the one by ts in
/// <https://github.com/decentralized-identity/didwebvh-ts/issues/117>, and the resolution results of
/// python and java-eecc refuse their own. `witness-update/rust` is right.
const UNWITNESSED: [&str; 4] = [
    "witness-update/java",
    "witness-update/java-eecc",
    "witness-update/python",
    "witness-update/ts",
];

fn vectors() -> Option<PathBuf> {
    let shared = match std::env::var_os("BARAZA_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = shared.join("vectors/didwebvh");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no did:webvh test suite at {}", folder.display());
    None
}

/// After every date of the suite but the one that is meant to lie in the future.
fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T00:00:00Z").unwrap()
}

struct Vector {
    name: String,
    folder: PathBuf,
    log: Vec<u8>,
    witness: WitnessProofs,
}

impl Vector {
    fn read(folder: PathBuf) -> Self {
        let witness = match fs::read(folder.join("did-witness.json")) {
            Ok(bytes) => WitnessProofs::parse(&bytes).unwrap(),
            Err(_) => WitnessProofs::empty(),
        };
        Self {
            name: folder.display().to_string(),
            log: fs::read(folder.join("did.jsonl")).unwrap(),
            witness,
            folder,
        }
    }

    fn entries(&self) -> Vec<LogEntry> {
        read_lines(&self.log).collect::<Result<_, _>>().unwrap()
    }

    fn verify(&self) -> Result<LogState, LogError> {
        verify_log(&self.log, &self.witness, now())
    }

    fn expected(&self, file: &str) -> Option<Value> {
        let bytes = fs::read(self.folder.join(file)).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }
}

/// The suite's logs of one scenario, one for each implementation that made it.
fn made_by_all(scenario: &Path) -> Vec<Vector> {
    let mut folders: Vec<PathBuf> = fs::read_dir(scenario)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders.into_iter().map(Vector::read).collect()
}

fn positive() -> Vec<Vector> {
    let Some(vectors) = vectors() else {
        return Vec::new();
    };
    let all = POSITIVE
        .iter()
        .flat_map(|scenario| made_by_all(&vectors.join(scenario)));
    all.filter(|vector| !UNWITNESSED.iter().any(|name| vector.name.ends_with(name)))
        .collect()
}

fn negative(scenario: &str) -> Option<Vector> {
    Some(Vector::read(vectors()?.join(scenario).join("ts")))
}

/// A document less its services: resolvers add implicit ones.
fn without_services(document: &Value) -> Value {
    let mut document = document.clone();
    if let Some(document) = document.as_object_mut() {
        document.remove("service");
    }
    document
}

fn assert_resolves_to(vector: &Vector, state: &LogState, expected: &Value) {
    let name = &vector.name;
    let metadata = &expected["didDocumentMetadata"];
    assert_eq!(
        metadata["versionId"],
        state.version_id().to_string(),
        "{name}"
    );
    if let Some(deactivated) = metadata["deactivated"].as_bool() {
        assert_eq!(deactivated, state.is_deactivated(), "{name}");
    }
    if let Some(portable) = metadata["portable"].as_bool() {
        assert_eq!(portable, state.is_portable(), "{name}");
    }
    if let Some(scid) = metadata["scid"].as_str() {
        assert_eq!(scid, state.scid().to_string(), "{name}");
    }
    if let Some(time) = metadata["versionTime"].as_str() {
        assert_eq!(
            Timestamp::parse(time).unwrap(),
            state.version_time(),
            "{name}"
        );
    }
    if expected["didDocument"].is_object() {
        assert_eq!(
            expected["didDocument"]["id"],
            state.did().to_string(),
            "{name}"
        );
        let document = Value::Object(state.document().clone());
        assert_eq!(
            without_services(&expected["didDocument"]),
            without_services(&document),
            "{name}"
        );
    }
}

#[test]
fn every_log_of_the_suite_verifies_and_resolves_as_its_maker_says() {
    let vectors = positive();
    let mut compared = 0;
    for vector in &vectors {
        let state = vector
            .verify()
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        if let Some(expected) = vector.expected("resolutionResult.json") {
            assert_resolves_to(vector, &state, &expected);
            compared += 1;
        }
        let (name, entries) = (&vector.name, vector.entries());
        for number in 1..=entries.len() {
            let file = format!("resolutionResult.{number}.json");
            // Python's results for single versions are all copies of the last.
            let Some(expected) = vector
                .expected(&file)
                .filter(|_| !name.ends_with("/python"))
            else {
                continue;
            };
            let mut part = LogState::begin(&entries[0], now(), &vector.witness).unwrap();
            for entry in &entries[1..number] {
                part = part.next(entry, now(), &vector.witness).unwrap();
            }
            assert_resolves_to(vector, &part, &expected);
            compared += 1;
        }
    }
    println!(
        "{} logs verified, {compared} resolution results compared",
        vectors.len()
    );
    assert!(vectors.is_empty() || vectors.len() == 60);
}

#[test]
fn what_each_scenario_is_about_is_seen() {
    for vector in positive() {
        let state = vector.verify().unwrap();
        let (name, entries) = (&vector.name, vector.entries());
        let first = &entries[0];
        match () {
            () if name.contains("/deactivate/") => assert!(state.is_deactivated(), "{name}"),
            () if name.contains("/pre-rotation") => assert!(state.is_pre_rotating(), "{name}"),
            () if name.contains("/portable") => assert!(state.is_portable(), "{name}"),
            () if name.contains("/witness") => assert!(state.uses_witnesses(), "{name}"),
            () if name.contains("/multiple-update-keys/") => {
                assert_eq!(state.update_keys().len(), 2, "{name}");
            }
            () => assert!(!state.is_deactivated() && !state.uses_witnesses(), "{name}"),
        }
        // Only the Java implementations write what the scenario says.
        let moves = name.contains("/portable-move/java");
        assert_eq!(state.did() != first.did(), moves, "{name}");
        if moves {
            assert_eq!(state.also_known_as(), [first.did().to_string()], "{name}");
        }
    }
}

#[test]
fn a_log_kept_in_canonical_form_or_taken_entry_by_entry_says_the_same() {
    for vector in positive() {
        let state = vector.verify().unwrap();
        let entries = vector.entries();
        let mut canonical = Vec::new();
        for entry in &entries {
            canonical.extend(entry.to_canonical_bytes());
            canonical.push(b'\n');
        }
        let witness = WitnessProofs::parse(&vector.witness.to_canonical_bytes()).unwrap();
        assert_eq!(
            verify_log(&canonical, &witness, now()),
            Ok(state.clone()),
            "{}",
            vector.name
        );
        assert_eq!(
            LogState::from_stored(&state.to_stored()).as_ref(),
            Ok(&state)
        );

        let mut tree = Branches::empty(*state.scid());
        for entry in entries.iter().skip(1).rev() {
            let taken = tree.take(entry, now(), &witness);
            assert_eq!(taken, Ok(Taken::Orphan), "{}", vector.name);
        }
        for entry in &entries {
            tree.take(entry, now(), &witness).unwrap();
        }
        assert_eq!(tree.head(), Some(&state), "{}", vector.name);
    }
}

#[test]
fn a_log_of_the_suite_with_its_witness_proofs_withheld_is_refused() {
    let mut witnessed = 0;
    for vector in positive()
        .iter()
        .filter(|vector| !vector.witness.is_empty())
    {
        let refusal = verify_log(&vector.log, &WitnessProofs::empty(), now());
        assert!(
            matches!(refusal, Err(LogError::NotWitnessed { .. })),
            "{}",
            vector.name
        );
        witnessed += 1;
    }
    println!("{witnessed} witnessed logs");
}

#[test]
fn logs_of_the_suite_without_enough_approvals_fail_by_that_alone() {
    let Some(vectors) = vectors() else {
        return;
    };
    for name in UNWITNESSED {
        let vector = Vector::read(vectors.join(name));
        assert_eq!(
            vector.verify(),
            Err(LogError::NotWitnessed { number: 2 }),
            "{name}"
        );
        let entries = vector.entries();
        let state = LogState::begin(&entries[0], now(), &vector.witness).unwrap();
        assert!(state.is_witnessed(), "{name}");
        let state = state.next(&entries[1], now(), &vector.witness).unwrap();
        assert!(!state.is_witnessed(), "{name}");
        let expected = vector.expected("resolutionResult.json").unwrap();
        println!(
            "{name}: its maker says {}",
            expected["didResolutionMetadata"]
        );
    }
}

/// The DIDs of a script that must not be resolved.
fn dids_of(vector: &Vector) -> Vec<String> {
    let script = fs::read_to_string(vector.folder.join("../script.yaml")).unwrap();
    script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("did: \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_did_url_of_the_negative_scenarios_is_read() {
    if vectors().is_none() {
        return;
    }
    let mut refused = 0;
    for scenario in [
        "negative-fragment-leaks-into-domain",
        "negative-lowercase-pct-port-ip",
        "negative-path-traversal-did",
        "negative-pct-encoded-ip-host",
        "negative-pct-encoded-traversal",
    ] {
        let vector = negative(scenario).unwrap();
        assert_eq!(vector.verify(), Err(LogError::Empty), "{scenario}");
        let dids = dids_of(&vector);
        assert!(!dids.is_empty(), "{scenario}");
        for did in dids {
            assert!(Did::parse(&did).is_err(), "{did}");
            // The suite's SCID is no hash, which would be reason enough.
            let mut parts: Vec<&str> = did.split(':').collect();
            let scid = Scid::of(scenario.as_bytes()).to_string();
            parts[2] = &scid;
            let did = parts.join(":");
            assert!(Did::parse(&did).is_err(), "{did}");
            refused += 1;
        }
    }
    println!("{refused} DID URLs refused, each with two SCIDs");
}

#[test]
fn each_log_of_the_negative_scenarios_is_refused_for_its_own_reason() {
    type Reason = fn(&LogError) -> bool;
    let reasons: [(&str, Reason); 11] = [
        ("negative-cross-did-witness-replay", |error| {
            matches!(error, LogError::NotWitnessed { .. })
        }),
        ("negative-did-key-body-fragment-mismatch", |error| {
            matches!(error, LogError::SignerForm)
        }),
        ("negative-duplicate-witness-ids", |error| {
            matches!(
                error,
                LogError::Parameter {
                    name: "witness",
                    ..
                }
            )
        }),
        ("negative-portable-scid-swap", |error| {
            matches!(error, LogError::Id(_))
        }),
        ("negative-pre-rotation-omit-updatekeys", |error| {
            matches!(error, LogError::PreRotationOmitted { name: "updateKeys" })
        }),
        ("negative-scid-mismatch-genesis", |error| {
            matches!(error, LogError::Id(_))
        }),
        ("negative-unknown-method-version", |error| {
            matches!(error, LogError::UnknownMethod { .. })
        }),
        ("negative-versiontime-future", |error| {
            matches!(error, LogError::NotYetDue { .. })
        }),
        ("negative-versiontime-non-monotonic", |error| {
            matches!(error, LogError::NotLater { .. })
        }),
        ("negative-wrong-cryptosuite", |error| {
            matches!(error, LogError::Proof(ProofError::Unsupported { .. }))
        }),
        ("negative-zero-witness-threshold", |error| {
            matches!(
                error,
                LogError::Parameter {
                    name: "witness",
                    ..
                }
            )
        }),
    ];
    for (scenario, is_reason) in reasons {
        let Some(vector) = negative(scenario) else {
            return;
        };
        let error = vector.verify().expect_err(scenario);
        println!("{scenario}: {error}");
        assert!(is_reason(&error), "{scenario}: {error}");
    }
    // Even once the entry from the future is due, the log goes on as if it were another.
    let vector = negative("negative-versiontime-future").unwrap();
    let due = Timestamp::parse("9999-07-01T00:00:00Z").unwrap();
    assert_eq!(
        verify_log(&vector.log, &vector.witness, due),
        Err(LogError::WrongHash)
    );
}
