//! What others describe in formats of their own.

use proptest::strategy::Strategy as _;

use super::*;

/// The names of places and the labels that ship, as the node hands them in.
struct Shipped;

impl Labels for Shipped {
    fn code(&self, scheme: &str, text: &str) -> Option<&'static str> {
        Some6.code(scheme, text)
    }

    fn country(&self, text: &str) -> Option<&'static str> {
        crate::places::country_named(text)
    }

    fn language(&self, text: &str) -> Option<String> {
        crate::places::language_named(text).map(str::to_owned)
    }
}

fn options(settings: &[&str]) -> Options<'static> {
    Options {
        labels: &Shipped,
        ..set(settings)
    }
}

fn notices(report: &Report) -> Vec<String> {
    report.notices.iter().map(ToString::to_string).collect()
}

fn body(reading: &Reading, at: usize) -> Value {
    tree(&reading.drafts[at].draft)["body"].clone()
}

#[test]
fn a_nominee_and_its_review_become_one_solution() {
    let file = json!([
        {"name": "Aam Digital", "clearOwnership": {"isOwnershipExplicit": "Yes"},
            "locations": {"deploymentCountries": ["India", "Palestine State", "Atlantis"]}},
        {"name": "aam digital ", "description": "Case management.", "website": "https://aam.example",
            "license": [{"spdx": "GPL-3.0", "licenseURL": "x"}, {"spdx": "CC-BY-4.0"}], "SDGs": [{"SDGNumber": 4}, [16, "Peace"]],
            "sectors": ["Health"], "type": ["software", "content"], "stage": "DPG",
            "repositories": [{"name": "main", "url": "https://git.example/aam"}],
            "organizations": [{"name": "Aam e.V.", "org_type": "owner"}, {"name": "UNICEF", "org_type": "funder"}]},
    ]);
    let reading = read(file.to_string().as_bytes(), &options(&[])).unwrap();
    assert!(reading.report.is_clean(), "{:#?}", reading.report.findings);
    let record = tree(&reading.drafts[0].draft);
    assert_eq!(reading.drafts.len(), 1);
    assert_eq!(
        (
            &record["type"],
            &record["language"],
            &record["sources"][0]["title"]
        ),
        (
            &json!("Solution"),
            &json!("en"),
            &json!("Registry of digital public goods")
        )
    );
    assert_eq!(
        record["body"],
        json!({
            "kind": "software", "name": {"en": "Aam Digital"}, "description": {"en": "Case management."},
            "url": "https://aam.example", "licence": "GPL-3.0 AND CC-BY-4.0", "repository": "https://git.example/aam",
            "owners": ["Aam e.V."], "sectors": [{"scheme": "source", "code": "Health"}],
            "sdgTargets": [{"scheme": "SDG", "code": "4"}, {"scheme": "SDG", "code": "16"}],
            "countries": ["IN", "PS"], "dpg": {"status": "DPG"},
        })
    );
    assert_eq!(
        reading.report.duplicates[0].to_string(),
        "row 2: describes “Aam Digital” again, as row 1 does; they became one record"
    );
    let said = notices(&reading.report);
    assert!(
        said.iter()
            .any(|line| line.contains("“Atlantis” is no country that is known, and is left out")),
        "{said:#?}"
    );
}

#[test]
fn a_review_alone_does_not_say_what_kind_it_is() {
    let file = json!([{"name": "Aam Digital", "clearOwnership": {}}]).to_string();
    let line = finding(&file, &options(&[]));
    assert!(
        line.starts_with(
            "row 1, column “kind”: it does not say what kind of Solution it is; give --set type=Solution --set kind="
        ),
        "{line}"
    );
    let record = one(&file, &options(&["type=Solution", "kind=software"]));
    assert_eq!(record["body"]["kind"], "software");
}

#[test]
fn every_nominee_of_the_registry_is_a_solution_or_has_a_named_reason() {
    let mut whole: Vec<Value> = Vec::new();
    for part in ["nominees", "reviewed", "excluded", "archive"] {
        let Some(path) = shared(&format!("data/dpg-registry/{part}.json")) else {
            eprintln!("skipped: no data/dpg-registry in ../shared or $BARAZA_SHARED");
            return;
        };
        let text = std::fs::read_to_string(path).unwrap();
        let reading = read(text.as_bytes(), &options(&[])).unwrap();
        let report = &reading.report;
        eprintln!(
            "{part}: {} read, {} solutions, {} without a kind, {} repeated",
            report.rows_read, report.rows_good, report.rows_bad, report.rows_duplicate
        );
        let accounted = report.rows_good + report.rows_bad + report.rows_duplicate;
        assert_eq!(report.rows_read, accounted, "{part}");
        assert!(
            report
                .findings
                .iter()
                .all(|finding| finding.column.as_deref() == Some("kind"))
        );
        // Reviews say no kind; everything else does.
        assert_eq!(report.rows_good == 0, part == "reviewed", "{part}");
        whole.extend(serde_json::from_str::<Vec<Value>>(&text).unwrap());
    }
    let reading = read(json!(whole).to_string().as_bytes(), &options(&[])).unwrap();
    let report = &reading.report;
    for notice in notices(report)
        .iter()
        .filter(|line| line.contains("country"))
    {
        eprintln!("{notice}");
    }
    for finding in &report.findings {
        eprintln!("{finding}");
    }
    eprintln!(
        "together: {} read, {} solutions, {} bad, {} repeated",
        report.rows_read, report.rows_good, report.rows_bad, report.rows_duplicate
    );
    assert_eq!(report.rows_read, 916);
    assert_eq!(
        report.rows_good + report.rows_bad + report.rows_duplicate,
        916
    );
    assert_eq!(report.rows_duplicate, report.duplicates.len() as u64);
    for row in &reading.drafts {
        let record = tree(&row.draft);
        assert_eq!(record["type"], "Solution");
        assert!(record["body"]["dpg"]["status"].is_string(), "{record}");
    }
    let deployed = |reading: &Reading| {
        let bodies = (0..reading.drafts.len()).map(|at| body(reading, at));
        bodies.filter(|body| body["countries"].is_array()).count()
    };
    assert!(deployed(&reading) > 100, "{}", deployed(&reading));
}

#[test]
fn a_page_gives_the_courses_that_it_describes() {
    let page = r#"<!doctype html><html lang="fr"><head>
        <script>alert("never run")</script>
        <script type="application/ld+json">
        {"@context": "https://schema.org", "@graph": [
            {"@type": "WebSite", "name": "Our site"},
            {"@type": "BreadcrumbList", "itemListElement": [{"@type": "ListItem", "position": 1, "name": "x"}]},
            {"@type": "Course", "@id": "/cours/1", "url": "/cours/1", "name": "Cybersécurité", "description": "Réagir.",
             "provider": {"@type": "Organization", "name": "ANSSI-BF"}, "inLanguage": ["fr", "en"], "keywords": "réseau, incident",
             "audience": {"@type": "EducationalAudience", "educationalRole": "women"}, "educationalLevel": "basic",
             "license": "https://creativecommons.org/licenses/by/4.0/", "timeRequired": "PT20H", "areaServed": [{"@type": "Country", "name": "Burkina Faso"}, "Mali"],
             "hasCourseInstance": [
                {"@type": "CourseInstance", "courseMode": "onsite", "startDate": "2027-01-12", "endDate": "2027-01-14T16:00:00+00:00",
                 "location": {"@type": "Place", "name": "Salle 1", "address": {"addressLocality": "Ouagadougou", "addressCountry": "BF"}},
                 "offers": {"@type": "Offer", "price": 25000, "priceCurrency": "XOF"}},
                {"@type": "CourseInstance", "courseMode": "online-live", "startDate": "2027-03-01"}]}
        ]}
        </script>
        <script type='application/ld+json'>{"@type": "Course", broken}</script>
        <script type='application/ld+json'>[{"@context": "http://schema.org/", "@type": "schema:EducationEvent", "name": "Journée", "startDate": "2027-05-03", "endDate": "2027-05-04", "isAccessibleForFree": true,
            "eventAttendanceMode": "https://schema.org/OnlineEventAttendanceMode"}]</script></head></html>"#;
    let source = Source {
        url: Some("https://p.example/liste".to_owned()),
        ..Source::default()
    };
    let options = Options {
        source,
        ..options(&[])
    };
    let reading = read(page.as_bytes(), &options).unwrap();
    let report = &reading.report;
    assert_eq!(
        (report.rows_good, report.rows_bad, report.rows_left_out),
        (2, 1, 2),
        "{report:#?}"
    );
    assert!(
        report.findings[0]
            .to_string()
            .contains("script 2 of the page is no JSON")
    );
    assert_eq!(
        body(&reading, 0),
        json!({
            "kind": "course", "name": {"fr": "Cybersécurité"}, "description": {"fr": "Réagir."}, "url": "https://p.example/cours/1",
            "provider": "ANSSI-BF", "languages": ["fr", "en"], "audiences": ["women"], "levels": ["basic"], "licence": "CC-BY-4.0",
            "topics": [{"scheme": "source", "code": "réseau"}, {"scheme": "source", "code": "incident"}],
            "workload": "PT20H", "countries": ["BF", "ML"], "modes": ["in-person", "online-live"],
            "cost": {"kind": "paid", "price": "25000", "currency": "XOF"},
            "instances": [
                {"start": "2027-01-12", "end": "2027-01-14T16:00:00+00:00",
                 "place": {"name": {"fr": "Salle 1"}, "locality": "Ouagadougou", "country": "BF"}},
                {"start": "2027-03-01"}],
        })
    );
    let event = tree(&reading.drafts[1].draft);
    assert_eq!(event["validUntil"], "2027-05-04T23:59:59Z");
    assert_eq!(
        (
            &event["body"]["kind"],
            &event["body"]["modes"],
            &event["body"]["cost"]
        ),
        (
            &json!("event"),
            &json!(["online-live"]),
            &json!({"kind": "free"})
        )
    );
    assert_eq!(event["sources"][0]["url"], "https://p.example/liste");
    // The same page again, and the same thing by another page, has the same name.
    let again = read(page.as_bytes(), &options).unwrap();
    assert_eq!(again.drafts, reading.drafts);
}

#[test]
fn words_of_another_vocabulary_are_refused_by_its_name() {
    let thing =
        json!({"@context": "https://example.org/vocabulary", "@type": "Course", "name": "A"});
    let line = finding(&thing.to_string(), &options(&["language=en"]));
    assert!(
        line.starts_with("row 1, column “@context”: “https://example.org/vocabulary” is not the vocabulary of schema.org"),
        "{line}"
    );
    let service = json!({"@context": "https://schema.org", "@type": "Service", "name": "Help"});
    let line = finding(&service.to_string(), &options(&["language=en"]));
    assert!(
        line.contains("it does not say what kind of Offering it is"),
        "{line}"
    );
    let record = one(
        &service.to_string(),
        &options(&["language=en", "kind=advisory"]),
    );
    assert_eq!(record["body"]["kind"], "advisory");
    let silent = json!({"@context": "https://schema.org", "@type": "Course", "name": "Help"});
    assert!(finding(&silent.to_string(), &options(&[])).contains("--set language=en"));
}

#[test]
fn the_examples_of_schema_org_and_of_amb_are_read_or_named() {
    let Some(path) = shared("data/schemaorg-examples/examples.json") else {
        eprintln!("skipped: no data/schemaorg-examples in ../shared or $BARAZA_SHARED");
        return;
    };
    let examples: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let things: Vec<&Value> = examples.iter().map(|example| &example["jsonld"]).collect();
    let reading = read(
        json!(things).to_string().as_bytes(),
        &options(&["language=en", "kind=advisory"]),
    )
    .unwrap();
    let report = &reading.report;
    assert_eq!(report.rows_read, things.len() as u64);
    assert_eq!(
        report.rows_read,
        report.rows_good + report.rows_bad + report.rows_left_out + report.rows_duplicate
    );
    // One course has no name; permits, series and persons are no matter of ours.
    assert_eq!(
        (report.rows_good, report.rows_bad, report.rows_left_out),
        (5, 1, 4),
        "{report:#?}"
    );
    let folder = shared("data/amb-learning-resources/valid").unwrap();
    let (mut good, mut others) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let reading = read(std::fs::File::open(&path).unwrap(), &options(&[])).unwrap();
        good += reading.drafts.len();
        let found = reading.report.findings.iter().map(ToString::to_string);
        others.extend(found.map(|line| format!("{}: {line}", path.display())));
    }
    eprintln!("AMB: {good} read, {others:#?}");
    assert!(good >= 30 && others.len() <= 3, "{good}, {others:#?}");
}

#[test]
fn services_and_organisations_of_hsds_are_read_without_their_persons() {
    let service = json!({
        "id": "ac148810-d857-441c-9679-408f346de14b", "name": "Digital help desk", "description": "Help with forms.", "status": "active",
        "url": "http://example.com/help", "eligibility_description": "Everybody", "assured_date": "2026-10-01",
        "organization": {"id": "d9", "name": "Example Org", "legal_status": "Charity"},
        "languages": [{"name": "Urdu", "code": "ur"}], "cost_options": [{"amount": 5, "currency": "gbp"}],
        "contacts": [{"name": "Ann Persona", "email": "ann@example.com"}],
        "service_at_locations": [{"location": {"latitude": 51.23, "longitude": 4.4}}],
    });
    let closed =
        json!({"name": "Closed", "id": "x", "status": "defunct", "service_at_locations": []});
    let page = json!({"total_items": 2, "page_number": 1, "contents": [service, closed]});
    let reading = read(
        page.to_string().as_bytes(),
        &options(&["kind=advisory", "language=en"]),
    )
    .unwrap();
    assert!(reading.report.is_clean(), "{:#?}", reading.report);
    let record = tree(&reading.drafts[0].draft);
    assert_eq!(record["localId"], "ac148810-d857-441c-9679-408f346de14b");
    assert_eq!(record["confirmed"], "2026-10-01T00:00:00Z");
    assert_eq!(
        record["body"],
        json!({
            "kind": "advisory", "name": {"en": "Digital help desk"}, "description": {"en": "Help with forms."},
            "url": "http://example.com/help", "eligibility": {"en": "Everybody"}, "provider": "Example Org", "languages": ["ur"],
            "cost": {"kind": "paid", "price": "5", "currency": "GBP"},
        })
    );
    assert!(!record.to_string().contains("Persona"));
    assert_eq!(reading.report.rows_left_out, 1);
    assert!(
        notices(&reading.report)
            .iter()
            .any(|line| line.contains("contacts are persons"))
    );
    let Some(folder) = shared("data/hsds/v3.0") else {
        eprintln!("skipped: no data/hsds in ../shared or $BARAZA_SHARED");
        return;
    };
    for (file, kind) in [
        ("service_full.json", "Offering"),
        ("service_list.json", "Offering"),
        ("organization_full.json", "Organization"),
        ("organization_list.json", "Organization"),
    ] {
        let input = std::fs::File::open(folder.join(file)).unwrap();
        let reading = read(input, &options(&["kind=advisory", "language=en"])).unwrap();
        assert!(
            reading.report.is_clean(),
            "{file}: {:#?}",
            reading.report.findings
        );
        let record = tree(&reading.drafts[0].draft);
        assert_eq!(
            (reading.drafts.len(), &record["type"]),
            (1, &json!(kind)),
            "{file}"
        );
        assert!(!record.to_string().contains("Persona"), "{file}");
    }
}

proptest! {
    #[test]
    fn no_page_makes_it_panic(parts in proptest::collection::vec(prop_oneof![
        Just("<script type=application/ld+json>".to_owned()),
        Just("</script>".to_owned()),
        Just("<html lang=\"".to_owned()),
        Just(r#"{"@context":"https://schema.org","@type":"Course","name":"A","inLanguage":"#.to_owned()),
        Just(r#""en"}"#.to_owned()),
        any::<String>(),
    ], 0..12)) {
        let _ = read(format!("<{}", parts.concat()).as_bytes(), &options(&[]));
    }

    #[test]
    fn no_thing_of_json_ld_makes_it_panic(member in "(name|url|@id|inLanguage|offers|hasCourseInstance|audience|location|license|startDate|areaServed|@context)", value in prop_oneof![
        Just(json!(null)), Just(json!([[[[["a"]]]]])), Just(json!({"@value": 5})), Just(json!({"en": 1})),
        any::<f64>().prop_map(|number| json!(number)), any::<String>().prop_map(|text| json!([text, {"name": text}])),
    ]) {
        let mut thing = json!({"@context": "https://schema.org", "@type": "Course", "name": "A"});
        thing[member.as_str()] = value;
        let reading = read(thing.to_string().as_bytes(), &options(&["language=en"])).unwrap();
        let report = reading.report;
        assert_eq!(report.rows_read, report.rows_good + report.rows_bad + report.rows_left_out);
    }
}
