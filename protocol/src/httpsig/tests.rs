use proptest::prelude::*;

use super::{
    Algorithm, DELIVERY_COMPONENTS, Dialect, FETCH_COMPONENTS, HttpSigError, KeyKind,
    ParsedSignature, RequestParts, SigningOptions, Unsigned, cavage, check_content_digest,
    content_digest, read, sign_ed25519, verify_ed25519, write_base64,
};
use crate::key::SecretKey;
use crate::time::Timestamp;

const NOW: i64 = 1_800_000_000;
const INBOX: &str = "https://hub.example/inbox?x=1";
const KEY_ID: &str = "https://peer.example/actor#main-key";
const BODY: &[u8] = b"{\"type\":\"Follow\"}";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn secret() -> SecretKey {
    SecretKey::from_seed(&[3; 32])
}

/// A request as it travels.
#[derive(Clone)]
struct Sent {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn unsigned() -> Self {
        Self {
            method: "POST",
            target: INBOX.to_owned(),
            headers: vec![
                ("host", "hub.example".to_owned()),
                ("date", cavage::write_http_date(at(NOW))),
                ("content-digest", content_digest(BODY)),
                ("digest", cavage::digest(BODY)),
            ],
            body: BODY.to_vec(),
        }
    }

    /// Signed by RFC 9421 at [`NOW`], as our own nodes do.
    fn signed() -> Self {
        Self::covering(&DELIVERY_COMPONENTS)
    }

    fn covering(components: &[&str]) -> Self {
        Self::signed_with(components, &SigningOptions::new(KEY_ID, at(NOW)))
    }

    fn signed_with(components: &[&str], options: &SigningOptions<'_>) -> Self {
        let mut sent = Self::unsigned();
        let headers = sent
            .with_parts(|request| sign_ed25519(request, components, options, &secret()).unwrap());
        sent.headers
            .push(("signature-input", headers.signature_input.unwrap()));
        sent.headers.push(("signature", headers.signature));
        sent
    }

    /// Really signed, with whatever stands in `Signature-Input` after the label.
    fn signed_over(input: &str) -> Self {
        let mut sent = Self::unsigned();
        sent.headers
            .push(("signature-input", format!("sig1={input}")));
        sent.headers.push(("signature", "sig1=:AA==:".to_owned()));
        let signature = match sent.read() {
            Ok(signature) => secret().sign(signature.base()),
            Err(_) => [1; 64],
        };
        sent.set("signature", &format!("sig1=:{}:", write_base64(&signature)));
        sent
    }

    /// Signed by draft-cavage-12 with an Ed25519 key; `parameters` follow the key id.
    fn cavage(headers: &str, parameters: &str) -> Self {
        let mut sent = Self::unsigned();
        sent.sign_cavage(headers, parameters);
        sent
    }

    fn sign_cavage(&mut self, headers: &str, parameters: &str) {
        self.headers.retain(|(name, _)| *name != "signature");
        let field = |signature: &[u8]| {
            let value = write_base64(signature);
            format!("keyId=\"{KEY_ID}\"{parameters},headers=\"{headers}\",signature=\"{value}\"")
        };
        self.headers.push(("signature", field(&[1; 64])));
        if let Ok(signature) = self.read() {
            let made = secret().sign(signature.base());
            self.set("signature", &field(&made));
        }
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value.to_owned()));
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self
    }

    fn with_parts<T>(&self, act: impl FnOnce(&RequestParts<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        act(&RequestParts::new(self.method, &self.target, &headers).unwrap())
    }

    fn read(&self) -> Result<ParsedSignature, HttpSigError> {
        self.with_parts(|request| read(request).map(|mut all| all.remove(0)))
    }

    /// What a receiver does, the fetching of the key aside.
    fn received_at(&self, now: i64) -> Result<(), HttpSigError> {
        let signature = self.read()?;
        signature.check_policy(&self.body, at(now))?;
        signature.key_url(&["127.0.0.1:8101"])?;
        verify_ed25519(&signature, &secret().public())
    }

    fn received(&self) -> Result<(), HttpSigError> {
        self.received_at(NOW)
    }

    fn code(&self) -> &'static str {
        self.received().unwrap_err().code()
    }
}

#[test]
fn a_signed_request_is_taken_with_every_way_to_cover_its_target() {
    assert_eq!(Sent::signed().received(), Ok(()));
    for components in [
        &["@method", "@target-uri", "content-digest"][..],
        &["@method", "@path", "@query", "@authority", "content-digest"],
        &[
            "@method",
            "@request-target",
            "@authority",
            "@scheme",
            "content-digest",
            "date",
        ],
    ] {
        assert_eq!(
            Sent::covering(components).received(),
            Ok(()),
            "{components:?}"
        );
    }
    let mut fetch = Sent::unsigned();
    (fetch.method, fetch.body) = ("GET", Vec::new());
    let options = SigningOptions::new(KEY_ID, at(NOW));
    let headers = fetch.with_parts(|request| {
        sign_ed25519(request, &FETCH_COMPONENTS, &options, &secret()).unwrap()
    });
    fetch.set("signature-input", &headers.signature_input.unwrap());
    fetch.set("signature", &headers.signature);
    assert_eq!(fetch.received(), Ok(()));
}

#[test]
fn what_the_signer_said_of_the_signature_reads_back() {
    let options = SigningOptions {
        label: "b2",
        expires: Some(at(NOW + 60)),
        nonce: Some("n\"\\1"),
        algorithm: Some(Algorithm::Ed25519),
        ..SigningOptions::new(KEY_ID, at(NOW))
    };
    let sent = Sent::signed_with(&DELIVERY_COMPONENTS, &options);
    assert_eq!(sent.received(), Ok(()));
    let signature = sent.read().unwrap();
    assert_eq!(
        (signature.dialect(), signature.label()),
        (Dialect::Rfc9421, "b2")
    );
    assert_eq!(signature.key_id(), KEY_ID);
    assert_eq!(signature.created(), Some(at(NOW)));
    assert_eq!(signature.expires(), Some(at(NOW + 60)));
    assert_eq!((signature.nonce(), signature.tag()), (Some("n\"\\1"), None));
    assert_eq!(signature.algorithm(), Some(Algorithm::Ed25519));
    assert_eq!(signature.components(), DELIVERY_COMPONENTS);
    assert_eq!(signature.signature().len(), 64);
}

#[test]
fn s01_a_request_without_a_signature_is_refused() {
    assert_eq!(Sent::unsigned().code(), "missing-signature");
    assert_eq!(
        Sent::signed().without("signature").code(),
        "missing-signature"
    );
}

#[test]
fn s02_one_flipped_bit_of_the_signature_is_noticed() {
    let sent = Sent::signed();
    let good = sent.read().unwrap().signature().to_vec();
    for bit in 0..512 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let mut changed = sent.clone();
        changed.set("signature", &format!("sig1=:{}:", write_base64(&bad)));
        assert_eq!(changed.code(), "bad-signature", "bit {bit}");
    }
    for length in [1, 63, 65, 512] {
        let mut changed = sent.clone();
        changed.set(
            "signature",
            &format!("sig1=:{}:", write_base64(&vec![1; length])),
        );
        assert_eq!(changed.code(), "bad-signature", "{length} bytes");
    }
    for length in [0, 513] {
        let mut changed = sent.clone();
        changed.set(
            "signature",
            &format!("sig1=:{}:", write_base64(&vec![1; length])),
        );
        assert_eq!(changed.code(), "malformed-signature", "{length} bytes");
    }
}

#[test]
fn s02_a_signature_by_another_key_is_refused() {
    let signature = Sent::signed().read().unwrap();
    let other = SecretKey::from_seed(&[4; 32]).public();
    assert_eq!(
        verify_ed25519(&signature, &other),
        Err(HttpSigError::BadSignature)
    );
}

#[test]
fn s03_a_changed_body_does_not_fit_the_digest() {
    let mut sent = Sent::signed();
    sent.body[2] ^= 1;
    assert_eq!(sent.code(), "digest-mismatch");
    sent.body.clear();
    assert_eq!(sent.code(), "digest-mismatch");
    let mut sent = Sent::cavage("(request-target) host date digest", "");
    sent.body[2] ^= 1;
    assert_eq!(sent.code(), "digest-mismatch");
}

#[test]
fn s04_a_body_and_digest_changed_together_do_not_fit_the_signature() {
    let mut sent = Sent::signed();
    sent.body[2] ^= 1;
    sent.set("content-digest", &content_digest(&sent.body.clone()));
    assert_eq!(sent.code(), "bad-signature");
    let mut sent = Sent::cavage("(request-target) host date digest", "");
    sent.body[2] ^= 1;
    sent.set("digest", &cavage::digest(&sent.body.clone()));
    assert_eq!(sent.code(), "bad-signature");
}

#[test]
fn s05_s06_a_signature_that_leaves_out_what_matters_is_refused_by_name() {
    for (components, missing) in [
        (
            &["@method", "@target-uri", "@authority"][..],
            "content-digest",
        ),
        (&["@target-uri", "content-digest"], "@method"),
        (&["@method", "content-digest"], "@target-uri"),
        (&["@method", "@authority", "content-digest"], "@target-uri"),
        (
            &["@method", "@path", "@query", "content-digest"],
            "@authority",
        ),
        (
            &["@method", "@request-target", "content-digest"],
            "@authority",
        ),
        (
            &["@method", "@path", "@authority", "content-digest"],
            "@query",
        ),
        (
            &["@method", "@path", "@query", "host", "content-digest"],
            "@authority",
        ),
    ] {
        let refused = HttpSigError::MissingComponent { component: missing };
        assert_eq!(
            Sent::covering(components).received(),
            Err(refused),
            "{components:?}"
        );
    }
    assert_eq!(Sent::covering(&[]).code(), "missing-component");
    for (headers, missing) in [
        ("(request-target) host date", "digest"),
        ("host date digest", "(request-target)"),
        ("(request-target) date digest", "host"),
        ("(request-target) host digest", "date"),
    ] {
        let refused = HttpSigError::MissingComponent { component: missing };
        assert_eq!(
            Sent::cavage(headers, "").received(),
            Err(refused),
            "{headers}"
        );
    }
}

#[test]
fn s07_a_covered_field_that_is_absent_is_refused() {
    assert_eq!(
        Sent::signed().without("content-digest").code(),
        "absent-component"
    );
    for header in ["digest", "date", "host"] {
        let sent = Sent::cavage("(request-target) host date digest", "").without(header);
        assert_eq!(sent.code(), "absent-component", "{header}");
    }
}

#[test]
fn s08_s09_a_request_replayed_elsewhere_does_not_fit() {
    for target in [
        "https://hub.example/orgs/a/inbox?x=1",
        "https://hub.example/inbox?x=2",
        "https://hub.example/inbox",
        "https://other.example/inbox?x=1",
        "http://hub.example/inbox?x=1",
        "https://hub.example:8443/inbox?x=1",
    ] {
        let mut sent = Sent::signed();
        sent.target = target.to_owned();
        assert_eq!(sent.code(), "bad-signature", "{target}");
    }
    let mut sent = Sent::signed();
    sent.method = "PUT";
    assert_eq!(sent.code(), "bad-signature");
}

#[test]
fn s08_s09_a_cavage_request_replayed_elsewhere_does_not_fit() {
    let sent = Sent::cavage("(request-target) host date digest", "");
    assert_eq!(sent.received(), Ok(()));
    let mut other_path = sent.clone();
    other_path.target = "https://hub.example/orgs/a/inbox".to_owned();
    assert_eq!(other_path.code(), "bad-signature");
    // The host is covered, but only as the sender wrote it.
    let mut other_host = sent.clone();
    other_host.target = "https://other.example/inbox?x=1".to_owned();
    assert_eq!(other_host.code(), "wrong-host");
    other_host.set("host", "other.example");
    assert_eq!(other_host.code(), "bad-signature");
    let mut own_port = Sent::unsigned();
    own_port.set("host", "Hub.Example:443");
    own_port.sign_cavage("(request-target) host date digest", "");
    assert_eq!(own_port.received(), Ok(()));
}

#[test]
fn the_spelling_of_the_target_does_not_matter_where_http_says_so() {
    let mut sent = Sent::signed();
    sent.target = "HTTPS://HUB.example:443/inbox?x=1".to_owned();
    assert_eq!(sent.received(), Ok(()));
}

#[test]
fn s10_copies_of_a_request_have_one_fingerprint_and_others_another() {
    let of = |sent: Sent| sent.read().unwrap().fingerprint();
    let mut resigned = Sent::signed();
    resigned.set("signature", "sig1=:AAAA:");
    assert_eq!(of(Sent::signed()), of(resigned));
    let later = SigningOptions::new(KEY_ID, at(NOW + 1));
    assert_ne!(
        of(Sent::signed()),
        of(Sent::signed_with(&DELIVERY_COMPONENTS, &later))
    );
    let mut elsewhere = Sent::signed();
    elsewhere.target = "https://hub.example/other".to_owned();
    assert_ne!(of(Sent::signed()), of(elsewhere));
}

#[test]
fn s13_only_https_key_ids_are_ever_fetched() {
    let key_url = |key_id: &str| {
        let options = SigningOptions::new(key_id, at(NOW));
        let signature = Sent::signed_with(&DELIVERY_COMPONENTS, &options)
            .read()
            .unwrap();
        signature.key_url(&["127.0.0.1:8101"]).map(str::to_owned)
    };
    for key_id in [
        KEY_ID,
        "https://peer.example",
        "https://peer.example:8443/u?a=b#k",
        "https://[::1]/actor#main-key",
        "http://127.0.0.1:8101/actor#main-key",
    ] {
        assert_eq!(key_url(key_id).as_deref(), Ok(key_id));
    }
    for key_id in [
        "http://peer.example/actor#main-key",
        "http://127.0.0.1/actor",
        "http://127.0.0.1:81012/actor",
        "http://127.0.0.1:8101@evil.example/actor",
        "https://peer.example@evil.example/actor",
        "https://",
        "https:///actor",
        "https://a b/",
        "https://peer.example/#a#b",
        "https://peer.example\\@evil.example/",
        "https://peer.example:port/",
        "https://peer.example:123456/",
        "https://[::1/",
        "//peer.example/actor",
        "file:///etc/passwd",
        "data:text/plain,x",
        "unix:/run/x",
        "did:key:z6Mk",
        "test-key",
        "",
    ] {
        assert_eq!(key_url(key_id), Err(HttpSigError::BadKeyId), "{key_id}");
    }
}

#[test]
fn s14_the_algorithm_comes_from_the_key_and_not_from_the_message() {
    let input = |alg: &str| {
        let covered = "(\"@method\" \"@target-uri\" \"content-digest\")";
        format!("{covered};created={NOW};keyid=\"{KEY_ID}\";alg=\"{alg}\"")
    };
    for alg in [
        "none",
        "hmac-sha256",
        "ecdsa-p256-sha256",
        "ED25519",
        "",
        &"x".repeat(999),
    ] {
        assert_eq!(
            Sent::signed_over(&input(alg)).code(),
            "unsupported-algorithm",
            "{alg}"
        );
    }
    for alg in ["rsa-v1_5-sha256", "rsa-pss-sha512"] {
        assert_eq!(
            Sent::signed_over(&input(alg)).code(),
            "algorithm-mismatch",
            "{alg}"
        );
    }
    let named = Sent::signed_over(&input("ed25519"));
    assert_eq!(named.received(), Ok(()));
    let named = named.read().unwrap();
    assert_eq!(
        named.algorithm_for(KeyKind::Ed25519),
        Ok(Algorithm::Ed25519)
    );
    assert!(named.algorithm_for(KeyKind::Rsa).is_err());
    let unnamed = Sent::signed().read().unwrap();
    assert_eq!(
        unnamed.algorithm_for(KeyKind::Rsa),
        Ok(Algorithm::RsaV15Sha256)
    );
    let pss = Sent::signed_over(&input("rsa-pss-sha512")).read().unwrap();
    assert_eq!(pss.algorithm_for(KeyKind::Rsa), Ok(Algorithm::RsaPssSha512));
}

#[test]
fn s14_cavage_algorithms_other_than_rsa_sha256_and_hs2019_are_refused() {
    let sent = |named: &str| {
        Sent::cavage(
            "(request-target) host date digest",
            &format!(",algorithm=\"{named}\""),
        )
    };
    for named in [
        "none",
        "hmac-sha256",
        "rsa-sha1",
        "ecdsa-sha256",
        "RSA-SHA256",
        "",
    ] {
        assert_eq!(sent(named).code(), "unsupported-algorithm", "{named}");
    }
    assert_eq!(sent("hs2019").received(), Ok(()));
    assert_eq!(sent("rsa-sha256").code(), "algorithm-mismatch");
}

#[test]
fn t01_signatures_are_taken_from_300_seconds_after_to_60_seconds_before_their_date() {
    let sent = Sent::signed();
    for now in [NOW + 299, NOW + 300, NOW - 59, NOW - 60] {
        assert_eq!(sent.received_at(now), Ok(()));
    }
    let stale = HttpSigError::Stale {
        age_seconds: 301,
        max_seconds: 300,
    };
    assert_eq!(sent.received_at(NOW + 301), Err(stale));
    let early = HttpSigError::FromTheFuture {
        ahead_seconds: 61,
        max_seconds: 60,
    };
    assert_eq!(sent.received_at(NOW - 61), Err(early));
    assert_eq!(sent.received_at(NOW + 301).unwrap_err().code(), "stale");
    assert_eq!(
        sent.received_at(NOW - 61).unwrap_err().code(),
        "from-the-future"
    );
}

#[test]
fn t01_cavage_dates_are_taken_within_an_hour() {
    for (headers, parameters) in [
        ("(request-target) host date digest", String::new()),
        (
            "(request-target) host (created) digest",
            format!(",created={NOW}"),
        ),
    ] {
        let sent = Sent::cavage(headers, &parameters);
        for now in [NOW + 3_600, NOW - 3_600] {
            assert_eq!(sent.received_at(now), Ok(()), "{headers}");
        }
        assert_eq!(sent.received_at(NOW + 3_601).unwrap_err().code(), "stale");
        assert_eq!(
            sent.received_at(NOW - 3_601).unwrap_err().code(),
            "from-the-future"
        );
    }
    // Both are covered: both must fit.
    let old = format!(",created={}", NOW - 4_000);
    assert_eq!(
        Sent::cavage("(request-target) host date digest (created)", &old).code(),
        "stale"
    );
    // Not covered: anyone may have written it.
    let uncovered = format!(",created={NOW}");
    let sent = Sent::cavage("(request-target) host digest", &uncovered);
    assert_eq!(sent.code(), "missing-component");
}

#[test]
fn t02_a_signature_without_a_date_is_refused() {
    let covered = "(\"@method\" \"@target-uri\" \"content-digest\" \"date\")";
    let sent = Sent::signed_over(&format!("{covered};keyid=\"{KEY_ID}\""));
    assert_eq!(
        sent.received(),
        Err(HttpSigError::MissingParameter {
            parameter: "created"
        })
    );
    assert_eq!(sent.code(), "missing-parameter");
    assert_eq!(
        Sent::cavage("(request-target) host digest", "").code(),
        "missing-component"
    );
    // Without `headers`, `(created)` alone is covered.
    let mut bare = Sent::unsigned();
    bare.set(
        "signature",
        &format!("keyId=\"{KEY_ID}\",signature=\"AA==\",created={NOW}"),
    );
    assert_eq!(bare.code(), "missing-component");
}

#[test]
fn t03_dates_that_are_none_or_far_away_are_refused_without_panic() {
    let covered = "(\"@method\" \"@target-uri\" \"content-digest\")";
    for (created, code) in [
        ("0", "stale"),
        ("-62167219200", "stale"),
        ("-999999999999999", "stale"),
        ("253402300799", "from-the-future"),
        ("999999999999999", "from-the-future"),
        ("9999999999999999", "malformed-signature"),
        ("1.5", "malformed-signature"),
        ("\"1800000000\"", "malformed-signature"),
        ("tomorrow", "malformed-signature"),
        ("", "malformed-signature"),
    ] {
        let sent = Sent::signed_over(&format!("{covered};created={created};keyid=\"{KEY_ID}\""));
        assert_eq!(sent.code(), code, "{created}");
    }
    let long = "2".repeat(10_000);
    for (date, code) in [
        ("Thu, 01 Jan 1970 00:00:00 GMT", "stale"),
        ("Sat, 01 Jan 0000 00:00:00 GMT", "stale"),
        ("Thu, 30 Dec 9999 12:00:00 GMT", "from-the-future"),
        ("Fri, 15 Jan 2027 23:59:60 GMT", "malformed-signature"),
        ("Sat, 15 Jan 2027 08:00:00 GMT", "malformed-signature"),
        ("Fri, 15 Jan 2027 08:00:00 UTC", "malformed-signature"),
        ("Friday, 15-Jan-27 08:00:00 GMT", "malformed-signature"),
        ("Fri Jan 15 08:00:00 2027", "malformed-signature"),
        ("Fri, 32 Jan 2027 08:00:00 GMT", "malformed-signature"),
        ("2027-01-15T08:00:00Z", "malformed-signature"),
        ("", "malformed-signature"),
        (long.as_str(), "malformed-signature"),
    ] {
        let mut sent = Sent::unsigned();
        sent.set("date", date);
        sent.sign_cavage("(request-target) host date digest", "");
        assert_eq!(sent.code(), code, "{date}");
    }
    for created in ["", "-1", "x", "99999999999999999999", "1.5"] {
        let sent = Sent::cavage(
            "(request-target) host date digest",
            &format!(",created={created}"),
        );
        assert_eq!(sent.code(), "malformed-signature", "{created}");
    }
}

#[test]
fn t04_expiry_before_creation_in_the_past_or_a_year_ahead_is_refused() {
    let expiring = |seconds: i64| {
        let options = SigningOptions {
            expires: Some(at(NOW + seconds)),
            ..SigningOptions::new(KEY_ID, at(NOW))
        };
        Sent::signed_with(&DELIVERY_COMPONENTS, &options)
    };
    assert_eq!(expiring(-1).code(), "expires-before-created");
    assert_eq!(expiring(0).code(), "expires-before-created");
    assert_eq!(expiring(31_536_000).code(), "expires-too-late");
    assert_eq!(expiring(86_401).code(), "expires-too-late");
    assert_eq!(expiring(86_400).received(), Ok(()));
    assert_eq!(expiring(10).received_at(NOW + 10), Ok(()));
    let expired = HttpSigError::Expired { ago_seconds: 1 };
    assert_eq!(expired.code(), "expired");
    assert_eq!(expiring(10).received_at(NOW + 11), Err(expired));
    let parameters = format!(",created={NOW},expires={}", NOW + 10);
    let sent = Sent::cavage(
        "(request-target) host (created) (expires) digest",
        &parameters,
    );
    assert_eq!(sent.received_at(NOW + 10), Ok(()));
    assert_eq!(sent.received_at(NOW + 11).unwrap_err().code(), "expired");
}

#[test]
fn what_cannot_be_read_is_refused_as_malformed() {
    let after = format!(";created={NOW};keyid=\"{KEY_ID}\"");
    let many: String = (0..33).map(|number| format!("\"x{number}\" ")).collect();
    for input in [
        "",
        "(",
        "\"@method\"",
        "(@method)",
        &format!("(\"@method\" \"@method\"){after}"),
        &format!("(\"@query-param\";name=\"x\" \"@query-param\";name=\"x\"){after}"),
        &format!("(\"Content-Digest\"){after}"),
        &format!("(\"\"){after}"),
        &format!("(\"a b\"){after}"),
        &format!("({many}){after}"),
        &format!("(\"@method\"){after};created=1"),
        &format!("(\"@method\");keyid={NOW};created={NOW}"),
        &format!("(\"@method\"){after};alg=ed25519"),
        &format!("(\"@method\"){after};nonce=7"),
        &format!("(\"@method\"){after};expires=\"7\""),
        &format!(
            "(\"@method\");created={NOW};keyid=\"{}\"",
            "k".repeat(2_049)
        ),
        &format!("(\"@method\"){after};nonce=\"{}\"", "n".repeat(9_000)),
    ] {
        assert_eq!(
            Sent::signed_over(input).code(),
            "malformed-signature",
            "{input}"
        );
    }
    let no_key = Sent::signed_over(&format!("(\"@method\");created={NOW}"));
    assert_eq!(
        no_key.received(),
        Err(HttpSigError::MissingParameter { parameter: "keyid" })
    );
    for value in [
        "sig1=AA",
        "sig1=:!:",
        "sig1=(:AA==:)",
        "sig2=:AA==:",
        "sig1=:AA==:, b=:AA==:",
    ] {
        let mut sent = Sent::signed();
        sent.set("signature", value);
        assert_eq!(sent.code(), "malformed-signature", "{value}");
    }
}

#[test]
fn components_that_are_not_understood_are_refused() {
    for component in [
        "\"@status\"",
        "\"@signature-params\"",
        "\"@method\";req",
        "\"@query-param\"",
        "\"@query-param\";name=\"x\";req",
        "\"date\";sf",
        "\"content-digest\";key=\"sha-256\"",
        "\"date\";bs",
        "\"date\";tr",
    ] {
        let input = format!("({component});created={NOW};keyid=\"{KEY_ID}\"");
        assert_eq!(
            Sent::signed_over(&input).code(),
            "unsupported-component",
            "{component}"
        );
    }
    let cavage = Sent::cavage("(request-target) (other)", "");
    assert_eq!(cavage.code(), "unsupported-component");
}

#[test]
fn a_second_label_that_is_not_understood_does_no_harm() {
    let mut sent = Sent::signed();
    let add = |sent: &mut Sent, name: &'static str, value: &str| {
        sent.headers.push((name, value.to_owned()));
    };
    add(
        &mut sent,
        "signature-input",
        "proxy=(\"@status\");keyid=\"p\"",
    );
    add(&mut sent, "signature", "proxy=:AA==:");
    assert_eq!(sent.received(), Ok(()));
    assert_eq!(sent.with_parts(|request| read(request).unwrap().len()), 1);
    for label in ["c", "d", "e"] {
        add(
            &mut sent,
            "signature-input",
            &format!("{label}=();keyid=\"p\""),
        );
        add(&mut sent, "signature", &format!("{label}=:AA==:"));
    }
    assert_eq!(sent.code(), "malformed-signature");
}

#[test]
fn of_several_unreadable_labels_the_first_says_why() {
    let mut sent = Sent::unsigned();
    sent.set(
        "signature-input",
        "a=(\"x\");keyid=\"p\", b=(\"@status\");keyid=\"p\"",
    );
    sent.set("signature", "b=:AA==:, a=:AA==:");
    assert_eq!(sent.code(), "absent-component");
}

#[test]
fn a_cavage_field_that_cannot_be_read_is_refused_as_malformed() {
    let many: String = (0..33).map(|number| format!("x{number} ")).collect();
    for field in [
        "keyId",
        "=\"a\"",
        "keyId=\"a",
        "keyId=\"a\" headers=\"date\"",
        "keyId=\"a\",",
        "keyId=\"a\",keyId=\"b\",signature=\"AA==\",headers=\"date\"",
        "keyId=\"a\\\",signature=\"AA==\",headers=\"date\"",
        "keyId=\"a\",signature=\"!\",headers=\"date\"",
        "keyId=\"a\",signature=\"\",headers=\"date\"",
        "keyId=\"a\",signature=\"AA==\",headers=\"\"",
        "keyId=\"a\",signature=\"AA==\",headers=\"date date\"",
        "keyId=\"a\",signature=\"AA==\",headers=\"d@te\"",
        &format!("keyId=\"a\",signature=\"AA==\",headers=\"{many}\""),
        &format!(
            "keyId=\"a\",signature=\"{}\",headers=\"date\"",
            "A".repeat(9_000)
        ),
        &(0..17)
            .map(|number| format!("a{number}=1,"))
            .collect::<String>(),
    ] {
        let mut sent = Sent::unsigned();
        sent.set("signature", field);
        assert_eq!(sent.code(), "malformed-signature", "{field}");
    }
    for (field, parameter) in [
        ("keyId=\"a\"", "signature"),
        ("", "signature"),
        ("signature=\"AA==\",headers=\"date\"", "keyid"),
    ] {
        let mut sent = Sent::unsigned();
        sent.set("signature", field);
        assert_eq!(
            sent.received(),
            Err(HttpSigError::MissingParameter { parameter }),
            "{field}"
        );
    }
    // Draft-cavage-12, 2.3: with rsa-sha256 there is no (created).
    let sent = Sent::cavage("(created)", ",algorithm=\"rsa-sha256\",created=1");
    assert_eq!(sent.code(), "absent-component");
}

#[test]
fn digests_are_checked_by_every_algorithm_that_we_know() {
    let sha256 = content_digest(b"hello");
    let sha512 = "sha-512=:m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==:";
    assert_eq!(
        sha256,
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
    );
    for good in [
        sha256.clone(),
        sha512.to_owned(),
        format!("{sha512}, {sha256}"),
        format!("md5=:AA==:, {sha256}"),
    ] {
        assert_eq!(check_content_digest(&good, b"hello"), Ok(()), "{good}");
        let other = check_content_digest(&good, b"hellp");
        assert_eq!(other, Err(HttpSigError::DigestMismatch), "{good}");
    }
    let wrong = format!("{sha512}, sha-256=:AA==:");
    assert_eq!(
        check_content_digest(&wrong, b"hello"),
        Err(HttpSigError::DigestMismatch)
    );
    for unknown in ["", "md5=:AA==:"] {
        let refused = check_content_digest(unknown, b"hello");
        assert_eq!(refused, Err(HttpSigError::UnsupportedDigest), "{unknown}");
    }
    for bad in [
        "sha-256",
        "sha-256=\"x\"",
        "sha-256=:!:",
        "=",
        &"a".repeat(9_000),
    ] {
        let code = check_content_digest(bad, b"hello").unwrap_err().code();
        assert_eq!(code, "malformed-signature", "{bad}");
    }
}

#[test]
fn old_digests_are_checked_by_every_algorithm_that_we_know() {
    let sha256 = cavage::digest(b"hello");
    assert_eq!(
        sha256,
        "SHA-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
    );
    for good in [
        sha256.clone(),
        sha256.replace("SHA", "sha"),
        format!("UNIXsum=1, {sha256}"),
    ] {
        assert_eq!(cavage::check_digest(&good, b"hello"), Ok(()), "{good}");
        let other = cavage::check_digest(&good, b"hellp");
        assert_eq!(other, Err(HttpSigError::DigestMismatch), "{good}");
    }
    let both = format!("{sha256},SHA-512=AA==");
    assert_eq!(
        cavage::check_digest(&both, b"hello"),
        Err(HttpSigError::DigestMismatch)
    );
    assert_eq!(
        cavage::check_digest("MD5=AA==", b""),
        Err(HttpSigError::UnsupportedDigest)
    );
    for bad in ["", "SHA-256", "SHA-256=!", &"a".repeat(9_000)] {
        let code = cavage::check_digest(bad, b"hello").unwrap_err().code();
        assert_eq!(code, "malformed-signature", "{bad}");
    }
}

#[test]
fn a_digest_that_is_covered_must_be_one_that_we_can_check() {
    let mut sent = Sent::unsigned();
    sent.set("content-digest", "md5=:AA==:");
    let options = SigningOptions::new(KEY_ID, at(NOW));
    let headers = sent.with_parts(|request| {
        sign_ed25519(request, &DELIVERY_COMPONENTS, &options, &secret()).unwrap()
    });
    sent.set("signature-input", &headers.signature_input.unwrap());
    sent.set("signature", &headers.signature);
    assert_eq!(sent.code(), "unsupported-digest");
}

#[test]
fn fields_are_trimmed_unfolded_and_joined_as_rfc_9421_section_2_1_says() {
    let headers: [(&str, &[u8]); 8] = [
        ("x-ows", b"  Leading and trailing whitespace.   \t"),
        ("x-obs-fold", b"Obsolete\r\n    line folding."),
        ("cache-control", b"max-age=60"),
        ("Cache-Control", b"    must-revalidate"),
        ("x-empty", b""),
        ("x-dict", b"a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ("x-break", b"a\nb"),
        ("x-latin", b"\xe9"),
    ];
    let request = RequestParts::new("GET", "https://a.example", &headers).unwrap();
    let field = |name: &str| request.field(name).map(Option::unwrap);
    assert_eq!(field("x-ows").unwrap(), "Leading and trailing whitespace.");
    assert_eq!(field("x-obs-fold").unwrap(), "Obsolete line folding.");
    assert_eq!(
        field("cache-control").unwrap(),
        "max-age=60, must-revalidate"
    );
    assert_eq!(field("x-empty").unwrap(), "");
    assert_eq!(
        field("x-dict").unwrap(),
        "a=1,    b=2;x=1;y=2,   c=(a   b   c)"
    );
    assert_eq!(field("x-break").unwrap_err().code(), "malformed-signature");
    assert_eq!(field("x-latin").unwrap_err().code(), "malformed-signature");
    assert_eq!(request.field("x-other"), Ok(None));
}

#[test]
fn derived_components_are_those_of_rfc_9421_section_2_2() {
    let value = |target: &str, name: &str| {
        let request = RequestParts::new("GET", target, &[]).unwrap();
        request
            .component(name, &super::Parameters::default())
            .unwrap()
    };
    let target = "https://www.example.com/path?param=value";
    assert_eq!(value(target, "@target-uri"), target);
    assert_eq!(value(target, "@authority"), "www.example.com");
    assert_eq!(value(target, "@scheme"), "https");
    assert_eq!(value(target, "@request-target"), "/path?param=value");
    assert_eq!(value(target, "@path"), "/path");
    assert_eq!(value(target, "@query"), "?param=value");
    assert_eq!(value("http://Example.com:80", "@path"), "/");
    assert_eq!(value("http://Example.com:80?", "@authority"), "example.com");
    assert_eq!(
        value("https://example.com:8443?queryString", "@query"),
        "?queryString"
    );
    assert_eq!(
        value("https://example.com:8443/", "@authority"),
        "example.com:8443"
    );
    assert_eq!(value("https://example.com/", "@query"), "?");
}

#[test]
fn query_parameters_are_encoded_as_rfc_9421_section_2_2_8_says() {
    let target = "https://www.example.com/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&qux=&a=1&a=2&%";
    let request = RequestParts::new("GET", target, &[]).unwrap();
    for (name, value) in [
        ("var", "this%20is%20a%20big%0Amultiline%20value"),
        ("bar", "with%20plus%20whitespace"),
        ("fa%C3%A7ade%22%3A%20", "something"),
        ("qux", ""),
        ("%25", ""),
    ] {
        assert_eq!(
            request.query_parameter(name).as_deref(),
            Ok(value),
            "{name}"
        );
    }
    assert_eq!(
        request.query_parameter("a").unwrap_err().code(),
        "malformed-signature"
    );
    assert_eq!(
        request.query_parameter("b").unwrap_err().code(),
        "absent-component"
    );
}

#[test]
fn a_request_that_is_none_is_refused_before_anything_is_read() {
    let refused = |method: &str, target: &str| RequestParts::new(method, target, &[]).is_err();
    assert!(refused("", INBOX) && refused("PO ST", INBOX) && refused("GET\n", INBOX));
    for target in [
        "",
        "/inbox",
        "ftp://a.example/",
        "https://u@a.example/",
        "https://a.example/#f",
    ] {
        assert!(refused("GET", target), "{target}");
    }
    assert!(refused("GET", "https://a.example/ b") && refused("GET", "https://a.example/\u{e9}"));
}

#[test]
fn what_cannot_be_written_is_not_signed() {
    let sent = Sent::unsigned();
    let prepare = |components: &[&str], options: &SigningOptions<'_>| {
        sent.with_parts(|request| Unsigned::new(request, components, options).map(|_| ()))
            .map_err(|error| error.code())
    };
    let good = SigningOptions::new(KEY_ID, at(NOW));
    assert_eq!(prepare(&DELIVERY_COMPONENTS, &good), Ok(()));
    assert_eq!(prepare(&["x-none"], &good), Err("absent-component"));
    assert_eq!(prepare(&["@status"], &good), Err("unsupported-component"));
    for label in ["", "1a", "A", "a b", "\u{e9}"] {
        let options = SigningOptions {
            label,
            ..good.clone()
        };
        assert_eq!(
            prepare(&[], &options),
            Err("malformed-signature"),
            "{label}"
        );
    }
    let bad = SigningOptions {
        key_id: "https://\u{e9}.example/",
        ..good.clone()
    };
    assert_eq!(prepare(&[], &bad), Err("malformed-signature"));
    let bad = SigningOptions {
        nonce: Some("a\nb"),
        ..good.clone()
    };
    assert_eq!(prepare(&[], &bad), Err("malformed-signature"));
    let cavage = |headers: &[&str], key_id: &str| {
        sent.with_parts(|request| cavage::prepare(request, headers, key_id).is_ok())
    };
    assert!(cavage(&cavage::DELIVERY_HEADERS, KEY_ID) && cavage(&cavage::FETCH_HEADERS, KEY_ID));
    assert!(!cavage(&["(created)"], KEY_ID) && !cavage(&["x-none"], KEY_ID));
    assert!(!cavage(&[], KEY_ID) && !cavage(&["date"], "a\"b") && !cavage(&["date"], "a\nb"));
}

#[test]
fn a_cavage_signature_that_we_prepare_reads_back() {
    let mut sent = Sent::unsigned();
    let unsigned = sent
        .with_parts(|request| cavage::prepare(request, &cavage::DELIVERY_HEADERS, KEY_ID))
        .unwrap();
    let base = unsigned.base().to_vec();
    let headers = unsigned.finish(&[5; 256]);
    assert_eq!(headers.signature_input, None);
    sent.set("signature", &headers.signature);
    let signature = sent.read().unwrap();
    assert_eq!(
        (signature.base(), signature.signature()),
        (&base[..], &[5; 256][..])
    );
    assert_eq!(
        signature.algorithm_for(KeyKind::Rsa),
        Ok(Algorithm::RsaV15Sha256)
    );
    assert_eq!(signature.dialect(), Dialect::Cavage12);
    assert_eq!(signature.check_policy(BODY, at(NOW)), Ok(()));
}

#[test]
fn dates_of_http_read_back_as_the_same_moment() {
    let moment = cavage::read_http_date("Sun, 05 Jan 2014 21:31:40 GMT").unwrap();
    assert_eq!(moment.unix_seconds(), 1_388_957_500);
    for day in 0..800 {
        let moment = at(NOW + day * 86_399);
        assert_eq!(
            cavage::read_http_date(&cavage::write_http_date(moment)),
            Some(moment)
        );
    }
    for seconds in [i64::MIN, -62_167_219_201, i64::MAX] {
        let _ = cavage::write_http_date(at(seconds));
    }
}

/// Text that gets further into the parsers than noise does.
fn nearly_a_field() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "sig1=",
        "(",
        ")",
        "\"@method\"",
        "\"@query-param\";name=\"x\"",
        "\"date\"",
        ";created=",
        ";expires=",
        ";keyid=",
        ";alg=\"ed25519\"",
        "1800000000",
        ":AAAA:",
        "\"",
        "\\",
        ", ",
        " ",
        ";",
        "=",
        "?1",
        "-",
        "keyId=\"k\"",
        "headers=\"date (created)\"",
        "signature=\"AAAA\"",
        ",",
        "created=1",
        "sha-256=:",
        "SHA-256=AAAA",
        "%",
        "\u{e9}",
        "\0",
        "\r\n ",
        "999999999999999",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn any_field() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![nearly_a_field(), prop::collection::vec(any::<u8>(), 0..120)]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        input in any_field(),
        signature in any_field(),
        digest in any_field(),
        date in any_field(),
        rfc in any::<bool>(),
        now in any::<i64>(),
        body in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("signature", &signature), ("content-digest", &digest), ("digest", &digest),
            ("date", &date), ("host", &date),
        ];
        if rfc {
            headers.push(("signature-input", &input));
        }
        let request = RequestParts::new("POST", INBOX, &headers).unwrap();
        for signature in read(&request).unwrap_or_default() {
            let _ = signature.check_policy(&body, at(now));
            let _ = signature.key_url(&["127.0.0.1:8101"]);
            let _ = verify_ed25519(&signature, &secret().public());
        }
        let text = String::from_utf8_lossy(&digest);
        let _ = check_content_digest(&text, &body);
        let _ = cavage::check_digest(&text, &body);
        let _ = cavage::read_http_date(&text);
    }

    #[test]
    fn no_address_makes_it_panic(method in "\\PC{0,8}", target in "(https?://)?\\PC{0,40}") {
        if let Ok(request) = RequestParts::new(&method, &target, &[]) {
            let options = SigningOptions::new(KEY_ID, at(NOW));
            let signed = sign_ed25519(&request, &FETCH_COMPONENTS, &options, &secret());
            prop_assert!(signed.is_ok());
        }
    }

    #[test]
    fn whatever_is_signed_is_taken_and_one_changed_header_byte_is_not(
        nonce in "[ -~]{0,30}",
        value in "[!-~]([ -~]{0,20}[!-~])?",
        position in any::<prop::sample::Index>(),
    ) {
        let key = secret();
        let headers: [(&str, &[u8]); 1] = [("x-any", value.as_bytes())];
        let request = RequestParts::new("GET", INBOX, &headers).unwrap();
        let nonce = Some(nonce.as_str());
        let options = SigningOptions { nonce, ..SigningOptions::new(KEY_ID, at(NOW)) };
        let components = ["@method", "@target-uri", "x-any"];
        let signed = sign_ed25519(&request, &components, &options, &key).unwrap();
        let input = signed.signature_input.unwrap();
        let verdict = |value: &[u8]| {
            let headers: [(&str, &[u8]); 3] = [
                ("x-any", value),
                ("signature-input", input.as_bytes()),
                ("signature", signed.signature.as_bytes()),
            ];
            let request = RequestParts::new("GET", INBOX, &headers).unwrap();
            let signature = read(&request).unwrap().remove(0);
            signature.check_policy(&[], at(NOW)).and(verify_ed25519(&signature, &key.public()))
        };
        prop_assert_eq!(verdict(value.as_bytes()), Ok(()));
        let mut changed = value.clone().into_bytes();
        let position = position.index(changed.len());
        changed[position] = if changed[position] == b'~' { b'!' } else { changed[position] + 1 };
        prop_assert_eq!(verdict(&changed), Err(HttpSigError::BadSignature));
    }
}
