//! Pages for people: HTML that works without script, small enough for a poor line.
//!
//! The address alone decides what a page says: its first part is the language of the interface, and
//! only `/` looks at what the visitor's browser asks for. What strangers wrote is escaped by the
//! templates, isolated in direction, and marked where it is in another language than the page
//! (`pages/text.rs`). A page reads the store and the index, and changes nothing.

mod fact;
mod home;
mod network;
mod organization;
mod record;
mod results;
#[cfg(test)]
mod tests;
mod text;
mod trust;
mod words;

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use protocol::codes::{geography, language_tag};
use protocol::id::Scid;
use sha2::{Digest as _, Sha256};

use super::App;
use super::problem::Problem;
use super::sync::blocking;
use crate::node::Node;
use crate::places;
use crate::search::{Facet, GLOBAL};
use text::Said;
use words::Words;

const STYLE: &str = include_str!("../../assets/baraza.css");

/// Tells this style sheet from every other, so that browsers may keep it for good.
static STYLE_HASH: LazyLock<String> = LazyLock::new(|| digest(STYLE.as_bytes()));

/// Longest `Accept-Language` that is read, and most languages of it.
const ACCEPTED_BYTES_MAX: usize = 512;
const ACCEPTED_MAX: usize = 16;

/// The routes of the pages, one set for each language of the interface.
pub(super) fn routes() -> Router<App> {
    let mut router = Router::new()
        .route("/", get(front))
        .route("/assets/baraza.css", get(style));
    for words in Words::all() {
        let at = |path: &str| format!("/{}{path}", words.code());
        let pages = Router::new()
            .route(&at("/"), get(home))
            .route(&at("/search"), get(search))
            .route(&at("/o/{scid}/{local}"), get(record))
            .route(&at("/o/{scid}/{local}/signed"), get(signed))
            .route(&at("/org/{scid}"), get(organization))
            .route(&at("/nodes"), get(nodes))
            .route(&at("/offer"), get(offer))
            .route(&at("/{*rest}"), get(unknown))
            .layer(Extension(words));
        let home = at("/");
        router = router
            .merge(pages)
            .route(&at(""), get(async move || Redirect::permanent(&home)));
    }
    router
}

/// What every page has.
struct Page {
    words: &'static Words,
    /// The node's name.
    node: Said,
    /// What stands in the window's title.
    title: String,
    /// The address below the language, for the same page in another one.
    path: String,
    /// What was searched for.
    asked: String,
    /// Whether search engines may list it.
    is_listed: bool,
}

impl Page {
    fn new(app: &Node, words: &'static Words, title: &str, path: impl Into<String>) -> Self {
        Self {
            words,
            node: Said::plain(&app.config.settings.name, words),
            title: title.to_owned(),
            path: path.into(),
            asked: String::new(),
            is_listed: true,
        }
    }

    fn unlisted(self) -> Self {
        Self {
            is_listed: false,
            ..self
        }
    }

    /// The address of another page in this language.
    fn to(&self, path: &str) -> String {
        format!("/{}{path}", self.words.code())
    }

    fn languages(&self) -> &'static [Words] {
        Words::all()
    }

    fn style(&self) -> &'static str {
        STYLE_HASH.get(..8).unwrap_or_default()
    }
}

/// A page that was written.
struct Written {
    status: StatusCode,
    html: String,
}

fn write(status: StatusCode, page: &impl Template) -> Result<Written, Problem> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page was not written");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "this page could not be written",
        )
    })?;
    Ok(Written { status, html })
}

/// A page about something that went wrong.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    page: Page,
    status: u16,
    sentence: String,
    detail: Option<String>,
}

/// Writes a page where the disk may be waited for, and shapes the answer.
async fn show(
    app: App,
    words: &'static Words,
    headers: &HeaderMap,
    work: impl FnOnce(&Node, &'static Words) -> Result<Written, Problem> + Send + 'static,
) -> Response {
    let node = Arc::clone(&app);
    let written = blocking(move || work(&node, words)).await;
    let written = written.or_else(|problem| write_problem(&app, words, &problem));
    match written {
        Ok(written) => answer(written, headers),
        Err(problem) => problem.into_response(),
    }
}

fn write_problem(app: &Node, words: &'static Words, problem: &Problem) -> Result<Written, Problem> {
    let id = match problem.status() {
        StatusCode::NOT_FOUND => "problem-not-found",
        StatusCode::SERVICE_UNAVAILABLE => "problem-unavailable",
        status if status.is_client_error() => "problem-refused",
        _ => "problem-internal",
    };
    let sentence = words.t(id).into_owned();
    let title = words.t("problem-title");
    let detail = (problem.status() != StatusCode::NOT_FOUND).then(|| problem.detail().to_owned());
    let page = Page::new(app, words, &title, "/").unlisted();
    write(
        problem.status(),
        &ProblemPage {
            page,
            status: problem.status().as_u16(),
            sentence,
            detail,
        },
    )
}

fn answer(written: Written, asked: &HeaderMap) -> Response {
    // Weak: what travels is compressed in one way or another.
    let tag = format!(
        "W/\"{}\"",
        digest(written.html.as_bytes())
            .get(..22)
            .unwrap_or_default()
    );
    let is_known = asked
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let caching = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::ETAG,
            HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("W/\"\"")),
        ),
    ];
    if is_known && written.status == StatusCode::OK {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (
        written.status,
        caching,
        [(header::CONTENT_TYPE, kind)],
        written.html,
    )
        .into_response()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

async fn front(State(app): State<App>, headers: HeaderMap) -> Response {
    let home = format!("/{}/", page_language(&app, &headers));
    let vary = (header::VARY, HeaderValue::from_static("accept-language"));
    ([vary], Redirect::to(&home)).into_response()
}

async fn style(RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let tag = format!("\"{}\"", STYLE_HASH.get(..22).unwrap_or_default());
    let is_asked_by_hash =
        query.is_some_and(|query| STYLE_HASH.starts_with(query.trim_start_matches("v=")));
    let caching = if is_asked_by_hash {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let is_known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let caching = [
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, tag),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (
        caching,
        [(header::CONTENT_TYPE, "text/css; charset=utf-8")],
        STYLE,
    )
        .into_response()
}

async fn home(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    headers: HeaderMap,
) -> Response {
    show(app, words, &headers, home::write).await
}

async fn search(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    show(app, words, &headers, move |app, words| {
        results::write(app, words, &query)
    })
    .await
}

async fn record(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    Path((scid, local)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if local == crate::catalogue::PROFILE {
        return Redirect::permanent(&format!("/{}/org/{scid}", words.code())).into_response();
    }
    let query = query.unwrap_or_default();
    show(app, words, &headers, move |app, words| {
        record::write(app, words, &scid, &local, &query)
    })
    .await
}

/// The signed bytes, under an address that a browser may follow: the API sends browsers to the page.
async fn signed(
    State(app): State<App>,
    Path((scid, local)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = super::api::record_id(&scid, &local)?;
    let bytes = blocking(move || -> Result<_, Problem> {
        let row = app
            .store
            .counting(&id)?
            .ok_or_else(|| Problem::not_found("no such record is known here"))?;
        super::api::refuse_hidden(&app, &id, &row)?;
        Ok(row.canonical()?)
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes.await?).into_response())
}

async fn organization(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    Path(scid): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    show(app, words, &headers, move |app, words| {
        organization::write(app, words, &scid, &query)
    })
    .await
}

async fn nodes(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    headers: HeaderMap,
) -> Response {
    show(app, words, &headers, network::write).await
}

async fn offer(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    headers: HeaderMap,
) -> Response {
    show(app, words, &headers, home::write_offer).await
}

async fn unknown(
    State(app): State<App>,
    Extension(words): Extension<&'static Words>,
    headers: HeaderMap,
) -> Response {
    show(app, words, &headers, |_, _| {
        Err(Problem::not_found("there is no page at this address"))
    })
    .await
}

/// The languages that a browser asks for, the most wanted first: valid tags only, at most 16.
pub(crate) fn accepted_languages(headers: &HeaderMap) -> Vec<String> {
    let asked = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|asked| asked.to_str().ok())
        .unwrap_or_default();
    let asked = asked.get(..ACCEPTED_BYTES_MAX).unwrap_or(asked);
    let mut wanted: Vec<(String, u16)> = asked
        .split(',')
        .take(ACCEPTED_MAX)
        .filter_map(accepted_language)
        .collect();
    // Stable: of equal weight, the first named comes first.
    wanted.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    wanted.into_iter().map(|(tag, _)| tag).collect()
}

/// One language range with its weight in thousandths (RFC 9110, 12.4.2); none if it is unwanted.
fn accepted_language(range: &str) -> Option<(String, u16)> {
    let (tag, parameters) = range.split_once(';').unwrap_or((range, "q=1"));
    let weight: f32 = parameters.trim().strip_prefix("q=")?.trim().parse().ok()?;
    let weight = (0.0..=1.0)
        .contains(&weight)
        .then_some((weight * 1000.0) as u16)?;
    let tag = language_tag(tag.trim())?;
    (weight > 0).then_some((tag, weight))
}

/// The language of pages for a browser: the first that it asks for and we have, else the node's, else
/// English.
pub(crate) fn page_language(app: &App, headers: &HeaderMap) -> &'static str {
    let asked = accepted_languages(headers);
    let settled = std::iter::once(app.config.settings.language.as_str());
    let words = asked
        .iter()
        .map(String::as_str)
        .chain(settled)
        .find_map(Words::of);
    words.unwrap_or_else(Words::fallback).code()
}

/// What a code of a family is called in `language`; the code itself if it has no name.
pub(crate) fn label(node: &Node, facet: Facet, code: &str, language: &str) -> String {
    let words = || Words::of(language).unwrap_or_else(Words::fallback);
    let listed = |schemes: &[&str]| {
        schemes
            .iter()
            .find_map(|scheme| node.labels.of(scheme, code, language))
    };
    let name = match facet {
        Facet::Area => listed(&["area"]),
        Facet::Topic => listed(&["topic"]),
        Facet::Audience => listed(&["audience"]),
        Facet::Level => listed(&["level"]),
        Facet::Mode => listed(&["mode"]),
        Facet::Cost => listed(&["cost"]),
        Facet::Kind => listed(&["kind", "solution-kind", "organization-kind"]),
        Facet::Type => listed(&["type"]),
        Facet::Certificate => listed(&["certificate"]),
        Facet::Country => return country_label(node, code, words()),
        Facet::Language => return places::language(code, language),
        Facet::Org => return author_name(node, code, words()),
        Facet::Sdg => return words().about("sdg", code),
        Facet::Licence => None,
    };
    name.unwrap_or(code).to_owned()
}

/// What a country, a part of one, a region or a group of countries is called.
fn country_label(node: &Node, code: &str, words: &'static Words) -> String {
    let named = |code: &str| places::country(code, words.code());
    match code {
        GLOBAL => return words.t("worldwide").into_owned(),
        "LDC" => return words.t("group-ldc").into_owned(),
        "LLDC" => return words.t("group-lldc").into_owned(),
        "SIDS" => return words.t("group-sids").into_owned(),
        _ => {}
    }
    let part = || geography::country_of_subdivision(code).and_then(|country| named(country.code()));
    match (named(code), node.labels.of("region", code, words.code())) {
        (Some(name), _) | (_, Some(name)) => name.to_owned(),
        _ => part().map_or_else(|| code.to_owned(), |country| format!("{country} ({code})")),
    }
}

fn author_name(node: &Node, scid: &str, words: &'static Words) -> String {
    let author = Scid::parse(scid)
        .ok()
        .and_then(|scid| node.catalogue.author(&scid).ok().flatten());
    author.map_or_else(|| scid.to_owned(), |author| author.name(&[words.code()]))
}
