//! Pages for people.

use axum::Router;
use http::HeaderMap;

use super::App;
use crate::node::Node;
use crate::search::Facet;

pub(super) fn routes() -> Router<App> {
    Router::new()
}

pub(crate) fn accepted_languages(_headers: &HeaderMap) -> Vec<String> {
    vec!["en".to_owned()]
}

pub(crate) fn page_language(_app: &App, _headers: &HeaderMap) -> &'static str {
    "en"
}

pub(crate) fn label(node: &Node, facet: Facet, code: &str, language: &str) -> String {
    node.labels
        .of(facet.name(), code, language)
        .unwrap_or(code)
        .to_owned()
}
