//! The page of an offering or a solution; of anything else, why it is not shown.

use askama::Template;
use http::StatusCode;
use protocol::codes::language_tag;
use protocol::record::{Body, Code, Cost, Instance, Offering, Place, Solution, TextMap};
use protocol::time::Timestamp;

use super::fact::{Fact, Facts, Value, Who};
use super::text::{Said, Web};
use super::trust::Trust;
use super::words::Words;
use super::{Page, Problem, Written, label};
use crate::catalogue::{Saying, Shown, ShownAuthor};
use crate::choices::Hidden;
use crate::node::Node;
use crate::places;
use crate::search::Facet;
use crate::web::api;

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    page: Page,
    name: Said,
    kind: String,
    cost: Option<String>,
    who: Who,
    summary: Option<Said>,
    description: Option<Said>,
    is_over: bool,
    is_solution: bool,
    join: Option<Web>,
    facts: Vec<Fact>,
    sessions: Vec<Session>,
    more: Vec<Fact>,
    about: Vec<Fact>,
    also_in: Vec<AlsoIn>,
    trust: Trust,
}

/// A language that the record has texts in, and the page with them.
pub(super) struct AlsoIn {
    pub(super) tag: String,
    pub(super) name: String,
    pub(super) href: String,
}

/// One time and place.
struct Session {
    when: String,
    facts: Vec<Fact>,
}

/// A record that is not shown, and why.
#[derive(Template)]
#[template(path = "unshown.html")]
struct UnshownPage {
    page: Page,
    heading: String,
    sentence: String,
    detail: Option<Said>,
    /// Whom to ask, if this node hides it.
    contact: Option<Said>,
    who: Who,
    trust: Option<Trust>,
}

/// The languages in which a visitor wants texts: the one chosen for this record, then the page's.
pub(super) fn text_languages(query: &str, words: &'static Words) -> Vec<String> {
    let chosen = url::form_urlencoded::parse(query.as_bytes())
        .take(8)
        .find(|(name, _)| name == "text");
    let chosen = chosen.and_then(|(_, tag)| language_tag(&tag));
    chosen
        .into_iter()
        .chain([words.code().to_owned()])
        .collect()
}

/// The languages of a record's texts but those that are shown.
pub(super) fn also_in(
    text: &TextMap,
    shown: Option<&Said>,
    here: &str,
    words: &'static Words,
) -> Vec<AlsoIn> {
    let shown = shown.map_or(words.code(), |shown| {
        shown.lang.as_deref().unwrap_or(words.code())
    });
    let other = text.keys().filter(|tag| ***tag != *shown);
    other
        .map(|tag| AlsoIn {
            tag: tag.to_string(),
            name: places::language(tag, words.code()),
            href: match Words::of(tag) {
                Some(other) => format!("/{}{here}", other.code()),
                None => format!("/{}{here}?text={tag}", words.code()),
            },
        })
        .collect()
}

pub(super) fn write(
    node: &Node,
    words: &'static Words,
    scid: &str,
    local: &str,
    query: &str,
) -> Result<Written, Problem> {
    let id = api::record_id(scid, local)?;
    let unknown = || Problem::not_found("no such record is known here");
    let shown = node.catalogue.record(&id)?.ok_or_else(unknown)?;
    let author = node.catalogue.author(&id.author)?.ok_or_else(unknown)?;
    let languages = text_languages(query, words);
    let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
    let page = Page::new(node, words, "", format!("/o/{id}"));
    match &shown.body {
        Saying::Body(body) => match &**body {
            Body::Offering(offering) => {
                write_offering(node, page, &shown, &author, offering, languages)
            }
            Body::Solution(solution) => {
                write_solution(node, page, &shown, &author, solution, languages)
            }
            // A profile has its own page; the others are for programs.
            Body::Organization(_)
            | Body::Checkpoint(_)
            | Body::Endorsement(_)
            | Body::NodeCard(_) => write_unshown(
                node,
                page,
                &shown,
                &author,
                "technical-title",
                "technical-why",
                None,
            ),
        },
        Saying::Withdrawn => write_unshown(
            node,
            page,
            &shown,
            &author,
            "withdrawn-title",
            "withdrawn-why",
            None,
        ),
        Saying::Hidden(hidden) => write_hidden(page, &author, hidden),
        Saying::UnknownType => {
            let kind = Said::plain(&shown.header.kind, words);
            write_unshown(
                node,
                page,
                &shown,
                &author,
                "unknown-type-title",
                "unknown-type-why",
                Some(kind),
            )
        }
        Saying::Faulty(faults) => {
            let faults = Said::tagged(faults, "en", words);
            write_unshown(
                node,
                page,
                &shown,
                &author,
                "faulty-title",
                "faulty-why",
                Some(faults),
            )
        }
    }
}

/// That this node does not show it, why, and whom to ask. What it is about is not shown either.
fn write_hidden(page: Page, author: &ShownAuthor, hidden: &Hidden) -> Result<Written, Problem> {
    let words = page.words;
    let heading = words.t("hidden-title").into_owned();
    let since = words.date(Timestamp::from_unix_seconds(hidden.since));
    let unshown = UnshownPage {
        page: Page {
            title: heading.clone(),
            ..page.unlisted()
        },
        heading,
        sentence: words.about("hidden-why", &since),
        detail: Some(Said::plain(&hidden.reason, words)),
        contact: hidden
            .contact
            .as_deref()
            .map(|contact| Said::plain(contact, words)),
        who: Who::of(author, &[words.code()], words),
        trust: None,
    };
    super::write(StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, &unshown)
}

fn write_unshown(
    node: &Node,
    page: Page,
    shown: &Shown,
    author: &ShownAuthor,
    heading: &str,
    sentence: &str,
    detail: Option<Said>,
) -> Result<Written, Problem> {
    let words = page.words;
    let status = match shown.body {
        Saying::Withdrawn => StatusCode::GONE,
        _ => StatusCode::OK,
    };
    let heading = words.t(heading).into_owned();
    let unshown = UnshownPage {
        page: Page {
            title: heading.clone(),
            ..page.unlisted()
        },
        heading,
        sentence: words.t(sentence).into_owned(),
        detail,
        contact: None,
        who: Who::of(author, &[words.code()], words),
        trust: Some(Trust::of(node, words, shown, author, &[words.code()])?),
    };
    super::write(status, &unshown)
}

/// What is written alike of offerings and solutions.
struct Common<'b> {
    kind: &'b str,
    name: &'b TextMap,
    summary: &'b TextMap,
    description: &'b TextMap,
    url: Option<&'b str>,
    cost: Option<String>,
    facts: Vec<Fact>,
    sessions: Vec<Session>,
    more: Vec<Fact>,
    about: Vec<Fact>,
}

fn write_common(
    node: &Node,
    page: Page,
    shown: &Shown,
    author: &ShownAuthor,
    languages: &[&str],
    common: Common<'_>,
) -> Result<Written, Problem> {
    let words = page.words;
    let original = shown.header.language.as_deref();
    let said = |text| Said::chosen(text, languages, original, words);
    let name = said(common.name).unwrap_or_else(|| Said::plain(shown.id.local.as_str(), words));
    let also_in = also_in(common.name, Some(&name), &page.path, words);
    let record = RecordPage {
        kind: label(node, Facet::Kind, common.kind, words.code()),
        cost: common.cost,
        who: Who::of(author, languages, words),
        summary: said(common.summary).map(|summary| summary.beside(&name)),
        description: said(common.description).map(|description| description.beside(&name)),
        is_over: shown
            .header
            .valid_until
            .is_some_and(|until| until < node.clock.now()),
        is_solution: matches!(&shown.body, Saying::Body(body) if matches!(**body, Body::Solution(_))),
        join: common.url.map(Web::read),
        facts: common.facts,
        sessions: common.sessions,
        more: common.more,
        about: common.about,
        also_in,
        trust: Trust::of(node, words, shown, author, languages)?,
        page: Page {
            title: name.text.clone(),
            ..page
        },
        name,
    };
    super::write(StatusCode::OK, &record)
}

fn write_offering(
    node: &Node,
    page: Page,
    shown: &Shown,
    author: &ShownAuthor,
    offering: &Offering,
    languages: Vec<&str>,
) -> Result<Written, Problem> {
    let words = page.words;
    let original = shown.header.language.as_deref();
    let new = || Facts::new(node, words, languages.clone(), original);

    let mut facts = new();
    facts.add_asked(
        "fact-audience",
        facts.codes(Facet::Audience, &offering.audiences),
    );
    facts.add_asked("fact-where", where_of(&facts, offering));
    facts.add(
        "fact-excluded",
        facts.filters(Facet::Country, &offering.excluded_countries),
    );
    facts.add_asked(
        "fact-language",
        facts.filters(Facet::Language, &offering.languages),
    );
    facts.add(
        "fact-subtitles",
        facts.filters(Facet::Language, &offering.subtitle_languages),
    );
    facts.add(
        "fact-material-languages",
        facts.filters(Facet::Language, &offering.material_languages),
    );
    facts.add_asked("fact-cost", cost_of(&facts, offering.cost.as_ref()));
    facts.add_asked("fact-mode", facts.codes(Facet::Mode, &offering.modes));
    facts.add("fact-level", facts.codes(Facet::Level, &offering.levels));
    let duration = |text: &Option<Box<str>>| {
        text.iter()
            .map(|text| Value::Words(words.duration(text)))
            .collect()
    };
    facts.add("fact-duration", duration(&offering.duration));
    facts.add("fact-workload", duration(&offering.workload));
    facts.add(
        "fact-capacity",
        facts.listed("capacity", offering.capacity.as_slice()),
    );
    facts.add("fact-eligibility", facts.said(&offering.eligibility));
    facts.add(
        "fact-eligibility-codes",
        facts.listed("", &offering.eligibility_codes),
    );
    facts.add("fact-prerequisites", facts.said(&offering.prerequisites));
    if let Some(certificate) = &offering.certificate {
        let mut values = vec![facts.filter(Facet::Certificate, certificate.kind)];
        values.extend(facts.plain(&certificate.issuer));
        values.extend(facts.web(&certificate.badge_url));
        facts.add("fact-certificate", values);
    }
    if let Some(funding) = &offering.funding {
        let amount = |amount: &Option<Box<str>>| -> Vec<Value> {
            amount
                .iter()
                .map(|amount| money(words, amount, funding.currency.as_deref()))
                .collect()
        };
        facts.add("fact-amount-min", amount(&funding.amount_min));
        facts.add("fact-amount-max", amount(&funding.amount_max));
        facts.add("fact-opens", facts.date(funding.opens.as_deref()));
        facts.add("fact-closes", facts.date(funding.closes.as_deref()));
        facts.add("fact-finance", facts.listed("", &funding.finance_types));
    }
    if let Some(place) = &offering.place {
        facts.add("fact-place", place_of(&facts, place));
        facts.add("fact-opening", facts.said(&place.opening_hours));
    }

    let sessions = offering
        .instances
        .iter()
        .map(|instance| session(&new(), instance, new()))
        .collect();

    let mut more = new();
    more.add("fact-area", more.areas(&offering.areas, &offering.topics));
    more.add("fact-topic", more.codes(Facet::Topic, &offering.topics));
    more.add("fact-sector", more.listed("sector", &offering.sectors));
    more.add("fact-sdg", more.codes(Facet::Sdg, &offering.sdg_targets));
    more.add(
        "fact-building-block",
        more.listed("building-block", &offering.building_blocks),
    );
    more.add("fact-teaches", more.listed("", &offering.teaches));
    more.add("fact-provider", more.plain(&offering.provider));
    more.add("fact-host", more.plain(&offering.host));
    more.add("fact-partners", more.plain(&offering.partners));
    more.add("fact-accredited", more.plain(&offering.accredited_by));
    more.add("fact-tutor", more.yes_or_no(offering.tutor));
    more.add("fact-offline", more.yes_or_no(offering.works_offline));
    let size = offering
        .size_megabytes
        .map(|size| Value::Words(words.n("megabytes", size)));
    more.add("fact-size", size.into_iter().collect());
    more.add(
        "fact-accessibility",
        more.plain(&offering.accessibility_features),
    );
    more.add(
        "fact-solution",
        records(&more, &offering.supports_solution)?,
    );
    more.add(
        "fact-derived",
        records(&more, offering.derived_from.as_slice())?,
    );
    more.add(
        "fact-translation",
        records(&more, offering.translation_of.as_slice())?,
    );
    more.add("fact-image", more.web(&offering.image));

    let mut about = new();
    about.add(
        "fact-licence",
        licence_of(&about, offering.licence.as_deref()),
    );
    about_record(&mut about, shown);

    let cost = offering
        .cost
        .as_ref()
        .map(|cost| label(node, Facet::Cost, cost.kind, words.code()));
    let common = Common {
        kind: offering.kind,
        name: &offering.name,
        summary: &offering.summary,
        description: &offering.description,
        url: offering.url.as_deref(),
        cost,
        facts: facts.finish(),
        sessions,
        more: more.finish(),
        about: about.finish(),
    };
    write_common(node, page, shown, author, &languages, common)
}

fn write_solution(
    node: &Node,
    page: Page,
    shown: &Shown,
    author: &ShownAuthor,
    solution: &Solution,
    languages: Vec<&str>,
) -> Result<Written, Problem> {
    let words = page.words;
    let new = || {
        Facts::new(
            node,
            words,
            languages.clone(),
            shown.header.language.as_deref(),
        )
    };

    let mut facts = new();
    facts.add_asked(
        "fact-licence",
        licence_of(&facts, solution.licence.as_deref()),
    );
    facts.add("fact-repository", facts.web(&solution.repository));
    let mut deployed = facts.filters(Facet::Country, &solution.countries);
    deployed.extend(facts.filters(Facet::Country, &solution.regions));
    facts.add("fact-deployed", deployed);
    facts.add(
        "fact-interface-languages",
        facts.filters(Facet::Language, &solution.languages),
    );
    facts.add(
        "fact-maturity",
        facts.listed("maturity", solution.maturity.as_slice()),
    );
    if let Some(dpg) = &solution.dpg {
        let mut values = facts.plain(&dpg.status);
        values.extend(facts.date(dpg.date.as_deref()));
        facts.add("fact-dpg", values);
    }
    facts.add("fact-owners", facts.plain(&solution.owners));

    let mut more = new();
    more.add("fact-area", more.areas(&solution.areas, &[]));
    more.add("fact-use-cases", more.plain(&solution.use_cases));
    more.add(
        "fact-building-block",
        more.listed("building-block", &solution.building_blocks),
    );
    more.add("fact-sector", more.listed("sector", &solution.sectors));
    more.add("fact-sdg", more.codes(Facet::Sdg, &solution.sdg_targets));

    let mut about = new();
    about_record(&mut about, shown);
    let common = Common {
        kind: solution.kind,
        name: &solution.name,
        summary: &solution.summary,
        description: &solution.description,
        url: solution.url.as_deref(),
        cost: None,
        facts: facts.finish(),
        sessions: Vec::new(),
        more: more.finish(),
        about: about.finish(),
    };
    write_common(node, page, shown, author, &languages, common)
}

/// What is said about the record itself: licence, sources, languages.
pub(super) fn about_record(facts: &mut Facts<'_>, shown: &Shown) {
    facts.add(
        "fact-record-licence",
        licence_of(facts, Some(&shown.header.licence)),
    );
    let language = shown.header.language.as_deref();
    let language = language.map(|tag| Value::Words(places::language(tag, facts.words.code())));
    facts.add("fact-original-language", language.into_iter().collect());
    facts.add("fact-sources", sources_of(facts, shown));
}

/// Where the author has it from: title, place in it, address.
fn sources_of(facts: &Facts<'_>, shown: &Shown) -> Vec<Value> {
    let sources = shown
        .tree
        .get("sources")
        .and_then(serde_json::Value::as_array);
    let mut values = Vec::new();
    for source in sources.into_iter().flatten() {
        let text = |name: &str| source.get(name).and_then(serde_json::Value::as_str);
        let named: Vec<&str> = [
            text("title"),
            text("locator"),
            text("license"),
            text("licence"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !named.is_empty() {
            values.push(Value::Said(Said::plain(&named.join(" · "), facts.words)));
        }
        values.extend(text("url").map(|url| Value::Web(Web::read(url))));
    }
    values
}

fn where_of(facts: &Facts<'_>, offering: &Offering) -> Vec<Value> {
    let mut values = facts.filters(Facet::Country, &offering.regions);
    values.extend(facts.filters(Facet::Country, &offering.countries));
    values
}

fn cost_of(facts: &Facts<'_>, cost: Option<&Cost>) -> Vec<Value> {
    let Some(cost) = cost else {
        return Vec::new();
    };
    let words = facts.words;
    let mut values = vec![facts.filter(Facet::Cost, cost.kind)];
    values.extend(
        cost.price
            .iter()
            .map(|price| money(words, price, cost.currency.as_deref())),
    );
    let payer = cost
        .payer
        .iter()
        .map(|payer| Said::plain(payer, words).text);
    values.extend(payer.map(|payer| Value::Words(words.about("paid-by", &payer))));
    values.extend(
        cost.until
            .iter()
            .map(|until| Value::Words(words.about("until", &words.date_text(until)))),
    );
    values.extend(facts.said(&cost.note));
    values
}

fn money(words: &Words, amount: &str, currency: Option<&str>) -> Value {
    let amount = words.decimal(amount);
    Value::Words(currency.map_or_else(|| amount.clone(), |currency| format!("{amount} {currency}")))
}

/// An SPDX name leads to its text.
fn licence_of(facts: &Facts<'_>, licence: Option<&str>) -> Vec<Value> {
    let is_spdx = |name: &&str| {
        name.chars()
            .all(|next| next.is_ascii_alphanumeric() || ".-+".contains(next))
    };
    let known = |name: &str| name.starts_with("CC-") || name.starts_with("CC0-");
    match licence {
        Some(name) if is_spdx(&name) && known(name) => vec![
            Value::Words(name.to_owned()),
            Value::Web(Web::read(&format!("https://spdx.org/licenses/{name}.html"))),
        ],
        Some(name) => vec![Value::Said(Said::plain(name, facts.words))],
        None => Vec::new(),
    }
}

fn place_of(facts: &Facts<'_>, place: &Place) -> Vec<Value> {
    let mut values = facts.said(&place.name);
    let parts: Vec<String> = place
        .address
        .iter()
        .chain(&place.locality)
        .map(ToString::to_string)
        .collect();
    if !parts.is_empty() {
        values.push(Value::Said(Said::plain(
            &facts.words.list(&parts),
            facts.words,
        )));
    }
    values.extend(facts.filters(Facet::Country, &place.country));
    values
}

fn session(facts: &Facts<'_>, instance: &Instance, mut details: Facts<'_>) -> Session {
    let words = facts.words;
    let day = |text: &Option<Box<str>>| text.as_deref().map(|text| words.date_text(text));
    let when = match (day(&instance.start), day(&instance.end)) {
        (Some(start), Some(end)) if start != end => words.about_both("from-to", &start, &end),
        (Some(day), _) => day,
        (None, Some(end)) => words.about("until", &end),
        (None, None) => words.t("not-stated").into_owned(),
    };
    details.add(
        "fact-enrol-until",
        facts.date(instance.enrol_until.as_deref()),
    );
    let seats = instance
        .seats
        .map(|seats| Value::Words(words.number(seats)));
    details.add("fact-seats", seats.into_iter().collect());
    if let Some(place) = &instance.place {
        details.add("fact-place", place_of(facts, place));
    }
    Session {
        when,
        facts: details.finish(),
    }
}

fn records(facts: &Facts<'_>, ids: &[protocol::id::RecordId]) -> Result<Vec<Value>, Problem> {
    Ok(ids
        .iter()
        .map(|id| facts.record(id))
        .collect::<Result<_, _>>()?)
}

/// The label of a kind that another scheme may have given.
pub(super) fn organization_kind(node: &Node, kind: &Code, words: &Words) -> String {
    let label = node
        .labels
        .of("organization-kind", &kind.code, words.code())
        .filter(|_| kind.scheme.is_none());
    label.unwrap_or(&kind.code).to_owned()
}
