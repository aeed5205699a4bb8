//! What can be typed. Names are kept from release to release: people script against them.

use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A node of the Baraza network: publish, exchange, verify and find offerings of digital-capacity
/// support.
#[derive(Debug, Parser)]
#[command(name = "baraza", version)]
pub(super) struct Arguments {
    /// The node's folder [default: $BARAZA_DIR, else ./baraza-data]
    #[arg(long, global = true)]
    pub(super) dir: Option<PathBuf>,
    /// Print the result as JSON, as the last line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say more of what goes on
    #[arg(long, short, global = true)]
    pub(super) verbose: bool,
    #[command(subcommand)]
    pub(super) command: Typed,
}

/// The code of an area.
fn area(text: &str) -> Result<String, String> {
    match protocol::codes::AREAS.get(text) {
        Some(area) => Ok(area.to_owned()),
        None => Err(format!(
            "there is no such area; the areas are {}",
            protocol::codes::AREAS.codes().join(", ")
        )),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Typed {
    /// Make a node: its settings, its keys, its identity
    Init {
        /// The folder to make
        folder: PathBuf,
        /// The node's name, for people
        #[arg(long)]
        name: String,
        /// The address under which others reach it, such as https://hub.example
        #[arg(long)]
        url: String,
        /// The language of its pages, such as fr
        #[arg(long, default_value = "en")]
        language: String,
        /// Where it is at home, such as KE
        #[arg(long)]
        country: Option<String>,
        /// A host and port to reach over plain http, for trials; may be repeated
        #[arg(long = "insecure-peer")]
        insecure_peers: Vec<String>,
    },
    /// Run the node until Ctrl-C
    Serve {
        /// After a restore: no other node has anything newer of this one, so publish without asking
        #[arg(long)]
        alone: bool,
    },
    /// Watch three nodes publish, exchange, verify and search, on this machine
    Demo {
        /// The first of three ports
        #[arg(long, default_value_t = 8800)]
        port: u16,
        /// A file of more offerings, such as a CSV
        #[arg(long)]
        data: Option<PathBuf>,
        /// End after the story, with its figures as the last line
        #[arg(long)]
        once: bool,
    },
    /// The organisations that this node hosts
    #[command(subcommand)]
    Org(Org),
    /// An identity of your own on your own machine, without a node
    #[command(subcommand)]
    Identity(Identity),
    /// Sign drafts with your own identity: signed records on standard output, one a line
    Sign {
        /// Files of drafts: one, a list, or an object with `records`
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Hand your log and signed records to a node
    Push {
        /// Its address
        node: String,
        /// Files of signed records, one a line; all that you have signed if there are none
        files: Vec<PathBuf>,
        /// The code by which the node's operator invited you
        #[arg(long)]
        invitation: Option<String>,
    },
    /// Choose the line that this node goes by in a disputed key log
    Pin {
        /// The author; without it, the disputed ones are listed
        #[arg(requires = "version")]
        scid: Option<String>,
        /// An entry on the line to go by, as the list shows it: 3-Qm…
        version: Option<String>,
    },
    /// Sign drafts, keep them and announce them
    Publish {
        /// Files of drafts: one, a list, or an object with `records`
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// As whom
        #[arg(long)]
        org: String,
    },
    /// Take a record back: a tombstone takes its place everywhere
    Withdraw {
        /// The record, SCID/localId
        id: String,
    },
    /// Publish the rows of a table, or what a file or page of others describes
    Import {
        /// A file (.xlsx, .csv, .json, .jsonld), or the address of a page
        file: String,
        /// As whom
        #[arg(long)]
        org: String,
        /// Which kind of file: auto, csv, xlsx, json, dpg, schema-org, hsds
        #[arg(long)]
        format: Option<String>,
        /// How its characters are written, such as windows-1252 [default: UTF-8, or what its mark says]
        #[arg(long)]
        encoding: Option<String>,
        /// Which sheet of a workbook [default: the first with something in it]
        #[arg(long)]
        sheet: Option<String>,
        /// What the source is called, by which records that it has no longer are known [default: the file's name]
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// A file that says what columns mean
        #[arg(long)]
        map: Option<PathBuf>,
        /// What the file lacks, such as kind=course; may be repeated
        #[arg(long = "set", value_name = "FIELD=VALUE")]
        set: Vec<String>,
        /// Publish the good rows although others are bad
        #[arg(long)]
        good_rows: bool,
        /// Withdraw records of this source that it has no longer
        #[arg(long)]
        withdraw_missing: bool,
        /// Bring back records that were withdrawn by hand
        #[arg(long)]
        restore: bool,
        /// Say what would be done and do nothing
        #[arg(long)]
        dry_run: bool,
        /// A file to write the report to: a text, or a table if it is named .csv
        #[arg(long)]
        report: Option<PathBuf>,
    },
    /// Search what this node has
    Search {
        /// Words, "phrases" and, after a --, -exclusions
        text: Vec<String>,
        #[arg(long)]
        area: Vec<String>,
        #[arg(long)]
        country: Vec<String>,
        #[arg(long)]
        language: Vec<String>,
        #[arg(long)]
        audience: Vec<String>,
        #[arg(long)]
        mode: Vec<String>,
        #[arg(long)]
        cost: Vec<String>,
        #[arg(long)]
        kind: Vec<String>,
        #[arg(long = "type")]
        record_type: Vec<String>,
        /// Results to show, at most 100
        #[arg(long)]
        limit: Option<u8>,
    },
    /// Take in what another node has, from now on
    Follow {
        /// Its address; of a provider's page without a node that of its did.jsonl
        url: String,
        /// One area only, such as cyber; may be repeated
        #[arg(long, value_parser = area)]
        topic: Vec<String>,
        /// A part only: author=…&area=…&country=…&type=…
        #[arg(long, default_value = "")]
        filter: String,
        /// For a thin line: read it once in so many hours, 1 to 24, and have nothing pushed
        #[arg(long, value_name = "HOURS")]
        every: Option<NonZeroU8>,
    },
    /// Follow a node no longer; what came from it stays
    Unfollow {
        /// Its address
        url: String,
    },
    /// Catch up now, with one peer or all
    Sync {
        /// Its address
        url: Option<String>,
        /// Compare with all that it has: what was left out or refused before may be taken now
        #[arg(long)]
        full: bool,
    },
    /// The nodes that this one knows, and how it stands with each; whom it deals with
    Peers {
        /// The nodes that are known by their cards, and who names them; none is followed by itself
        #[arg(long)]
        known: bool,
        #[command(subcommand)]
        choice: Option<PeerChoice>,
    },
    /// Show a record no longer here; other nodes still get it
    Hide {
        /// Its id: SCID/local-id
        id: String,
        /// Why: shown to whoever asks for it
        #[arg(long)]
        reason: String,
        /// Whom to ask about it: a mail address, a telephone number, a page
        #[arg(long)]
        contact: Option<String>,
    },
    /// Show a hidden record again
    Unhide {
        /// Its id: SCID/local-id
        id: String,
    },
    /// What was decided here, oldest first; exit code 1 if an entry is not as it was written
    Audit {
        /// Say that all is as it was written, with the newest hash
        #[arg(long)]
        verify: bool,
    },
    /// Files that carry a part of the network and verify by themselves
    #[command(subcommand)]
    Bundle(Bundle),
    /// Check a record, a log or a bundle, and explain each step; needs no network
    Verify {
        /// The file, or - for standard input
        file: PathBuf,
        /// The author's did.jsonl, if the file has it not
        #[arg(long)]
        log: Option<PathBuf>,
    },
    /// Fill the search index anew from the records
    Reindex,
    /// Write the store anew, so that it takes less room; a node does so by itself when it has nothing to do
    Compact,
    /// Write the whole node into one file, while it runs or not: what it holds, its keys, its settings
    Backup {
        /// The file; it has secret keys in it
        file: PathBuf,
        /// Only what is at home here, not what came from others
        #[arg(long)]
        own: bool,
    },
    /// Say what is wrong with the node, why it matters, and what mends it
    Doctor,
    /// Make a node of a backup, in a folder that is empty or not there yet
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// After a restore: ask other nodes what they have of this one, so that it may publish again
    Reconcile {
        /// Which node [default: those that this one follows]
        #[arg(conflicts_with = "alone")]
        url: Option<String>,
        /// No other node has anything newer of this one
        #[arg(long)]
        alone: bool,
    },
    /// Measure what this machine can carry, in a folder of its own beside the node's data
    Bench {
        /// Made-up records to measure with
        #[arg(long, default_value_t = crate::bench::RECORDS, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
        records: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Org {
    /// Host an organisation; prints its recovery code once
    Add {
        /// Its name in addresses: a-z 0-9 -
        handle: String,
        /// Its name for people
        #[arg(long)]
        name: String,
    },
    /// List those whose keys are here
    List,
    /// Give one a new key; what the old key signed no longer counts
    Rotate {
        /// Which
        handle: String,
        /// Somebody may have read its keys: the escrow file is renewed as well
        #[arg(long)]
        compromised: bool,
        /// Go back to what its records said at this moment, such as 2027-03-01T08:00:00Z
        #[arg(long)]
        as_of: Option<String>,
    },
    /// Move one to another host; it keeps its identity and records
    Move {
        /// Which
        handle: String,
        /// The new host's address
        #[arg(long)]
        to: String,
        /// The code by which that host's operator invited it
        #[arg(long)]
        invitation: Option<String>,
    },
    /// Say in this node's name that one is its member: every node shows it beside the name
    Member {
        /// Its handle here, or its SCID
        who: String,
        /// Take it back
        #[arg(long)]
        end: bool,
    },
    /// Let one go whose keys this node made: commit its log to keys of its own
    Release {
        /// Which
        handle: String,
        /// The digests that it was given by `baraza identity take-over`, with commas between
        #[arg(long, value_delimiter = ',', required = true)]
        to: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Identity {
    /// Make one; prints its recovery card once
    New {
        /// Its name for people
        #[arg(long)]
        name: String,
        /// Where its log will be served: https://HUB/orgs/NAME, or a folder of your own web site
        #[arg(long)]
        at: String,
        /// The language of its profile, such as fr
        #[arg(long, default_value = "en")]
        language: String,
        /// The licence of records that name none
        #[arg(long, default_value = "CC-BY-4.0")]
        licence: String,
    },
    /// Say what is in the folder
    Show,
    /// Give it a new record key and sign every record anew
    Rotate {
        /// Somebody may have read the folder: the escrow file is renewed as well
        #[arg(long)]
        compromised: bool,
        /// The update key, if it is kept elsewhere: a file, or - for standard input
        #[arg(long)]
        update_key: Option<String>,
    },
    /// Make the folder anew from a recovery card and what any node carries
    Recover {
        /// The code on the card, a file that holds it, or - for standard input
        #[arg(long)]
        code: String,
        /// A node that shows the identity's records
        #[arg(long)]
        from: String,
        /// Go back to what the records said at this moment, such as 2027-03-01T08:00:00Z
        #[arg(long)]
        as_of: Option<String>,
        /// A new home, if the old one is gone
        #[arg(long)]
        to: Option<String>,
        /// The code by which the new home's operator invited you
        #[arg(long)]
        invitation: Option<String>,
    },
    /// Give it another home; it keeps its name, its keys and its records
    Move {
        /// Where its log will be served: https://HUB/orgs/NAME, or a folder of your own web site
        #[arg(long)]
        to: String,
        /// A node to learn from what this folder lacks
        #[arg(long)]
        from: Option<String>,
        /// The code by which the new home's operator invited you
        #[arg(long)]
        invitation: Option<String>,
        /// The update key, if it is kept elsewhere: a file, or - for standard input
        #[arg(long)]
        update_key: Option<String>,
    },
    /// Take your identity over from the hub that keeps its keys; run it twice
    TakeOver {
        /// Where its log is served: https://HUB/orgs/NAME
        #[arg(long)]
        at: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PeerChoice {
    /// Let a node hand records over and follow
    Allow {
        /// Its address
        url: String,
        /// Why, for the audit log
        #[arg(long)]
        reason: Option<String>,
    },
    /// End the exchange with a node, or carry an organisation no longer
    Block {
        /// The node's address, or the organisation's SCID
        subject: String,
        /// Why: shown to whoever is blocked, and on the page of the network
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take a block back
    Unblock {
        /// The node's address, or the organisation's SCID
        subject: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Bundle {
    /// Write one
    Export {
        /// The file, such as world.ndjson.zst
        file: PathBuf,
        /// A part only: author=…&area=…&country=…&type=…
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Take one in
    Import {
        /// The file
        file: PathBuf,
    },
    /// Check one; needs no node
    Verify {
        /// The file
        file: PathBuf,
    },
}
