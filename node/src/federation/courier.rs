//! Signed requests to other servers (docs/protocol.md, 5): what is sent to inboxes, and the documents
//! that are only shown to those who say who asks.
//!
//! Most of the fediverse verifies RSA only, and many servers know only the older of the two ways to
//! sign a request. Which one a host takes shows when it refuses the other, and is remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::activity::{ACCEPT, MEDIA_TYPE};
use protocol::httpsig::{
    Algorithm, DELIVERY_COMPONENTS, Dialect, HttpSigError, RequestParts, SigningOptions, Unsigned,
    cavage, content_digest,
};
use url::Url;

use super::actors::origin;
use super::client::{Answer, Client, Document, FetchError};
use crate::clock::SharedClock;
use crate::keychain::{KeychainError, random_name};
use crate::rsa::{RsaError, RsaKey};
use crate::store::{Store, StoreError};

const TABLE: &str = "dialects";

/// Most hosts of which it is remembered how they want to be spoken to. Others are tried each time.
const HOSTS_MAX: usize = 10_000;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// Nobody is there.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The request cannot be signed.
    #[error("it cannot be signed: {0}")]
    Unsigned(String),
    /// Our disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<HttpSigError> for CourierError {
    fn from(error: HttpSigError) -> Self {
        Self::Unsigned(error.to_string())
    }
}

impl From<RsaError> for CourierError {
    fn from(error: RsaError) -> Self {
        Self::Unsigned(error.to_string())
    }
}

impl From<KeychainError> for CourierError {
    fn from(error: KeychainError) -> Self {
        Self::Unsigned(error.to_string())
    }
}

/// Whose signature stands on a request.
#[derive(Debug, Clone)]
pub struct HttpSigner {
    /// The key's id: that of one of our actors, and `#main-key`.
    pub key_id: String,
    /// The key.
    pub key: RsaKey,
}

/// Sends signed requests. Clones share what is remembered.
#[derive(Clone)]
pub struct Courier(Arc<Inner>);

struct Inner {
    client: Client,
    own: HttpSigner,
    store: Arc<Store>,
    clock: SharedClock,
    dialects: Mutex<BTreeMap<String, Dialect>>,
}

impl Courier {
    /// A courier that asks as `own`, the node itself, where nobody else is named.
    ///
    /// # Errors
    /// A disk fault.
    pub fn open(
        client: Client,
        own: HttpSigner,
        store: Arc<Store>,
        clock: SharedClock,
    ) -> Result<Self, StoreError> {
        let rows = store.all_named(TABLE)?.into_iter();
        let dialects = rows.filter_map(|(host, row)| Some((host, read_dialect(&row)?)));
        Ok(Self(Arc::new(Inner {
            dialects: Mutex::new(dialects.collect()),
            client,
            own,
            store,
            clock,
        })))
    }

    /// Sends an activity to an inbox: first as the host took it last or else by RFC 9421, and if it
    /// refuses that with 400, 401 or 403, in the other way.
    ///
    /// # Errors
    /// [`CourierError`]; an answer, whatever it says, is no error.
    pub async fn post(
        &self,
        by: &HttpSigner,
        inbox: &str,
        body: &[u8],
    ) -> Result<Answer, CourierError> {
        let inbox = Url::parse(inbox)
            .map_err(|error| CourierError::Unsigned(error.to_string()))?
            .to_string();
        let host = origin(&inbox).unwrap_or_default();
        let remembered = self.remembered(&host);
        let first = remembered.unwrap_or(Dialect::Rfc9421);
        let answer = self.knock(by, &inbox, body, first).await?;
        if answer.is_success() && remembered.is_none() {
            self.remember(host, first).await?;
            return Ok(answer);
        }
        // Who does not deal with this node says so however it is spoken to.
        if !matches!(answer.status, 400 | 401 | 403) || answer.turned_away().is_some() {
            return Ok(answer);
        }
        let second = match first {
            Dialect::Rfc9421 => Dialect::Cavage12,
            Dialect::Cavage12 => Dialect::Rfc9421,
        };
        let again = self.knock(by, &inbox, body, second).await?;
        if again.is_success() {
            self.remember(host, second).await?;
        }
        Ok(again)
    }

    async fn knock(
        &self,
        by: &HttpSigner,
        inbox: &str,
        body: &[u8],
        dialect: Dialect,
    ) -> Result<Answer, CourierError> {
        let mut headers = match dialect {
            Dialect::Rfc9421 => self.by_rfc9421(by, inbox, body)?,
            Dialect::Cavage12 => self.by_cavage(by, "POST", inbox, Some(body))?,
        };
        headers.push(("content-type", MEDIA_TYPE.to_owned()));
        Ok(self.0.client.post(inbox, &headers, body.to_vec()).await?)
    }

    /// Gets an ActivityStreams document; if it is only shown to those who say who they are, as the
    /// node. That is said in the older way, which all servers that ask for it know.
    ///
    /// # Errors
    /// [`CourierError`].
    pub async fn document(&self, address: &str) -> Result<Document, CourierError> {
        let shown = self.0.client.document(address, ACCEPT).await;
        let is_for_the_known = matches!(
            shown,
            Err(FetchError::Status {
                status: 401 | 403,
                ..
            })
        );
        if !is_for_the_known {
            return Ok(shown?);
        }
        let address = Url::parse(address)
            .map_err(|error| CourierError::Unsigned(error.to_string()))?
            .to_string();
        let mut headers = self.by_cavage(&self.0.own, "GET", &address, None)?;
        headers.push(("accept", ACCEPT.to_owned()));
        Ok(self.0.client.get_signed(&address, &headers).await?)
    }

    fn by_rfc9421(
        &self,
        by: &HttpSigner,
        inbox: &str,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>, CourierError> {
        let digest = content_digest(body);
        let covered = [("content-digest", digest.as_bytes())];
        let request = RequestParts::new("POST", inbox, &covered)?;
        // Two requests of one second are two: without a name of its own, the second looks like a copy.
        let nonce = random_name()?;
        let mut options = SigningOptions::new(&by.key_id, self.0.clock.now());
        options.nonce = Some(&nonce);
        options.algorithm = Some(Algorithm::RsaV15Sha256);
        let unsigned = Unsigned::new(&request, &DELIVERY_COMPONENTS, &options)?;
        let signature = by.key.sign(unsigned.base())?;
        let signed = unsigned.finish(&signature);
        Ok(vec![
            ("content-digest", digest),
            (
                "signature-input",
                signed.signature_input.unwrap_or_default(),
            ),
            ("signature", signed.signature),
        ])
    }

    fn by_cavage(
        &self,
        by: &HttpSigner,
        method: &str,
        address: &str,
        body: Option<&[u8]>,
    ) -> Result<Vec<(&'static str, String)>, CourierError> {
        let url = Url::parse(address).map_err(|error| CourierError::Unsigned(error.to_string()))?;
        let mut headers = vec![
            ("host", url.authority().to_owned()),
            ("date", cavage::write_http_date(self.0.clock.now())),
        ];
        headers.extend(body.map(|body| ("digest", cavage::digest(body))));
        let covered: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let request = RequestParts::new(method, address, &covered)?;
        let names: &[&str] = match body {
            Some(_) => &cavage::DELIVERY_HEADERS,
            None => &cavage::FETCH_HEADERS,
        };
        let unsigned = cavage::prepare(&request, names, &by.key_id)?;
        let signature = by.key.sign(unsigned.base())?;
        headers.push(("signature", unsigned.finish(&signature).signature));
        Ok(headers)
    }

    fn remembered(&self, host: &str) -> Option<Dialect> {
        self.dialects().get(host).copied()
    }

    async fn remember(&self, host: String, dialect: Dialect) -> Result<(), StoreError> {
        {
            let mut dialects = self.dialects();
            if dialects.len() >= HOSTS_MAX && !dialects.contains_key(&host) {
                return Ok(());
            }
            if dialects.insert(host.clone(), dialect) == Some(dialect) {
                return Ok(());
            }
        }
        let row = Some(write_dialect(dialect).to_vec());
        self.0.store.put_named(TABLE, &host, row).await
    }

    fn dialects(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Dialect>> {
        self.0
            .dialects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_dialect(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::Rfc9421 => b"rfc9421",
        Dialect::Cavage12 => b"cavage-12",
    }
}

/// A row that does not read is a host of which nothing is known.
fn read_dialect(row: &[u8]) -> Option<Dialect> {
    [Dialect::Rfc9421, Dialect::Cavage12]
        .into_iter()
        .find(|dialect| write_dialect(*dialect) == row)
}
