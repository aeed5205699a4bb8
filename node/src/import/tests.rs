mod foreign;
mod workbook;

use std::io::{self, Read};
use std::path::PathBuf;

use proptest::prelude::{Just, any, prop_oneof, proptest};
use protocol::canonical::{Numbers, parse};
use protocol::codes;
use protocol::id::Did;
use protocol::key::SecretKey;
use protocol::time::Timestamp;
use serde_json::{Value, json};

use super::*;

fn set(settings: &[&str]) -> Options<'static> {
    Options {
        set: settings.iter().map(|text| text.parse().unwrap()).collect(),
        ..Options::default()
    }
}

/// A course in English, as far as the file does not say otherwise.
fn english() -> Options<'static> {
    set(&["kind=course", "language=en"])
}

fn good(file: &str, options: &Options<'_>) -> Vec<Value> {
    let reading = read(file.as_bytes(), options).unwrap();
    assert!(reading.report.is_clean(), "{:#?}", reading.report.findings);
    reading.drafts.iter().map(|row| tree(&row.draft)).collect()
}

fn one(file: &str, options: &Options<'_>) -> Value {
    let mut trees = good(file, options);
    assert_eq!(trees.len(), 1);
    trees.remove(0)
}

/// What a draft says, by way of its signed form.
fn tree(draft: &Draft) -> Value {
    let author = format!("did:webvh:{}:a.example", protocol::id::Scid::of(b"a"));
    let envelope = draft
        .sign(
            &Did::parse(&author).unwrap(),
            1,
            Timestamp::from_unix_seconds(0),
            &SecretKey::from_seed(&[7; 32]),
        )
        .unwrap();
    parse(
        envelope.canonical(),
        RECORD_BYTES_MAX,
        Numbers::SafeIntegers,
    )
    .unwrap()
}

fn findings(file: &str, options: &Options<'_>) -> Vec<String> {
    let report = read(file.as_bytes(), options).unwrap().report;
    report.findings.iter().map(ToString::to_string).collect()
}

fn finding(file: &str, options: &Options<'_>) -> String {
    let mut all = findings(file, options);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn error(file: impl AsRef<[u8]>, options: &Options<'_>) -> String {
    read(file.as_ref(), options).unwrap_err().to_string()
}

/// The shipped labels and a few names, as the node would hand them in.
struct Some6;

impl Labels for Some6 {
    fn code(&self, scheme: &str, text: &str) -> Option<&'static str> {
        let labels = include_str!("../../codes/labels.csv");
        let row = labels.lines().find(|line| {
            line.split(',').next() == Some(scheme)
                && line
                    .split(',')
                    .skip(2)
                    .any(|label| label.to_lowercase() == text.to_lowercase())
        })?;
        row.split(',').nth(1)
    }

    fn country(&self, text: &str) -> Option<&'static str> {
        [("kenya", "KE"), ("sénégal", "SN"), ("مصر", "EG")]
            .iter()
            .find(|(name, _)| *name == text.to_lowercase())
            .map(|(_, code)| *code)
    }

    fn language(&self, text: &str) -> Option<String> {
        [
            ("french", "fr"),
            ("français", "fr"),
            ("kiswahili", "sw"),
            ("eng", "en"),
        ]
        .iter()
        .find(|(name, _)| *name == text.to_lowercase())
        .map(|(_, tag)| (*tag).to_owned())
    }
}

fn labelled(settings: &[&str]) -> Options<'static> {
    Options {
        labels: &Some6,
        ..set(settings)
    }
}

#[test]
fn a_table_in_french_with_semicolons_becomes_drafts() {
    let file = "titre;lien;langue;thème;pays;coût\r\n\
                Soudure;https://a.example/1;fr;cyber;SN;free\r\n";
    let record = one(file, &set(&["kind=course"]));
    assert_eq!(record["type"], "Offering");
    assert_eq!(record["language"], "fr");
    assert_eq!(record["licence"], "CC-BY-4.0");
    assert_eq!(
        record["body"],
        json!({
            "kind": "course", "name": {"fr": "Soudure"}, "url": "https://a.example/1", "languages": ["fr"],
            "areas": ["cyber"], "countries": ["SN"], "cost": {"kind": "free"},
        })
    );
    assert_eq!(record["sources"], json!([{"method": "imported"}]));
}

#[test]
fn every_member_of_the_example_in_the_protocol_can_be_a_column() {
    let file = "kind\tname:fr\tname:ar\tsummary\turl\tlanguage\tareas\ttopics\taudiences\tlevels\tlanguages\tmodes\t\
        countries\tregions\tcost.kind\tcost.price\tcost.currency\tcertificate.kind\tcertificate.issuer\tprerequisites\t\
        instances.start\tinstances.end\tinstances.enrolUntil\tinstances.seats\tvenue\tcity\tcapacity\tsdgTargets\tsectors\tvalidUntil\n\
        course\tRéponse\tالاستجابة\tEn bref\thttps://a.example\tfr\tcyber\tincident-response\tcivil-servants; women\tbasic\tfr;ar\tonline-live\t\
        SN;ML\t011\tpaid\t12.50\tXOF\tcompletion\tITU\tRien\t2027-01-12\t2027-03-02\t2027-01-01\t30\tSalle 1\tDakar\topen\t4.4\t22040;15150\t2027-06-30\n";
    let record = one(file, &Options::default());
    assert_eq!(record["validUntil"], "2027-06-30T23:59:59Z");
    assert_eq!(
        record["body"],
        json!({
            "kind": "course", "name": {"fr": "Réponse", "ar": "الاستجابة"}, "summary": {"fr": "En bref"},
            "url": "https://a.example", "areas": ["cyber"], "topics": ["incident-response"],
            "audiences": ["civil-servants", "women"], "levels": ["basic"], "languages": ["fr", "ar"],
            "modes": ["online-live"], "countries": ["SN", "ML"], "regions": ["011"],
            "cost": {"kind": "paid", "price": "12.50", "currency": "XOF"},
            "certificate": {"kind": "completion", "issuer": "ITU"}, "prerequisites": {"fr": "Rien"},
            "instances": [{"start": "2027-01-12", "end": "2027-03-02", "enrolUntil": "2027-01-01", "seats": 30,
                "place": {"name": {"fr": "Salle 1"}, "locality": "Dakar"}}],
            "capacity": "open", "sdgTargets": ["4.4"], "sectors": ["22040", {"scheme": "DAC", "code": "15150"}],
        })
    );
}

#[test]
fn settings_fill_what_the_file_lacks_and_nothing_else() {
    let file = "title,kind,cost\nA,event,\nB,,paid\n";
    let records = good(
        file,
        &set(&["kind=course", "cost=free", "language=en", "provider=ITU"]),
    );
    let said: Vec<_> = records
        .iter()
        .map(|record| (&record["body"]["kind"], &record["body"]["cost"]["kind"]))
        .collect();
    assert_eq!(
        said,
        [
            (&json!("event"), &json!("free")),
            (&json!("course"), &json!("paid"))
        ]
    );
    assert!(
        records
            .iter()
            .all(|record| record["body"]["provider"] == "ITU")
    );
    assert_eq!(records[0]["body"]["languages"], json!(["en"]));
}

#[test]
fn a_wrong_setting_is_refused_before_the_first_row() {
    let file = "title\nA\n";
    assert!(error(file, &set(&["kind=cours", "language=en"])).contains("did you mean “course”?"));
    assert!(error(file, &set(&["kin=course"])).contains("did you mean “kind”?"));
    assert!(error(file, &set(&["kind=course", "language=klingonisch!"])).contains("language"));
    assert!(error(file, &set(&["id=x"])).contains("“id”"));
    for text in ["kind", "=course", "kind="] {
        assert!(text.parse::<Setting>().is_err(), "{text}");
    }
}

#[test]
fn what_no_column_gives_is_said_once_with_what_to_do() {
    assert!(error("title,lang\nA,en\n", &Options::default()).contains("--set kind=course"));
    assert!(error("title\nA\n", &set(&["kind=course"])).contains("--set language=en"));
    assert!(
        error("url,lang\nhttps://a,en\n", &set(&["kind=course"]))
            .contains("no column gives the name")
    );
    assert!(error("foo,bar\n1,2\n", &Options::default()).contains("found: foo, bar"));
}

#[test]
fn i09_the_same_file_twice_gives_the_same_drafts_in_any_order_of_rows() {
    let rows = [
        "A,https://a.example/1,en",
        "B,https://a.example/2,en",
        "C,,fr",
    ];
    let file = |order: [usize; 3]| {
        format!(
            "title,url,lang\n{}\n{}\n{}\n",
            rows[order[0]], rows[order[1]], rows[order[2]]
        )
    };
    let drafts = |order| {
        let reading = read(file(order).as_bytes(), &set(&["kind=course"])).unwrap();
        let mut drafts: Vec<Draft> = reading.drafts.into_iter().map(|row| row.draft).collect();
        drafts.sort_by(|a, b| a.local().cmp(b.local()));
        drafts
    };
    assert_eq!(drafts([0, 1, 2]), drafts([0, 1, 2]));
    assert_eq!(drafts([0, 1, 2]), drafts([2, 0, 1]));
    for draft in drafts([0, 1, 2]) {
        let signed = tree(&draft);
        assert!(draft.is_said_by(signed.as_object().unwrap()));
    }
}

#[test]
fn a_nodes_default_language_names_no_row() {
    let id = |language: Option<&str>| {
        let language = language.map(str::to_owned);
        let options = Options {
            language,
            ..set(&["kind=course"])
        };
        one("title,url\nA,https://a.example\n", &options)["localId"].clone()
    };
    assert_eq!(id(Some("en")), id(Some("fr")));
}

#[test]
fn checkpoints_are_left_out() {
    let checkpoint = json!({"type": "Checkpoint", "localId": "checkpoint", "body": {"count": 1}});
    let reading = read(
        json!([checkpoint, course("a")]).to_string().as_bytes(),
        &Options::default(),
    );
    let reading = reading.unwrap();
    assert_eq!((reading.drafts.len(), reading.report.rows_left_out), (1, 1));
    assert!(reading.report.is_clean());
}

#[test]
fn the_id_of_a_row_never_changes_with_this_program() {
    // Published ids hang on these: a change here makes every second import a first one.
    let record = one(
        "title,url,lang\n A ,https://a.example/1,en\n",
        &set(&["kind=course"]),
    );
    assert_eq!(record["localId"], "row-617637968695d12a54c3");
    let ids = |file: &str| {
        good(file, &english())
            .iter()
            .map(|record| record["localId"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids("id,title\ncert-101,A\nCERT_102,B\n17,C\n"),
        ["cert-101", "cert_102", "17"]
    );
    let hashed = ids("id,title\nكود,A\na b,B\ncheckpoint,C\n");
    assert!(
        hashed
            .iter()
            .all(|id| id.as_str().unwrap().starts_with("id-") && id.as_str().unwrap().len() == 23)
    );
}

#[test]
fn a_repeated_row_is_reported_as_one_and_the_first_is_taken() {
    let file = "title,url,lang,subject\nA,https://a,en,x\nB,https://b,en,x\nA,https://a,en,y\nB,https://b,en,x\n";
    let reading = read(file.as_bytes(), &set(&["kind=course"])).unwrap();
    assert_eq!(
        (
            reading.drafts.len(),
            reading.report.rows_duplicate,
            reading.report.is_clean()
        ),
        (2, 2, true)
    );
    let lines: Vec<String> = reading
        .report
        .duplicates
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "row 4: repeats row 2 (same language, url and title; other cells differ); row 2 is taken",
            "row 5: repeats row 3 (same language, url and title; all else too); row 3 is taken",
        ]
    );
}

#[test]
fn i05_each_bad_row_is_named_with_column_reason_and_remedy() {
    let file = "id,title,url,start,cost,country,lang\n\
        1,Good,https://a.example,2027-01-12,free,KE,en\n\
        2,,https://a.example,2027-01-12,free,KE,en\n\
        3,Bad date,https://a.example,2027-02-30,free,KE,en\n\
        4,Two dates,https://a.example,03/04/2027,free,KE,en\n\
        5,No scheme,a.example/x,2027-01-12,free,KE,en\n\
        6,Script,javascript:alert(1),2027-01-12,free,KE,en\n\
        7,Cost,https://a.example,2027-01-12,fre,KE,en\n\
        8,Country,https://a.example,2027-01-12,free,UK,en\n\
        1,Same id,https://a.example,2027-01-12,free,KE,en\n\
        10,Language,https://a.example,2027-01-12,free,KE,\n";
    let reading = read(file.as_bytes(), &set(&["kind=course"])).unwrap();
    assert_eq!(
        (
            reading.drafts.len(),
            reading.report.rows_bad,
            reading.report.rows_read
        ),
        (1, 9, 10)
    );
    let lines: Vec<String> = reading
        .report
        .findings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "row 3, column “title”: is empty, and every record needs a name; write the title",
            "row 4, column “start”: “2027-02-30” is no date; write year-month-day, such as 2027-01-12",
            "row 5, column “start”: “03/04/2027” may be two dates; write 2027-04-03 or 2027-03-04",
            "row 6, column “url”: “a.example/x” is no web address; perhaps https://a.example/x",
            "row 7, column “url”: “javascript:alert(1)” is no web address; write an address that begins with https:// or http://",
            "row 8, column “cost”: “fre” is no cost that is known; did you mean “free”? It must be one of free, conditional, paid",
            "row 9, column “country”: “UK” is no country that is known; the code of the United Kingdom is GB",
            "row 10, column “id”: “1” is the id of row 2 already, which says something else; give each row an id of its own",
            "row 11, column “lang”: the language of the texts is unknown; write a language tag such as fr, or give --set language=fr for the whole file",
        ]
    );
}

#[test]
fn the_licence_of_a_column_is_that_of_the_thing_and_of_a_setting_that_of_the_record() {
    let record = one(
        "title,licence\nA,MIT\n",
        &set(&["kind=course", "language=en", "licence=CC0-1.0"]),
    );
    assert_eq!(
        (&record["licence"], &record["body"]["licence"]),
        (&json!("CC0-1.0"), &json!("MIT"))
    );
    let record = one(
        "title,record.licence\nA,ODbL-1.0\n",
        &set(&["kind=course", "language=en", "body.licence=MIT"]),
    );
    assert_eq!(
        (&record["licence"], &record["body"]["licence"]),
        (&json!("ODbL-1.0"), &json!("MIT"))
    );
}

#[test]
fn text_that_is_no_code_stays_the_word_of_its_source() {
    let file = "title,subject,sub_subject\nA,JavaScript,React\nB,incident-response; Cyber,digital inclusion\nC,cybr,ESCO:S1.2\n";
    let reading = read(file.as_bytes(), &english()).unwrap();
    let bodies: Vec<Value> = reading
        .drafts
        .iter()
        .map(|row| tree(&row.draft)["body"].clone())
        .collect();
    assert_eq!(
        bodies[0]["areas"],
        json!([{"scheme": "source", "code": "JavaScript"}])
    );
    assert_eq!(
        bodies[0]["topics"],
        json!([{"scheme": "source", "code": "React"}])
    );
    // A topic among the areas is a topic, and the other way round.
    assert_eq!(bodies[1]["areas"], json!(["cyber", "digital-inclusion"]));
    assert_eq!(bodies[1]["topics"], json!(["incident-response"]));
    assert_eq!(
        bodies[2]["topics"],
        json!([{"scheme": "ESCO", "code": "S1.2"}])
    );
    let notices: Vec<String> = reading
        .report
        .notices
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        notices
            .iter()
            .any(|notice| notice.contains("did you mean “cyber”?")),
        "{notices:#?}"
    );
}

#[test]
fn codes_countries_and_languages_are_known_by_their_names() {
    let file = "title,audience,level,country,lang,kind,Titre (français),cost\n\
        A,\"Femmes; youth\",Básico,\"Kenya, Sénégal\",French,Taller,B,Bila malipo\n";
    let body = one(file, &labelled(&[]))["body"].clone();
    assert_eq!(body["audiences"], json!(["women", "youth"]));
    assert_eq!(body["levels"], json!(["basic"]));
    assert_eq!(body["countries"], json!(["KE", "SN"]));
    assert_eq!(
        (&body["languages"], &body["kind"]),
        (&json!(["fr"]), &json!("workshop"))
    );
    assert_eq!(body["cost"], json!({"kind": "free"}));
    // A country where a region stands, and the other way round.
    let body = one(
        "title,country,region\nA,Africa,Kenya\nB,worldwide,\n"
            .split_inclusive('\n')
            .take(2)
            .collect::<String>()
            .as_str(),
        &labelled(&["kind=course", "language=eng"]),
    )["body"]
        .clone();
    assert_eq!(
        (&body["countries"], &body["regions"]),
        (&json!(["KE"]), &json!(["002"]))
    );
    assert_eq!(body["name"], json!({"en": "A"}));
}

#[test]
fn tags_with_underscores_and_capitals_are_understood() {
    let languages: Vec<Value> = good(
        "title,lang\nA,fa_IR\nB,PT-br\nC,zh_hant_tw\nD,\"fr; ar\"\n",
        &set(&["kind=course"]),
    )
    .iter()
    .map(|record| {
        json!([
            record["language"],
            record["body"]["languages"],
            record["body"]["name"].as_object().unwrap().keys().next()
        ])
    })
    .collect();
    assert_eq!(
        languages,
        [
            json!(["fa-IR", ["fa-IR"], "fa-IR"]),
            json!(["pt-BR", ["pt-BR"], "pt-BR"]),
            json!(["zh-Hant-TW", ["zh-Hant-TW"], "zh-Hant-TW"]),
            json!(["fr", ["fr", "ar"], "fr"]),
        ]
    );
}

#[test]
fn a_default_language_is_that_of_the_texts_and_says_nothing_of_the_teaching() {
    let options = Options {
        language: Some("sw".to_owned()),
        ..set(&["kind=course"])
    };
    let record = one("title\nA\n", &options);
    assert_eq!(
        (&record["language"], &record["body"]),
        (
            &json!("sw"),
            &json!({"kind": "course", "name": {"sw": "A"}})
        )
    );
}

#[test]
fn what_can_mean_one_thing_is_mended_and_told() {
    let file = "title,url,start,duration,price,seats,tutor,certificate\n\
        C++&lrm;,HTTPS://A.example/a b?x=1&amp;y=2,25/12/2027,6 weeks,\"12,50\",١٢,oui,no\n\
        B,www.b.example,2027.1.5,12 h,\"1,234.50\",30,n,completion\n\
        C,<https://c.example>,12.01.2027,P6W,1 000,0,yes,\n";
    let reading = read(file.as_bytes(), &english()).unwrap();
    assert!(reading.report.is_clean(), "{:?}", reading.report.findings);
    let body = |at: usize| tree(&reading.drafts[at].draft)["body"].clone();
    assert_eq!(
        body(0),
        json!({
            "kind": "course", "name": {"en": "C++\u{200E}"}, "url": "https://A.example/a%20b?x=1&y=2", "languages": ["en"],
            "instances": [{"start": "2027-12-25", "seats": 12}], "duration": "P6W",
            "cost": {"kind": "paid", "price": "12.50"}, "tutor": true, "certificate": {"kind": "none"},
        })
    );
    assert_eq!(
        (
            &body(1)["url"],
            &body(1)["duration"],
            &body(1)["cost"]["price"]
        ),
        (
            &json!("https://www.b.example"),
            &json!("PT12H"),
            &json!("1234.50")
        )
    );
    assert_eq!(
        (
            &body(2)["url"],
            &body(2)["instances"][0]["start"],
            &body(2)["cost"]["price"]
        ),
        (
            &json!("https://c.example"),
            &json!("2027-01-12"),
            &json!("1000")
        )
    );
    let notices: Vec<String> = reading
        .report
        .notices
        .iter()
        .map(ToString::to_string)
        .collect();
    for part in ["%20", "https:// before it", "HTML spellings"] {
        assert!(
            notices.iter().any(|notice| notice.contains(part)),
            "{part}: {notices:#?}"
        );
    }
}

#[test]
fn what_can_mean_two_things_is_named_with_both() {
    for (column, value, part) in [
        ("price", "\"1,234\"", "write 1234 or 1.234"),
        ("duration", "40", "PT40H (40 hours)"),
        ("certificate", "yes", "did you mean “completion”?"),
        ("start", "46400", "day number"),
        ("currency", "$", "ISO 4217"),
        (
            "url",
            "https://a.example https://b.example",
            "more than one web address",
        ),
        ("description", "#REF!", "formula failed"),
        ("kind", "MOOC", "did you mean “course”?"),
        ("seats", "about 30", "whole number"),
        ("tutor", "perhaps", "neither yes nor no"),
        ("region", "Middle Earth", "UN M49"),
    ] {
        let line = finding(&format!("title,{column}\nA,{value}\n"), &english());
        assert!(
            line.starts_with(&format!("row 2, column “{column}”: ")) && line.contains(part),
            "{line}"
        );
    }
}

#[test]
fn a_cost_may_be_an_amount() {
    let costs: Vec<Value> = good("title,cost\nA,50 USD\nB,0\nC,\"EUR 12,5\"\n", &english())
        .iter()
        .map(|record| record["body"]["cost"].clone())
        .collect();
    assert_eq!(
        costs,
        [
            json!({"kind": "paid", "price": "50", "currency": "USD"}),
            json!({"kind": "free"}),
            json!({"kind": "paid", "price": "12.5", "currency": "EUR"}),
        ]
    );
}

#[test]
fn a_currency_alone_is_no_cost() {
    let report = read("title,currency\nA,USD\n".as_bytes(), &english()).unwrap();
    assert!(report.report.is_clean());
    assert!(tree(&report.drafts[0].draft)["body"].get("cost").is_none());
    assert!(
        report.report.notices[0]
            .text
            .contains("currency without a price")
    );
}

#[test]
fn i04_cells_that_look_like_formulas_stay_text() {
    let file = "title,provider\n=1+1,@SUM(A1)\n+49,-5\n";
    let bodies: Vec<Value> = good(file, &english())
        .iter()
        .map(|record| record["body"].clone())
        .collect();
    assert_eq!(
        (&bodies[0]["name"]["en"], &bodies[0]["provider"]),
        (&json!("=1+1"), &json!("@SUM(A1)"))
    );
    assert_eq!(
        (&bodies[1]["name"]["en"], &bodies[1]["provider"]),
        (&json!("+49"), &json!("-5"))
    );
}

#[test]
fn other_types_take_the_columns_that_they_have() {
    let record = one(
        "name,link,type,price\nSmart Africa,https://s.example,Organisation,3\n",
        &set(&["language=en", "kind=course"]),
    );
    assert_eq!(
        (&record["type"], &record["body"]["website"]),
        (&json!("Organization"), &json!("https://s.example"))
    );
    assert!(record["body"].get("cost").is_none() && record["body"].get("kind").is_none());
    let record = one(
        "name,kind,provider,licence\nX,software,ITU,MIT\n",
        &set(&["type=Solution", "language=en"]),
    );
    assert_eq!(
        record["body"],
        json!({"kind": "software", "name": {"en": "X"}, "owners": ["ITU"], "licence": "MIT"})
    );
    // As most tables use the word, a type is a kind.
    assert_eq!(
        one("name,type\nX,workshop\n", &english())["body"]["kind"],
        "workshop"
    );
    let record = one(
        "name,kind,venue,city\nX,place,Hall,Dhaka\n",
        &set(&["language=en"]),
    );
    assert_eq!(
        record["body"]["place"],
        json!({"name": {"en": "Hall"}, "locality": "Dhaka"})
    );
}

#[test]
fn a_mapping_says_what_headers_do_not() {
    let mapping = |text: &str| Some(Mapping::read(text.as_bytes()).unwrap());
    let file = "Was,Wo,title,id\nSchweißen,https://a.example,x,7\n";
    for text in [
        "{\"Was\": \"body.name:de\", \"wo\": \"url\", \"title\": \"\", \"id\": \"ignore\"}",
        "Was = \"name:de\"\nWo = \"body.url\"\ntitle = \"-\"\nid = \"\"\n",
    ] {
        let record = one(
            file,
            &Options {
                mapping: mapping(text),
                ..english()
            },
        );
        assert_eq!(
            (&record["body"]["name"], &record["body"]["url"]),
            (&json!({"de": "Schweißen"}), &json!("https://a.example"))
        );
        assert!(record["localId"].as_str().unwrap().starts_with("row-"));
    }
    let wrong = |text: &str| {
        error(
            file,
            &Options {
                mapping: mapping(text),
                ..english()
            },
        )
    };
    assert!(
        wrong("{\"Waz\": \"name\"}")
            .contains("“Waz”, which the file does not have: did you mean “Was”?")
    );
    assert!(wrong("{\"Was\": \"descripton\"}").contains("did you mean “description”?"));
    for text in [
        "[1]",
        "{\"a\": 1}",
        "{\"a\": \"x\", \"a\": \"y\"}",
        "a = [",
        "\u{0}",
    ] {
        assert!(Mapping::read(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn two_columns_that_mean_the_same_are_a_finding_and_lists_are_joined() {
    let line = finding("title,titre\nA,B\n", &english());
    assert_eq!(
        line,
        "row 1, column “titre”: means name, as the column “title” does; leave one out, or say in a mapping file what each means"
    );
    // The member's own name goes before another word for it.
    let record = one("title,name\nA,B\n", &english());
    assert_eq!(record["body"]["name"]["en"], "B");
    let record = one("title,country,pays\nA,KE,SN;KE\n", &english());
    assert_eq!(record["body"]["countries"], json!(["KE", "SN"]));
}

#[test]
fn columns_that_mean_nothing_are_listed_once_and_left_out() {
    let report = read("title,notes,colour\nA,x,y\nB,x,y\n".as_bytes(), &english())
        .unwrap()
        .report;
    let notices: Vec<String> = report.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["columns left out, for their headers mean nothing known: “notes”, “colour”"]
    );
    let columns: Vec<_> = report
        .columns
        .iter()
        .map(|column| column.member.as_deref())
        .collect();
    assert_eq!(columns, [Some("name"), None, None]);
}

#[test]
fn every_draft_names_its_source_and_no_row_number() {
    let source = Source {
        title: Some("List".to_owned()),
        url: Some("https://l.example".to_owned()),
        licence: Some("MIT".to_owned()),
    };
    let record = one(
        "title\nA\n",
        &Options {
            source,
            ..english()
        },
    );
    assert_eq!(
        record["sources"],
        json!([{"title": "List", "url": "https://l.example", "licence": "MIT", "method": "imported"}])
    );
}

#[test]
fn row_numbers_are_those_that_a_spreadsheet_shows() {
    // Blank rows count, line ends within quotes do not.
    let file = "title,url\n\n\"A\nB\",https://a.example\n,\n\"C\",nonsense\n";
    assert!(finding(file, &english()).starts_with("row 5, column “url”"));
    assert!(finding(&file.replace('\n', "\r\n"), &english()).starts_with("row 5, column “url”"));
    assert!(
        finding("sep=;\ntitle;url\nA;nonsense\n", &english()).starts_with("row 3, column “url”")
    );
    assert!(finding("title,url\rA,https://a\rB,nonsense\r", &english()).starts_with("row 3"));
}

#[test]
fn delimiters_are_found_by_the_headers_that_they_give() {
    for delimiter in [",", ";", "\t", "|"] {
        let file = ["title", "url", "a:b"].join(delimiter)
            + "\n"
            + &["A", "https://a.example", "z"].join(delimiter)
            + "\n";
        assert_eq!(
            one(&file, &english())["body"]["url"],
            "https://a.example",
            "{delimiter:?}"
        );
    }
    assert_eq!(
        one("title;\"a,b,c,d\"\nA, B;x\n", &english())["body"]["name"]["en"],
        "A, B"
    );
}

#[test]
fn a_row_with_cells_beyond_the_last_column_is_named() {
    let line = finding("title,url\nA,https://a.example,c\n", &english());
    assert!(
        line.starts_with("row 2: “c” stands beyond the last of the 2 columns"),
        "{line}"
    );
}

/// A table without end, made as it is read.
struct Endless {
    head: &'static [u8],
    row: &'static [u8],
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for place in out.iter_mut() {
            *place = match self.head.get(self.at) {
                Some(byte) => *byte,
                None => self.row[(self.at - self.head.len()) % self.row.len()],
            };
            self.at += 1;
        }
        Ok(out.len())
    }
}

#[test]
fn i01_too_many_rows_stop_at_the_limit_with_a_row_number() {
    let options = Options {
        limits: Limits {
            rows_max: 500,
            ..Limits::default()
        },
        ..english()
    };
    let endless = |head, row| Endless { head, row, at: 0 };
    let error = read(endless(b"title\n", b"A\n"), &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 502: more than 500 rows. Nothing was imported; divide the file"
    );
    let options = Options {
        limits: Limits {
            bytes_max: 10_000,
            ..Limits::default()
        },
        ..english()
    };
    for (head, row) in [
        (&b"title\n"[..], &b"A\n"[..]),
        (b"title\n", b"\n"),
        (b"[", b" "),
    ] {
        let error = read(endless(head, row), &options).unwrap_err();
        assert!(
            matches!(error, ImportError::TooLarge { bytes_max: 10_000 }),
            "{error}"
        );
    }
    let options = Options {
        limits: Limits {
            rows_max: 2,
            ..Limits::default()
        },
        ..english()
    };
    assert!(matches!(
        read("[1,2,3]".as_bytes(), &options),
        Err(ImportError::TooManyRows { row: 3, .. })
    ));
    let wide = Options {
        limits: Limits {
            columns_max: 5,
            ..Limits::default()
        },
        ..english()
    };
    assert!(error_kind(&read("a,b,c,d,title,f\n".as_bytes(), &wide)).contains("columns"));
}

fn error_kind(result: &Result<Reading, ImportError>) -> String {
    result.as_ref().unwrap_err().to_string()
}

#[test]
fn i02_an_unclosed_quote_and_a_giant_cell_are_refused_with_line_and_column() {
    assert_eq!(
        error("title,url\nA,\"https://a\nB,x\n", &english()),
        "line 2, character 3: the quote that opens here is never closed"
    );
    assert_eq!(
        error("title,url\n\"A \"quoted\" word\",x\n", &english()),
        "line 2, character 5: text after a closing quote. A quote within a quoted cell is written twice (\"\")"
    );
    let error = read(
        Endless {
            head: b"title,url\nA,\"",
            row: b"x",
            at: 0,
        },
        &english(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            ImportError::CellTooLong {
                line: 2,
                column: 3,
                ..
            }
        ),
        "{error}"
    );
    // A text that is merely too long spoils its row alone.
    let long = "x".repeat(CELL_BYTES_MAX + 1);
    let line = finding(&format!("title\nA\n{long}\nB\n"), &english());
    assert!(
        line.starts_with("row 3, column “title”") && line.contains("longer than 16384 bytes"),
        "{line}"
    );
    let texts = vec!["é".repeat(8_000); 5].join(",");
    let line = finding(
        &format!("title,summary,description,prerequisites,eligibility\n{texts}\n"),
        &english(),
    );
    assert!(line.contains("cannot be a record"), "{line}");
}

#[test]
fn i03_every_encoding_is_recognised_or_refused_by_name() {
    let plain = "title;lang\nDéjà;fr\nعربي;ar\n";
    let options = set(&["kind=course"]);
    let expected = good(plain, &options);
    let utf16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
        mark.iter()
            .copied()
            .chain(plain.encode_utf16().flat_map(bytes))
            .collect::<Vec<u8>>()
    };
    let little = utf16(b"\xFF\xFE", u16::to_le_bytes);
    for file in [
        [b"\xEF\xBB\xBF", plain.as_bytes()].concat(),
        little.clone(),
        utf16(b"\xFE\xFF", u16::to_be_bytes),
    ] {
        let reading = read(file.as_slice(), &options).unwrap();
        assert_eq!(
            reading
                .drafts
                .iter()
                .map(|row| tree(&row.draft))
                .collect::<Vec<_>>(),
            expected
        );
    }
    let broken = error(&little[..little.len() - 1], &options);
    assert!(broken.contains("not UTF-16LE"), "{broken}");
    let unmarked = read(&little[2..], &options).unwrap_err();
    assert!(unmarked.to_string().contains("UTF-16"), "{unmarked}");
    let western = b"title;lang\nD\xE9j\xE0 \x80;fr\n";
    let guess = error(&western[..], &options);
    assert!(
        guess.starts_with("line 2, character 2: not UTF-8. If “Déjà €” is how")
            && guess.contains("--encoding windows-1252"),
        "{guess}"
    );
    let named = |name: &str| Options {
        encoding: name.parse().unwrap(),
        ..options.clone()
    };
    assert_eq!(
        tree(&read(&western[..], &named("Windows-1252")).unwrap().drafts[0].draft)["body"]["name"]
            ["fr"],
        "Déjà €"
    );
    let arabic = b"title;lang\n\xDA\xD1\xC8\xED;ar\n";
    assert_eq!(
        tree(&read(&arabic[..], &named("windows-1256")).unwrap().drafts[0].draft)["body"]["name"]["ar"],
        "عربي"
    );
    assert_eq!(
        read(&little[2..], &named("utf-16le")).unwrap().drafts.len(),
        2
    );
    // What is named wrongly is refused, and a mark goes before a name.
    let wrong = error(&b"title\n\x81\x20\n"[..], &named("shift_jis"));
    assert!(wrong.contains("not Shift_JIS"), "{wrong}");
    assert_eq!(
        read(little.as_slice(), &named("windows-1252"))
            .unwrap()
            .drafts
            .len(),
        2
    );
    assert!("klingon".parse::<Encoding>().is_err());
    for (start, name) in [
        (&b"\xD0\xCF\x11\xE0\xA1"[..], "xls"),
        (b"\x1F\x8B\x08", "gzip"),
        (b"%PDF-1.7", "PDF"),
    ] {
        assert!(
            read(start, &options)
                .unwrap_err()
                .to_string()
                .contains(name)
        );
    }
    let garbled = read("title,lang\nDÃ©jÃ ,fr\n".as_bytes(), &options)
        .unwrap()
        .report;
    assert!(garbled.notices[0].text.contains("garbled"));
}

#[test]
fn j09_a_nul_is_named_with_its_row() {
    let line = finding("title,url\nA\0B,https://a.example\n", &english());
    assert_eq!(
        line,
        "row 2, column “title”: “A B” contains the character U+0000; take it out"
    );
    let draft =
        r#"[{"type":"Offering","localId":"a","body":{"kind":"course","name":{"en":"A\u0000"}}}]"#;
    assert!(finding(draft, &english()).contains("U+0000"));
}

#[test]
fn j13_an_empty_file_says_so() {
    for file in ["", "\n\n", " ", "\u{FEFF}"] {
        assert!(
            matches!(read(file.as_bytes(), &english()), Err(ImportError::Empty)),
            "{file:?}"
        );
    }
    assert!(good("[]", &english()).is_empty());
    assert!(good("title\n", &english()).is_empty());
    assert!(
        findings("[null, 5, \"x\", []]", &english())
            .iter()
            .all(|line| line.contains("is no object"))
    );
}

fn course(id: &str) -> Value {
    json!({"type": "Offering", "localId": id, "language": "en", "body": {"kind": "course", "name": {"en": id}}})
}

#[test]
fn json_drafts_are_read_from_lists_collections_lines_and_alone() {
    let (a, b) = (course("a"), course("b"));
    let expected = good(&json!([a, b]).to_string(), &Options::default());
    assert_eq!(expected[0]["sources"], json!([{"method": "imported"}]));
    assert_eq!(
        good(&format!("{a}\n\n{b}\n"), &Options::default()),
        expected
    );
    let collection = json!({"handle": "itu", "records": [a, b], "other": {"x": [1]}}).to_string();
    assert_eq!(good(&collection, &Options::default()), expected);
    assert_eq!(
        read(collection.as_bytes(), &Options::default())
            .unwrap()
            .report
            .handle
            .as_deref(),
        Some("itu")
    );
    assert_eq!(good(&a.to_string(), &Options::default()), expected[..1]);
}

#[test]
fn j17_faults_of_json_drafts_are_named_with_their_member() {
    let mut bad = course("a");
    bad["body"]["cost"] = json!({"kind": "gratis"});
    bad["body"]["url"] = json!(5);
    let lines = findings(&json!([course("b"), bad]).to_string(), &Options::default());
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with("row 2, column “body.url”: must be a web address"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("row 2, column “body.cost.kind”: has the unknown cost"),
        "{}",
        lines[1]
    );
    for (member, value) in [
        ("language", json!("english language")),
        ("validUntil", json!("tomorrow")),
        ("licence", json!("")),
        ("localId", json!("A b")),
        ("status", json!("gone")),
        ("sources", json!("x")),
        ("type", json!("Course")),
    ] {
        let mut bad = course("a");
        bad[member] = value;
        let line = finding(&json!([bad]).to_string(), &Options::default());
        assert!(
            line.starts_with(&format!("row 1, column “{member}”")),
            "{line}"
        );
    }
    let mut bad = course("a");
    bad["type"] = json!("Request");
    assert!(finding(&json!([bad]).to_string(), &Options::default()).contains("private"));
    let mut bad = course("a");
    bad["body"]["@context"] = json!("x");
    assert!(finding(&json!([bad]).to_string(), &Options::default()).contains("@context"));
}

#[test]
fn j01_json_that_readers_would_mend_in_silence_is_named() {
    let line = finding(
        r#"[{"type":"Offering","type":"Solution","localId":"a","body":{}}]"#,
        &Options::default(),
    );
    assert!(
        line.starts_with("row 1: the member name “type” stands twice"),
        "{line}"
    );
    assert!(
        finding(
            r#"[{"localId":"a","body":{"x":9007199254740993}}]"#,
            &Options::default()
        )
        .contains("safe integers")
    );
    assert!(error(r#"{"records":[],"records":[]}"#, &Options::default()).contains("twice"));
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(finding(&deep, &Options::default()).contains("32 levels"));
}

#[test]
fn j14_broken_json_is_refused_with_line_and_character() {
    let file = format!("[\n{},\n{}\n]", course("a"), course("b"));
    for end in 1..file.len() - 1 {
        let result = read(&file.as_bytes()[..end], &Options::default());
        assert!(matches!(result, Err(ImportError::Json { .. })), "{end}");
    }
    assert_eq!(
        error("[{\"a\": 1}\n{}]", &Options::default()),
        "line 2, character 1: “,” or “]” must stand here"
    );
    assert!(error("[1,\n tru]", &Options::default()).starts_with("line 2, character "));
    assert!(error("[] []", &Options::default()).contains("nothing may stand after"));
    assert!(matches!(
        read(&b"[\"\xFF\"]"[..], &Options::default()),
        Err(ImportError::NotUtf8 {
            line: 1,
            column: 3,
            ..
        })
    ));
}

#[test]
fn i12_signed_records_become_drafts_again_if_their_signature_holds() {
    let reading = read(
        json!([course("a")]).to_string().as_bytes(),
        &Options::default(),
    )
    .unwrap();
    let mut signed = tree(&reading.drafts[0].draft);
    assert!(signed["proof"].is_object());
    let again = read(json!([signed]).to_string().as_bytes(), &Options::default()).unwrap();
    assert_eq!(again.drafts, reading.drafts);
    assert!(again.report.notices[0].text.contains("to be signed anew"));
    signed["body"]["name"]["en"] = json!("b");
    assert!(
        finding(&json!([signed]).to_string(), &Options::default())
            .contains("its signature does not hold")
    );
}

#[test]
fn flat_objects_are_rows() {
    let file = json!([
        {"title": "A", "lang": "fr", "subject": ["cyber", "policy"], "link": "https://a.example", "cost": {"kind": "paid", "price": 12}, "tutor": true},
        {"title": "B", "lang": "ar", "country": "KE;SN", "x": null},
        {"name": {"en": "C", "fr": "D"}, "lang": "en", "subject": "a;b"},
    ]);
    let bodies: Vec<Value> = good(&file.to_string(), &set(&["kind=course"]))
        .iter()
        .map(|record| record["body"].clone())
        .collect();
    assert_eq!(
        bodies[0],
        json!({
            "kind": "course", "name": {"fr": "A"}, "languages": ["fr"], "areas": ["cyber", "policy"], "url": "https://a.example",
            "cost": {"kind": "paid", "price": "12"}, "tutor": true,
        })
    );
    assert_eq!(bodies[1]["countries"], json!(["KE", "SN"]));
    assert_eq!(bodies[2]["name"], json!({"en": "C", "fr": "D"}));
    let as_row = one(
        "title,lang,link\nA,fr,https://a.example\n",
        &set(&["kind=course"]),
    );
    let as_object = good(&file.to_string(), &set(&["kind=course"]));
    assert_eq!(as_row["localId"], as_object[0]["localId"]);
}

#[test]
fn settings_fill_what_json_drafts_lack() {
    let mut draft = course("a");
    draft.as_object_mut().unwrap().remove("type");
    draft["body"].as_object_mut().unwrap().remove("kind");
    draft["body"]["cost"] = json!({"price": "3"});
    let record = one(
        &json!([draft]).to_string(),
        &set(&["kind=event", "cost=paid", "licence=CC0-1.0"]),
    );
    assert_eq!(
        (&record["body"]["kind"], &record["body"]["cost"]),
        (&json!("event"), &json!({"kind": "paid", "price": "3"}))
    );
    assert_eq!(
        (&record["type"], &record["licence"]),
        (&json!("Offering"), &json!("CC0-1.0"))
    );
    let kept = one(&json!([course("a")]).to_string(), &set(&["kind=event"]));
    assert_eq!(kept["body"]["kind"], "course");
}

#[test]
fn the_example_catalogue_reads_without_findings() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/catalogue");
    let (mut files, mut records) = (0, 0);
    for folder in ["aggregator", "hub", "provider"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let reading = read(std::fs::File::open(&path).unwrap(), &Options::default()).unwrap();
            assert!(
                reading.report.is_clean(),
                "{}: {:#?}",
                path.display(),
                reading.report.findings
            );
            assert!(reading.report.notices.is_empty() && reading.report.duplicates.is_empty());
            assert!(reading.report.handle.is_some());
            files += 1;
            records += reading.drafts.len();
        }
    }
    assert_eq!((files, records), (24, 87));
}

/// Data that nobody in the project wrote, beside the clone or where `BARAZA_SHARED` says.
fn shared(path: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "only a test may be told where its data lies"
    )]
    let said = std::env::var("BARAZA_SHARED").ok();
    let root = said.map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    Some(root.join(path)).filter(|path| path.exists())
}

#[test]
fn the_list_of_free_courses_imports_whole() {
    let Some(path) = shared("data/free-courses/free-courses.csv") else {
        eprintln!("skipped: no data/free-courses in ../shared or $BARAZA_SHARED");
        return;
    };
    let options = set(&["kind=course", "cost=free"]);
    let reading = read(std::fs::File::open(&path).unwrap(), &options).unwrap();
    let report = &reading.report;
    for notice in &report.notices {
        eprintln!("{notice}");
    }
    eprintln!(
        "{} rows, {} drafts, {} duplicates",
        report.rows_read, report.rows_good, report.rows_duplicate
    );
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.rows_read, 4_572);
    assert_eq!(report.rows_good + report.rows_duplicate, 4_572);
    assert_eq!((report.rows_good, report.duplicates.len()), (4_547, 25));
    let trees: Vec<Value> = reading.drafts.iter().map(|row| tree(&row.draft)).collect();
    let languages: std::collections::BTreeSet<&str> = trees
        .iter()
        .filter_map(|tree| tree["language"].as_str())
        .collect();
    assert_eq!(languages.len(), 41);
    for tree in &trees {
        let body = &tree["body"];
        assert_eq!(
            (&body["kind"], &body["cost"]["kind"]),
            (&json!("course"), &json!("free"))
        );
        assert_eq!(body["languages"], json!([tree["language"]]));
        assert!(
            body["areas"]
                .as_array()
                .is_some_and(|areas| !areas.is_empty())
        );
        assert!(!tree.to_string().contains("&lrm"), "{tree}");
    }
    let again = read(std::fs::File::open(&path).unwrap(), &options).unwrap();
    assert_eq!(again.drafts, reading.drafts);
    assert_eq!(codes::AREAS.codes().len(), 9);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Auto, Format::Csv, Format::Json] {
            let _ = read(bytes.as_slice(), &Options { format, ..english() });
        }
        let _ = Mapping::read(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<Setting>();
    }

    #[test]
    fn no_cell_makes_it_panic_and_every_row_is_accounted_for(
        column in 0_usize..40,
        cells in proptest::collection::vec(prop_oneof![
            any::<String>(),
            "[0-9 ./,:TZ+-]{0,14}",
            "[a-z]{1,8}[:;/.][a-zA-Z0-9 ]{0,12}",
            "P[0-9A-Z]{0,8}",
            Just("https://a b".to_owned()),
            "&#?x?[a-f0-9]{0,9};?",
        ], 1..6),
    ) {
        let paths: Vec<&str> = members::paths().collect();
        let header = paths[column * 2 % paths.len()];
        let mut file = format!("title,lang,{header}\n");
        for cell in &cells {
            file.push_str(&format!("A,en,\"{}\"\n", cell.replace('"', "\"\"")));
        }
        if let Ok(reading) = read(file.as_bytes(), &labelled(&["kind=course"])) {
            let report = reading.report;
            assert_eq!(report.rows_read, report.rows_good + report.rows_bad + report.rows_duplicate);
            assert_eq!(report.rows_read as usize, cells.len());
            for row in &reading.drafts {
                tree(&row.draft);
            }
        }
    }

    #[test]
    fn quoted_cells_come_back_as_they_were_written(texts in proptest::collection::vec("[^\u{0}]{0,12}", 1..20)) {
        let row: String = texts.iter().map(|text| format!("\"{}\"", text.replace('"', "\"\""))).collect::<Vec<_>>().join(",");
        use table::Rows as _;
        let mut table = table::Table::new(row.as_bytes(), b',', Limits::default());
        let read: Vec<String> = match table.next_row().unwrap() {
            Some(cells) => cells.cells.into_iter().map(|cell| cell.text).collect(),
            None => return Ok(()),
        };
        assert_eq!(read, texts);
    }
}
