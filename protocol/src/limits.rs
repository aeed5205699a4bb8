//! Every size and count on the wire, each with its reason. Nothing else in the workspace repeats one.
//!
//! Limits that only concern one node's own resources (caches, queues, timeouts) live in that node;
//! these are the ones on which peers must agree, because a record that one node takes and another
//! refuses would split the network.

/// Largest record, in bytes of canonical form: a long description in six languages fits ten times.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// Largest activity or request body, in bytes: a record inline, its proposal and the wrapper.
pub const ACTIVITY_BYTES_MAX: usize = 256 * 1024;

/// Largest document of an actor, in bytes: what the outbound client reads of any document.
pub const ACTOR_BYTES_MAX: usize = 1024 * 1024;

/// Most keys of one actor that are read.
pub const ACTOR_KEYS_MAX: usize = 32;

/// Deepest nesting of objects and arrays; the outermost counts as 1.
pub const JSON_DEPTH_MAX: usize = 32;

/// Most members and array elements in one document, all levels together.
pub const JSON_MEMBERS_MAX: usize = 2_000;

/// Longest text or member name, in bytes of UTF-8.
pub const JSON_STRING_BYTES_MAX: usize = 16 * 1024;

/// Largest integer that every JSON implementation keeps exactly: 2^53 - 1 (RFC 7493, 2.2).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// Longest `localId`, in characters.
pub const LOCAL_ID_CHARS_MAX: usize = 96;

/// Longest DID, in bytes: a host name of 253 and some path.
pub const DID_BYTES_MAX: usize = 512;

/// Most entries in one key log: a rotation a month for eighty years.
pub const LOG_ENTRIES_MAX: usize = 1_000;

/// Largest key log, in bytes of canonical form without proofs; also the largest single entry with its
/// proofs, and the largest `did-witness.json`.
pub const LOG_BYTES_MAX: usize = 1024 * 1024;

/// Largest part of a key log that is handed in at a time, in bytes: the largest log whose entries have
/// one proof each. One with more proofs is handed in by parts.
pub const LOG_BODY_BYTES_MAX: usize = LOG_BYTES_MAX + LOG_ENTRIES_MAX * 512;

/// Longest line of the change feed, of `fetch` and of bundles, in bytes: the largest log entry with its
/// author's witness proofs and the wrapper.
pub const LINE_BYTES_MAX: usize = 2 * LOG_BYTES_MAX + 1024;

/// Most branches of one forked key log that a node keeps: its own and seven as evidence.
pub const LOG_BRANCHES_MAX: usize = 8;

/// Most record keys that one log entry lists.
pub const RECORD_KEYS_MAX: usize = 16;

/// Most different record keys that one log lists in its life: each stays remembered once dropped.
pub const RECORD_KEYS_EVER_MAX: usize = 1_000;

/// Most update keys that one log entry reveals.
pub const UPDATE_KEYS_MAX: usize = 16;

/// Most commitments to next keys in one log entry: a working key and recovery keys, with room.
pub const NEXT_KEY_HASHES_MAX: usize = 64;

/// Most witnesses that one log names at a time.
pub const WITNESSES_MAX: usize = 16;

/// Most different witness lists that a log may leave waiting for their proofs at a time.
pub const WITNESS_DEBTS_MAX: usize = 16;

/// Most proofs over one log entry: one for each update key.
pub const LOG_PROOFS_MAX: usize = 16;

/// Most names in one identity's `alsoKnownAs`, and most watchers.
pub const ALSO_KNOWN_AS_MAX: usize = 64;

/// How far ahead of our clock a record or log entry may be dated before it is parked until due, in seconds.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 600;

/// Most records that are handed in by one request: what is said of each of them fits into what is read of any answer.
pub const RECORDS_HANDED_MAX: usize = 100;

/// Most ids in one `fetch`.
pub const FETCH_IDS_MAX: usize = 500;

/// Bytes after which an answer to `fetch` ends, at the end of a line: as many records as may be asked
/// for fit whole. Who asks for that many logs asks again for those that did not come.
pub const FETCH_BYTES_MAX: usize = FETCH_IDS_MAX * (RECORD_BYTES_MAX + 256);

/// Largest message of set reconciliation, either way, in bytes: 8,000 digests, or the differences of two
/// large sets.
pub const RECONCILE_BYTES_MAX: usize = 256 * 1024;

/// Most messages that are sent for one set: two sets of any size that differ by what a few messages hold
/// are done after six.
pub const RECONCILE_ROUNDS_MAX: usize = 64;

/// Most rows in one page of the change feed.
pub const CHANGES_ROWS_MAX: usize = 5_000;

/// Longest a peer may ask the change feed to wait for news, in seconds.
pub const CHANGES_WAIT_SECONDS_MAX: u64 = 30;

/// Added to the highest `seq` seen after a restore, a move or a recovery, so that a version number
/// whose record was lost is never given twice.
pub const SEQ_JUMP: u64 = 1_000;

/// How long the bodies of withdrawn versions are kept before they are erased, in days.
pub const WITHDRAWN_BODY_DAYS: i64 = 30;

/// How old an HTTP signature by RFC 9421 may be, in seconds.
pub const SIGNATURE_AGE_SECONDS_MAX: i64 = 300;

/// How far ahead of our clock an HTTP signature by RFC 9421 may be dated, in seconds.
pub const SIGNATURE_AHEAD_SECONDS_MAX: i64 = 60;

/// How far the date of an HTTP signature by draft-cavage-12 may be from our clock, either way, in
/// seconds: its senders date to the second but keep looser clocks.
pub const CAVAGE_DATE_SECONDS_MAX: i64 = 3_600;

/// Longest time between an HTTP signature's `created` and `expires`, in seconds.
pub const SIGNATURE_LIFETIME_SECONDS_MAX: i64 = 86_400;

/// Longest `Signature-Input`, `Signature` or digest field of a request, all its lines together, in
/// bytes.
pub const SIGNATURE_FIELD_BYTES_MAX: usize = 8 * 1024;

/// Most signatures that one request carries: each may cost a look-up of its key.
pub const SIGNATURES_MAX: usize = 4;

/// Most components that one HTTP signature covers.
pub const SIGNATURE_COMPONENTS_MAX: usize = 32;

/// Most parameters of one HTTP signature or of one of its components.
pub const SIGNATURE_PARAMETERS_MAX: usize = 16;

/// Longest key id of an HTTP signature, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 2_048;

/// Longest signature value, in bytes: RSA of 4096 bits.
pub const SIGNATURE_BYTES_MAX: usize = 512;

/// Most nodes that a node card names: so many that every new node is named by some, few enough for one
/// record.
pub const CARD_PEERS_MAX: usize = 200;
