//! From names to addresses, each checked before a connection can use it.
//!
//! The check sits inside the resolver that reqwest asks, so there is no second look-up between the
//! check and the connection in which a name could change its mind.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::error::{FetchError, shown};
use crate::config::is_localhost;

/// Most look-ups at a time. The system's resolver blocks a thread for as long as a hostile name
/// server likes, whatever we do with its answer.
const LOOKUPS_MAX: usize = 64;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Asks for the addresses of a name.
pub(super) trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
pub(super) struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS_MAX)))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let slots = self.0.clone();
        let name = name.to_owned();
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
            // A task of its own, so that the slot is held until the thread is free again even if
            // nobody waits for the answer any more.
            let task = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                drop(slot);
                found.map(|found| found.map(|address| address.ip()).collect())
            });
            task.await.map_err(io::Error::other)?
        })
    }
}

/// What reqwest asks: hands out only addresses that may be connected to.
#[derive(Clone)]
pub(super) struct CheckedResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    /// `None` for the peers that the operator listed, who may be anywhere.
    pub(super) is_public: Option<fn(IpAddr) -> bool>,
}

impl CheckedResolver {
    async fn addresses(self, host: String) -> Result<Vec<IpAddr>, FetchError> {
        // RFC 6761, 6.3: whatever a resolver would say.
        let addresses = if is_localhost(&host) {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
        } else {
            let found = self.lookup.lookup(&host).await;
            found.map_err(|error| FetchError::NoSuchHost {
                host: host.clone(),
                reason: shown(&error.to_string()),
            })?
        };
        if let Some(is_public) = self.is_public
            && let Some(&address) = addresses.iter().find(|address| !is_public(**address))
        {
            return Err(FetchError::PrivateAddress { host, address });
        }
        if addresses.is_empty() {
            return Err(FetchError::NoSuchHost {
                host,
                reason: "no addresses".to_owned(),
            });
        }
        Ok(addresses)
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = addresses.await?;
            // Port 0: that of the URL.
            let addresses = addresses
                .into_iter()
                .take(ADDRESSES_MAX)
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
