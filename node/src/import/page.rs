//! The JSON-LD of a web page: what stands in its scripts of that type. Nothing of the page is run, and
//! nothing else of it is read.

use super::report::ImportError;

/// Most scripts that are read; a page has one to five.
const BLOCKS_MAX: usize = 100;

/// Whether a text begins like a page.
pub(super) fn is_page(start: &[u8]) -> bool {
    start.trim_ascii_start().first() == Some(&b'<')
}

/// A page's scripts of JSON-LD, in their order, and the language that it says it is in.
pub(super) struct Page {
    pub(super) blocks: Vec<String>,
    pub(super) language: Option<String>,
}

/// # Errors
/// [`ImportError::NoStructuredData`] if there is no such script, or too many of them.
pub(super) fn read(html: &str) -> Result<Page, ImportError> {
    // Letters of ASCII keep their length, so positions hold in both.
    let lower = html.to_ascii_lowercase();
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(open) = find(&lower, "<script", at) {
        let Some(end_of_tag) = find(&lower, ">", open) else {
            break;
        };
        let Some(close) = find(&lower, "</script", end_of_tag) else {
            break;
        };
        let tag = lower.get(open..end_of_tag).unwrap_or_default();
        if is_linked_data(tag) {
            if blocks.len() == BLOCKS_MAX {
                return Err(ImportError::NoStructuredData {
                    why: "it has more than 100 scripts of JSON-LD",
                });
            }
            let block = html.get(end_of_tag + 1..close).unwrap_or_default();
            blocks.push(without_wrapping(block).to_owned());
        }
        at = close;
    }
    if blocks.is_empty() {
        return Err(ImportError::NoStructuredData {
            why: "it has no script of the type application/ld+json",
        });
    }
    let tag = find(&lower, "<html", 0).and_then(|open| {
        let end = find(&lower, ">", open)?;
        html.get(open..end)
    });
    let language = tag.and_then(|tag| attribute(tag, "lang"));
    Ok(Page {
        blocks,
        language: language.and_then(protocol::codes::language_tag),
    })
}

fn find(text: &str, wanted: &str, from: usize) -> Option<usize> {
    Some(from + text.get(from..)?.find(wanted)?)
}

fn is_linked_data(tag: &str) -> bool {
    attribute(tag, "type").is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/ld+json")
    })
}

/// The value of `name="value"`, `name='value'` or `name=value` in a tag.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    loop {
        let at = from + tag.get(from..)?.to_ascii_lowercase().find(name)?;
        from = at + name.len();
        let before = tag.get(..at)?.chars().next_back()?;
        let rest = tag.get(from..)?.trim_start();
        let Some(value) = rest
            .strip_prefix('=')
            .filter(|_| before.is_ascii_whitespace())
        else {
            continue;
        };
        let value = value.trim_start();
        return match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split(quote).next(),
            _ => value
                .split(|letter: char| letter.is_ascii_whitespace() || letter == '>')
                .next(),
        };
    }
}

/// A script without the comment or CDATA marks that old tools put around it.
fn without_wrapping(block: &str) -> &str {
    let mut text = block.trim();
    for (open, close) in [
        ("<!--", "-->"),
        ("//<![CDATA[", "//]]>"),
        ("<![CDATA[", "]]>"),
    ] {
        if let Some(inner) = text.strip_prefix(open) {
            text = inner.strip_suffix(close).unwrap_or(inner).trim();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn scripts_of_json_ld_are_found_however_their_tags_are_written() {
        let page = "<!doctype html><HTML dir=ltr lang='pt-br'><script>if (a<b) {}</script>\
            <script type=\"application/ld+json\">{\"a\": 1}</script>\
            <SCRIPT id=x Type='application/ld+json; charset=utf-8' >\n<!-- {\"b\": 2} -->\n</SCRIPT >\
            <script data-type=\"application/ld+json\" type=text/javascript>no()</script>\
            <script type=application/ld+json>{\"c\": \"<b>\"}</script><script type=\"application/ld+json\">open";
        let page = read(page).unwrap();
        assert_eq!(
            page.blocks,
            ["{\"a\": 1}", "{\"b\": 2}", "{\"c\": \"<b>\"}"]
        );
        assert_eq!(page.language.as_deref(), Some("pt-BR"));
    }

    #[test]
    fn a_page_without_any_is_refused_with_the_reason() {
        for page in [
            "<html></html>",
            "<p>application/ld+json",
            "<script type=\"application/ld+json\"",
            "<",
        ] {
            let refused = read(page).err().unwrap().to_string();
            assert!(
                refused.contains("no script of the type application/ld+json"),
                "{refused}"
            );
        }
        let many = "<script type=application/ld+json>{}</script>".repeat(101);
        assert!(
            read(&many)
                .err()
                .unwrap()
                .to_string()
                .contains("more than 100")
        );
    }
}
