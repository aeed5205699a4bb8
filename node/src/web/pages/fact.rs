//! What a record says, as terms with their values, and the addresses of searches for them.

use askama::Template;
use askama::filters::HtmlSafe;
use protocol::codes::area_of;
use protocol::id::{RecordId, Scid};
use protocol::record::Code;

use super::label;
use super::text::{Said, Web};
use super::words::Words;
use crate::catalogue::{PROFILE, ShownAuthor};
use crate::node::Node;
use crate::search::Facet;
use crate::store::StoreError;

/// One term with its values.
pub(super) struct Fact {
    pub(super) term: String,
    pub(super) values: Vec<Value>,
}

impl Fact {
    /// Whether its values are short names that read well in a row.
    pub(super) fn is_row(&self) -> bool {
        self.values.len() > 1
            && self
                .values
                .iter()
                .all(|value| matches!(value, Value::Code { .. }))
    }
}

/// One value.
#[derive(Template)]
#[template(path = "value.html")]
pub(super) enum Value {
    /// The interface's own words.
    Words(String),
    /// Said by the author.
    Said(Said),
    /// A code: what it is called, and the search for it.
    Code { label: String, href: String },
    /// An address.
    Web(Web),
    /// Mail or telephone.
    Contact { text: Said, href: Option<String> },
    /// Something within this node.
    Inner { name: Said, href: String },
    /// Nothing was said, which is not no.
    Unknown(String),
}

// Its template escapes every part.
impl HtmlSafe for Value {}

/// Gathers facts, those without a value left out.
pub(super) struct Facts<'n> {
    pub(super) node: &'n Node,
    pub(super) words: &'static Words,
    /// The languages of texts, in order of preference.
    pub(super) languages: Vec<&'n str>,
    /// The record's own language.
    pub(super) original: Option<&'n str>,
    list: Vec<Fact>,
}

impl<'n> Facts<'n> {
    pub(super) fn new(
        node: &'n Node,
        words: &'static Words,
        languages: Vec<&'n str>,
        original: Option<&'n str>,
    ) -> Self {
        Self {
            node,
            words,
            languages,
            original,
            list: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Vec<Fact> {
        self.list
    }

    /// A term, by the name of its text, with these values; nothing if there are none.
    pub(super) fn add(&mut self, term: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.list.push(Fact {
                term: self.words.t(term).into_owned(),
                values,
            });
        }
    }

    /// A term that everyone asks for: without a value, it says that none was given.
    pub(super) fn add_asked(&mut self, term: &str, values: Vec<Value>) {
        let unknown = || vec![Value::Unknown(self.words.t("not-stated").into_owned())];
        let values = if values.is_empty() { unknown() } else { values };
        self.add(term, values);
    }

    pub(super) fn said(&self, text: &protocol::record::TextMap) -> Vec<Value> {
        Said::chosen(text, &self.languages, self.original, self.words)
            .map(Value::Said)
            .into_iter()
            .collect()
    }

    pub(super) fn plain<'t>(&self, texts: impl IntoIterator<Item = &'t Box<str>>) -> Vec<Value> {
        texts
            .into_iter()
            .map(|text| Value::Said(Said::plain(text, self.words)))
            .collect()
    }

    pub(super) fn web<'t>(&self, texts: impl IntoIterator<Item = &'t Box<str>>) -> Vec<Value> {
        texts
            .into_iter()
            .map(|text| Value::Web(Web::read(text)))
            .collect()
    }

    pub(super) fn yes_or_no(&self, answer: Option<bool>) -> Vec<Value> {
        let id = answer.map(|answer| if answer { "yes" } else { "no" });
        id.map(|id| Value::Words(self.words.t(id).into_owned()))
            .into_iter()
            .collect()
    }

    pub(super) fn date(&self, date: Option<&str>) -> Vec<Value> {
        date.map(|date| Value::Words(self.words.date_text(date)))
            .into_iter()
            .collect()
    }

    /// A code that searches filter by.
    pub(super) fn filter(&self, facet: Facet, code: &str) -> Value {
        Value::Code {
            label: label(self.node, facet, code, self.words.code()),
            href: search_href(self.words, "", &[(facet, code)], None, None),
        }
    }

    pub(super) fn filters<'t>(
        &self,
        facet: Facet,
        codes: impl IntoIterator<Item = &'t Box<str>>,
    ) -> Vec<Value> {
        codes
            .into_iter()
            .map(|code| self.filter(facet, code))
            .collect()
    }

    /// Codes that searches filter by; those of other schemes are named with their scheme.
    pub(super) fn codes(&self, facet: Facet, codes: &[Code]) -> Vec<Value> {
        codes
            .iter()
            .map(|code| match &code.scheme {
                None => self.filter(facet, &code.code),
                Some(scheme) => self.foreign(scheme, &code.code),
            })
            .collect()
    }

    /// Codes that have a label and no filter.
    pub(super) fn listed(&self, scheme: &str, codes: &[Code]) -> Vec<Value> {
        codes
            .iter()
            .map(|code| {
                match (
                    &code.scheme,
                    self.node.labels.of(scheme, &code.code, self.words.code()),
                ) {
                    (None, Some(label)) => Value::Words(label.to_owned()),
                    (None, None) => Value::Words(code.code.to_string()),
                    (Some(scheme), _) => self.foreign(scheme, &code.code),
                }
            })
            .collect()
    }

    fn foreign(&self, scheme: &str, code: &str) -> Value {
        Value::Said(Said::plain(&format!("{code} ({scheme})"), self.words))
    }

    /// Focus areas, those of the topics among them.
    pub(super) fn areas(&self, areas: &[Code], topics: &[Code]) -> Vec<Value> {
        let mut values = self.codes(Facet::Area, areas);
        let is_named = |area: &str| {
            areas
                .iter()
                .any(|code| code.scheme.is_none() && *code.code == *area)
        };
        let mut implied: Vec<&str> = topics
            .iter()
            .filter_map(|topic| area_of(&topic.code))
            .collect();
        implied.retain(|area| !is_named(area));
        implied.sort_unstable();
        implied.dedup();
        values.extend(
            implied
                .into_iter()
                .map(|area| self.filter(Facet::Area, area)),
        );
        values
    }

    /// Another record, by its name where this node has it.
    ///
    /// # Errors
    /// A disk fault.
    pub(super) fn record(&self, id: &RecordId) -> Result<Value, StoreError> {
        let shown = self.node.catalogue.record(id)?;
        let name = shown.as_ref().and_then(|shown| shown.name(&self.languages));
        let name = match name {
            Some((tag, name)) => Said::tagged(name, tag, self.words),
            None => Said::plain(&id.to_string(), self.words),
        };
        let href = record_href(self.words, id);
        Ok(if shown.is_some() {
            Value::Inner { name, href }
        } else {
            Value::Said(name)
        })
    }
}

/// Who says something: the name, and the host that anyone can check.
pub(super) struct Who {
    pub(super) name: Said,
    pub(super) host: String,
    pub(super) href: String,
    pub(super) is_disputed: bool,
    pub(super) is_closed: bool,
    pub(super) has_confirmed_site: bool,
}

impl Who {
    pub(super) fn of(author: &ShownAuthor, languages: &[&str], words: &'static Words) -> Self {
        let said = author
            .profile
            .as_ref()
            .and_then(|profile| profile.name(languages));
        let name = match said {
            Some((tag, name)) => Said::tagged(name, tag, words),
            None => Said::plain(&author.name(languages), words),
        };
        Self {
            name,
            host: author.host(),
            href: organization_href(words, author.scid()),
            is_disputed: author.author.is_disputed,
            is_closed: author.author.state.is_deactivated(),
            has_confirmed_site: author.has_confirmed_site,
        }
    }
}

/// The page of an author.
pub(super) fn organization_href(words: &Words, scid: &Scid) -> String {
    format!("/{}/org/{scid}", words.code())
}

/// The page of a record; that of its author if the record is how it describes itself.
pub(super) fn record_href(words: &Words, id: &RecordId) -> String {
    if id.local.as_str() == PROFILE {
        organization_href(words, &id.author)
    } else {
        format!("/{}/o/{id}", words.code())
    }
}

/// The page of a search.
pub(super) fn search_href(
    words: &Words,
    text: &str,
    filters: &[(Facet, &str)],
    sort: Option<&str>,
    cursor: Option<&str>,
) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !text.is_empty() {
        query.append_pair("q", text);
    }
    for (facet, code) in filters {
        query.append_pair(facet.name(), code);
    }
    for (name, value) in [("sort", sort), ("cursor", cursor)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/{}/search{mark}{query}", words.code())
}
