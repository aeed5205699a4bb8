//! The registry of digital public goods, in its two forms: what was nominated (name, licence, owners,
//! goals) and what was reviewed (where it is deployed, and that it passed). An object may have both.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::drafts::Drafts;
use super::super::members::Kind;
use super::super::report::{Duplicate, shown};
use super::super::settings::Settings;
use super::text::{first, things, words};
use super::{Element, Item};
use crate::fold::fold;

/// What the registry is called in the records.
const REGISTRY: &str = "Registry of digital public goods";

/// Marks of a review.
const REVIEW: &str = "clearOwnership";

pub(super) fn read(elements: Vec<Element>, settings: &Settings<'_>, out: &mut Drafts<'_>) {
    for (row, good) in joined(elements, out) {
        one(row, &good, settings, out);
    }
}

/// Things that are the same one, by the registry's name of it or by its own, become one: the first is
/// taken, and the others add what it does not say. Each is reported as a repetition.
fn joined(elements: Vec<Element>, out: &mut Drafts<'_>) -> Vec<(u64, Map<String, Value>)> {
    let mut goods: Vec<(u64, Map<String, Value>)> = Vec::new();
    let mut at: HashMap<String, usize> = HashMap::new();
    for Element { row, object, .. } in elements {
        let keys = [
            id_of(&object).map(|id| format!("id {id}")),
            first(object.get("name")).map(|name| format!("name {}", fold(&name))),
        ];
        let keys: Vec<String> = keys.into_iter().flatten().collect();
        let known = keys.iter().find_map(|key| at.get(key).copied());
        let position = known.unwrap_or(goods.len());
        match goods.get_mut(position) {
            Some((first_row, good)) => {
                let name = first(good.get("name")).unwrap_or_default();
                out.repeat(Duplicate {
                    row,
                    first_row: *first_row,
                    by: "id or name",
                    is_identical: *good == object,
                    joined: Some(shown(&name)),
                });
                for (member, value) in object {
                    good.entry(member).or_insert(value);
                }
            }
            None => goods.push((row, object)),
        }
        for key in keys {
            at.entry(key).or_insert(position);
        }
    }
    goods
}

/// What the registry calls it: the name of its file there.
fn id_of(good: &Map<String, Value>) -> Option<String> {
    let id = good.get("_file").or_else(|| good.get("id"))?.as_str()?;
    let name = id.rsplit('/').next().unwrap_or(id);
    Some(name.trim_end_matches(".json").to_owned()).filter(|name| !name.is_empty())
}

fn one(row: u64, good: &Map<String, Value>, settings: &Settings<'_>, out: &mut Drafts<'_>) {
    let language = Some("en".to_owned());
    let mut item = Item::new(row, Kind::Solution, settings, language);
    let text = |name: &str| first(good.get(name)).filter(|text| !text.trim().is_empty());
    if let Some(name) = text("name") {
        item.put("name", "name", &name);
    }
    if let Some(description) = text("description") {
        item.put("description", "description", &description);
    }
    if let Some(website) = text("website") {
        item.put("url", "website", &website);
    }
    let mut kinds = words(good.get("type")).into_iter();
    if let Some(kind) = kinds.next() {
        let code = if kind == "aimodel" { "ai-model" } else { &kind };
        item.put("kind", "type", code);
    }
    if kinds.next().is_some() {
        item.note("of several types the first is taken");
    }
    let licences: Vec<String> = things(good.get("license"))
        .into_iter()
        .filter_map(|licence| first(licence.get("spdx")))
        .collect();
    if !licences.is_empty() {
        // Each holds for a part of it.
        item.put("licence", "license", &licences.join(" AND "));
    }
    let repositories = things(good.get("repositories"));
    let repository = repositories
        .first()
        .and_then(|repository| first(repository.get("url")));
    if let Some(url) = repository.or_else(|| text("repositoryURL")) {
        item.put("repository", "repositories", &url);
    }
    let organizations = things(good.get("organizations"));
    let named = |only_owners: bool| {
        let names = organizations.iter().filter(|organization| {
            !only_owners || first(organization.get("org_type")).as_deref() == Some("owner")
        });
        names
            .filter_map(|organization| first(organization.get("name")))
            .collect::<Vec<_>>()
    };
    let owners = named(true);
    item.put_all(
        "owners",
        "organizations",
        if owners.is_empty() {
            named(false)
        } else {
            owners
        },
    );
    item.put_all("sectors", "sectors", words(good.get("sectors")));
    let goals = goals(good.get("SDGs"));
    if !goals.is_empty() {
        item.set("sdgTargets", goals);
    }
    let countries = good
        .get("locations")
        .and_then(|locations| locations.get("deploymentCountries"));
    item.put_all("countries", "deploymentCountries", words(countries));
    if let Some(status) = status(good) {
        item.set("dpg", json!({"status": status}));
    }
    if settings.options.source.title.is_none() {
        item.filling.envelope.insert(
            "sources".to_owned(),
            json!([{"title": REGISTRY, "url": "https://digitalpublicgoods.net/registry/", "method": "imported"}]),
        );
    }
    item.finish(id_of(good).as_deref(), settings, out);
}

/// Goals, which are wider than the targets that we have codes of: `{"SDGNumber": 4}`, or `[4, "…"]`.
fn goals(value: Option<&Value>) -> Vec<Value> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let number = |goal: &Value| {
        let number = goal
            .get("SDGNumber")
            .or_else(|| goal.get(0))
            .unwrap_or(goal);
        let number = number.as_u64().or_else(|| number.as_str()?.parse().ok());
        number.filter(|number| (1..=17).contains(number))
    };
    let mut goals: Vec<Value> = Vec::new();
    for number in list.filter_map(number) {
        let goal = json!({"scheme": "SDG", "code": number.to_string()});
        if !goals.contains(&goal) {
            goals.push(goal);
        }
    }
    goals
}

/// How it stands in the registry.
fn status(good: &Map<String, Value>) -> Option<&'static str> {
    let folder = good.get("_file").and_then(Value::as_str);
    let folder = folder
        .and_then(|file| file.split_once('/'))
        .map(|(folder, _)| folder);
    match folder {
        Some("archive") => return Some("archived"),
        Some("excluded-nominees") => return Some("excluded"),
        _ => {}
    }
    match good.get("stage").and_then(Value::as_str) {
        Some("DPG") => Some("DPG"),
        Some("archive") => Some("archived"),
        _ if good.contains_key(REVIEW) => Some("DPG"),
        Some("nominee") => Some("nominee"),
        _ => None,
    }
}
