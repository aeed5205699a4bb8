//! Web addresses.

use serde_json::Value;

use super::super::report::shown;
use super::{Fault, Reader};

/// How names of files end that people put where an address should stand.
const FILES: [&str; 10] = [
    ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".doc", ".docx", ".xlsx", ".pptx",
];

impl Reader<'_> {
    pub(super) fn url(&mut self, text: &str) -> Result<Value, Fault> {
        const RIGHT: &str = "write an address that begins with https:// or http://";
        let text = text.trim_matches(['<', '>', ' ']);
        let lower = text.to_ascii_lowercase();
        let address = if let Some(rest) = ["https://", "http://"]
            .iter()
            .find(|scheme| lower.starts_with(**scheme))
        {
            let (scheme, rest) = text.split_at_checked(rest.len()).unwrap_or_default();
            format!("{}{rest}", scheme.to_ascii_lowercase())
        } else if lower.starts_with("www.") && !text.contains(char::is_whitespace) {
            self.note("addresses that begin with www. were given https:// before it");
            format!("https://{text}")
        } else {
            let host = text.split('/').next().unwrap_or_default();
            let is_host = host.contains('.')
                && host.split('.').all(|part| !part.is_empty())
                && host
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "-.".contains(letter));
            // A file on somebody's desk looks like a host, too.
            let is_file = FILES.iter().any(|end| lower.ends_with(end)) && !text.contains('/');
            let suggestion = if is_host && !is_file {
                format!("perhaps https://{}", shown(text))
            } else {
                RIGHT.to_owned()
            };
            return Err(Fault::new(text, "is no web address", suggestion));
        };
        let lower = address.to_ascii_lowercase();
        let second = lower.get(8..).is_some_and(|rest| {
            rest.split(char::is_whitespace)
                .skip(1)
                .any(|word| word.contains("://"))
        });
        if second {
            return Err(Fault::new(
                text,
                "holds more than one web address",
                "keep the one that people should open",
            ));
        }
        let rest = address
            .split_once("://")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(Fault::new(text, "is no web address", RIGHT));
        }
        if !address.contains(char::is_whitespace) {
            return Ok(address.into());
        }
        self.note("spaces within addresses became %20");
        Ok(address
            .split_whitespace()
            .collect::<Vec<_>>()
            .join("%20")
            .into())
    }
}
