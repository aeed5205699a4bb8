//! The first page, and the one for those who have something to offer.

use askama::Template;
use http::StatusCode;
use protocol::codes::AREAS;

use super::fact::search_href;
use super::results::Item;
use super::words::Words;
use super::{Page, Problem, Written, label};
use crate::node::Node;
use crate::search::{Facet, FacetCounts, Query, QueryParts, Sort};

/// Records under “newest”.
const NEWEST: i64 = 5;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    page: Page,
    areas: Vec<Area>,
    newest: Vec<Item>,
    newest_href: String,
    /// Numbers with what they count, and where to see them.
    figures: Vec<(String, String, String)>,
    is_empty: bool,
}

struct Area {
    label: String,
    count: String,
    href: Option<String>,
}

#[derive(Template)]
#[template(path = "offer.html")]
struct OfferPage {
    page: Page,
    address: String,
}

pub(super) fn write(node: &Node, words: &'static Words) -> Result<Written, Problem> {
    let now = node.clock.now();
    let all = QueryParts {
        limit: Some(1),
        facets: vec![Facet::Area, Facet::Type],
        ..QueryParts::at(now)
    };
    let all = node.index.search(&Query::parse(&all)?)?;
    let counted = |facet: Facet, code: &str| count_of(&all.facets, facet, code);

    let areas = AREAS.codes().iter().map(|code| {
        let count = counted(Facet::Area, code);
        Area {
            label: label(node, Facet::Area, code, words.code()),
            count: words.number(count),
            href: (count > 0).then(|| search_href(words, "", &[(Facet::Area, code)], None, None)),
        }
    });

    let filters = vec![(Facet::Type, "Offering"), (Facet::Type, "Solution")];
    let newest_href = search_href(words, "", &filters, Some(Sort::Newest.name()), None);
    let newest = QueryParts {
        filters,
        sort: Sort::Newest,
        limit: Some(NEWEST),
        ..QueryParts::at(now)
    };
    let mut items = Vec::new();
    for hit in &node.index.search(&Query::parse(&newest)?)?.hits {
        if let Some(shown) = node.catalogue.record(&hit.id)? {
            let author = node.catalogue.author(&hit.id.author)?;
            items.push(Item::of(node, words, &shown, author.as_ref()));
        }
    }

    let of_type = |id: &str, code: &str| {
        let count = counted(Facet::Type, code);
        let href = search_href(words, "", &[(Facet::Type, code)], None, None);
        (words.number(count), words.n(id, count), href)
    };
    // This node is one of those that it knows.
    let nodes = node.peers.all()?.len() + 1;
    let figures = vec![
        of_type("figure-offerings", "Offering"),
        of_type("figure-organizations", "Organization"),
        of_type("figure-solutions", "Solution"),
        (
            words.number(nodes),
            words.n("figure-nodes", nodes),
            format!("/{}/nodes", words.code()),
        ),
    ];
    let home = HomePage {
        page: Page::new(node, words, "", "/"),
        areas: areas.collect(),
        newest: items,
        newest_href,
        figures,
        is_empty: all.total == 0,
    };
    super::write(StatusCode::OK, &home)
}

pub(super) fn count_of(facets: &[FacetCounts], facet: Facet, code: &str) -> u64 {
    let codes = facets
        .iter()
        .filter(|counts| counts.facet == facet)
        .flat_map(|counts| &counts.codes);
    codes
        .filter(|(found, _)| found == code)
        .map(|(_, count)| *count)
        .sum()
}

pub(super) fn write_offer(node: &Node, words: &'static Words) -> Result<Written, Problem> {
    let page = Page::new(node, words, &words.t("offer-title"), "/offer");
    let address = node.config.url.as_str().trim_end_matches('/').to_owned();
    super::write(StatusCode::OK, &OfferPage { page, address })
}
