//! Licences that are named by an address, as SPDX names them.

/// `https://creativecommons.org/licenses/by-sa/4.0/deed.fr` as `CC-BY-SA-4.0`; what is not known stays
/// as it is.
pub(super) fn spdx(text: &str) -> String {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let path = |host: &str| {
        let (_, rest) = lower.split_once(host)?;
        Some(
            rest.split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    if let Some(parts) = path("creativecommons.org/licenses/")
        && let [kind, version, ..] = parts.as_slice()
    {
        return format!("CC-{}-{version}", kind.to_ascii_uppercase());
    }
    if lower.contains("creativecommons.org/publicdomain/zero/1.0") {
        return "CC0-1.0".to_owned();
    }
    if let Some(parts) = path("spdx.org/licenses/").or_else(|| path("opensource.org/licenses/"))
        && let Some(name) = parts.first()
    {
        // The letters as they were written.
        let at = lower.rfind(name.as_str()).unwrap_or_default();
        let name = text.get(at..at + name.len()).unwrap_or(text);
        return name.trim_end_matches(".html").to_owned();
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::spdx;

    #[test]
    fn addresses_of_licences_become_their_spdx_names() {
        for (address, name) in [
            ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
            (
                "http://creativecommons.org/licenses/by-nc-sa/3.0/deed.de",
                "CC-BY-NC-SA-3.0",
            ),
            (
                "https://creativecommons.org/publicdomain/zero/1.0/",
                "CC0-1.0",
            ),
            ("https://opensource.org/licenses/MIT", "MIT"),
            ("https://spdx.org/licenses/Apache-2.0.html", "Apache-2.0"),
            ("MIT", "MIT"),
            ("ask us", "ask us"),
        ] {
            assert_eq!(spdx(address), name);
        }
    }
}
