use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Map, Value, json};

use super::{
    Activity, ActivityError, Actor, Announced, Kind, RECORD_IRI, RECORD_TERM, about, announcing,
    is_activity_type, key_id, key_owner, moving, multikey, prove, rsa_key, rsa_key_id,
};
use crate::canonical::to_canonical;
use crate::envelope::Header;
use crate::key::{RsaPublicKey, SecretKey};
use crate::limits::ALSO_KNOWN_AS_MAX;
use crate::proof::ProofError;
use crate::time::Timestamp;

const ACTOR: &str = "https://hub.example/actor";

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn actor() -> Actor {
    let document = json!({
        "@context": ["https://www.w3.org/ns/activitystreams"],
        "id": ACTOR, "type": "Application", "inbox": "https://hub.example/inbox",
        "endpoints": {"sharedInbox": "https://hub.example/inbox"},
        "assertionMethod": [multikey(ACTOR, &key().public())],
    });
    Actor::parse(&bytes(&document)).unwrap()
}

fn record(status: &str, seq: u64) -> Map<String, Value> {
    let mut record = json!({
        "spec": "baraza/1", "type": "Offering", "localId": "welding", "seq": seq, "status": status,
        "author": "did:webvh:zQmTestTestTestTestTestTestTestTestTestTestTest:hub.example:orgs:school",
        "issued": "2026-11-22T04:00:00Z", "language": "fr", "licence": "CC-BY-4.0",
    });
    if status == "active" {
        record["body"] = json!({"name": {"en": "Welding", "fr": "Soudure"}, "kind": "course"});
    }
    record.as_object().unwrap().clone()
}

fn announced() -> Announced<'static> {
    Announced {
        id: "https://hub.example/activities/1",
        actor: ACTOR,
        followers: "https://hub.example/followers",
        object: "https://hub.example/records/x/welding",
        attributed_to: "https://hub.example/orgs/school",
    }
}

/// A header with an author that is one.
fn header(record: &mut Map<String, Value>) -> Header {
    let author = format!("did:webvh:{}:hub.example", crate::id::Scid::of(b"school"));
    record.insert("author".into(), author.into());
    Header::read(record).unwrap()
}

#[test]
fn h01_h02_h03_only_the_two_media_types_of_activitystreams_are_taken() {
    for taken in [
        "application/activity+json",
        "application/activity+json; charset=utf-8",
        "APPLICATION/ACTIVITY+JSON;Charset=UTF-8",
        "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
        "Application/LD+JSON; charset=utf-8; Profile=\"https://x.example https://www.w3.org/ns/activitystreams\"",
    ] {
        assert!(is_activity_type(taken), "{taken}");
    }
    for refused in [
        "",
        "text/plain",
        "application/json",
        "application/ld+json",
        "application/ld+json; profile=\"https://www.w3.org/ns/anno\"",
        "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams.evil\"",
        "application/activity+jsonx",
    ] {
        assert!(!is_activity_type(refused), "{refused}");
    }
}

#[test]
fn values_objects_lists_and_full_iris_read_alike() {
    let spellings = [
        json!({"id": "https://m.example/1", "type": "Follow", "actor": ACTOR, "object": "https://n.example/actor"}),
        json!({"id": "https://m.example/1", "type": ["Follow"], "actor": {"id": ACTOR, "type": "Application"},
            "object": [{"id": "https://n.example/actor"}], "weight": 0.5}),
        json!({"@id": "https://m.example/1", "@type": ["https://www.w3.org/ns/activitystreams#Follow"],
            "https://www.w3.org/ns/activitystreams#actor": [{"@id": ACTOR}],
            "as:object": {"@list": [{"@id": "https://n.example/actor"}]}}),
    ];
    for spelling in spellings {
        let activity = Activity::parse(&bytes(&spelling)).unwrap();
        assert_eq!(activity.kind(), Kind::Follow, "{spelling}");
        assert_eq!(activity.actor(), ACTOR);
        assert_eq!(
            activity.thing().reference("object"),
            Some("https://n.example/actor")
        );
    }
}

#[test]
fn f29_lists_and_half_activities_are_refused() {
    let one = json!({"id": "https://m.example/1", "type": "Like", "actor": ACTOR});
    assert_eq!(Activity::parse(&bytes(&one)).unwrap().kind(), Kind::Other);
    assert_eq!(
        Activity::parse(&bytes(&json!([one]))).unwrap_err(),
        ActivityError::NotAnObject
    );
    let many = Value::Array(vec![one.clone(); 1_000]);
    assert_eq!(
        Activity::parse(&bytes(&many)).unwrap_err(),
        ActivityError::NotAnObject
    );
    for (missing, value) in [
        ("id", json!(null)),
        ("actor", json!([ACTOR, "https://p.example"])),
        ("type", json!([])),
    ] {
        let mut half = one.clone();
        half[missing] = value;
        let error = Activity::parse(&bytes(&half)).unwrap_err();
        assert!(matches!(error, ActivityError::Member { member, .. } if member == missing));
    }
}

#[test]
fn what_is_written_reads_back_and_proves() {
    let (now, target) = (Timestamp::from_unix_seconds(0), "https://n.example/actor");
    let follow = about(
        Kind::Follow,
        "https://hub.example/actor#follows/1",
        ACTOR,
        target.into(),
        target,
    );
    let accept = about(
        Kind::Accept,
        "https://n.example/1",
        ACTOR,
        follow.clone().into(),
        target,
    );
    for activity in [follow, accept] {
        let activity = prove(activity, ACTOR, &key(), now);
        let read = Activity::parse(&bytes(&activity.into())).unwrap();
        assert!(read.is_proven());
        assert_eq!(read.check_proof(&actor()), Ok(()));
    }
}

#[test]
fn a_broken_proof_refuses_and_s17_s18_so_do_foreign_keys_and_other_purposes() {
    let now = Timestamp::from_unix_seconds(0);
    let target = "https://n.example/actor";
    let follow = about(
        Kind::Follow,
        "https://hub.example/1",
        ACTOR,
        target.into(),
        target,
    );
    let proven = Value::Object(prove(follow.clone(), ACTOR, &key(), now));
    let checked = |activity: &Value| {
        Activity::parse(&bytes(activity))
            .unwrap()
            .check_proof(&actor())
    };
    let mut changed = proven.clone();
    changed["to"] = json!(["https://p.example"]);
    assert_eq!(checked(&changed), Err(ProofError::BadSignature.into()));
    let mut other = proven.clone();
    other["proof"]["proofPurpose"] = json!("authentication");
    assert!(matches!(
        checked(&other),
        Err(ActivityError::Purpose { .. })
    ));
    let stranger = prove(follow.clone(), ACTOR, &SecretKey::from_seed(&[8; 32]), now);
    assert!(matches!(
        checked(&stranger.into()),
        Err(ActivityError::KeyNotListed { .. })
    ));
    let elsewhere = prove(follow, "https://p.example/actor", &key(), now);
    assert!(matches!(
        checked(&elsewhere.into()),
        Err(ActivityError::KeyNotListed { .. })
    ));
    let mut two = proven.clone();
    two["proof"] = json!([proven["proof"], proven["proof"]]);
    assert_eq!(
        Activity::parse(&bytes(&two)).unwrap_err(),
        ProofError::NotOne.into()
    );
}

#[test]
fn k05_an_actor_with_somebody_elses_key_is_refused() {
    let document = |key: Value, name: &str| {
        let mut document =
            json!({"id": ACTOR, "type": "Application", "inbox": "https://hub.example/inbox"});
        document[name] = key;
        Actor::parse(&bytes(&document))
    };
    let foreign = multikey("https://p.example/actor", &key().public());
    assert!(matches!(
        document(foreign, "assertionMethod"),
        Err(ActivityError::ForeignKey { .. })
    ));
    let rsa =
        json!({"id": "https://hub.example/actor#main-key", "owner": "https://p.example/actor"});
    assert!(matches!(
        document(rsa, "publicKey"),
        Err(ActivityError::ForeignKey { .. })
    ));
    let mut unowned = multikey(ACTOR, &key().public());
    unowned.as_object_mut().unwrap().remove("controller");
    let read = document(unowned, "assertionMethod").unwrap();
    assert_eq!(read.key(&key_id(ACTOR, &key().public())), None);
    assert_eq!(
        actor().key(&key_id(ACTOR, &key().public())),
        Some(&key().public())
    );
}

#[test]
fn s26_a_key_within_an_activity_is_never_asked_whether_its_proof_fits() {
    let foreign = SecretKey::from_seed(&[8; 32]);
    let mut activity = about(
        Kind::Follow,
        "https://hub.example/f",
        ACTOR,
        ACTOR.into(),
        ACTOR,
    );
    activity.insert("assertionMethod".into(), multikey(ACTOR, &foreign.public()));
    activity.insert("publicKey".into(), multikey(ACTOR, &foreign.public()));
    let activity = prove(activity, ACTOR, &foreign, Timestamp::from_unix_seconds(0));
    let read = Activity::parse(&bytes(&activity.into())).unwrap();
    assert!(matches!(
        read.check_proof(&actor()),
        Err(ActivityError::KeyNotListed { .. })
    ));
}

#[test]
fn a_linked_data_signature_beside_a_proof_changes_nothing() {
    let follow = about(
        Kind::Follow,
        "https://hub.example/f",
        ACTOR,
        ACTOR.into(),
        ACTOR,
    );
    let mut follow = prove(follow, ACTOR, &key(), Timestamp::from_unix_seconds(0));
    let other = json!({"type": "RsaSignature2017", "signatureValue": "…"});
    follow.insert("signature".to_owned(), other.clone());
    let read = Activity::parse(&bytes(&follow.clone().into())).unwrap();
    assert_eq!(read.check_proof(&actor()), Ok(()));
    follow.insert("signatures".to_owned(), other);
    let read = Activity::parse(&bytes(&follow.into())).unwrap();
    assert_eq!(
        read.check_proof(&actor()),
        Err(ProofError::BadSignature.into())
    );
}

#[test]
fn an_rsa_key_that_its_actor_lists_as_its_own_is_for_requests_only() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref()).unwrap();
    let actor = |change: fn(&mut Value)| {
        let mut listed = rsa_key(ACTOR, &public);
        change(&mut listed);
        let document = json!({
            "id": ACTOR, "type": "Application", "inbox": "https://hub.example/inbox",
            "publicKey": [{"id": "https://hub.example/actor#odd", "owner": ACTOR}, listed],
        });
        Actor::parse(&bytes(&document)).unwrap()
    };
    let name = rsa_key_id(ACTOR);
    let read = actor(|_| {});
    assert_eq!(read.rsa_key(&name), Some(&public));
    assert_eq!(read.key(&name), None);
    assert_eq!(read.rsa_key("https://hub.example/actor#odd"), None);
    let unowned = actor(|key| drop(key.as_object_mut().unwrap().remove("owner")));
    assert_eq!(unowned.rsa_key(&name), None);
    let broken = actor(|key| key["publicKeyPem"] = "-----BEGIN PUBLIC KEY-----".into());
    assert_eq!(broken.rsa_key(&name), None);
}

#[test]
fn a_record_goes_out_whole_in_a_proposal_and_comes_back_byte_for_byte() {
    for (status, seq, kind, of_type) in [
        ("active", 1, "Create", "Proposal"),
        ("active", 2, "Update", "Proposal"),
        ("withdrawn", 3, "Delete", "Tombstone"),
    ] {
        let mut record = record(status, seq);
        let header = header(&mut record);
        let activity = announcing(announced(), &header, &record);
        assert_eq!(activity["type"], kind);
        assert_eq!(activity["object"]["type"], of_type);
        let activity = prove(activity, ACTOR, &key(), Timestamp::from_unix_seconds(0));
        let read = Activity::parse(&bytes(&activity.into())).unwrap();
        assert_eq!(read.check_proof(&actor()), Ok(()));
        let object = read.thing().object("object").unwrap();
        assert_eq!(object.record(), Some(to_canonical(&record.into())));
    }
}

#[test]
fn the_proposal_shows_the_name_in_its_own_language_and_in_all() {
    let mut record = record("active", 1);
    let header = header(&mut record);
    record["body"] = json!({
        "name": {"en": "Welding", "fr": "Soudure"}, "summary": {"fr": "Un cours."},
        "description": {"fr": "Un cours."}, "kind": "course", "areas": ["digital-skills"],
    });
    let activity = announcing(announced(), &header, &record);
    let object = &activity["object"];
    if let Some(name) = object.get("name") {
        assert_eq!(name, "Soudure");
        assert_eq!(object["nameMap"]["en"], "Welding");
    }
    assert_eq!(object["purpose"], "offer");
    assert_eq!(object["publishes"]["action"], "deliverService");
    let contexts = activity["@context"].as_array().unwrap();
    assert!(
        contexts
            .iter()
            .filter_map(Value::as_str)
            .all(|url| !url.contains("baraza"))
    );
    assert_eq!(contexts[2][RECORD_TERM]["@type"], "@json");
}

#[test]
fn records_in_expanded_form_are_found_too() {
    let record = json!({"a": 1});
    for object in [
        json!({RECORD_TERM: record}),
        json!({RECORD_IRI: [{"@type": "@json", "@value": record}]}),
    ] {
        let read = super::Thing::of(object.as_object().unwrap()).record();
        assert_eq!(read, Some(b"{\"a\":1}".to_vec()));
    }
    for object in [
        json!({}),
        json!({RECORD_TERM: "x"}),
        json!({RECORD_TERM: [record, record]}),
    ] {
        assert_eq!(super::Thing::of(object.as_object().unwrap()).record(), None);
    }
}

/// The example of FEP-8b32, checked against the bytes that its author published.
#[test]
fn the_example_of_fep_8b32_verifies() {
    let shared = std::env::var_os("BARAZA_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    let read = |name: &str| std::fs::read(shared.join("vectors/fep/json").join(name));
    let (Ok(actor), Ok(signed)) = (read("8b32-actor.json"), read("8b32-signed.json")) else {
        eprintln!("skipped: the vectors of FEP-8b32 are not beside this workspace");
        return;
    };
    // The example's actor is a document as of one server.
    let actor = Actor::parse(&actor).unwrap();
    let activity = Activity::parse(&signed).unwrap();
    assert_eq!(activity.check_proof(&actor), Ok(()));
}

#[test]
fn s26_a_document_at_a_keys_address_speaks_of_that_key_and_of_one_owner() {
    let (key, owner) = ("https://p.example/keys/1", "https://p.example/actor");
    let owner_in = |document: Value| key_owner(document.to_string().as_bytes(), key);
    let named = |name: &str| json!({"id": key, "type": "Key", name: owner});
    let listed =
        json!({"id": owner, "inbox": "https://p.example/inbox", "publicKey": named("owner")});
    let method = json!({"id": owner, "assertionMethod": [{"id": "x"}, named("controller")]});
    for document in [named("owner"), named("controller"), listed, method] {
        assert_eq!(
            owner_in(document.clone()).as_deref(),
            Ok(owner),
            "{document}"
        );
    }
    let itself = json!({"id": key, "type": "Person", "inbox": "https://p.example/inbox"});
    assert_eq!(owner_in(itself).as_deref(), Ok(key));
    for document in [
        json!({"id": key}),
        json!({"id": key, "owner": owner, "controller": "https://p.example/other"}),
        json!({"id": key, "owner": [owner, "https://p.example/other"]}),
        json!({"id": "https://p.example/keys/2", "owner": owner}),
        // Whose document it is says nothing of whose key stands in it.
        json!({"id": owner, "publicKey": {"id": key}}),
        json!([]),
    ] {
        assert!(owner_in(document.clone()).is_err(), "{document}");
    }
}

#[test]
fn a_move_names_who_moves_and_where_and_an_actor_its_other_names_within_a_bound() {
    let (old, new) = ("https://p.example/orgs/x", "https://q.example/orgs/x");
    let tree = moving(
        "https://p.example/orgs/x#1",
        old,
        "https://p.example/orgs/x/followers",
        new,
    );
    let read = Activity::parse(Value::from(tree).to_string().as_bytes()).unwrap();
    assert_eq!((read.kind(), read.actor()), (Kind::Move, old));
    assert_eq!(read.thing().reference("object"), Some(old));
    assert_eq!(read.thing().reference("target"), Some(new));
    let names = |names: Value| {
        let document = json!({"id": new, "inbox": new, "alsoKnownAs": names});
        Actor::parse(document.to_string().as_bytes())
            .unwrap()
            .also_known_as
    };
    assert_eq!(names(json!(old)), [old]);
    assert_eq!(names(json!([{"id": old}, "did:x"])), [old, "did:x"]);
    assert_eq!(names(json!(vec![old; 1_000])).len(), ALSO_KNOWN_AS_MAX);
}
