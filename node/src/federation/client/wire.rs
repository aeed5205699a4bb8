//! A network without sockets: whoever has it in memory answers, and all that reads an answer is the same.

use url::Url;

use super::error::FetchError;

/// Answers streams in the place of other machines.
pub trait Wire: Send + Sync + 'static {
    /// What is answered at `url`; `body` is what was posted there, if anything was.
    ///
    /// # Errors
    /// Why nobody answers.
    fn answer(&self, url: &Url, body: Option<&[u8]>)
    -> Result<http::Response<Vec<u8>>, FetchError>;
}

/// How a request gets to the other side.
pub(super) enum Way<'w> {
    Sockets(&'w reqwest::Client),
    Wire(&'w dyn Wire),
}
