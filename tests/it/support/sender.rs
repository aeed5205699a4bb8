//! An honest actor on this machine, whose requests a test may spoil before they are sent.

use protocol::httpsig::{
    DELIVERY_COMPONENTS, RequestParts, SigningOptions, content_digest, sign_ed25519,
};
use protocol::key::SecretKey;
use serde_json::json;

use super::client::{Answer, request};
use super::hostile::{Hostile, answer, hold};
use super::{chance, now};

const KIND: &str = "application/activity+json";

/// An actor with a home, and the node that it writes to.
pub(crate) struct Sender {
    to: String,
    key: SecretKey,
    home: Hostile,
}

/// A request that is signed and not sent yet.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Signed {
    pub(crate) fn set(mut self, name: &'static str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        &found.unwrap().1
    }

    pub(crate) fn send(&self, url: &str) -> Answer {
        let headers = self.headers.iter();
        let headers: Vec<(&str, &str)> = headers.map(|(n, v)| (*n, v.as_str())).collect();
        request(url, "POST", "/inbox", &headers, &self.body)
    }
}

impl Sender {
    /// Its document is served at a port, which `to` must be allowed to ask.
    pub(crate) fn start_on(port: u16, to: &str) -> Self {
        let key = SecretKey::from_seed(&chance());
        let public = key.public();
        let id = format!("http://127.0.0.1:{port}/actor");
        let document = json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": id, "type": "Application", "inbox": format!("http://127.0.0.1:{port}/inbox"),
            "assertionMethod": [protocol::activity::multikey(&id, &public)],
        });
        let home = Hostile::start_on(port, move |first, stream| {
            if first.starts_with("GET /actor ") {
                answer(stream, "200 OK", KIND, document.to_string().as_bytes());
            } else {
                hold(stream);
            }
        });
        Self {
            to: to.to_owned(),
            key,
            home,
        }
    }

    /// How often its home was asked for anything.
    pub(crate) fn times_asked(&self) -> usize {
        self.home.requests().len()
    }

    fn actor(&self) -> String {
        format!("{}/actor", self.home.url)
    }

    pub(crate) fn key_id(&self) -> String {
        protocol::activity::key_id(&self.actor(), &self.key.public())
    }

    /// Something that is taken and has no effect, new each time.
    fn body(&self) -> Vec<u8> {
        let name: String = chance().iter().map(|byte| format!("{byte:02x}")).collect();
        let activity = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "type": "Like",
            "id": format!("{}#{name}", self.actor()), "actor": self.actor(),
            "object": format!("{}/actor", self.to),
        });
        activity.to_string().into_bytes()
    }

    pub(crate) fn signed_by(&self, key_id: &str, components: &[&str], seconds: i64) -> Signed {
        let options = SigningOptions::new(key_id, now().plus_seconds(seconds));
        self.signed_with(components, &options)
    }

    pub(crate) fn signed_with(&self, components: &[&str], options: &SigningOptions<'_>) -> Signed {
        let body = self.body();
        let digest = content_digest(&body);
        let covered = [("content-digest", digest.as_bytes())];
        let target = format!("{}/inbox", self.to);
        let parts = RequestParts::new("POST", &target, &covered).unwrap();
        let signed = sign_ed25519(&parts, components, options, &self.key).unwrap();
        Signed {
            headers: vec![
                ("content-type", KIND.to_owned()),
                ("content-digest", digest),
                ("signature-input", signed.signature_input.unwrap()),
                ("signature", signed.signature),
            ],
            body,
        }
    }

    pub(crate) fn signed(&self) -> Signed {
        self.signed_by(&self.key_id(), &DELIVERY_COMPONENTS, 0)
    }
}
