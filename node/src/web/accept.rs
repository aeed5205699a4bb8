//! Whether whoever asks can read JSON (RFC 9110, 12.5.1).

use http::{HeaderMap, StatusCode, header};

use super::problem::Problem;

/// Refuses with 406 whoever names formats of which none is JSON; who names none reads anything.
pub(super) fn json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|range| String::from_utf8_lossy(range).to_ascii_lowercase())
        .peekable();
    if ranges.peek().is_none() || ranges.any(|range| is_json(&range)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "this is JSON only: send Accept: application/json, or no Accept at all",
    ))
}

fn is_json(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let is_unwanted = parts.any(|part| {
        let weight = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        weight == Some(0.0)
    });
    let is_json = match kind.strip_prefix("application/") {
        Some(subtype) => matches!(subtype, "*" | "json") || subtype.ends_with("+json"),
        None => kind == "*/*",
    };
    is_json && !is_unwanted
}
