//! Reads a node's change feed from standard input and believes nothing that does not verify: how a
//! third party uses the network with the protocol crate alone.
//!
//! `curl -s http://127.0.0.1:8802/sync/v1/changes | cargo run -p baraza-examples --example read_a_feed`

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, stdin};

use protocol::envelope::Envelope;
use protocol::id::Scid;
use protocol::identity::{Branches, LogEntry, WitnessProofs};
use protocol::record::Body;
use protocol::sync::Line;
use protocol::time::Timestamp;
use protocol::verified::Judged;

fn main() -> Result<(), Box<dyn Error>> {
    // The protocol reads no clock: whoever uses it says what time it is.
    let now = Timestamp::parse("2100-01-01T00:00:00Z")?;
    let mut authors: BTreeMap<Scid, Branches> = BTreeMap::new();
    let (mut verified, mut refused) = (0, 0);
    for line in stdin().lock().split(b'\n') {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        match Line::read(&line)?.0 {
            Line::Log {
                scid,
                entry,
                witness,
            } => {
                let entry = LogEntry::parse(entry.as_bytes())?;
                let proofs = match witness {
                    Some(proofs) => WitnessProofs::parse(proofs.as_bytes())?,
                    None => WitnessProofs::empty(),
                };
                let log = authors.entry(scid).or_insert_with(|| Branches::empty(scid));
                log.take(&entry, now, &proofs)?;
            }
            Line::Record { record } => match believe(&authors, record.as_bytes()) {
                Ok(name) => {
                    verified += 1;
                    println!("verified  {name}");
                }
                Err(reason) => {
                    refused += 1;
                    println!("refused   {reason}");
                }
            },
            Line::Version { hash } => println!("{hash}: to be fetched"),
            Line::End => {}
        }
    }
    println!("{verified} records verify, {refused} do not");
    Ok(())
}

/// The name of a record that its author's log vouches for.
fn believe(authors: &BTreeMap<Scid, Branches>, bytes: &[u8]) -> Result<String, Box<dyn Error>> {
    let envelope = Envelope::parse(bytes)?;
    let log = authors
        .get(envelope.header().author.scid())
        .and_then(Branches::head);
    let record = match envelope.verify(log.ok_or("no log of its author")?.keys())? {
        Judged::Verified(record) => record,
        Judged::NotYet(_) => return Err("its author's log does not list the key".into()),
    };
    let id = record.header.record_id();
    let Some(body) = record.body() else {
        return Ok(format!("{id} (withdrawn)"));
    };
    let body = Body::read(&record.header.kind, &body)?;
    let name = body
        .as_ref()
        .and_then(Body::name)
        .and_then(|name| name.values().next());
    Ok(name.map_or_else(|| id.to_string(), |name| format!("{name}  {id}")))
}
