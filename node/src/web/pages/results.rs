//! The page of a search, and how records stand in a list.

use askama::Template;
use http::StatusCode;
use protocol::record::{Body, TextMap};

use super::fact::{Who, record_href, search_href};
use super::text::Said;
use super::words::Words;
use super::{Page, Problem, Written, label};
use crate::catalogue::{Saying, Shown, ShownAuthor};
use crate::node::Node;
use crate::search::{Facet, FacetCounts, Found, Sort};
use crate::web::api::{FACETS, kind_and_summary};
use crate::web::ask::Ask;

/// Results of one page.
const RESULTS: i64 = 20;
/// Codes of a family that are shown at once; the others unfold.
const CODES_SHOWN: usize = 6;
/// Most codes of a family on a page: a page for a poor line is no register.
const CODES_MAX: usize = 60;
/// Labels of one kind in a result.
const LABELS_SHOWN: usize = 3;
const SUMMARY_CHARS_MAX: usize = 240;

#[derive(Template)]
#[template(path = "results.html")]
struct ResultsPage {
    page: Page,
    count: String,
    items: Vec<Item>,
    chosen: Vec<Chosen>,
    clear: String,
    families: Vec<Family>,
    /// Filters that no checkbox stands for.
    hidden: Vec<(&'static str, String)>,
    sorts: Vec<SortChoice>,
    sort: Option<String>,
    next: Option<String>,
    is_continued: bool,
    first: String,
    without_words: Option<String>,
    fault: Option<String>,
}

/// A record in a list.
#[derive(Template)]
#[template(path = "item.html")]
pub(super) struct Item {
    words: &'static Words,
    name: Said,
    href: String,
    kind: String,
    /// Free or not, in words, and the code that gives it its look.
    cost: Option<(String, &'static str)>,
    who: Option<Who>,
    summary: Option<Said>,
    labels: Vec<String>,
    places: String,
    languages: String,
    /// Found although it is not in the language asked for.
    near_language: Option<String>,
    confirmed: Option<String>,
    issued: String,
}

// Its template escapes every part.
impl askama::filters::HtmlSafe for Item {}

/// A filter that is set, and the search without it.
struct Chosen {
    family: String,
    label: String,
    href: String,
}

/// A family of checkboxes.
struct Family {
    name: &'static str,
    title: String,
    options: Vec<Choice>,
    more: Vec<Choice>,
    left_out: usize,
}

struct Choice {
    code: String,
    label: String,
    count: String,
    is_chosen: bool,
}

struct SortChoice {
    label: String,
    href: String,
    is_current: bool,
}

/// The heading of a family.
fn family_title(facet: Facet, words: &Words) -> String {
    let id = match facet {
        Facet::Area => "facet-area",
        Facet::Topic => "facet-topic",
        Facet::Country => "facet-country",
        Facet::Language => "facet-language",
        Facet::Audience => "facet-audience",
        Facet::Level => "facet-level",
        Facet::Mode => "facet-mode",
        Facet::Cost => "facet-cost",
        Facet::Kind => "facet-kind",
        Facet::Type => "facet-type",
        Facet::Org => "facet-org",
        Facet::Licence => "facet-licence",
        Facet::Certificate => "facet-certificate",
        Facet::Sdg => "facet-sdg",
    };
    words.t(id).into_owned()
}

pub(super) fn write(node: &Node, words: &'static Words, query: &str) -> Result<Written, Problem> {
    let mut ask = Ask::read(query)?;
    ask.limit = ask.limit.map(|limit| limit.min(RESULTS));
    let now = node.clock.now();
    let query = match ask.query(Some(words.code()), &FACETS, now) {
        Ok(query) => query,
        // The visitor gets the search back, to put it right.
        Err(problem) => return write_fault(node, words, &ask, &problem),
    };
    let found = node.index.search(&query)?;
    let mut items = Vec::with_capacity(found.hits.len());
    for hit in &found.hits {
        // Between the index and the store a record may have been withdrawn.
        if let Some(shown) = node.catalogue.record(&hit.id)? {
            let author = node.catalogue.author(&hit.id.author)?;
            let near = hit
                .language
                .as_ref()
                .filter(|language| !language.is_exact());
            items.push(Item {
                near_language: near.map(|near| crate::places::language(&near.found, words.code())),
                ..Item::of(node, words, &shown, author.as_ref())
            });
        }
    }
    let results = ResultsPage {
        count: words.n("result-count", found.total),
        items,
        families: families(node, words, &ask, &found)?,
        next: found
            .next
            .as_deref()
            .map(|next| href(words, &ask, None, Some(next))),
        ..frame(node, words, &ask)
    };
    super::write(StatusCode::OK, &results)
}

fn write_fault(
    node: &Node,
    words: &'static Words,
    ask: &Ask,
    problem: &Problem,
) -> Result<Written, Problem> {
    let results = ResultsPage {
        fault: Some(problem.detail().to_owned()),
        ..frame(node, words, ask)
    };
    super::write(problem.status(), &results)
}

/// The page without results.
fn frame(node: &Node, words: &'static Words, ask: &Ask) -> ResultsPage {
    let title = if ask.text.is_empty() {
        words.t("search-title").into_owned()
    } else {
        words.about(
            "search-title-for",
            &Said::plain(&ask.text, words).shortened(60).text,
        )
    };
    let sort = ask.sort.clone().filter(|sort| Sort::named(sort).is_some());
    let current = sort.as_deref().and_then(Sort::named).unwrap_or_default();
    let sorts = [
        (Sort::Relevance, "sort-relevance"),
        (Sort::Newest, "sort-newest"),
    ];
    let sorts = sorts.map(|(sort, id)| SortChoice {
        label: words.t(id).into_owned(),
        href: href(
            words,
            &Ask {
                sort: Some(sort.name().to_owned()),
                ..ask.clone()
            },
            None,
            None,
        ),
        is_current: sort == current,
    });
    let hidden = ask
        .filters
        .iter()
        .filter(|(facet, _)| !FACETS.contains(facet));
    ResultsPage {
        page: Page {
            asked: ask.text.clone(),
            is_listed: false,
            ..Page::new(node, words, &title, same_search(words, ask))
        },
        count: String::new(),
        items: Vec::new(),
        chosen: chosen(node, words, ask),
        clear: search_href(words, &ask.text, &[], sort.as_deref(), None),
        families: Vec::new(),
        hidden: hidden
            .map(|(facet, value)| (facet.name(), value.clone()))
            .collect(),
        sorts: sorts.into(),
        sort,
        next: None,
        is_continued: ask.cursor.is_some(),
        first: href(words, ask, None, None),
        without_words: (!ask.text.is_empty() && !ask.filters.is_empty()).then(|| {
            href(
                words,
                &Ask {
                    text: String::new(),
                    ..ask.clone()
                },
                None,
                None,
            )
        }),
        fault: None,
    }
}

/// The address of this search below the language.
fn same_search(words: &Words, ask: &Ask) -> String {
    let whole = href(words, ask, None, None);
    whole
        .get(words.code().len() + 1..)
        .unwrap_or("/search")
        .to_owned()
}

/// The address of this search, without the filter at `without`, from `cursor` on.
fn href(words: &Words, ask: &Ask, without: Option<usize>, cursor: Option<&str>) -> String {
    let filters = ask
        .filters
        .iter()
        .enumerate()
        .filter(|(position, _)| Some(*position) != without);
    let filters: Vec<(Facet, &str)> = filters
        .map(|(_, (facet, value))| (*facet, value.as_str()))
        .collect();
    search_href(words, &ask.text, &filters, ask.sort.as_deref(), cursor)
}

fn chosen(node: &Node, words: &'static Words, ask: &Ask) -> Vec<Chosen> {
    let each = ask
        .filters
        .iter()
        .enumerate()
        .map(|(position, (facet, value))| Chosen {
            family: family_title(*facet, words),
            label: Said::plain(&label(node, *facet, value, words.code()), words)
                .shortened(80)
                .text,
            href: href(words, ask, Some(position), None),
        });
    each.collect()
}

/// The checkboxes. A family that is filtered is counted without its own filter: else its other codes
/// would seem to have nothing.
fn families(
    node: &Node,
    words: &'static Words,
    ask: &Ask,
    found: &Found,
) -> Result<Vec<Family>, Problem> {
    let mut families = Vec::with_capacity(FACETS.len());
    for facet in FACETS {
        let is_filtered = ask.filters.iter().any(|(filtered, _)| *filtered == facet);
        let counts = if is_filtered {
            let wider = Ask {
                filters: ask
                    .filters
                    .iter()
                    .filter(|(filtered, _)| *filtered != facet)
                    .cloned()
                    .collect(),
                limit: Some(1),
                cursor: None,
                ..ask.clone()
            };
            let query = wider.query(Some(words.code()), &[facet], node.clock.now())?;
            node.index.search(&query)?.facets.into_iter().next()
        } else {
            found
                .facets
                .iter()
                .find(|counts| counts.facet == facet)
                .cloned()
        };
        let counts = counts.unwrap_or(FacetCounts {
            facet,
            codes: Vec::new(),
            left_out: 0,
        });
        families.extend(family(node, words, ask, counts));
    }
    Ok(families)
}

fn family(node: &Node, words: &'static Words, ask: &Ask, counts: FacetCounts) -> Option<Family> {
    let facet = counts.facet;
    let asked: Vec<&str> = ask
        .filters
        .iter()
        .filter(|(filtered, _)| *filtered == facet)
        .map(|(_, value)| value.as_str())
        .collect();
    let choice = |code: &str, count: u64| Choice {
        code: code.to_owned(),
        label: Said::plain(&label(node, facet, code, words.code()), words)
            .shortened(80)
            .text,
        count: words.number(count),
        is_chosen: asked.contains(&code),
    };
    let count_of = |code: &str| {
        counts
            .codes
            .iter()
            .find(|(found, _)| found == code)
            .map_or(0, |(_, count)| *count)
    };
    let mut options: Vec<Choice> = asked
        .iter()
        .map(|code| choice(code, count_of(code)))
        .collect();
    let others = counts
        .codes
        .iter()
        .filter(|(code, _)| !asked.contains(&code.as_str()));
    options.extend(others.map(|(code, count)| choice(code, *count)));
    if options.len() < 2 && asked.is_empty() {
        return None;
    }
    let left_out = counts.left_out + options.len().saturating_sub(CODES_MAX);
    options.truncate(CODES_MAX.max(asked.len()));
    // One more line is shorter than the line that unfolds it.
    let shown = if options.len() <= CODES_SHOWN + 1 {
        options.len()
    } else {
        CODES_SHOWN.max(asked.len())
    };
    let mut more = options.split_off(shown.min(options.len()));
    // Who unfolds a list looks for a name in it.
    more.sort_by_cached_key(|choice| choice.label.to_lowercase());
    Some(Family {
        name: facet.name(),
        title: family_title(facet, words),
        options,
        more,
        left_out,
    })
}

impl Item {
    /// A record as it stands in a list.
    pub(super) fn of(
        node: &Node,
        words: &'static Words,
        shown: &Shown,
        author: Option<&ShownAuthor>,
    ) -> Self {
        let languages = [words.code()];
        let original = shown.header.language.as_deref();
        let name = shown
            .name(&languages)
            .map(|(tag, name)| Said::tagged(name, tag, words));
        let name = name.unwrap_or_else(|| Said::plain(shown.id.local.as_str(), words));
        let (kind, summary) = kind_and_summary(shown);
        let summary: Option<&TextMap> = summary;
        let summary =
            summary.and_then(|summary| Said::chosen(summary, &languages, original, words));
        let kind = match kind {
            Some(kind) => label(node, Facet::Kind, &kind, words.code()),
            None => label(node, Facet::Type, &shown.header.kind, words.code()),
        };
        let body = match &shown.body {
            Saying::Body(body) => Some(&**body),
            _ => None,
        };
        let (areas, places, spoken) = match body {
            Some(Body::Offering(it)) => (
                &it.areas[..],
                [&it.regions[..], &it.countries].concat(),
                &it.languages[..],
            ),
            Some(Body::Organization(it)) => (
                &it.areas[..],
                [&it.regions[..], &it.countries].concat(),
                &it.languages[..],
            ),
            Some(Body::Solution(it)) => (
                &it.areas[..],
                [&it.regions[..], &it.countries].concat(),
                &it.languages[..],
            ),
            Some(Body::Checkpoint(_) | Body::Endorsement(_) | Body::NodeCard(_)) | None => {
                (&[][..], Vec::new(), &[][..])
            }
        };
        let cost = match body {
            Some(Body::Offering(offering)) => offering.cost.as_ref().map(|cost| cost.kind),
            _ => None,
        };
        let is_profile = matches!(body, Some(Body::Organization(_)));
        let named = |facet: Facet, codes: &mut dyn Iterator<Item = &str>| {
            let labels: Vec<String> = codes
                .map(|code| label(node, facet, code, words.code()))
                .collect();
            few(words, labels)
        };
        let area_labels = areas.iter().filter(|area| area.scheme.is_none());
        Self {
            words,
            href: record_href(words, &shown.id),
            kind,
            cost: cost.map(|cost| (label(node, Facet::Cost, cost, words.code()), cost)),
            who: author
                .map(|author| Who::of(author, &languages, words))
                .map(|who| {
                    if is_profile {
                        Who {
                            name: Said::plain("", words),
                            ..who
                        }
                    } else {
                        who
                    }
                }),
            summary: summary.map(|summary| summary.beside(&name).shortened(SUMMARY_CHARS_MAX)),
            labels: area_labels
                .take(LABELS_SHOWN)
                .map(|area| label(node, Facet::Area, &area.code, words.code()))
                .collect(),
            places: named(Facet::Country, &mut places.iter().map(AsRef::as_ref)),
            languages: named(Facet::Language, &mut spoken.iter().map(AsRef::as_ref)),
            near_language: None,
            confirmed: shown
                .header
                .confirmed
                .map(|confirmed| words.date(confirmed)),
            issued: words.date(shown.header.issued),
            name,
        }
    }
}

/// The first of many labels, and how many more there are.
fn few(words: &Words, mut labels: Vec<String>) -> String {
    let more = labels.len().saturating_sub(LABELS_SHOWN);
    if more > 1 {
        labels.truncate(LABELS_SHOWN);
        labels.push(words.n("and-more", more));
    }
    words.list(&labels)
}
