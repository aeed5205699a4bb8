//! Services and organisations as HSDS 3 describes them. Its contacts are persons, and are left out.

use serde_json::{Map, Value};

use super::super::drafts::Drafts;
use super::super::headers::Target;
use super::super::members::Kind;
use super::super::settings::Settings;
use super::text::{first, things, words};
use super::{Element, Item, cell};

pub(super) fn read(elements: Vec<Element>, settings: &Settings<'_>, out: &mut Drafts<'_>) {
    for Element {
        row,
        object,
        language,
    } in elements
    {
        let has = |name: &str| object.contains_key(name);
        let is_organization = has("legal_status")
            || has("year_incorporated")
            || has("organization_identifiers")
            || has("tax_status")
            || has("website") && !has("url");
        let status = first(object.get("status"));
        if let Some(status @ ("inactive" | "defunct")) = status.as_deref() {
            out.leave_out(row, &format!("services that are {status} are left out"));
        } else if is_organization {
            organization(row, &object, language, settings, out);
        } else {
            service(row, &object, language, settings, out);
        }
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    first(object.get(name)).filter(|text| !text.trim().is_empty())
}

fn service(
    row: u64,
    service: &Map<String, Value>,
    language: Option<String>,
    settings: &Settings<'_>,
    out: &mut Drafts<'_>,
) {
    let mut item = Item::new(row, Kind::Offering, settings, language);
    for (path, name) in [
        ("name", "name"),
        ("description", "description"),
        ("url", "url"),
        ("eligibility", "eligibility_description"),
        ("prerequisites", "application_process"),
    ] {
        if let Some(text) = text(service, name) {
            item.put(path, name, &text);
        }
    }
    if let Some(organization) = service.get("organization") {
        let name = first(Some(organization));
        item.put_all(
            "provider",
            "organization",
            name.into_iter().take(1).collect(),
        );
    }
    item.put_all(
        "accreditedBy",
        "accreditations",
        words(service.get("accreditations")),
    );
    let languages = things(service.get("languages"));
    let languages = languages
        .into_iter()
        .filter_map(|language| text(language, "code").or_else(|| text(language, "name")));
    item.put_all("languages", "languages", languages.collect());
    cost(&mut item, service);
    if text(service, "status").as_deref() == Some("temporarily closed") {
        item.set("capacity", "full");
    }
    if let Some(day) = text(service, "assured_date") {
        item.fill(Target::Confirmed, "assured_date", &cell(&day), None);
    }
    people(&mut item, service);
    item.finish(text(service, "id").as_deref(), settings, out);
}

/// Amounts are of options, of which any may hold for the reader: only one alone is the cost.
fn cost(item: &mut Item<'_>, service: &Map<String, Value>) {
    let options = things(service.get("cost_options"));
    let [only] = options.as_slice() else {
        if text(service, "fees_description").is_some() || options.len() > 1 {
            item.note("fees are told in words or in several options, and are left out: see the service's own page");
        }
        return;
    };
    if let Some(amount) = text(only, "amount") {
        item.put("cost.price", "cost_options", &amount);
        if let Some(currency) = text(only, "currency") {
            item.put("cost.currency", "cost_options", &currency);
        }
    }
}

fn organization(
    row: u64,
    organization: &Map<String, Value>,
    language: Option<String>,
    settings: &Settings<'_>,
    out: &mut Drafts<'_>,
) {
    let mut item = Item::new(row, Kind::Organization, settings, language);
    for (path, name) in [
        ("name", "name"),
        ("description", "description"),
        ("website", "website"),
        ("contactPoints.email", "email"),
    ] {
        if let Some(text) = text(organization, name) {
            item.put(path, name, &text);
        }
    }
    item.put_all(
        "alternateName",
        "alternate_name",
        words(organization.get("alternate_name")),
    );
    let phones = things(organization.get("phones"));
    if let Some(number) = phones.first().and_then(|phone| text(phone, "number")) {
        item.put(
            "contactPoints.telephone",
            "phones",
            number.trim_matches('"'),
        );
    }
    people(&mut item, organization);
    item.finish(text(organization, "id").as_deref(), settings, out);
}

fn people(item: &mut Item<'_>, object: &Map<String, Value>) {
    if !things(object.get("contacts")).is_empty() {
        item.note("contacts are persons, and are left out: records name roles only");
    }
}
