//! Promises of the index to whoever searches, on an index in memory or in a temporary folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, proptest};
use protocol::envelope::Header;
use protocol::id::{RecordId, Scid};
use protocol::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Document, Facet, Found, GLOBAL, Index, LabelWords, Matching, NotIndexed, Query, QueryError,
    QueryParts, SearchError, Sort, Validity, Writer, WriterBudget,
};

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T04:00:00Z").unwrap()
}

fn author(name: &str) -> Scid {
    Scid::of(name.as_bytes())
}

fn id(local: &str) -> RecordId {
    RecordId::parse(&format!("{}/{local}", author("school"))).unwrap()
}

/// An offering of the school; `extra` replaces members of the record, its `body` those of the body.
fn record(local: &str, extra: Value) -> Map<String, Value> {
    let mut tree = json!({
        "spec": "baraza/1", "type": "Offering", "localId": local, "seq": 1, "status": "active",
        "author": format!("did:webvh:{}:school.example", author("school")),
        "issued": "2026-01-01T00:00:00Z", "licence": "CC0-1.0",
        "body": {"kind": "course", "name": {"en": local}},
    });
    for (name, value) in extra.as_object().unwrap() {
        match (tree.get_mut(name), value) {
            (Some(Value::Object(held)), Value::Object(new)) => held.extend(new.clone()),
            _ => drop(
                tree.as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            ),
        }
    }
    tree.as_object().unwrap().clone()
}

fn document(tree: &Map<String, Value>) -> Result<Document, NotIndexed> {
    Document::of(&Header::read(tree).unwrap(), tree)
}

fn offering(local: &str, body: Value) -> Document {
    document(&record(local, json!({"body": body}))).unwrap()
}

fn writer(index: &Index) -> Writer {
    index.writer(WriterBudget::default()).unwrap()
}

fn index_of(documents: impl IntoIterator<Item = Document>) -> Index {
    let index = Index::in_memory().unwrap();
    let mut writer = writer(&index);
    for document in documents {
        writer.put(document).unwrap();
    }
    writer.commit("1").unwrap();
    index
}

fn named(texts: &[(&str, &str, &str)]) -> Index {
    index_of(
        texts
            .iter()
            .map(|(local, language, text)| offering(local, json!({"name": {*language: text}}))),
    )
}

fn find(index: &Index, parts: &QueryParts<'_>) -> Found {
    index.search(&Query::parse(parts).unwrap()).unwrap()
}

fn locals(found: &Found) -> Vec<String> {
    found
        .hits
        .iter()
        .map(|hit| hit.id.local.to_string())
        .collect()
}

fn finds(index: &Index, text: &str) -> Vec<String> {
    locals(&find(
        index,
        &QueryParts {
            text,
            ..QueryParts::at(now())
        },
    ))
}

fn filtered(index: &Index, filters: &[(Facet, &str)]) -> BTreeSet<String> {
    locals(&find(
        index,
        &QueryParts {
            filters: filters.to_vec(),
            ..QueryParts::at(now())
        },
    ))
    .into_iter()
    .collect()
}

fn set(locals: &[&str]) -> BTreeSet<String> {
    locals.iter().map(|local| (*local).to_owned()).collect()
}

const NONE: [&str; 0] = [];

// ---- Words ----

#[test]
fn a_filter_that_lets_all_through_changes_neither_results_nor_scores() {
    let words = ["farm", "farms", "farming", "water", "waters", "kilimo"];
    let text = |number: usize| {
        let word = |step: usize| words[(number * step + number / 7) % words.len()];
        json!({
            "name": {"en": word(1)}, "summary": {"en": word(5)},
            "description": {"fr": format!("{} {}", word(11), word(13)), "sw": word(2)},
        })
    };
    let index = index_of((0..500).map(|number| offering(&format!("r{number}"), text(number))));
    for text in [
        "farm",
        "farms water",
        "kilim",
        "water -farms",
        "kilimo waters farming",
    ] {
        for sort in [Sort::Relevance, Sort::Id] {
            let alone = QueryParts {
                text,
                sort,
                language: Some("en"),
                limit: Some(100),
                ..QueryParts::at(now())
            };
            let beside = QueryParts {
                filters: vec![(Facet::Type, "Offering")],
                ..alone.clone()
            };
            let (alone, beside) = (find(&index, &alone), find(&index, &beside));
            assert_eq!(alone.total, beside.total, "{text}");
            assert_eq!(alone.hits, beside.hits, "{text}");
            assert!(alone.total > 0, "{text}");
        }
    }
}

#[test]
fn arabic_words_meet_with_and_without_article_vowel_signs_and_hamza() {
    let index = named(&[
        ("a", "ar", "التدريب على الأمن السيبراني"),
        ("b", "ar", "محو الأمية الرقمية"),
    ]);
    for text in [
        "التدريب",
        "تدريب",
        "الامن",
        "الأَمْن السيبرانى",
        "سيبراني",
        "السيبرانية",
    ] {
        assert_eq!(finds(&index, text), ["a"], "{text}");
    }
    assert_eq!(finds(&index, "الامية"), ["b"]);
}

#[test]
fn french_words_meet_by_their_stem_and_without_accents() {
    let index = named(&[
        ("a", "fr", "Formations en sécurité numérique"),
        ("b", "fr", "L’accès à l’internet"),
    ]);
    for text in [
        "formation",
        "formations",
        "sécurités",
        "securite",
        "numériques",
        "NUMERIQUE",
    ] {
        assert_eq!(finds(&index, text), ["a"], "{text}");
    }
    assert_eq!(finds(&index, "accès"), ["b"]);
    assert_eq!(finds(&index, "l'acces"), ["b"]);
}

#[test]
fn swahili_and_amharic_words_meet_by_their_beginning() {
    let index = named(&[
        ("a", "sw", "Mafunzo ya usalama mtandaoni"),
        ("b", "am", "የዲጂታል ስልጠና"),
    ]);
    for text in ["mafunzo", "mafunzoni", "mtandao", "usalama"] {
        assert_eq!(finds(&index, text), ["a"], "{text}");
    }
    for text in ["ስልጠና", "ስልጠናዎች"] {
        assert_eq!(finds(&index, text), ["b"], "{text}");
    }
}

#[test]
fn chinese_and_thai_are_found_by_the_words_within_a_sentence() {
    let index = named(&[
        ("a", "zh", "小型企业网络安全培训课程"),
        ("b", "th", "หลักสูตรฝึกอบรมความปลอดภัย"),
    ]);
    for text in ["网络安全", "培训", "企业 课程", "\"网络安全\""] {
        assert_eq!(finds(&index, text), ["a"], "{text}");
    }
    for text in ["หลักสูตร", "ฝึกอบรม", "ความปลอดภัย", "\"หลักสูตร\""]
    {
        assert_eq!(finds(&index, text), ["b"], "{text}");
    }
    assert_eq!(finds(&index, "网络课程 -培训"), NONE);
}

#[test]
fn t09_a_language_that_no_list_has_is_searched_like_a_known_one() {
    let index = named(&[
        ("a", "qqq-Latn", "Żółte kwiaty"),
        ("b", "x-ours", "Nimble widgets"),
    ]);
    assert_eq!(finds(&index, "zolte kwiat"), ["a"]);
    assert_eq!(finds(&index, "widget"), ["b"]);
}

#[test]
fn every_word_is_required_and_any_one_suffices_only_when_asked_for() {
    let index = named(&[
        ("a", "en", "Network security"),
        ("b", "en", "Network cabling"),
    ]);
    assert_eq!(finds(&index, "network security"), ["a"]);
    let any = |text| {
        find(
            &index,
            &QueryParts {
                text,
                matching: Matching::Any,
                ..QueryParts::at(now())
            },
        )
    };
    assert_eq!(locals(&any("security networks gardening")), ["a", "b"]);
    assert_eq!(locals(&any("gardening")), NONE);
}

#[test]
fn words_may_stand_in_different_languages_and_fields_of_one_record() {
    let index = index_of([offering(
        "a",
        json!({"name": {"fr": "Cybersécurité", "en": "Cyber security"}, "description": {"en": "For teachers"}}),
    )]);
    assert_eq!(finds(&index, "cybersécurité teacher"), ["a"]);
}

#[test]
fn a_phrase_is_its_words_side_by_side_in_one_text() {
    let index = index_of([
        offering("a", json!({"name": {"en": "Digital skills for women"}})),
        offering("b", json!({"name": {"en": "Skills in digital trade"}})),
        offering(
            "c",
            json!({"name": {"en": "All about digital", "fr": "Skills"}}),
        ),
    ]);
    assert_eq!(finds(&index, "\"digital skills\""), ["a"]);
    assert_eq!(finds(&index, "«digital skills» women"), ["a"]);
    assert_eq!(finds(&index, "“skills” \"digital trade\""), ["b"]);
    assert_eq!(
        finds(&index, "\"digital"),
        ["a", "b", "c"].map(str::to_owned)
    );
}

#[test]
fn an_excluded_word_or_phrase_removes_what_has_it_or_its_stem() {
    let index = named(&[
        ("a", "en", "Linux course"),
        ("b", "en", "Windows course"),
        ("c", "en", "Wind power course"),
    ]);
    assert_eq!(
        finds(&index, "course -window"),
        ["a", "c"].map(str::to_owned)
    );
    assert_eq!(finds(&index, "course -\"wind power\" -linux"), ["b"]);
    assert_eq!(finds(&index, "-windows"), ["a", "c"].map(str::to_owned));
    assert_eq!(finds(&index, "course - linux"), ["a"]);
}

#[test]
fn labels_of_codes_find_a_record_that_does_not_say_the_word() {
    let coded = offering(
        "a",
        json!({"name": {"en": "CERT basics"}, "areas": ["cyber"]}),
    );
    let index = index_of([
        coded,
        offering("b", json!({"name": {"fr": "Cybersécurité pour tous"}})),
    ])
    .with_labels(LabelWords::of([
        (Facet::Area, "cyber", "fr", "Cybersécurité et confiance"),
        (Facet::Area, "cyber", "ar", "الأمن السيبراني"),
    ]));
    assert_eq!(finds(&index, "cybersecurite"), ["b", "a"]);
    assert_eq!(finds(&index, "الامن"), ["a"]);
    assert_eq!(finds(&index, "\"securite et confiance\""), NONE);
    assert_eq!(finds(&index, "\"cybersecurite et confiance\""), ["a"]);
    assert_eq!(finds(&index, "basics confiances"), ["a"]);
    assert_eq!(finds(&index, "cybersecurite -confiance"), ["b"]);
}

#[test]
fn other_names_partners_and_towns_find_a_record() {
    let organization = record(
        "giz",
        json!({"type": "Organization", "body": {"name": {"de": "Gesellschaft"}, "alternateName": ["GIZ"], "kind": null}}),
    );
    let index = index_of([
        document(&organization).unwrap(),
        offering(
            "a",
            json!({"partners": ["Diplo Foundation", "did:webvh:x"], "instances": [{"place": {"locality": "Nairobi"}}]}),
        ),
    ]);
    assert_eq!(finds(&index, "giz"), ["giz"]);
    assert_eq!(finds(&index, "diplo nairobi"), ["a"]);
    assert_eq!(finds(&index, "webvh"), NONE);
}

#[test]
fn w05_hostile_text_is_ordinary_text_and_never_an_error() {
    let index = named(&[("a", "en", "Safe course"), ("b", "en", "Or and not 1")]);
    let hostile = [
        "*:*",
        "%",
        "\\",
        "_",
        "?",
        "*",
        "a:b",
        "name:safe",
        "' OR '1'='1' --",
        "'; DROP TABLE records; --",
        "(((",
        "))",
        "[1 TO 9]",
        "{}",
        "~~~",
        "^9",
        "&&",
        "||",
        "!",
        "\"",
        "\"\"",
        "-\"\"",
        "--",
        "-",
        "- -",
        "\u{0}",
        "\u{202e}\u{feff}",
        "🎓🎓",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "${jndi:ldap://x}",
        "\u{301}",
        "safe\u{0}course*",
        "IN [a b]",
        "\u{10ffff}",
        "a\u{300}\u{300}\u{300}\u{300}",
    ];
    for text in hostile {
        for matching in [Matching::All, Matching::Any, Matching::Plain] {
            let query = Query::parse(&QueryParts {
                text,
                matching,
                ..QueryParts::at(now())
            });
            let found = index
                .search(&query.unwrap_or_else(|error| panic!("{text}: {error}")))
                .unwrap();
            assert!(found.total <= 2, "{text}");
        }
    }
    for text in ["*:*", "%", "\\", "🎓", "\"\"", "(((", "* ?"] {
        assert_eq!(finds(&index, text), NONE, "{text} stands in no record");
    }
    assert_eq!(finds(&index, "safe*"), ["a"]);
    assert_eq!(finds(&index, ""), ["a", "b"]);
    assert_eq!(finds(&index, "  \t "), ["a", "b"]);
}

#[test]
fn w06_what_is_out_of_bounds_is_refused_with_the_reason() {
    let refused = |parts: QueryParts<'_>| Query::parse(&parts).unwrap_err();
    let at = || QueryParts::at(now());
    for limit in [0, -1, 101, i64::MAX, i64::MIN] {
        assert_eq!(
            refused(QueryParts {
                limit: Some(limit),
                ..at()
            }),
            QueryError::Limit { limit }
        );
    }
    for cursor in ["", "x", "%%%", "AAAA", &"A".repeat(10_000), "é"] {
        assert_eq!(
            refused(QueryParts {
                cursor: Some(cursor),
                ..at()
            }),
            QueryError::Cursor,
            "{cursor}"
        );
    }
    let long = "é".repeat(201);
    assert_eq!(
        refused(QueryParts {
            text: &long,
            ..at()
        }),
        QueryError::TextTooLong { chars: 201 }
    );
    let many = "a ".repeat(17);
    assert_eq!(
        refused(QueryParts {
            text: &many,
            ..at()
        }),
        QueryError::TooManyWords { words: 17 }
    );
    let many = vec![(Facet::Area, "cyber"); 65];
    assert_eq!(
        refused(QueryParts {
            filters: many,
            ..at()
        }),
        QueryError::TooManyFilters { values: 65 }
    );
    assert!(matches!(
        refused(QueryParts {
            language: Some("klingon!"),
            ..at()
        }),
        QueryError::Language { .. }
    ));
    for (facet, value) in [
        (Facet::Country, "Kenya"),
        (Facet::Language, "pt_BR"),
        (Facet::Area, " "),
    ] {
        let error = refused(QueryParts {
            filters: vec![(facet, value)],
            ..at()
        });
        assert!(matches!(error, QueryError::Filter { .. }), "{error}");
    }
    assert!(
        Query::parse(&QueryParts {
            text: &"é".repeat(200),
            limit: Some(100),
            ..at()
        })
        .is_ok()
    );
}

// ---- Filters ----

#[test]
fn several_values_of_a_family_mean_any_and_families_all_apply() {
    let body = |area: &str, mode: &str| json!({"areas": [area], "modes": [mode]});
    let index = index_of([
        offering("a", body("cyber", "blended")),
        offering("b", body("policy", "blended")),
        offering("c", body("data-ai", "in-person")),
    ]);
    assert_eq!(
        filtered(&index, &[(Facet::Area, "cyber"), (Facet::Area, "data-ai")]),
        set(&["a", "c"])
    );
    let both = [
        (Facet::Area, "cyber"),
        (Facet::Area, "data-ai"),
        (Facet::Mode, "blended"),
    ];
    assert_eq!(filtered(&index, &both), set(&["a"]));
    assert_eq!(
        filtered(&index, &[(Facet::Area, "of-a-newer-version")]),
        set(&[])
    );
    assert_eq!(
        filtered(&index, &[(Facet::Area, "cyber=x' OR 1")]),
        set(&[])
    );
}

#[test]
fn a_filter_that_was_asked_for_before_sees_what_came_went_and_was_merged_since() {
    let body = |number: usize| {
        let (area, country) = (
            ["cyber", "policy"][number % 2],
            ["KE", "SN", "BD"][number % 3],
        );
        json!({"name": {"en": "course"}, "areas": [area], "countries": [country]})
    };
    let local = |number: usize| format!("r-{number}");
    let index = Index::in_memory().unwrap();
    let mut writer = writer(&index);
    let asked = |index: &Index, numbers: &dyn Fn(usize) -> bool| {
        // 6 | n - 4: of the first area and the second country.
        let held = (0..600).filter(|number| numbers(*number) && number % 6 == 4);
        let filters = vec![(Facet::Area, "cyber"), (Facet::Country, "SN")];
        for text in ["", "course"] {
            let parts = QueryParts {
                text,
                filters: filters.clone(),
                ..QueryParts::at(now())
            };
            assert_eq!(find(index, &parts).total, held.clone().count() as u64);
        }
    };
    for part in 0..6 {
        for number in part * 100..(part + 1) * 100 {
            writer.put(offering(&local(number), body(number))).unwrap();
        }
        writer.commit("1").unwrap();
        asked(&index, &|number| number < (part + 1) * 100);
    }
    assert!(index.shared.kept.len() > 0);
    // One that is removed, one that is about something else from now on, one that comes back.
    writer.remove(&id(&local(4)));
    writer.put(offering(&local(10), body(11))).unwrap();
    writer.put(offering(&local(16), body(16))).unwrap();
    writer.commit("2").unwrap();
    asked(&index, &|number| number != 4 && number != 10);
    writer.finish().unwrap();
    asked(&index, &|number| number != 4 && number != 10);
    // Nothing is kept of what is gone.
    let segments = index.shared.reader.searcher().segment_readers().len();
    assert!(index.shared.kept.len() <= 2 * segments);
}

#[test]
fn every_family_filters() {
    let index = index_of([
        offering(
            "a",
            json!({"kind": "advisory", "topics": ["incident-response"], "audiences": ["women"], "levels": ["basic"],
                "cost": {"kind": "free"}, "licence": "CC-BY-4.0", "certificate": {"kind": "badge"},
                "sdgTargets": ["4.4"], "languages": ["sw"], "modes": ["online-self"],
                "teaches": [], "areas": [{"scheme": "https://x.example/s", "code": "k1"}]}),
        ),
        offering("b", json!({"cost": {"kind": "conditional"}})),
    ]);
    let school = author("school").to_string();
    for (facet, value) in [
        (Facet::Kind, "advisory"),
        (Facet::Topic, "incident-response"),
        (Facet::Area, "cyber"),
        (Facet::Audience, "women"),
        (Facet::Level, "basic"),
        (Facet::Cost, "free"),
        (Facet::Licence, "CC-BY-4.0"),
        (Facet::Certificate, "badge"),
        (Facet::Sdg, "4.4"),
        (Facet::Sdg, "4"),
        (Facet::Language, "sw"),
        (Facet::Mode, "online-self"),
        (Facet::Area, "https://x.example/s|k1"),
    ] {
        assert_eq!(filtered(&index, &[(facet, value)]), set(&["a"]), "{facet}");
    }
    assert_eq!(
        filtered(&index, &[(Facet::Type, "Offering"), (Facet::Org, &school)]),
        set(&["a", "b"])
    );
    assert_eq!(filtered(&index, &[(Facet::Type, "Solution")]), set(&[]));
    for facet in Facet::ALL {
        assert_eq!(Facet::named(facet.name()), Some(facet));
    }
}

#[test]
fn f10_a_country_finds_what_names_it_and_what_is_global_unless_excluded() {
    let index = index_of([
        offering("kenya", json!({"countries": ["KE"]})),
        offering("county", json!({"countries": ["KE-30"]})),
        offering("east-africa", json!({"regions": ["014"]})),
        offering(
            "east-africa-without",
            json!({"regions": ["014"], "excludedCountries": ["KE"]}),
        ),
        offering("global", json!({})),
        offering("world", json!({"regions": ["001"]})),
        offering("global-without", json!({"excludedCountries": ["KE"]})),
        offering(
            "global-without-county",
            json!({"excludedCountries": ["KE-30"]}),
        ),
        offering("fiji", json!({"countries": ["FJ"]})),
        offering(
            "place",
            json!({"kind": "place", "place": {"country": "KE"}}),
        ),
    ]);
    let country = |code| filtered(&index, &[(Facet::Country, code)]);
    assert_eq!(
        country("KE"),
        set(&[
            "kenya",
            "county",
            "east-africa",
            "global",
            "world",
            "global-without-county",
            "place"
        ])
    );
    assert_eq!(
        country("ke-30"),
        set(&["kenya", "county", "east-africa", "global", "world", "place"])
    );
    assert_eq!(
        country("KE-47"),
        set(&[
            "kenya",
            "east-africa",
            "global",
            "world",
            "global-without-county",
            "place"
        ])
    );
    let tanzania = [
        "east-africa",
        "east-africa-without",
        "global",
        "world",
        "global-without",
        "global-without-county",
    ];
    assert_eq!(country("TZ"), set(&tanzania));
    assert_eq!(
        country(GLOBAL),
        set(&["global", "world", "global-without", "global-without-county"])
    );
    // F15: groups and regions are found by what they hold, not by their name.
    assert!(country("SIDS").contains("fiji") && !country("SIDS").contains("kenya"));
    assert!(country("202").contains("county") && !country("202").contains("fiji"));
    let either = filtered(&index, &[(Facet::Country, "KE-30"), (Facet::Country, "FJ")]);
    assert!(
        either.contains("fiji") && either.contains("county") && either.contains("global-without")
    );
}

#[test]
fn f16_a_language_finds_its_relatives_with_a_mark_and_the_exact_one_first() {
    let index = index_of([
        offering("brazil", json!({"languages": ["pt-BR"]})),
        offering("mozambique", json!({"languages": ["pt-MZ", "en"]})),
        offering("english", json!({"languages": ["en"]})),
        offering("booklet", json!({"materialLanguages": ["pt"]})),
        offering("silent", json!({})),
    ]);
    let found = find(
        &index,
        &QueryParts {
            filters: vec![(Facet::Language, "pt-mz")],
            ..QueryParts::at(now())
        },
    );
    assert_eq!(locals(&found), ["mozambique", "booklet", "brazil"]);
    let marks: Vec<_> = found
        .hits
        .iter()
        .map(|hit| hit.language.clone().unwrap())
        .collect();
    assert!(marks[0].is_exact() && !marks[1].is_exact() && !marks[2].is_exact());
    assert_eq!(marks[2].found.as_ref(), "pt-BR");
    let found = find(
        &index,
        &QueryParts {
            filters: vec![(Facet::Language, "pt")],
            ..QueryParts::at(now())
        },
    );
    assert!(
        found.total == 3
            && found
                .hits
                .iter()
                .all(|hit| hit.language.as_ref().unwrap().is_exact())
    );
}

#[test]
fn f19_free_excludes_conditional_and_unknown() {
    let cost = |kind: &str| json!({"cost": {"kind": kind}});
    let index = index_of([
        offering("a", cost("free")),
        offering("b", cost("conditional")),
        offering("c", json!({})),
    ]);
    assert_eq!(filtered(&index, &[(Facet::Cost, "free")]), set(&["a"]));
    assert_eq!(
        filtered(
            &index,
            &[(Facet::Cost, "free"), (Facet::Cost, "conditional")]
        ),
        set(&["a", "b"])
    );
}

#[test]
fn f52_what_is_over_leaves_the_results_and_is_found_when_asked_for() {
    let until =
        |local, moment: &str| document(&record(local, json!({"validUntil": moment}))).unwrap();
    let event = |local, dates: Value| offering(local, json!({"kind": "event", "instances": dates}));
    let index = index_of([
        until("expired", "2026-11-22T03:59:59Z"),
        until("holds", "2026-11-22T04:00:01Z"),
        event(
            "past",
            json!([{"start": "2025-01-01", "end": "2025-01-03"}, {"start": "2026-11-21"}]),
        ),
        event(
            "today",
            json!([{"start": "2025-01-01"}, {"end": "2026-11-22"}]),
        ),
        event("undated", json!([{"start": "2025-01-01"}, {"seats": 3}])),
        offering("course", json!({"instances": [{"end": "2025-01-03"}]})),
    ]);
    assert_eq!(
        filtered(&index, &[]),
        set(&["holds", "today", "undated", "course"])
    );
    let all = find(
        &index,
        &QueryParts {
            validity: Validity::Any,
            ..QueryParts::at(now())
        },
    );
    assert_eq!(all.total, 6);
    let later = find(
        &index,
        &QueryParts::at(Timestamp::parse("2026-11-23T00:00:00Z").unwrap()),
    );
    assert_eq!(later.total, 2);
}

/// Two clock changes: in Europe an hour comes twice, in the Americas one is left out.
#[test]
fn t10_what_ends_in_the_hour_of_a_clock_change_ends_once_and_by_utc() {
    for (end, day) in [
        ("2026-10-25T01:00:00Z", "2026-10-25"),
        ("2026-03-08T10:00:00Z", "2026-03-08"),
    ] {
        let at = |moment: &str| Timestamp::parse(moment).unwrap();
        let ends = document(&record("ends", json!({"validUntil": end}))).unwrap();
        let event = json!({"kind": "event", "instances": [{"end": day}, {"end": day}]});
        let index = index_of([ends, offering("event", event)]);
        let end = at(end);
        let found = |now: Timestamp| find(&index, &QueryParts::at(now));
        // Nothing is listed twice, and no second before, at or after the end is odd.
        for seconds in (-3_700..=3_700).step_by(100).chain([-1, 1]) {
            let expected = if seconds < 0 { 2 } else { 1 };
            let total = found(end.plus_seconds(seconds)).total;
            assert_eq!(total, expected, "{day}, {seconds} s after the end");
        }
        // A day is over at its end in UTC, wherever it was meant.
        let midnight = at(&format!("{day}T00:00:00Z")).plus_seconds(86_400);
        assert_eq!(found(midnight.plus_seconds(-1)).total, 1, "{day}");
        assert_eq!(found(midnight).total, 0, "{day}");
    }
}

// ---- Counts ----

#[test]
fn counts_are_of_all_results_by_code_most_frequent_first() {
    let index = index_of([
        offering(
            "a",
            json!({"areas": ["cyber"], "countries": ["KE-30", "KE"], "languages": ["pt", "pt-BR"]}),
        ),
        offering(
            "b",
            json!({"areas": ["policy", "cyber"], "regions": ["014"], "excludedCountries": ["TZ"]}),
        ),
        offering("c", json!({"areas": ["data-ai"]})),
        offering(
            "d",
            json!({"kind": "event", "areas": ["cyber"], "instances": [{"end": "2020-01-01"}]}),
        ),
    ]);
    let facets = vec![Facet::Country, Facet::Area, Facet::Area, Facet::Language];
    let found = find(
        &index,
        &QueryParts {
            facets,
            limit: Some(1),
            ..QueryParts::at(now())
        },
    );
    let counts = |facet| {
        let counts = found
            .facets
            .iter()
            .find(|counts| counts.facet == facet)
            .unwrap();
        counts
            .codes
            .iter()
            .map(|(code, count)| (code.as_str(), *count))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        counts(Facet::Area),
        [("cyber", 2), ("data-ai", 1), ("policy", 1)]
    );
    assert_eq!(counts(Facet::Language), [("pt", 1)]);
    let countries = counts(Facet::Country);
    assert_eq!(countries[0], ("KE", 2));
    assert!(countries.contains(&("KE-30", 1)) && countries.contains(&("global", 1)));
    assert!(!countries.iter().any(|(code, _)| *code == "TZ"));
    assert_eq!(found.facets.len(), 3);

    let found = find(
        &index,
        &QueryParts {
            filters: vec![(Facet::Area, "policy")],
            facets: vec![Facet::Area],
            ..QueryParts::at(now())
        },
    );
    assert_eq!(
        found.facets[0].codes,
        [("cyber".to_owned(), 1), ("policy".to_owned(), 1)]
    );
}

#[test]
fn at_most_two_hundred_codes_are_counted_and_the_rest_is_told() {
    let index = index_of((0..250).map(|number| {
        offering(
            &format!("o{number}"),
            json!({"licence": format!("L-{number:03}")}),
        )
    }));
    let found = find(
        &index,
        &QueryParts {
            facets: vec![Facet::Licence],
            ..QueryParts::at(now())
        },
    );
    assert_eq!(
        (found.facets[0].codes.len(), found.facets[0].left_out),
        (200, 50)
    );
    assert_eq!(found.facets[0].codes[0].0, "L-000");
}

// ---- Order ----

#[test]
fn names_weigh_more_than_summaries_and_those_more_than_descriptions() {
    let index = index_of([
        offering("a", json!({"description": {"en": "welding"}})),
        offering("b", json!({"summary": {"en": "welding"}})),
        offering("c", json!({"name": {"en": "welding"}})),
        offering("d", json!({"name": {"en": "welded"}})),
        offering("e", json!({"name": {"x-ours": "weldings"}})),
    ]);
    assert_eq!(finds(&index, "welding"), ["c", "d", "b", "e", "a"]);
}

#[test]
fn at_equal_fit_the_askers_language_comes_first_then_confirmed_then_newer_then_id() {
    let of = |local, extra| document(&record(local, extra)).unwrap();
    let index = index_of([
        of("a", json!({})),
        of("b", json!({})),
        of("newer", json!({"issued": "2026-06-01T00:00:00Z"})),
        of("confirmed", json!({"confirmed": "2026-10-01T00:00:00Z"})),
        of("swahili", json!({"body": {"name": {"sw": "x"}}})),
        of("of-tomorrow", json!({"confirmed": "2126-10-01T00:00:00Z"})),
    ]);
    let asked = |language| {
        locals(&find(
            &index,
            &QueryParts {
                language,
                ..QueryParts::at(now())
            },
        ))
    };
    assert_eq!(
        asked(Some("sw")),
        ["swahili", "confirmed", "newer", "a", "b", "of-tomorrow"]
    );
    assert_eq!(
        asked(None),
        ["confirmed", "newer", "a", "b", "of-tomorrow", "swahili"]
    );
}

#[test]
fn results_can_be_ordered_by_date_or_by_id() {
    let of = |local, issued: &str| document(&record(local, json!({"issued": issued}))).unwrap();
    let index = index_of([
        of("b", "2026-01-02T00:00:00Z"),
        of("a", "2026-01-01T00:00:00Z"),
        of("c", "2026-01-03T00:00:00Z"),
    ]);
    let sorted = |sort| {
        locals(&find(
            &index,
            &QueryParts {
                sort,
                ..QueryParts::at(now())
            },
        ))
    };
    assert_eq!(sorted(Sort::Newest), ["c", "b", "a"]);
    assert_eq!(sorted(Sort::Id), ["a", "b", "c"]);
    assert_eq!(Sort::named("newest"), Some(Sort::Newest));
}

#[test]
fn the_plain_search_takes_words_as_they_are() {
    let index = index_of([
        offering("b", json!({"name": {"en": "Course of WELDING"}})),
        offering("a", json!({"description": {"en": "a welding course"}})),
        offering("c", json!({"name": {"en": "welded courses"}})),
        offering("d", json!({"name": {"en": "x"}, "areas": ["cyber"]})),
    ])
    .with_labels(LabelWords::of([(
        Facet::Area,
        "cyber",
        "en",
        "welding course",
    )]));
    let query = Query::plain_tokens("course welding", &[(Facet::Kind, "course")], now()).unwrap();
    assert_eq!(locals(&index.search(&query).unwrap()), ["a", "b"]);
}

// ---- Pages, and independence of layout ----

/// Few words, dates and codes, so that many records rank alike.
fn arbitrary_bodies() -> impl Strategy<Value = Vec<(u8, u8, u8, bool)>> {
    proptest::collection::vec((0..4_u8, 0..3_u8, 0..3_u8, any::<bool>()), 1..60)
}

fn arbitrary(position: usize, (word, day, area, confirmed): (u8, u8, u8, bool)) -> Document {
    let areas = ["cyber", "policy", "data-ai"];
    let words = [
        "network security",
        "networks",
        "secure networking",
        "gardening",
    ];
    let mut extra = json!({
        "issued": format!("2026-02-0{}T00:00:00Z", day + 1),
        "author": format!("did:webvh:{}:x.example", author(["one", "two", "three"][usize::from(area)])),
        "body": {"name": {"en": words[usize::from(word)]}, "areas": [areas[usize::from(area)]]},
    });
    if confirmed {
        extra["confirmed"] = json!("2026-08-01T00:00:00Z");
    }
    document(&record(&format!("r{position}"), extra)).unwrap()
}

fn all_pages(index: &Index, text: &str, sort: Sort, limit: i64) -> (Vec<RecordId>, u64) {
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let parts = QueryParts {
            text,
            sort,
            limit: Some(limit),
            cursor: cursor.as_deref(),
            ..QueryParts::at(now())
        };
        let found = find(index, &parts);
        assert!(found.hits.len() <= usize::try_from(limit).unwrap());
        seen.extend(found.hits.into_iter().map(|hit| hit.id));
        cursor = found.next;
        if cursor.is_none() {
            return (seen, found.total);
        }
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn pages_cover_every_result_exactly_once_and_in_one_order(
        bodies in arbitrary_bodies(),
        limit in 1..9_i64,
        sort in proptest::sample::select(vec![Sort::Relevance, Sort::Newest, Sort::Id]),
        text in proptest::sample::select(vec!["", "network", "security network"]),
    ) {
        let index = Index::in_memory().unwrap();
        let mut writer = writer(&index);
        for (position, body) in bodies.iter().enumerate() {
            writer.put(arbitrary(position, *body)).unwrap();
            if position % 7 == 0 {
                writer.commit("x").unwrap();
            }
        }
        writer.commit("y").unwrap();
        let (paged, total) = all_pages(&index, text, sort, limit);
        let (whole, _) = all_pages(&index, text, sort, 100);
        prop_assert_eq!(&paged, &whole);
        prop_assert_eq!(paged.len() as u64, total);
        prop_assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), paged.len());
    }

    #[test]
    fn the_order_is_the_same_whatever_the_order_of_arrival_the_segments_and_the_deletions(
        (bodies, shuffled) in arbitrary_bodies().prop_flat_map(|bodies| {
            let order: Vec<usize> = (0..bodies.len()).collect();
            (Just(bodies), Just(order).prop_shuffle())
        }),
        commit_every in 1..9_usize,
    ) {
        let all = || bodies.iter().enumerate().map(|(position, body)| arbitrary(position, *body));
        let straight = index_of(all());
        let winding = Index::in_memory().unwrap();
        let mut writer = writer(&winding);
        for (step, position) in shuffled.iter().enumerate() {
            // First another version of some, and records that will go away again.
            if step % 3 == 0 {
                let (word, day, area, confirmed) = bodies[*position];
                writer.put(arbitrary(*position, ((word + 1) % 4, day, area, !confirmed))).unwrap();
                writer.put(arbitrary(1_000 + step, bodies[*position])).unwrap();
            }
            if step % commit_every == 0 {
                writer.commit("x").unwrap();
            }
            if step % 3 == 0 {
                writer.remove(arbitrary(1_000 + step, bodies[*position]).id());
            }
            writer.put(arbitrary(*position, bodies[*position])).unwrap();
        }
        writer.commit("y").unwrap();
        prop_assert_eq!(straight.count(), winding.count());
        for text in ["", "network", "network security", "gardening", "-secure"] {
            for sort in [Sort::Relevance, Sort::Newest, Sort::Id] {
                let parts = QueryParts { text, sort, facets: Facet::ALL.to_vec(), limit: Some(100), ..QueryParts::at(now()) };
                prop_assert_eq!(find(&straight, &parts), find(&winding, &parts));
            }
        }
    }

    #[test]
    fn no_text_within_the_bounds_is_refused_or_fails(text in "\\PC{0,40}") {
        let index = named(&[("a", "en", "Safe course")]);
        find(&index, &QueryParts { text: &text, ..QueryParts::at(now()) });
    }

    #[test]
    fn no_cursor_from_elsewhere_is_taken(text in "[A-Za-z0-9_-]{0,120}") {
        let parts = QueryParts { cursor: Some(&text), ..QueryParts::at(now()) };
        prop_assert_eq!(Query::parse(&parts).unwrap_err(), QueryError::Cursor);
    }
}

#[test]
fn a_cursor_belongs_to_its_search_and_outlives_the_result_it_stands_on() {
    let index = index_of(["a", "b", "c", "d"].map(|local| offering(local, json!({}))));
    let parts = QueryParts {
        limit: Some(2),
        ..QueryParts::at(now())
    };
    let next = find(&index, &parts).next.unwrap();
    let other = QueryParts {
        cursor: Some(&next),
        sort: Sort::Id,
        ..parts.clone()
    };
    assert_eq!(Query::parse(&other).unwrap_err(), QueryError::Cursor);

    let mut writer = writer(&index);
    writer.remove(&id("b"));
    writer.put(offering("bb", json!({}))).unwrap();
    writer.put(offering("aa", json!({}))).unwrap();
    writer.commit("2").unwrap();
    let second = find(
        &index,
        &QueryParts {
            cursor: Some(&next),
            ..parts
        },
    );
    assert_eq!(locals(&second), ["bb", "c"]);
    assert_eq!(second.total, 5);
}

// ---- What is put, and what is not ----

#[test]
fn a_new_version_takes_the_place_of_the_old_and_a_removed_record_is_gone() {
    let index = named(&[("a", "en", "welding"), ("b", "en", "welding")]);
    let mut writer = writer(&index);
    writer
        .put(offering("a", json!({"name": {"en": "gardening"}})))
        .unwrap();
    writer.remove(&id("b"));
    assert_eq!(finds(&index, "welding"), ["a", "b"]);
    writer.commit("2").unwrap();
    assert_eq!(
        (finds(&index, "welding"), finds(&index, "gardening")),
        (vec![], vec!["a".to_owned()])
    );
    assert_eq!(index.count(), 1);
    writer.remove_author(&author("someone else"));
    writer.commit("3").unwrap();
    assert_eq!(index.count(), 1);
    writer.remove_author(&author("school"));
    writer.commit("4").unwrap();
    assert_eq!(index.count(), 0);
}

#[test]
fn what_cannot_be_shown_is_not_indexed_and_says_why() {
    let of = |extra| document(&record("a", extra)).unwrap_err();
    assert_eq!(
        of(json!({"type": "Festival"})),
        NotIndexed::UnknownType {
            kind: "Festival".into()
        }
    );
    assert!(matches!(
        of(json!({"body": {"kind": "cours"}})),
        NotIndexed::Faulty(_)
    ));
    let checkpoint =
        json!({"type": "Checkpoint", "body": {"count": 1, "digest": "x", "logVersion": "1-x"}});
    assert!(matches!(of(checkpoint), NotIndexed::NothingToFind { .. }));
    let mut withdrawn = record("a", json!({"status": "withdrawn"}));
    withdrawn.remove("body");
    assert_eq!(document(&withdrawn).unwrap_err(), NotIndexed::Withdrawn);
}

// ---- Folders ----

fn filled(folder: &Path) {
    let index = Index::create_fresh(folder).unwrap();
    assert_eq!((index.position(), index.count()), (None, 0));
    let mut writer = writer(&index);
    writer
        .put(offering("a", json!({"name": {"en": "welding"}})))
        .unwrap();
    writer.commit("epoch 1, seq 7").unwrap();
    assert_eq!(index.position().as_deref(), Some("epoch 1, seq 7"));
    writer
        .put(offering("b", json!({"name": {"en": "welding"}})))
        .unwrap();
}

#[test]
fn an_index_reopened_keeps_its_records_and_the_position_of_the_same_commit() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.position().as_deref(), Some("epoch 1, seq 7"));
    assert_eq!(finds(&index, "welding"), ["a"]);
    let mut writer = writer(&index);
    assert!(matches!(
        index.writer(WriterBudget::default()),
        Err(SearchError::Busy)
    ));
    assert!(matches!(
        Index::create_fresh(folder.path()),
        Err(SearchError::Busy)
    ));
    writer
        .put(offering("b", json!({"name": {"en": "welding"}})))
        .unwrap();
    writer.commit("8").unwrap();
    writer.finish().unwrap();
    assert_eq!(finds(&index, "welding"), ["a", "b"]);
}

#[test]
fn a_folder_without_an_index_is_told_from_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Index::open(folder.path()),
        Err(SearchError::Missing)
    ));
    assert!(matches!(
        Index::open(&folder.path().join("none")),
        Err(SearchError::Missing)
    ));
}

#[test]
fn d09_any_damaged_file_is_reported_and_a_fresh_index_can_be_made_in_its_place() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("emptied", |path| fs::write(path, b"").unwrap()),
        ("replaced", |path| {
            fs::write(path, b"not what it was").unwrap()
        }),
        ("altered", |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[0] ^= 0x55;
            fs::write(path, bytes).unwrap();
        }),
        ("deleted", |path| fs::remove_file(path).unwrap()),
    ];
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let filled = entries.filter(|entry| entry.metadata().unwrap().len() > 0);
        filled
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| !name.ends_with("lock"))
            .collect()
    };
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path());
    let listed = names(whole.path());
    assert!(listed.len() > 6);
    for name in &listed {
        for (what, damage) in damages {
            let folder = tempfile::tempdir().unwrap();
            for name in &listed {
                fs::copy(whole.path().join(name), folder.path().join(name)).unwrap();
            }
            damage(&folder.path().join(name));
            let error = match Index::open(folder.path()) {
                Err(error) => error,
                // Tantivy makes its list of files again if it is gone.
                Ok(index) => {
                    assert_eq!(
                        (name.as_str(), finds(&index, "welding").len()),
                        (".managed.json", 1),
                        "{what}"
                    );
                    continue;
                }
            };
            assert!(error.asks_for_refill(), "{name} {what}: {error}");
            fs::write(folder.path().join("notes.txt"), "ours").unwrap();
            let index = Index::create_fresh(folder.path()).unwrap();
            assert_eq!(
                (index.count(), index.position()),
                (0, None),
                "{name} {what}"
            );
            assert!(folder.path().join("notes.txt").exists());
        }
    }
}

#[test]
fn an_index_of_another_version_asks_to_be_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let meta = folder.path().join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    let older = text.replace("\\\"version\\\":2", "\\\"version\\\":0");
    assert_ne!(text, older);
    fs::write(&meta, older).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, SearchError::OtherVersion { found } if found == "0")
            && error.asks_for_refill()
    );
}
