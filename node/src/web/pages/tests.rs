//! The pages of a small node, asked for through the router as a browser would.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use protocol::id::LocalId;
use protocol::record::Draft;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::{accepted_languages, label};
use crate::clock::SystemClock;
use crate::federation::followers::Follower;
use crate::node::Node;
use crate::search::Facet;
use crate::testing::node_with_org;
use crate::web;

/// The bounds of a first visit, compressed as a browser has it.
const HTML_BYTES_MAX: usize = 14 * 1024;
const CSS_BYTES_MAX: usize = 4 * 1024;

const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)></title>";

struct Site {
    node: Arc<Node>,
    router: Router,
    scid: String,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn has(&self, needle: &str) -> bool {
        self.text().contains(needle)
    }
}

impl Site {
    /// A node named `Test hub` with one organisation, `org`, that has published these records.
    async fn with(records: &[Value]) -> Self {
        let (node, folder) = node_with_org(Arc::new(SystemClock)).await;
        let scid = node.hosted("org").unwrap().unwrap().to_string();
        let site = Self {
            router: web::router(Arc::clone(&node)),
            node,
            scid,
            _folder: folder,
        };
        site.publish(records).await;
        site
    }

    async fn publish(&self, records: &[Value]) {
        let signer = self.node.keychain.signer("org").unwrap();
        // Unchecked, so that what is faulty gets in as it would from elsewhere.
        let drafts: Vec<Draft> = records
            .iter()
            .map(|record| Draft::unchecked(record.as_object().unwrap(), "CC-BY-4.0").unwrap())
            .collect();
        self.node
            .publisher
            .publish(&signer, &drafts, |_| {})
            .await
            .unwrap();
        self.node.index_now().unwrap();
    }

    async fn ask(&self, path: &str, headers: &[(header::HeaderName, &str)]) -> Answer {
        let mut request = Request::get(path).header(header::HOST, self.node.config.authority());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        Answer::of(response).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(path, &[]).await
    }
}

fn profile(name: &Value) -> Value {
    json!({"type": "Organization", "localId": "organization", "language": "en", "body": {"name": name}})
}

fn course(local: &str, name: &str) -> Value {
    json!({"type": "Offering", "localId": local, "language": "en", "body": {
        "kind": "course", "name": {"en": name}, "summary": {"en": "A course."}, "areas": ["cyber"],
        "countries": ["KE", "TZ"], "languages": ["en", "sw"], "cost": {"kind": "free"}, "audiences": ["women", "youth"],
    }})
}

/// Every member of every type, so that no template is left out.
fn full() -> Vec<Value> {
    vec![
        json!({"type": "Organization", "localId": "organization", "language": "en", "confirmed": "2026-06-01T00:00:00Z",
            "body": {
            "name": {"en": "Example Academy", "ar": "أكاديمية"}, "alternateName": ["EA"], "kind": "academic",
            "summary": {"en": "Teaches."}, "description": {"en": "First.\n\nSecond."}, "website": "https://ea.example",
            "sameAs": ["https://ror.example/1"], "countries": ["KE", "KE-30"], "regions": ["002"], "languages": ["en"],
            "areas": ["cyber"], "audiences": ["women"], "capabilities": [{"scheme": "ESCO", "code": "S1"}],
            "contactPoints": [{"role": {"en": "Desk"}, "email": "desk@ea.example", "telephone": "+254 20 123456",
                "url": "https://ea.example/ask", "languages": ["en"]}],
            "funders": ["A fund"], "parentOrganization": "A university", "memberOf": ["A network"],
            "commercialInterest": {"en": "None."},
        }}),
        serde_json::from_str(EVERYTHING).unwrap(),
        json!({"type": "Solution", "localId": "tool", "language": "fr", "body": {
            "kind": "software", "name": {"fr": "Outil"}, "summary": {"fr": "Un outil."}, "url": "https://tool.example",
            "repository": "https://code.example/tool", "licence": "MIT", "owners": ["EA"], "areas": ["digital-government"],
            "useCases": ["Registers"], "dpg": {"status": "reviewed", "date": "2026-01-01"}, "countries": ["KE"],
            "regions": ["014"], "languages": ["fr"], "maturity": "in-use", "buildingBlocks": [], "sectors": ["22040"],
        }}),
    ]
}

/// An offering with every member that there is.
const EVERYTHING: &str = r#"{"type": "Offering", "localId": "all", "language": "en", "validUntil": "2099-01-01T00:00:00Z",
            "sources": [{"title": "A page", "locator": "p. 4", "url": "https://source.example/a"}], "body": {
            "kind": "course", "name": {"en": "Everything", "fr": "Tout"}, "summary": {"en": "All."},
            "description": {"en": "One.\n\nTwo."}, "url": "https://ea.example/course", "image": "https://ea.example/a.png",
            "provider": "EA", "host": "atingi", "accreditedBy": ["A council"], "partners": ["A partner"],
            "areas": ["cyber"], "topics": ["cyber-hygiene"], "sectors": ["22040"], "sdgTargets": ["4.4"],
            "audiences": ["women"], "levels": ["basic", {"scheme": "EQF", "code": "3"}], "prerequisites": {"en": "A phone."},
            "teaches": [{"scheme": "ESCO", "code": "S1"}], "modes": ["blended"], "tutor": true, "worksOffline": false,
            "sizeMegabytes": 120, "accessibilityFeatures": ["captions"], "duration": "P6W", "workload": "PT12H",
            "instances": [{"start": "2027-01-12", "end": "2027-02-12", "enrolUntil": "2027-01-01", "seats": 30,
                "place": {"name": {"en": "Hall"}, "country": "KE", "locality": "Nairobi", "address": "1 Road"}}],
            "cost": {"kind": "conditional", "price": "1200.50", "currency": "KES", "payer": "the ministry",
                "until": "2027-06-30", "note": {"en": "While funds last."}},
            "certificate": {"kind": "badge", "issuer": "EA", "badgeUrl": "https://ea.example/badge"},
            "eligibility": {"en": "Anyone."}, "eligibilityCodes": [{"scheme": "X", "code": "y"}],
            "countries": ["KE", "TZ", "UG"], "excludedCountries": ["FR"], "regions": ["014"], "languages": ["sw", "pt-BR"],
            "subtitleLanguages": ["fr"], "materialLanguages": ["en"], "licence": "CC-BY-SA-4.0", "capacity": "open",
            "funding": {"amountMin": "10", "amountMax": "20", "currency": "EUR", "opens": "2027-01-01",
                "closes": "2027-02-01", "financeTypes": [{"scheme": "IATI", "code": "110"}]},
            "place": {"name": {"en": "Centre"}, "country": "KE", "openingHours": {"en": "9 to 5"}}
        }}"#;

fn pages(site: &Site) -> Vec<String> {
    let scid = &site.scid;
    [
        "/".to_owned(),
        "/search".to_owned(),
        "/search?q=everything&area=cyber&country=KE&sort=newest".to_owned(),
        "/search?q=nothingatall&area=cyber".to_owned(),
        format!("/o/{scid}/all"),
        format!("/o/{scid}/all?text=fr"),
        format!("/o/{scid}/tool"),
        format!("/org/{scid}"),
        "/nodes".to_owned(),
        "/offer".to_owned(),
    ]
    .into()
}

#[tokio::test]
async fn the_network_page_tells_how_delivery_to_a_peer_stands_and_names_no_other_server() {
    let site = Site::with(&full()).await;
    let node = &site.node;
    for host in ["https://hub.example", "https://people.example"] {
        let actor = format!("{host}/actor");
        let followed = "http://127.0.0.1:8899/actor".to_owned();
        let follower = Follower::new(&actor, followed, "f", &format!("{host}/inbox")).unwrap();
        node.outbox.accept(follower).await.unwrap();
        let failed = node
            .deliveries
            .note_failed(host, HOSTILE, None, node.clock.now());
        failed.await.unwrap();
    }
    let known = node.peers.change("https://hub.example", |_| {});
    known.await.unwrap();
    for (language, told, others) in [
        (
            "en",
            "It was told of every change.",
            "One other server is told",
        ),
        (
            "fr",
            "Informé de toutes les modifications.",
            "Un autre serveur est informé",
        ),
    ] {
        let page = site.get(&format!("/{language}/nodes")).await;
        assert!(page.has(told), "{}", page.text());
        assert!(page.has(others), "{}", page.text());
        assert!(page.has("&#60;script&#62;"), "{}", page.text());
        assert!(!page.has("<script>"));
        assert!(!page.has("people.example"));
    }
}

#[tokio::test]
async fn every_page_answers_in_its_language_small_and_without_script() {
    let site = Site::with(&full()).await;
    site.node
        .peers
        .change("https://hub.example", |peer| {
            peer.is_followed = true;
            peer.last_heard = Some(0);
            peer.last_refusal = Some("the signature does not fit".to_owned());
        })
        .await
        .unwrap();
    for language in ["en", "fr"] {
        for page in pages(&site) {
            let path = format!("/{language}{page}");
            let answer = site.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            assert_eq!(
                answer.header(header::CONTENT_TYPE),
                "text/html; charset=utf-8"
            );
            assert!(
                answer.has(&format!("<html lang=\"{language}\" dir=\"ltr\">")),
                "{path}"
            );
            assert!(
                !answer
                    .header(header::CONTENT_SECURITY_POLICY)
                    .contains("unsafe"),
                "{path}"
            );
            assert_eq!(answer.text().matches("<h1").count(), 1, "{path}");
            assert_eq!(answer.text().matches("<main ").count(), 1, "{path}");
            for banned in [
                "<script",
                " style=",
                "<style",
                " onclick",
                " onload",
                "javascript:",
            ] {
                assert!(!answer.has(banned), "{path}: {banned}");
            }
            assert_tags_close(answer.text(), &path);
            assert_ids_are_unique(answer.text(), &path);
            let sent = site.ask(&path, &[(header::ACCEPT_ENCODING, "br")]).await;
            assert_eq!(sent.header(header::CONTENT_ENCODING), "br");
            assert!(
                sent.body.len() <= HTML_BYTES_MAX,
                "{path}: {} bytes",
                sent.body.len()
            );
        }
    }
}

/// Elements without an end.
const VOID: [&str; 6] = ["meta", "link", "input", "br", "img", "!doctype"];

fn assert_tags_close(html: &str, path: &str) {
    let mut open = Vec::new();
    for piece in html.split('<').skip(1) {
        let (tag, _) = piece
            .split_once('>')
            .unwrap_or_else(|| panic!("{path}: <{piece}"));
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|next| next.is_ascii_alphanumeric() || *next == '!')
            .collect();
        if VOID.contains(&name.as_str()) || tag.ends_with('/') {
        } else if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{path}: at {piece}");
        } else {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: {open:?}");
}

fn assert_ids_are_unique(html: &str, path: &str) {
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "{path}");
}

#[tokio::test]
async fn a_full_page_of_results_over_every_country_and_language_stays_small() {
    let languages: Vec<String> = crate::places::codes("language");
    let countries: Vec<&str> = protocol::codes::geography::countries()
        .map(|country| country.code())
        .collect();
    let long = "Capacity building for public administrations ".repeat(6);
    let records: Vec<Value> = (0..25)
        .map(|number| {
            json!({"type": "Offering", "localId": format!("n{number}"), "language": "en", "body": {
                "kind": "course", "name": {"en": format!("Course {number} of {long}")},
                "summary": {"en": format!("{number} {}", long.repeat(4))},
                "countries": countries, "languages": languages.iter().take(200).collect::<Vec<_>>(),
                "areas": ["cyber", "policy", "data-ai"], "audiences": protocol::codes::AUDIENCES.codes(),
                "modes": protocol::codes::MODES.codes(), "levels": protocol::codes::LEVELS.codes(), "cost": {"kind": "free"},
            }})
        })
        .collect();
    let site = Site::with(&records).await;
    let sent = site
        .ask("/fr/search?q=capacity", &[(header::ACCEPT_ENCODING, "br")])
        .await;
    assert_eq!(sent.status, StatusCode::OK);
    assert!(
        sent.body.len() <= HTML_BYTES_MAX,
        "{} bytes",
        sent.body.len()
    );

    let first = site.get("/en/search?q=course").await;
    assert!(first.has("25 results"));
    let next = first
        .text()
        .split("rel=\"next\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let second = site.get(&next.replace("&#38;", "&")).await;
    assert_eq!(second.text().matches("<article").count(), 5);
    assert!(second.has("First page") && !second.has("rel=\"next\""));
}

#[tokio::test]
async fn the_style_sheet_is_small_and_kept_for_good() {
    let site = Site::with(&[]).await;
    let home = site.get("/en/").await;
    let href = home
        .text()
        .split("rel=\"stylesheet\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let style = site.ask(href, &[(header::ACCEPT_ENCODING, "br")]).await;
    assert!(
        style.body.len() <= CSS_BYTES_MAX,
        "{} bytes",
        style.body.len()
    );
    assert!(style.header(header::CACHE_CONTROL).contains("immutable"));
    assert_eq!(
        site.get("/assets/baraza.css")
            .await
            .header(header::CACHE_CONTROL),
        "no-cache"
    );
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_not_sent_again() {
    let site = Site::with(&full()).await;
    let path = format!("/en/o/{}/all", site.scid);
    let tag = site.get(&path).await.header(header::ETAG).to_owned();
    let again = site.ask(&path, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!(
        (again.status, again.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
}

#[tokio::test]
async fn w01_what_strangers_write_is_shown_as_text_on_every_page() {
    let site = Site::with(&[
        profile(&json!({"en": HOSTILE})),
        json!({"type": "Offering", "localId": "a", "language": "en", "sources": [{"title": HOSTILE}], "body": {
            "kind": "course", "name": {"en": HOSTILE}, "summary": {"en": HOSTILE}, "description": {"en": HOSTILE},
            "provider": HOSTILE, "levels": [{"scheme": HOSTILE, "code": HOSTILE}], "licence": HOSTILE, "cost": {"kind": "paid", "payer": HOSTILE},
        }}),
    ])
    .await;
    site.node
        .peers
        .change("https://x\"><script>", |peer| {
            peer.last_error = Some(HOSTILE.to_owned())
        })
        .await
        .unwrap();
    let scid = &site.scid;
    for path in [
        "/en/".to_owned(),
        "/en/search?q=script".to_owned(),
        format!("/en/o/{scid}/a"),
        format!("/en/org/{scid}"),
        format!("/en/search?org={scid}"),
        "/fr/nodes".to_owned(),
    ] {
        let answer = site.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.has("<script") && !answer.has("<img"), "{path}");
        assert!(answer.has("&#60;script"), "{path}");
        assert_eq!(
            answer.text().matches("</title>").count(),
            1 + usize::from(path.ends_with("nodes")),
            "{path}"
        );
        assert_tags_close(answer.text(), &path);
    }
}

#[tokio::test]
async fn w03_only_web_addresses_become_links() {
    let site = Site::with(&[
        json!({"type": "Offering", "localId": "a", "sources": [{"title": "x", "url": "javascript:alert(1)"}], "body": {
            "kind": "course", "name": {"en": "A"}, "url": "https://bank.example@evil.example/"}}),
        json!({"type": "Offering", "localId": "b", "body": {
            "kind": "course", "name": {"en": "B"}, "url": "javascript:alert(1)"}}),
    ])
    .await;
    let source = site.get(&format!("/en/o/{}/a", site.scid)).await;
    assert!(source.has("<code dir=\"auto\">javascript:alert(1)</code>"));
    assert!(!source.has("href=\"javascript") && !source.has("href=\"https://bank"));
    let faulty = site.get(&format!("/en/o/{}/b", site.scid)).await;
    assert_eq!(faulty.status, StatusCode::OK);
    assert!(faulty.has("This record is not shown") && faulty.has("javascript:alert(1)"));
    assert!(!faulty.has("href=\"javascript"));
}

#[tokio::test]
async fn w04_the_host_that_a_link_leads_to_is_in_sight() {
    let site = Site::with(&full()).await;
    let answer = site.get(&format!("/en/o/{}/all", site.scid)).await;
    let link = answer
        .text()
        .split("class=\"button\" href=\"https://ea.example/course\"")
        .nth(1)
        .unwrap();
    let link = link.split("</a>").next().unwrap();
    assert!(
        link.starts_with(" rel=\"nofollow noopener ugc\">") && link.contains("<b>ea.example</b>"),
        "{link}"
    );
    for (position, _) in answer.text().match_indices("href=\"http") {
        assert!(
            answer.text()[position..]
                .split('>')
                .next()
                .unwrap()
                .contains("rel=\"nofollow noopener ugc\"")
        );
    }
}

#[tokio::test]
async fn w05_w06_no_search_ends_in_an_error_page() {
    let site = Site::with(&full()).await;
    let long = "a".repeat(3_000);
    for query in [
        "q=%27+OR+1%3D1+--",
        "q=*%3A*",
        "q=%25",
        "q=%5C",
        "q=%00%01",
        "q=%FF%FE",
        "q=%22unclosed",
        "q=-",
        "q=((((((",
        "q=name%3Afoo+AND+%5B*+TO+*%5D",
        &format!("q={long}"),
        "page=-1",
        "page=999999999",
        "limit=1000000",
        "limit=-1",
        "limit=x",
        "sort=secret",
        "cursor=nonsense",
        "country=Atlantis",
        "language=%3Cscript%3E",
        "area=%3Cscript%3E",
        &"area=a&".repeat(100),
    ] {
        let answer = site.get(&format!("/en/search?{query}")).await;
        assert!(
            matches!(answer.status, StatusCode::OK | StatusCode::BAD_REQUEST),
            "{query}: {}",
            answer.status
        );
        assert!(
            answer.header(header::CONTENT_TYPE).starts_with("text/html"),
            "{query}"
        );
        assert!(!answer.has("<script"), "{query}");
        assert_tags_close(answer.text(), query);
    }
    let too_long = site
        .get(&format!("/en/search?q={}", "a".repeat(10_000)))
        .await;
    assert_eq!(too_long.status, StatusCode::URI_TOO_LONG);
}

#[tokio::test]
async fn w07_what_was_searched_for_comes_back_as_text() {
    let site = Site::with(&[]).await;
    let answer = site
        .get("/en/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&area=%22%3E%3Cb%3E")
        .await;
    assert!(
        answer.has("value=\"&#34;&#62;&#60;script")
            && !answer.has("<script")
            && !answer.has("\"><b>")
    );
    assert!(answer.has("Nothing fits"));
    // Each filter can be taken off, and the words too.
    assert!(answer.has("without “") && answer.has("without the words"));
}

#[tokio::test]
async fn k15_a_name_that_deceives_the_eye_is_marked_and_stands_alone_with_its_host() {
    let site = Site::with(&[
        profile(&json!({"en": "\u{440}\u{430}ypal"})),
        course("a", "Safe \u{202e}gninaelc"),
    ])
    .await;
    for path in [
        "/en/search".to_owned(),
        format!("/en/o/{}/a", site.scid),
        format!("/en/org/{}", site.scid),
    ] {
        let answer = site.get(&path).await;
        assert!(
            answer.has(
                "<bdi>\u{440}\u{430}ypal</bdi> <small class=\"mark odd\">unusual characters</small>"
            ),
            "{path}"
        );
        assert!(answer.has("<bdi>node.localhost:8899</bdi>"), "{path}");
    }
    assert!(
        site.get("/en/")
            .await
            .has("<bdi>Safe \u{202e}gninaelc</bdi> <small class=\"mark odd\">")
    );
}

#[tokio::test]
async fn a_text_in_another_language_than_the_page_says_so() {
    let site = Site::with(&[
        json!({"type": "Offering", "localId": "a", "language": "es", "body": {
            "kind": "course", "name": {"es": "Curso", "ar": "دورة"}, "summary": {"es": "Un curso."},
        }}),
    ])
    .await;
    let path = format!("/fr/o/{}/a", site.scid);
    for path in ["/fr/", "/fr/search", &path] {
        let answer = site.get(path).await;
        assert!(
            answer.has("<bdi lang=\"es\">Curso</bdi> <small class=\"mark\">Espagnol</small>"),
            "{path}"
        );
        assert!(answer.has("<bdi lang=\"es\">Un curso.</bdi>"), "{path}");
    }
    let body = json!({"kind": "course", "name": {"fr": "Cours"}, "description": {"es": "Uno."}});
    site.publish(&[json!({"type": "Offering", "localId": "b", "body": body})])
        .await;
    let mixed = site.get(&format!("/fr/o/{}/b", site.scid)).await;
    let description =
        "lang=\"es\"><p dir=\"auto\">Uno.</p><p><small class=\"mark\">Espagnol</small></p>";
    assert!(mixed.has(description));
    let arabic = site.get(&format!("{path}?text=ar")).await;
    assert!(arabic.has("<bdi lang=\"ar\">دورة</bdi> <small class=\"mark\">Arabe</small>"));
    assert!(
        site.get(&path)
            .await
            .has("?text=ar\" hreflang=\"ar\">Arabe</a>")
    );
}

#[tokio::test]
async fn a_record_page_says_who_signed_with_which_key_and_what_was_checked() {
    let site = Site::with(&full()).await;
    let path = format!("/en/o/{}/all", site.scid);
    let answer = site.get(&path).await;
    let key = site
        .node
        .keychain
        .signer("org")
        .unwrap()
        .key
        .public()
        .to_string();
    for needle in [
        key.as_str(),
        "Example Academy",
        "node.localhost:8899",
        "they fit",
        "Published on this node",
        "1 January 2099",
    ] {
        assert!(answer.has(needle), "{needle}");
    }
    let signed = site.get(&format!("{path}/signed")).await;
    assert_eq!(signed.header(header::CONTENT_TYPE), "application/json");
    let tree: Value = serde_json::from_slice(&signed.body).unwrap();
    assert_eq!(tree["localId"], "all");
}

#[tokio::test]
async fn what_is_withdrawn_faulty_or_of_an_unknown_type_is_explained() {
    let site = Site::with(&[
        course("gone", "Gone"),
        json!({"type": "FutureThing", "localId": "future", "body": {"x": 1}}),
        json!({"type": "Offering", "localId": "faulty", "body": {"kind": "cours"}}),
    ])
    .await;
    let signer = site.node.keychain.signer("org").unwrap();
    site.node
        .publisher
        .withdraw(&signer, &LocalId::parse("gone").unwrap())
        .await
        .unwrap();
    site.node.index_now().unwrap();
    let page = |local: &str| format!("/en/o/{}/{local}", site.scid);
    let gone = site.get(&page("gone")).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert!(gone.has("This record was withdrawn") && gone.has("they fit"));
    let future = site.get(&page("future")).await;
    assert!(future.status == StatusCode::OK && future.has("FutureThing"));
    let faulty = site.get(&page("faulty")).await;
    assert!(faulty.status == StatusCode::OK && faulty.has("did you mean “course”?"));
    assert!(!site.get("/en/search").await.has("Gone"));
}

#[tokio::test]
async fn what_is_over_is_found_no_more_and_says_so() {
    let mut record = course("over", "Over");
    record["validUntil"] = json!("2020-01-01T00:00:00Z");
    let site = Site::with(&[record]).await;
    assert!(site.get("/en/search").await.has("Nothing fits"));
    let answer = site.get(&format!("/en/o/{}/over", site.scid)).await;
    assert!(
        answer.has("The time for which this was valid is over") && answer.has("Was valid until")
    );
}

#[tokio::test]
async fn an_unknown_address_is_told_in_the_language_of_the_page() {
    let site = Site::with(&[]).await;
    let scid = &site.scid;
    for path in [
        "/fr/nowhere",
        "/fr/a/b/c/d",
        "/fr/o/x/y",
        &format!("/fr/o/{scid}/none"),
        "/fr/org/x",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.has("<html lang=\"fr\"") && answer.has("noindex"),
            "{path}"
        );
    }
    for path in ["/xx/", "/xx/search", "/api/v1/nowhere"] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            answer.header(header::CONTENT_TYPE),
            "application/problem+json",
            "{path}"
        );
    }
    assert_eq!(site.get("/en").await.header(header::LOCATION), "/en/");
    let profile = site.get(&format!("/en/o/{scid}/organization")).await;
    assert_eq!(profile.header(header::LOCATION), format!("/en/org/{scid}"));
}

#[tokio::test]
async fn the_front_door_leads_to_the_language_that_the_browser_asks_for() {
    let site = Site::with(&[]).await;
    for (asked, home) in [
        ("fr-SN,fr;q=0.9,en;q=0.8", "/fr/"),
        ("ar,fr;q=0.2,en;q=0.7", "/en/"),
        ("ar, zh", "/en/"),
        ("", "/en/"),
        ("fr;q=0, en;q=0.1", "/en/"),
        (";;;,,,=q=1", "/en/"),
    ] {
        let answer = site.ask("/", &[(header::ACCEPT_LANGUAGE, asked)]).await;
        assert_eq!(
            (answer.status, answer.header(header::LOCATION)),
            (StatusCode::SEE_OTHER, home),
            "{asked}"
        );
        assert!(
            answer
                .headers
                .get_all(header::VARY)
                .iter()
                .any(|vary| vary.as_bytes().eq_ignore_ascii_case(b"accept-language"))
        );
    }
}

#[test]
fn accepted_languages_come_by_weight_valid_and_few() {
    let read = |asked: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, asked.parse().unwrap());
        accepted_languages(&headers)
    };
    assert_eq!(
        read("en;q=0.5, fr-sn, *;q=0.1, sw;q=0.8, xx_yy, pt;q=7"),
        ["fr-SN", "sw", "en"]
    );
    assert!(read(&"aa,".repeat(5_000)).len() <= 16);
}

#[tokio::test]
async fn a_code_has_a_label_where_there_is_one() {
    let site = Site::with(&[profile(&json!({"en": "Example Academy"}))]).await;
    let label = |facet, code: &str, language| label(&site.node, facet, code, language);
    assert_eq!(label(Facet::Audience, "women", "fr"), "Femmes");
    assert_eq!(label(Facet::Kind, "software", "en"), "Software");
    assert_eq!(label(Facet::Country, "KE", "fr"), "Kenya");
    assert_eq!(label(Facet::Country, "KE-30", "en"), "Kenya (KE-30)");
    assert_eq!(label(Facet::Country, "014", "fr"), "Afrique orientale");
    assert_eq!(label(Facet::Country, "global", "fr"), "Monde entier");
    assert_eq!(
        label(Facet::Country, "SIDS", "en"),
        "Small island developing States"
    );
    assert_eq!(label(Facet::Language, "pt-BR", "fr"), "Portugais (Brésil)");
    assert_eq!(label(Facet::Org, &site.scid, "en"), "Example Academy");
    assert_eq!(label(Facet::Area, "of-the-future", "en"), "of-the-future");
}
