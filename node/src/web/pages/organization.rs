//! The page of an organisation: how it describes itself, what it offers, and its keys over time.

use askama::Template;
use http::StatusCode;
use protocol::id::Scid;
use protocol::identity::{LogEntry, LogState, WitnessProofs};
use protocol::record::{Body, Organization};
use protocol::time::Timestamp;

use super::fact::{Fact, Facts, Value, Who, organization_href, search_href};
use super::record::{AlsoIn, about_record, also_in, organization_kind, text_languages};
use super::results::Item;
use super::text::{Said, mail_href, telephone_href};
use super::trust::{Long, Trust};
use super::words::Words;
use super::{Page, Problem, Written, label};
use crate::catalogue::{Saying, ShownAuthor};
use crate::completeness::Count;
use crate::node::Node;
use crate::search::{Facet, Query, QueryParts, Sort};
use crate::store::StoreError;
use crate::web::ask::Ask;

/// Offers on one page.
const OFFERS: i64 = 10;

/// Most look-alikes that are named.
const LOOK_ALIKES_SHOWN_MAX: usize = 10;

/// Longest log that is shown entry by entry: each costs a signature check.
const ENTRIES_SHOWN_MAX: usize = 50;

#[derive(Template)]
#[template(path = "organization.html")]
struct OrganizationPage {
    page: Page,
    who: Who,
    kind: Option<String>,
    summary: Option<Said>,
    description: Option<Said>,
    /// Why there is no profile, or what is wrong with it.
    notice: Option<String>,
    fault: Option<Said>,
    facts: Vec<Fact>,
    about: Vec<Fact>,
    also_in: Vec<AlsoIn>,
    offer_count: String,
    areas: Vec<(String, String, String)>,
    offers: Vec<Item>,
    next: Option<String>,
    is_continued: bool,
    did: String,
    keys: Vec<KeyRow>,
    keys_left_out: bool,
    is_incomplete: bool,
    is_pinned: bool,
    /// No new records of it are taken.
    is_full: bool,
    /// As of when all is here that it had.
    complete_as_of: Option<String>,
    /// What is missing by its own count.
    lacking: Option<String>,
    /// Others whose names look like its own: name, host, page.
    looks_like: Vec<(Said, String, String)>,
    /// What hubs say of it, and who they are.
    member_of: Vec<(String, String)>,
    log_href: String,
    trust: Option<Trust>,
}

/// One entry of the key log.
struct KeyRow {
    number: String,
    date: String,
    keys: Vec<Long>,
    host: Option<String>,
    is_closing: bool,
}

pub(super) fn write(
    node: &Node,
    words: &'static Words,
    scid: &str,
    query: &str,
) -> Result<Written, Problem> {
    let scid = Scid::parse(scid).map_err(|error| Problem::not_found(error.to_string()))?;
    let unknown = || Problem::not_found("no such organization is known here");
    let author = node.catalogue.author(&scid)?.ok_or_else(unknown)?;
    let languages = text_languages(query, words);
    let languages: Vec<&str> = languages.iter().map(String::as_str).collect();
    let who = Who::of(&author, &languages, words);
    let here = format!("/org/{scid}");
    let mut page = OrganizationPage {
        page: Page::new(node, words, &who.name.text, here),
        kind: None,
        summary: None,
        description: None,
        notice: None,
        fault: None,
        facts: Vec::new(),
        about: Vec::new(),
        also_in: Vec::new(),
        offer_count: String::new(),
        areas: Vec::new(),
        offers: Vec::new(),
        next: None,
        is_continued: false,
        did: author.author.state.did().to_string(),
        keys: Vec::new(),
        keys_left_out: false,
        is_incomplete: author.author.is_incomplete,
        is_pinned: author.author.is_pinned,
        is_full: author.author.is_full && !node.hosts(author.author.state.did())?,
        complete_as_of: None,
        lacking: None,
        looks_like: Vec::new(),
        member_of: Vec::new(),
        log_href: format!("/api/v1/organizations/{scid}/did.jsonl"),
        trust: None,
        who,
    };
    for other in node
        .lookalikes
        .of(&scid)?
        .iter()
        .take(LOOK_ALIKES_SHOWN_MAX)
    {
        if let Some(other) = node.catalogue.author(other)? {
            let who = Who::of(&other, &languages, words);
            page.looks_like.push((who.name, other.host(), who.href));
        }
    }
    let hubs = node.catalogue.hubs()?;
    for hub in node.catalogue.members_of(&hubs, &scid, node.clock.now())? {
        let name = words.about("member-of", &hub.name(&languages));
        page.member_of
            .push((name, organization_href(words, hub.scid())));
    }
    let standing = node.completeness.of(&scid)?;
    page.complete_as_of = standing
        .complete
        .map(|count| words.about("complete-as-of", &words.date(count.as_of())));
    page.lacking = standing.lacking.map(|count| {
        let date = words.date(count.as_of());
        words.about_both("lacking-why", &date, &held_of_named(words, &count))
    });
    page.describe(node, words, &author, &languages)?;
    page.find_offers(node, words, &scid, query)?;
    page.read_log(node, words, &author)?;
    super::write(StatusCode::OK, &page)
}

impl OrganizationPage {
    /// Fills in how the organisation describes itself.
    fn describe(
        &mut self,
        node: &Node,
        words: &'static Words,
        author: &ShownAuthor,
        languages: &[&str],
    ) -> Result<(), Problem> {
        let Some(profile) = &author.profile else {
            self.notice = Some(words.t("no-profile").into_owned());
            return Ok(());
        };
        self.trust = Some(Trust::of(node, words, profile, author, languages)?);
        let organization = match &profile.body {
            Saying::Body(body) => match &**body {
                Body::Organization(organization) => organization,
                _ => {
                    self.notice = Some(words.t("no-profile").into_owned());
                    return Ok(());
                }
            },
            Saying::Withdrawn => {
                self.notice = Some(words.t("withdrawn-profile").into_owned());
                return Ok(());
            }
            Saying::Hidden(hidden) => {
                let since = words.date(Timestamp::from_unix_seconds(hidden.since));
                self.notice = Some(words.about("hidden-why", &since));
                self.fault = Some(Said::plain(&hidden.reason, words));
                self.trust = None;
                return Ok(());
            }
            Saying::UnknownType => {
                self.notice = Some(words.t("unknown-type-why").into_owned());
                return Ok(());
            }
            Saying::Faulty(faults) => {
                self.notice = Some(words.t("faulty-why").into_owned());
                self.fault = Some(Said::tagged(faults, "en", words));
                return Ok(());
            }
        };
        let original = profile.header.language.as_deref();
        let said = |text| Said::chosen(text, languages, original, words);
        self.kind = organization
            .kind
            .as_ref()
            .map(|kind| organization_kind(node, kind, words));
        self.summary = said(&organization.summary).map(|summary| summary.beside(&self.who.name));
        self.description = said(&organization.description).map(|text| text.beside(&self.who.name));
        self.also_in = also_in(
            &organization.name,
            Some(&self.who.name),
            &self.page.path,
            words,
        );
        self.facts = facts_of(
            Facts::new(node, words, languages.to_vec(), original),
            organization,
        );
        let mut about = Facts::new(node, words, languages.to_vec(), original);
        about_record(&mut about, profile);
        self.about = about.finish();
        Ok(())
    }

    /// Fills in what it offers, through the index.
    fn find_offers(
        &mut self,
        node: &Node,
        words: &'static Words,
        scid: &Scid,
        query: &str,
    ) -> Result<(), Problem> {
        let cursor = Ask::read(query)?.cursor;
        let scid = scid.to_string();
        let filters = vec![
            (Facet::Org, scid.as_str()),
            (Facet::Type, "Offering"),
            (Facet::Type, "Solution"),
        ];
        let parts = QueryParts {
            sort: Sort::Newest,
            limit: Some(OFFERS),
            cursor: cursor.as_deref(),
            facets: vec![Facet::Area],
            filters,
            ..QueryParts::at(node.clock.now())
        };
        let found = node.index.search(&Query::parse(&parts)?)?;
        for hit in &found.hits {
            if let Some(shown) = node.catalogue.record(&hit.id)? {
                self.offers.push(Item::of(node, words, &shown, None));
            }
        }
        self.offer_count = words.n("offer-count", found.total);
        let areas = found.facets.iter().flat_map(|counts| &counts.codes);
        let area = |(code, count): &(String, u64)| {
            let href = search_href(
                words,
                "",
                &[(Facet::Org, &scid), (Facet::Area, code)],
                None,
                None,
            );
            (
                label(node, Facet::Area, code, words.code()),
                words.number(*count),
                href,
            )
        };
        self.areas = areas.map(area).collect();
        self.next = found.next.map(|next| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("cursor", &next)
                .finish();
            format!("/{}{}?{query}#offers", words.code(), self.page.path)
        });
        self.is_continued = cursor.is_some();
        Ok(())
    }

    /// Fills in the keys, entry by entry.
    fn read_log(
        &mut self,
        node: &Node,
        words: &'static Words,
        author: &ShownAuthor,
    ) -> Result<(), StoreError> {
        let now_listed = &author.author.state;
        let lines = node.store.active_log_of(author.scid())?;
        let states = if lines.len() > ENTRIES_SHOWN_MAX {
            None
        } else {
            let proofs = node.store.witness_of(author.scid())?;
            states_of(&lines, proofs.as_deref(), node)
        };
        self.keys_left_out = states.is_none();
        let states = states.unwrap_or_else(|| vec![now_listed.clone()]);
        let mut host = String::new();
        for state in &states {
            let did = state.did();
            let named = did.port().map_or_else(
                || did.host().to_owned(),
                |port| format!("{}:{port}", did.host()),
            );
            let is_moved = named != host;
            self.keys.push(KeyRow {
                number: words.number(u64::from(state.version_id().number)),
                date: words.date(state.version_time()),
                keys: state
                    .keys()
                    .listed()
                    .map(|key| Long::new(key.to_string()))
                    .collect(),
                host: is_moved.then(|| named.clone()),
                is_closing: state.is_deactivated(),
            });
            host = named;
        }
        self.keys.reverse();
        Ok(())
    }
}

/// How much is here of what an author counted.
pub(super) fn held_of_named(words: &Words, count: &Count) -> String {
    words.about_both(
        "held-of-named",
        &words.number(count.held),
        &words.number(count.named),
    )
}

/// What a log said after each entry; `None` if it does not read, which the store would have refused.
fn states_of(lines: &[Vec<u8>], proofs: Option<&[u8]>, node: &Node) -> Option<Vec<LogState>> {
    let proofs = proofs.map_or(Some(WitnessProofs::empty()), |proofs| {
        WitnessProofs::parse(proofs).ok()
    })?;
    let now = node.clock.now();
    let mut states: Vec<LogState> = Vec::with_capacity(lines.len());
    for line in lines {
        let entry = LogEntry::parse(line).ok()?;
        let state = match states.last() {
            None => LogState::begin(&entry, now, &proofs),
            Some(state) => state.next(&entry, now, &proofs),
        };
        states.push(state.ok()?);
    }
    Some(states)
}

fn facts_of(mut facts: Facts<'_>, organization: &Organization) -> Vec<Fact> {
    let words = facts.words;
    facts.add(
        "fact-also-called",
        facts.plain(&organization.alternate_names),
    );
    facts.add("fact-area", facts.codes(Facet::Area, &organization.areas));
    let mut works_in = facts.filters(Facet::Country, &organization.regions);
    works_in.extend(facts.filters(Facet::Country, &organization.countries));
    facts.add_asked("fact-works-in", works_in);
    facts.add_asked(
        "fact-works-in-languages",
        facts.filters(Facet::Language, &organization.languages),
    );
    facts.add(
        "fact-works-with",
        facts.codes(Facet::Audience, &organization.audiences),
    );
    facts.add(
        "fact-capabilities",
        facts.listed("", &organization.capabilities),
    );
    facts.add("fact-website", facts.web(&organization.website));
    facts.add("fact-same-as", facts.web(&organization.same_as));
    for contact in &organization.contact_points {
        let mut values = facts.said(&contact.role);
        let reach = |text: &str, href| Value::Contact {
            text: Said::plain(text, words),
            href,
        };
        values.extend(
            contact
                .email
                .iter()
                .map(|email| reach(email, mail_href(email))),
        );
        values.extend(
            contact
                .telephone
                .iter()
                .map(|number| reach(number, telephone_href(number))),
        );
        values.extend(facts.web(&contact.url));
        values.extend(facts.filters(Facet::Language, &contact.languages));
        facts.add("fact-contact", values);
    }
    facts.add(
        "fact-part-of",
        facts.plain(&organization.parent_organization),
    );
    facts.add("fact-member-of", facts.plain(&organization.member_of));
    facts.add("fact-funders", facts.plain(&organization.funders));
    facts.add(
        "fact-commercial",
        facts.said(&organization.commercial_interest),
    );
    facts.finish()
}
