//! Rows H, S and T of the list of bad inputs, as requests to an inbox. They are signed as they should be,
//! but for the one thing that is wrong with each; a request with nothing wrong is taken in between.

use protocol::httpsig::{DELIVERY_COMPONENTS, SigningOptions, content_digest};

use crate::support::client::request;
use crate::support::node::port;
use crate::support::now;
use crate::support::sender::{Sender, Signed};
use crate::support::target::Target;

/// An honest sender and the node that it writes to.
struct Talk {
    target: Target,
    sender: Sender,
}

impl Talk {
    fn new() -> Self {
        let port = port();
        let target = Target::that_may_ask(&[port]);
        let sender = Sender::start_on(port, &target.url);
        Self { target, sender }
    }

    fn refuses(&self, id: &str, request: &Signed, status: u16, code: &str) {
        let asked = self.sender.times_asked();
        self.target
            .refuses(id, |url| request.send(url), status, code);
        assert_eq!(self.sender.times_asked(), asked, "{id}: nobody is asked");
    }

    /// A good request is taken by a node that may ask this machine; another one asks for its key, which
    /// is as far as it comes.
    fn is_heard(&self, id: &str, request: &Signed) {
        let answer = request.send(&self.target.url);
        if self.target.own().is_some() {
            assert_eq!(answer.status, 202, "{id}: {}", answer.text());
        } else {
            assert!(
                answer.status == 202 || ["bad-key-id", "actor-refused"].contains(&&*answer.code()),
                "{id}: {}",
                answer.text()
            );
        }
    }
}

#[test]
fn h01_to_h04_h16_only_one_activity_in_one_media_type_is_read() {
    let talk = Talk::new();
    let sender = &talk.sender;
    for (id, kind) in [
        ("H01", "text/plain"),
        ("H02", "application/json"),
        ("H03 no profile", "application/ld+json"),
        (
            "H03 another one",
            "application/ld+json; profile=\"https://www.w3.org/ns/anno\"",
        ),
    ] {
        let request = sender.signed().set("content-type", kind);
        talk.refuses(id, &request, 415, "not-activitystreams");
    }
    let nameless = sender.signed().without("content-type");
    talk.refuses("H02 none", &nameless, 415, "not-activitystreams");
    let mut twice = sender.signed();
    twice.headers.push(("content-type", "text/plain".into()));
    talk.refuses("H04", &twice, 400, "malformed");
    let packed = sender.signed().set("content-encoding", "gzip");
    talk.refuses("H16", &packed, 415, "encoded-body");
    for kind in [
        "application/activity+json; charset=utf-8",
        "Application/ACTIVITY+json",
        "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
    ] {
        talk.is_heard(kind, &sender.signed().set("content-type", kind));
    }
}

#[test]
fn h11_an_inbox_is_only_posted_to_and_an_outbox_only_read() {
    let talk = Talk::new();
    let sender = &talk.sender;
    for (method, path) in [
        ("GET", "/inbox"),
        ("PUT", "/inbox"),
        ("POST", "/outbox"),
        ("PUT", "/outbox"),
        ("TRACE", "/inbox"),
    ] {
        let send = |url: &str| request(url, method, path, &[("x-secret", "echoed")], &[]);
        let answer = talk.target.refuses(
            &format!("H11 {method} {path}"),
            send,
            405,
            "method-not-allowed",
        );
        assert!(answer.header("allow").is_some(), "{method} {path}");
        assert!(!answer.text().contains("echoed"), "{}", answer.text());
    }
    talk.is_heard("a POST", &sender.signed());
}

#[test]
fn s01_to_s07_a_signature_that_is_missing_broken_or_too_narrow_is_401_and_nobody_is_asked() {
    let talk = Talk::new();
    let sender = &talk.sender;
    let bare = sender
        .signed()
        .without("signature")
        .without("signature-input");
    talk.refuses("S01", &bare, 401, "missing-signature");
    let mut longer = sender.signed();
    longer.body.push(b' ');
    talk.refuses("S03", &longer, 401, "digest-mismatch");
    let undigested = sender.signed().without("content-digest");
    talk.refuses("S07", &undigested, 401, "absent-component");
    for (id, covered) in [
        ("S05", &["@method", "@target-uri", "@authority"][..]),
        (
            "S06 method",
            &["@target-uri", "@authority", "content-digest"],
        ),
        ("S06 address", &["@method", "@authority", "content-digest"]),
    ] {
        let narrow = sender.signed_by(&sender.key_id(), covered, 0);
        talk.refuses(id, &narrow, 401, "missing-component");
    }
    talk.is_heard("a good one", &sender.signed());
    if talk.target.own().is_none() {
        return;
    }
    // The node knows the key now, so that these are refused for what they are.
    let good = sender.signed();
    let signature = good.get("signature");
    let other = if signature.contains("=:A") { "B" } else { "A" };
    let flipped = format!("{}{other}{}", &signature[..6], &signature[7..]);
    let flipped = good.clone().set("signature", &flipped);
    talk.refuses("S02", &flipped, 401, "bad-signature");
    let digest = content_digest(&longer.body);
    let swapped = longer.set("content-digest", &digest);
    talk.refuses("S04", &swapped, 401, "bad-signature");
    talk.is_heard("the same one whole", &good);
}

#[test]
fn s13_s14_foreign_key_ids_and_algorithms_are_401_and_nobody_is_asked() {
    let talk = Talk::new();
    let sender = &talk.sender;
    for key_id in [
        "http://203.0.113.9/actor",
        "file:///etc/passwd",
        "data:application/activity+json,{}",
        "unix:/run/x.sock",
    ] {
        let request = sender.signed_by(key_id, &DELIVERY_COMPONENTS, 0);
        talk.refuses(&format!("S13 {key_id}"), &request, 401, "bad-key-id");
    }
    for algorithm in ["none", "hmac-sha256", "x"] {
        let good = sender.signed();
        let input = format!("{};alg=\"{algorithm}\"", good.get("signature-input"));
        let request = good.set("signature-input", &input);
        let id = format!("S14 {algorithm}");
        talk.refuses(&id, &request, 401, "unsupported-algorithm");
    }
    talk.is_heard("a good one", &sender.signed());
}

#[test]
fn t01_t02_t04_a_signature_out_of_its_time_is_401_and_one_within_it_is_taken() {
    let talk = Talk::new();
    let sender = &talk.sender;
    let at = |seconds: i64| sender.signed_by(&sender.key_id(), &DELIVERY_COMPONENTS, seconds);
    // Two seconds are left for a busy machine on the side where time runs towards the bound.
    talk.refuses("T01 old", &at(-301), 401, "stale");
    talk.refuses("T01 ahead", &at(75), 401, "from-the-future");
    talk.is_heard("T01 nearly old", &at(-270));
    talk.is_heard("T01 nearly ahead", &at(59));
    let key_id = sender.key_id();
    let good = sender.signed();
    let created = good
        .get("signature-input")
        .split(';')
        .find(|part| part.starts_with("created="))
        .unwrap()
        .to_owned();
    let input = good
        .get("signature-input")
        .replace(&format!(";{created}"), "");
    let dateless = good.set("signature-input", &input);
    talk.refuses("T02", &dateless, 401, "missing-parameter");
    for (id, seconds, code) in [
        ("T04 before", -10, "expires-before-created"),
        ("T04 a year", 365 * 86_400, "expires-too-late"),
    ] {
        let mut options = SigningOptions::new(&key_id, now());
        options.expires = Some(now().plus_seconds(seconds));
        let request = sender.signed_with(&DELIVERY_COMPONENTS, &options);
        talk.refuses(id, &request, 401, code);
    }
}
