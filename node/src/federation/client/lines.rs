//! Streams: lines as they come, from an answer that may be longer than memory.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{self, HeaderMap};
use tokio::time::{Instant, timeout};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::error::{FetchError, shown};
use super::slots::Slot;
use super::target::Target;
use super::wire::Way;
use super::{Limits, foreign_coding, is_problem, refuse_redirect, status_error};

/// Largest window of a zstd stream, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// What is decompressed at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// What to stream.
#[derive(Debug, Clone)]
pub struct StreamRequest {
    pub(super) url: String,
    accept: &'static str,
    body: Option<Vec<u8>>,
    kind: &'static str,
    wait: Duration,
    bytes_max: u64,
}

impl StreamRequest {
    /// Reads `url`, up to `bytes_max` bytes after decompression.
    pub fn get(url: impl Into<String>, bytes_max: u64) -> Self {
        Self {
            url: url.into(),
            accept: "application/x-ndjson, */*;q=0.1",
            body: None,
            kind: "application/json",
            wait: Duration::ZERO,
            bytes_max,
        }
    }

    /// Sends the JSON text `body` to `url` and reads the answer, up to `bytes_max` bytes after
    /// decompression.
    pub fn post_json(url: impl Into<String>, body: Vec<u8>, bytes_max: u64) -> Self {
        Self {
            body: Some(body),
            ..Self::get(url, bytes_max)
        }
    }

    /// Sends bytes that are no text to `url` and reads the answer, up to `bytes_max` bytes after
    /// decompression.
    pub fn post_bytes(url: impl Into<String>, body: Vec<u8>, bytes_max: u64) -> Self {
        Self {
            accept: "application/octet-stream",
            body: Some(body),
            kind: "application/octet-stream",
            ..Self::get(url, bytes_max)
        }
    }

    /// Asks for another media type than lines of JSON.
    #[must_use]
    pub fn accepting(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    /// Grants the other side this long before its first byte, as the request asked it to wait for
    /// news.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        target: &Target,
    ) -> Result<Response, reqwest::Error> {
        let mut headers = HeaderMap::new();
        let fixed = header::HeaderValue::from_static;
        headers.insert(header::ACCEPT, fixed(self.accept));
        // Between processes of one machine, packing costs more than it saves.
        let coding = if target.is_this_machine() {
            "identity"
        } else {
            "zstd"
        };
        headers.insert(header::ACCEPT_ENCODING, fixed(coding));
        let builder = match &self.body {
            None => client.get(target.url.clone()),
            Some(body) => {
                headers.insert(header::CONTENT_TYPE, fixed(self.kind));
                client.post(target.url.clone()).body(body.clone())
            }
        };
        builder.headers(headers).send().await
    }
}

/// An open stream. It keeps a place among the node's connections: drop it when it is not wanted.
///
/// It ends by itself when 30 s pass with less than 1 kB of progress. Only the time spent in
/// [`Lines::next`] counts, and only bytes on the wire: a slow line is as good as a fast one.
pub struct Lines {
    body: Body,
    line_bytes_max: usize,
    /// Where the next line begins in the body's text, and how far it was searched for an end.
    start: usize,
    searched: usize,
    end: Option<Result<(), FetchError>>,
    _slot: Slot,
}

impl Lines {
    pub(super) async fn open(
        way: Way<'_>,
        target: Target,
        request: StreamRequest,
        limits: &Limits,
        slot: Slot,
    ) -> Result<Self, FetchError> {
        let patience = limits.stall_time.saturating_add(request.wait);
        let began = Instant::now();
        let response = match way {
            Way::Wire(wire) => Response::from(wire.answer(&target.url, request.body.as_deref())?),
            Way::Sockets(client) => {
                let sent = timeout(patience, request.send(client, &target)).await;
                sent.map_err(|_| stalled(&target, limits))?
                    .map_err(|error| FetchError::from_reqwest(&target.host, &error))?
            }
        };
        refuse_redirect(&target, &response)?;

        let status = response.status();
        let body = Body {
            unpack: Unpack::of(&target, response.headers())?,
            response,
            packed: Bytes::new(),
            text: Vec::new(),
            patience: patience.saturating_sub(began.elapsed()),
            progress_bytes: None,
            budget: request.bytes_max,
            bytes_max: request.bytes_max,
            limits: limits.clone(),
            target,
        };
        if !status.is_success() {
            return Err(body.into_problem().await);
        }
        Ok(Self {
            body,
            line_bytes_max: limits.line_bytes_max,
            start: 0,
            searched: 0,
            end: None,
            _slot: slot,
        })
    }

    /// The next line without its end, or `None` after the last. Blank lines are passed over.
    ///
    /// # Errors
    /// [`FetchError::Stalled`], [`FetchError::Broken`], [`FetchError::BadAnswer`],
    /// [`FetchError::LineTooLong`], or [`FetchError::BudgetSpent`] after the last line within the
    /// budget. The stream is over then, and every further call says the same.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FetchError> {
        loop {
            let unsearched = &self.body.text[self.searched..];
            if let Some(length) = unsearched.iter().position(|&byte| byte == b'\n') {
                let line = self.take(self.searched + length);
                self.start += 1;
                self.searched = self.start;
                self.check_length(line.len())?;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            self.searched = self.body.text.len();
            self.check_length(self.searched - self.start)?;
            match &self.end {
                Some(Err(error)) => return Err(error.clone()),
                // The last line may lack its end.
                Some(Ok(())) => {
                    let line = self.take(self.body.text.len());
                    return Ok((!line.trim_ascii().is_empty()).then_some(line));
                }
                None => {}
            }
            self.body.text.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
            match self.body.more().await {
                Ok(true) => {}
                Ok(false) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }

    /// All bytes of an answer that has no lines.
    ///
    /// # Errors
    /// As [`Lines::next`].
    pub async fn rest(mut self) -> Result<Vec<u8>, FetchError> {
        while self.body.more().await? {}
        Ok(self.body.text)
    }

    /// A header of the answer, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.body.response.headers().get(name)?.to_str().ok()
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let line = self.body.text[self.start..end].to_vec();
        self.start = end;
        self.searched = end;
        line
    }

    fn check_length(&mut self, length: usize) -> Result<(), FetchError> {
        if length <= self.line_bytes_max {
            return Ok(());
        }
        let error = FetchError::LineTooLong {
            host: self.body.target.host.clone(),
            bytes_max: self.line_bytes_max,
        };
        self.body.text.clear();
        self.start = 0;
        self.searched = 0;
        self.end = Some(Err(error.clone()));
        Err(error)
    }
}

/// The bytes of an answer: counted, timed and decompressed.
struct Body {
    target: Target,
    response: Response,
    /// What came and is not yet unpacked.
    packed: Bytes,
    unpack: Unpack,
    /// What is unpacked and not yet used.
    text: Vec<u8>,
    /// How much longer to wait for the next kilobyte.
    patience: Duration,
    /// What came of that kilobyte; `None` before the first byte.
    progress_bytes: Option<usize>,
    /// How much more may be unpacked.
    budget: u64,
    bytes_max: u64,
    limits: Limits,
}

impl Body {
    /// Adds some bytes to the text, or none if what came so far makes none. False at the end.
    async fn more(&mut self) -> Result<bool, FetchError> {
        // A small answer may unpack to a large one: others want to run, too.
        tokio::task::consume_budget().await;
        if self.packed.is_empty() && !self.unpack.holds_more() {
            match self.chunk().await? {
                Some(chunk) => self.packed = chunk,
                None if self.unpack.is_complete() => return Ok(false),
                None => {
                    return Err(FetchError::Broken {
                        host: self.target.host.clone(),
                        reason: "in the middle of a compressed frame".to_owned(),
                    });
                }
            }
        }
        let before = self.text.len();
        let unpacked = self.unpack.step(&mut self.packed, &mut self.text);
        unpacked.map_err(|error| FetchError::BadAnswer {
            host: self.target.host.clone(),
            reason: shown(&error.to_string()),
        })?;
        let added = self.text.len() - before;
        if added as u64 > self.budget {
            self.text.truncate(before + self.budget as usize);
            self.budget = 0;
            return Err(FetchError::BudgetSpent {
                host: self.target.host.clone(),
                bytes_max: self.bytes_max,
            });
        }
        self.budget -= added as u64;
        Ok(true)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        let began = Instant::now();
        let chunk = timeout(self.patience, self.response.chunk()).await;
        let chunk = chunk
            .map_err(|_| stalled(&self.target, &self.limits))?
            .map_err(|error| FetchError::from_reqwest(&self.target.host, &error))?;
        self.patience = self.patience.saturating_sub(began.elapsed());
        if let Some(chunk) = &chunk
            && !chunk.is_empty()
        {
            let first = self.progress_bytes.is_none();
            let bytes = self.progress_bytes.unwrap_or(0) + chunk.len();
            if first || bytes >= self.limits.stall_bytes {
                self.patience = self.limits.stall_time;
            }
            self.progress_bytes = Some(if bytes >= self.limits.stall_bytes {
                0
            } else {
                bytes
            });
        }
        Ok(chunk)
    }

    /// Reads an answer other than success for its problem report.
    async fn into_problem(mut self) -> FetchError {
        self.budget = self.limits.problem_bytes_max as u64;
        if is_problem(self.response.headers()) {
            // What cannot be read says nothing; the status still does.
            let time = self.limits.document_time;
            let reading = async { while let Ok(true) = self.more().await {} };
            let _ = timeout(time, reading).await;
        }
        status_error(
            &self.target,
            self.response.status().as_u16(),
            self.response.headers(),
            &self.text,
        )
    }
}

fn stalled(target: &Target, limits: &Limits) -> FetchError {
    FetchError::Stalled {
        host: target.host.clone(),
        bytes_min: limits.stall_bytes,
        limit: limits.stall_time,
    }
}

/// Undoes the content coding, a piece at a time.
enum Unpack {
    Plain,
    Zstd {
        decoder: Decoder<'static>,
        /// The last piece was full, so there may be more without further input.
        holds_more: bool,
        /// Between frames.
        is_complete: bool,
    },
}

impl Unpack {
    fn of(target: &Target, headers: &HeaderMap) -> Result<Self, FetchError> {
        let bad = |reason: String| FetchError::BadAnswer {
            host: target.host.clone(),
            reason,
        };
        match foreign_coding(headers) {
            None => Ok(Self::Plain),
            Some(coding) if coding.eq_ignore_ascii_case("zstd") => {
                let decoder = Decoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                    Ok(decoder)
                });
                Ok(Self::Zstd {
                    decoder: decoder.map_err(|error| bad(shown(&error.to_string())))?,
                    holds_more: false,
                    is_complete: true,
                })
            }
            Some(coding) => Err(bad(format!(
                "it is coded as {coding}, which was not asked for"
            ))),
        }
    }

    fn holds_more(&self) -> bool {
        matches!(
            self,
            Self::Zstd {
                holds_more: true,
                ..
            }
        )
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Zstd { is_complete, .. } => *is_complete,
        }
    }

    /// Moves some of `packed` to the end of `text`, at most one piece.
    fn step(&mut self, packed: &mut Bytes, text: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Plain => {
                let piece = packed.split_to(packed.len().min(PIECE_BYTES));
                text.extend_from_slice(&piece);
            }
            Self::Zstd {
                decoder,
                holds_more,
                is_complete,
            } => {
                if packed.is_empty() && !*holds_more {
                    return Ok(());
                }
                if *is_complete {
                    decoder.reinit()?;
                }
                let before = text.len();
                text.resize(before + PIECE_BYTES, 0);
                let mut input = InBuffer::around(packed);
                let mut output = OutBuffer::around(&mut text[before..]);
                let hint = decoder.run(&mut input, &mut output);
                let (read, written) = (input.pos(), output.pos());
                text.truncate(before + written);
                let hint = hint?;
                *is_complete = hint == 0;
                *holds_more = written == PIECE_BYTES && !*is_complete;
                let _ = packed.split_to(read);
            }
        }
        Ok(())
    }
}
