//! Courses, events, services, organisations and software as pages describe them: JSON-LD with the
//! vocabulary of schema.org, and the profile AMB of it.
//!
//! No context is ever fetched: one that is not schema.org's is refused by name, for its words may mean
//! anything.

use serde_json::{Map, Value};
use url::Url;

use super::super::drafts::Drafts;
use super::super::headers::Target;
use super::super::members::Kind;
use super::super::report::{Finding, shown};
use super::super::settings::Settings;
use super::licence::spdx;
use super::text::{address, first, texts, things, words};
use super::{Element, Item, cell};

/// Most dates and places of one course.
const INSTANCES_MAX: usize = 100;

pub(super) fn read(elements: Vec<Element>, settings: &Settings<'_>, out: &mut Drafts<'_>) {
    for Element {
        row,
        object,
        language,
    } in elements
    {
        if let Some(vocabulary) = other_vocabulary(&object) {
            out.refuse(vec![Finding {
                row,
                column: Some("@context".to_owned()),
                value: Some(shown(&vocabulary)),
                problem: "is not the vocabulary of schema.org, and its words are not known here"
                    .to_owned(),
                suggestion: Some(
                    "ask its publisher for schema.org, or turn it into a table".to_owned(),
                ),
            }]);
            continue;
        }
        let language = context_language(&object).or(language);
        let Some((kind, code)) = meant(&object) else {
            let named = types(&object).join(", ");
            let what = if named.is_empty() {
                "things without a type are left out".to_owned()
            } else {
                format!(
                    "what is of the type {} is left out: the directory has no place for it",
                    shown(&named)
                )
            };
            out.leave_out(row, &what);
            continue;
        };
        let mut item = Item::new(row, kind, settings, language);
        if let Some(code) = code {
            item.set("kind", code);
        }
        let base = settings.options.source.url.as_deref();
        common(&mut item, &object, base);
        match kind {
            Kind::Offering => offering(&mut item, &object),
            Kind::Organization => organization(&mut item, &object),
            Kind::Solution => solution(&mut item, &object),
        }
        item.finish(id(&object, base).as_deref(), settings, out);
    }
}

/// Contexts whose words are schema.org's. An object without any is taken by its types alone.
fn other_vocabulary(object: &Map<String, Value>) -> Option<String> {
    const KNOWN: [&str; 3] = [
        "schema.org",
        "w3id.org/kim/amb",
        "w3id.org/kim/lrmi-profile",
    ];
    let list = match object.get("@context")? {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let of = |context: &Value| match context {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => {
            let vocabulary = object.get("@vocab").or_else(|| object.get("schema"));
            vocabulary.and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    };
    let named: Vec<String> = list.iter().filter_map(of).collect();
    let is_known = |name: &String| KNOWN.iter().any(|known| name.contains(known));
    (!named.iter().any(is_known))
        .then(|| named.join(", "))
        .filter(|named| !named.is_empty())
}

/// `"@context": ["https://schema.org", {"@language": "de"}]`
fn context_language(object: &Map<String, Value>) -> Option<String> {
    let language = things(object.get("@context"))
        .into_iter()
        .find_map(|context| context.get("@language")?.as_str())?;
    protocol::codes::language_tag(language)
}

/// The types of a thing, without what stands before them: `schema:Course`, `http://schema.org/Course`.
pub(in crate::import) fn types(object: &Map<String, Value>) -> Vec<String> {
    let types = words(object.get("@type").or_else(|| object.get("type")));
    let plain = |name: String| {
        name.rsplit(['/', ':', '#'])
            .next()
            .unwrap_or(&name)
            .to_owned()
    };
    types.into_iter().map(plain).collect()
}

/// What a thing is to us, and the kind, where its type says it.
fn meant(object: &Map<String, Value>) -> Option<(Kind, Option<&'static str>)> {
    let types = types(object);
    let is = |names: &[&str]| types.iter().any(|name| names.contains(&name.as_str()));
    let ends = |end: &str| types.iter().any(|name| name.ends_with(end));
    Some(if is(&["Course", "CourseInstance"]) {
        (Kind::Offering, Some("course"))
    } else if is(&["EducationalOccupationalProgram", "WorkBasedProgram"]) {
        (Kind::Offering, Some("programme"))
    } else if ends("Event") || is(&["Hackathon", "Festival"]) {
        (Kind::Offering, Some("event"))
    } else if is(&["Grant", "MonetaryGrant"]) {
        (Kind::Offering, Some("funding"))
    } else if is(&["HowTo"]) {
        (Kind::Offering, Some("toolkit"))
    } else if is(&["LearningResource"]) {
        (Kind::Offering, Some("content"))
    } else if is(&["Library", "InternetCafe"]) {
        (Kind::Offering, Some("place"))
    } else if ends("Service") && !is(&["BroadcastService", "CableOrSatelliteService"]) {
        // Advice, mentorship, funding: a service may be any.
        (Kind::Offering, None)
    } else if is(&["SoftwareSourceCode"]) || ends("Application") {
        (Kind::Solution, Some("software"))
    } else if is(&["Dataset"]) {
        (Kind::Solution, Some("data"))
    } else if let Some((_, code)) = ORGANIZATIONS.iter().find(|(name, _)| is(&[name])) {
        (Kind::Organization, *code)
    } else {
        return None;
    })
}

const ORGANIZATIONS: [(&str, Option<&str>); 16] = [
    ("CollegeOrUniversity", Some("academic")),
    ("EducationalOrganization", Some("academic")),
    ("ResearchOrganization", Some("academic")),
    ("School", Some("academic")),
    ("HighSchool", Some("academic")),
    ("MiddleSchool", Some("academic")),
    ("ElementarySchool", Some("academic")),
    ("GovernmentOrganization", Some("government")),
    ("NGO", Some("ngo")),
    ("Corporation", Some("private")),
    ("Consortium", Some("multistakeholder")),
    ("FundingAgency", None),
    ("Cooperative", None),
    ("LibrarySystem", None),
    ("WorkersUnion", None),
    ("Organization", None),
];

/// What its source calls it: an address, made whole by that of the page. A name that holds on the page
/// alone (`_:b0`) is none.
fn id(object: &Map<String, Value>, base: Option<&str>) -> Option<String> {
    let own = object.get("@id").or_else(|| object.get("id"));
    let own = own
        .and_then(Value::as_str)
        .filter(|id| !id.starts_with("_:"));
    let id = own.or_else(|| object.get("url")?.as_str())?;
    whole(id, base)
}

fn whole(address: &str, base: Option<&str>) -> Option<String> {
    match Url::parse(address) {
        Ok(_) => Some(address.to_owned()),
        Err(_) => {
            let base = Url::parse(base?).ok()?;
            base.join(address).ok().map(|url| url.to_string())
        }
    }
}

fn common(item: &mut Item<'_>, object: &Map<String, Value>, base: Option<&str>) {
    let name = object.get("name").or_else(|| object.get("headline"));
    for (path, from, value) in [
        ("name", "name", name),
        ("summary", "abstract", object.get("abstract")),
        ("description", "description", object.get("description")),
    ] {
        for (text, language) in texts(value) {
            item.put_in(path, from, &text, language.as_deref());
        }
    }
    let own = address(object.get("url")).or_else(|| {
        let id = object.get("@id").or_else(|| object.get("id"))?.as_str()?;
        id.starts_with("http").then(|| id.to_owned())
    });
    if let Some(url) = own.and_then(|url| whole(&url, base)) {
        item.put("url", "url", &url);
    }
    if let Some(licence) = address(object.get("license")) {
        item.fill(
            Target::Body("licence"),
            "license",
            &cell(&spdx(&licence)),
            None,
        );
    }
}

fn all(item: &mut Item<'_>, object: &Map<String, Value>, pairs: &[(&'static str, &str)]) {
    for (path, from) in pairs {
        item.put_all(path, from, words(object.get(*from)));
    }
}

fn offering(item: &mut Item<'_>, object: &Map<String, Value>) {
    let provider = [
        "provider",
        "organizer",
        "funder",
        "publisher",
        "sourceOrganization",
    ];
    if let Some((from, name)) = provider
        .iter()
        .find_map(|from| Some((*from, first(object.get(*from))?)))
    {
        item.put("provider", from, &name);
    }
    if let Some(image) = address(object.get("image")) {
        item.put("image", "image", &image);
    }
    all(
        item,
        object,
        &[
            ("languages", "inLanguage"),
            ("languages", "availableLanguage"),
            ("areas", "about"),
            ("levels", "educationalLevel"),
            ("accessibilityFeatures", "accessibilityFeature"),
            ("excludedCountries", "ineligibleRegion"),
        ],
    );
    // Words in one text are parted by commas here.
    let keywords = words(object.get("keywords"));
    let keywords = keywords
        .iter()
        .flat_map(|text| text.split(','))
        .map(|word| word.trim().to_owned());
    item.put_all(
        "topics",
        "keywords",
        keywords.filter(|word| !word.is_empty()).collect(),
    );
    let audiences = things(object.get("audience"))
        .into_iter()
        .flat_map(|audience| {
            ["audienceType", "educationalRole", "name"]
                .iter()
                .flat_map(|name| words(audience.get(*name)))
                .collect::<Vec<_>>()
        });
    item.put_all("audiences", "audience", audiences.collect());
    item.put_all("countries", "areaServed", words(object.get("areaServed")));
    for (text, language) in texts(object.get("coursePrerequisites")) {
        item.put_in(
            "prerequisites",
            "coursePrerequisites",
            &text,
            language.as_deref(),
        );
    }
    if let Some(time) = first(object.get("timeRequired")) {
        item.put("workload", "timeRequired", &time);
    }
    certificate(item, object);
    let mut dates = things(object.get("hasCourseInstance"));
    if object.contains_key("startDate") {
        dates.push(object);
    }
    let mut offers = things(object.get("offers"));
    offers.extend(dates.iter().flat_map(|date| things(date.get("offers"))));
    cost(item, object, &offers);
    modes(item, object, &dates);
    instances(item, &dates);
    // What has taken place is found no longer.
    let is_event = item.filling.body.get("kind").and_then(Value::as_str) == Some("event");
    if let (true, Some(end)) = (
        is_event,
        first(object.get("endDate")).or_else(|| first(object.get("startDate"))),
    ) {
        item.fill(Target::ValidUntil, "endDate", &cell(&end), None);
    }
}

fn certificate(item: &mut Item<'_>, object: &Map<String, Value>) {
    let awarded = object.get("educationalCredentialAwarded");
    let said = words(awarded).join(" ").to_lowercase();
    let code = if said.contains("badge") {
        "badge"
    } else if said.contains("certificate") || said.contains("completion") {
        "completion"
    } else {
        return;
    };
    item.put("certificate.kind", "educationalCredentialAwarded", code);
}

/// One price is the price. Of several any may hold for the reader, so none is taken.
fn cost(item: &mut Item<'_>, object: &Map<String, Value>, offers: &[&Map<String, Value>]) {
    if object.get("isAccessibleForFree") == Some(&Value::Bool(true)) {
        item.put("cost.kind", "isAccessibleForFree", "free");
        return;
    }
    let mut prices: Vec<_> = offers
        .iter()
        .filter_map(|offer| {
            Some((
                first(offer.get("price"))?,
                first(offer.get("priceCurrency")),
            ))
        })
        .collect();
    prices.dedup();
    match prices.as_slice() {
        [] => {
            if offers.iter().any(|offer| {
                first(offer.get("category")).is_some_and(|text| text.eq_ignore_ascii_case("free"))
            }) {
                item.put("cost.kind", "offers", "free");
            }
        }
        [(price, currency)] => {
            item.put("cost.price", "offers", price);
            if let Some(currency) = currency {
                item.put("cost.currency", "offers", currency);
            }
        }
        _ => item.note("several prices are offered, and none is taken: see the page"),
    }
}

fn modes(item: &mut Item<'_>, object: &Map<String, Value>, dates: &[&Map<String, Value>]) {
    let sources = std::iter::once(object).chain(dates.iter().copied());
    let mut modes = Vec::new();
    for source in sources {
        for mode in words(source.get("courseMode"))
            .into_iter()
            .chain(words(source.get("eventAttendanceMode")))
        {
            let word = mode.rsplit('/').next().unwrap_or(&mode).to_lowercase();
            let code = match word.as_str() {
                "onsite" | "offlineeventattendancemode" | "face-to-face" => "in-person".to_owned(),
                "onlineeventattendancemode" => "online-live".to_owned(),
                "mixedeventattendancemode" => "blended".to_owned(),
                // How much of a day it takes is no way of teaching.
                "full-time" | "part-time" => continue,
                _ => mode,
            };
            if !modes.contains(&code) {
                modes.push(code);
            }
        }
    }
    item.put_all("modes", "courseMode", modes);
}

fn instances(item: &mut Item<'_>, dates: &[&Map<String, Value>]) {
    let mut list: Vec<Value> = Vec::new();
    for date in dates.iter().take(INSTANCES_MAX) {
        for (path, from) in [
            ("instances.start", "startDate"),
            ("instances.end", "endDate"),
            ("instances.seats", "maximumAttendeeCapacity"),
        ] {
            if let Some(text) = first(date.get(from)) {
                item.put(path, from, &text);
            }
        }
        place(item, date.get("location"));
        // One is filled at a time, and put aside.
        if let Some(Value::Array(filled)) = item.filling.body.remove("instances") {
            list.extend(
                filled
                    .into_iter()
                    .filter(|instance| !list.contains(instance))
                    .collect::<Vec<_>>(),
            );
        }
    }
    if dates.len() > INSTANCES_MAX {
        item.note(format!("of its dates the first {INSTANCES_MAX} are taken"));
    }
    if !list.is_empty() {
        item.set("instances", list);
    }
}

fn place(item: &mut Item<'_>, location: Option<&Value>) {
    if let Some(name) = first(location) {
        item.put("instances.place.name", "location", &name);
    }
    let Some(address) = things(location)
        .first()
        .and_then(|place| place.get("address"))
    else {
        return;
    };
    let part = |name: &str| {
        things(Some(address))
            .first()
            .and_then(|address| first(address.get(name)))
    };
    for (path, from) in [
        ("instances.place.locality", "addressLocality"),
        ("instances.place.address", "streetAddress"),
        ("instances.place.country", "addressCountry"),
    ] {
        if let Some(text) = part(from) {
            item.put(path, from, &text);
        }
    }
}

fn organization(item: &mut Item<'_>, object: &Map<String, Value>) {
    all(
        item,
        object,
        &[
            ("alternateName", "alternateName"),
            ("sameAs", "sameAs"),
            ("languages", "knowsLanguage"),
            ("countries", "areaServed"),
            ("funders", "funder"),
            ("memberOf", "memberOf"),
        ],
    );
    if let Some(parent) = first(object.get("parentOrganization")) {
        item.put("parentOrganization", "parentOrganization", &parent);
    }
    // A contact point is a role; an address of the organisation itself is none of a person's either.
    let points = things(object.get("contactPoint"));
    let (point, role) = match points.first() {
        Some(point) => (*point, first(point.get("contactType"))),
        None => (object, None),
    };
    if let Some(role) = role {
        item.put("contactPoints.role", "contactType", &role);
    }
    for (path, from) in [
        ("contactPoints.email", "email"),
        ("contactPoints.telephone", "telephone"),
    ] {
        if let Some(text) = first(point.get(from)) {
            item.put(path, from, text.trim_start_matches("mailto:"));
        }
    }
}

fn solution(item: &mut Item<'_>, object: &Map<String, Value>) {
    if let Some(url) = address(object.get("codeRepository")) {
        item.put("repository", "codeRepository", &url);
    }
    // Persons who wrote it are nobody's business here.
    let owners = ["publisher", "provider", "maintainer", "author", "creator"]
        .iter()
        .flat_map(|from| {
            things(object.get(*from)).into_iter().filter(|owner| {
                types(owner)
                    .iter()
                    .any(|name| ORGANIZATIONS.iter().any(|(known, _)| known == name))
            })
        });
    let owners: Vec<String> = owners
        .filter_map(|owner| first(owner.get("name")))
        .collect();
    item.put_all("owners", "publisher", owners);
    all(
        item,
        object,
        &[("languages", "inLanguage"), ("sectors", "about")],
    );
}
