//! A provider without a node makes its identity, signs an offering and hands both to a node that
//! hosts it. The keys never leave this machine: the node can withhold what it is given, not change it.
//!
//! `cargo run -p baraza-examples --example publish_from_a_laptop -- http://127.0.0.1:8802 HANDLE`
//!
//! The keys are gone when this program ends. Real ones are kept: `baraza identity new` does that.

use baraza_examples::{Failed, host_and_port, now, post};
use protocol::identity::key_hash;
use protocol::identity::write::{Change, Place, create};
use protocol::key::SecretKey;
use protocol::record::Draft;
use serde_json::json;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, handle] = &arguments[..] else {
        return Err("usage: publish_from_a_laptop http://HOST:PORT HANDLE".into());
    };

    // Identity: one key signs records, one signed this entry of the log, one may sign the next.
    let (host, port) = host_and_port(node)?;
    // Identifiers have names of hosts; nodes on loopback are called this.
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let host = if is_address { "node.localhost" } else { host };
    let [update, next, record] = [new_key()?, new_key()?, new_key()?];
    let change = Change {
        place: Place::new(host, Some(port), &["orgs", handle])?,
        record_keys: [record.public()].into(),
        next_key_hashes: [key_hash(&next.public())].into(),
        also_known_as: Vec::new(),
        services: Vec::new(),
    };
    let entry = create(&change, &update, now())?;
    println!("identity {}", entry.did());

    // Sign.
    let draft = json!({
        "type": "Offering",
        "localId": "reef-survey",
        "language": "en",
        "body": {
            "kind": "course",
            "name": {"en": "Surveying a reef with a telephone", "fr": "Relever un récif avec un téléphone"},
            "areas": ["data-ai"],
            "countries": ["FJ", "TO", "WS"],
            "cost": {"kind": "free"},
        },
    });
    let draft = draft.as_object().ok_or("a draft is an object")?;
    let signed = Draft::new(draft, "CC-BY-4.0")?.sign(entry.did(), 1, now(), &record)?;
    println!(
        "signed   {} bytes, version {}",
        signed.canonical().len(),
        signed.hash()
    );

    // Push: the log first, so that the record's key is known when it comes.
    let log = format!("/api/v1/organizations/{}/log", entry.scid());
    accepted("log", post(node, &log, &entry.to_canonical_bytes())?)?;
    accepted("record", post(node, "/api/v1/records", signed.canonical())?)?;
    println!(
        "read it  {}/api/v1/records/{}",
        node.trim_end_matches('/'),
        signed.header().record_id()
    );
    println!("record   {}", signed.header().record_id());
    Ok(())
}

fn accepted(what: &str, (status, said): (u16, String)) -> Result<(), Failed> {
    if !matches!(status, 200 | 201) {
        return Err(format!("the node does not take the {what}: {status} {said}").into());
    }
    println!("pushed   {what}: {status}");
    Ok(())
}

fn new_key() -> Result<SecretKey, Failed> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(SecretKey::from_seed(&seed))
}
