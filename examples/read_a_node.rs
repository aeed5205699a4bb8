//! Fetches one record and its author's key log from a node, and believes neither the node nor the
//! line in between: with the protocol crate alone it checks every entry of the log, the record's
//! signature, and that the log lists the key.
//!
//! `cargo run -p baraza-examples --example read_a_node -- http://127.0.0.1:8802 SCID/LOCAL-ID`

use baraza_examples::{Failed, get, now};
use protocol::envelope::Envelope;
use protocol::id::RecordId;
use protocol::identity::{WitnessProofs, verify_log};
use protocol::record::Body;
use protocol::verified::Judged;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, id] = &arguments[..] else {
        return Err("usage: read_a_node http://HOST:PORT SCID/LOCAL-ID".into());
    };
    let id = RecordId::parse(id)?;

    // Who: the log begins with an entry whose digest is the SCID that was asked for, so no node can
    // give another one for it.
    let log = get(
        node,
        &format!("/api/v1/organizations/{}/did.jsonl", id.author),
    )?;
    let state = verify_log(&log, &WitnessProofs::empty(), now())?;
    if *state.scid() != id.author {
        return Err("the node gave somebody else's log".into());
    }
    println!(
        "log      {} entries verify, now at {}",
        state.version_id().number,
        state.did().host()
    );

    // What: the bytes as they were signed.
    let bytes = get(node, &format!("/api/v1/records/{id}"))?;
    let envelope = Envelope::parse(&bytes)?;
    if envelope.header().record_id() != id {
        return Err("the node gave another record".into());
    }
    let Judged::Verified(record) = envelope.verify(state.keys())? else {
        return Err("the log does not list the key that signed it".into());
    };
    println!(
        "record   verified, version {}, seq {}",
        record.hash, record.header.seq
    );

    let tree = record.body().ok_or("it is withdrawn")?;
    let body = Body::read(&record.header.kind, &tree)?;
    let name = body.as_ref().and_then(Body::name);
    for (language, name) in name.into_iter().flatten() {
        println!("name     {name} ({language})");
    }
    Ok(())
}
