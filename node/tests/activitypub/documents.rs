//! What a node says of itself.

use protocol::activity::{ACCEPT, Actor};
use serde_json::Value;

use crate::world::{World, add_organization, offering, publish, until};

async fn get(world: &World, address: &str, accept: &str) -> (String, Value) {
    let document = world.client.document(address, accept).await.unwrap();
    let kind = document.content_type.unwrap_or_default();
    (
        kind,
        serde_json::from_slice(&document.bytes).unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn actors_are_found_and_list_the_keys_of_their_logs() {
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    let base = world.n.config.address("");
    let authority = world.n.config.authority();
    for (handle, path, kind) in [
        ("node", "/actor", "Application"),
        ("welders", "/orgs/welders", "Organization"),
    ] {
        let query = format!("{base}/.well-known/webfinger?resource=acct:{handle}%40{authority}");
        let (_, found) = get(&world, &query, "application/jrd+json").await;
        assert_eq!(found["subject"], format!("acct:{handle}@{authority}"));
        assert_eq!(found["links"][0]["href"], format!("{base}{path}"));
        let (content_type, document) = get(&world, &format!("{base}{path}"), ACCEPT).await;
        assert_eq!(content_type, "application/activity+json");
        assert_eq!(document["id"], format!("{base}{path}"));
        assert_eq!(document["type"], kind);
        assert_eq!(document["preferredUsername"], handle);
        let signer = world.n.keychain.signer(handle).unwrap();
        assert_eq!(document["alsoKnownAs"][0], signer.did.to_string());
        let actor = Actor::parse(document.to_string().as_bytes()).unwrap();
        let key_id = format!("{base}{path}#{}", signer.key.public());
        assert_eq!(actor.key(&key_id), Some(&signer.key.public()));
        assert_eq!(actor.shared_inbox, Some(format!("{base}/inbox")));
    }
    for nobody in [
        "acct:nobody@HOST",
        "acct:node@elsewhere.example",
        "https://elsewhere.example/actor",
        "x",
    ] {
        let resource = nobody.replace("HOST", &authority);
        let query = format!("{base}/.well-known/webfinger?resource={resource}");
        let refused = world.client.document(&query, "*/*").await.unwrap_err();
        assert_eq!(refused.status(), Some((404, Some("not-found"))), "{nobody}");
    }
    let (_, host) = get(
        &world,
        &format!("{base}/.well-known/webfinger?resource={base}/"),
        "*/*",
    )
    .await;
    assert_eq!(host["aliases"][0], format!("{base}/actor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_lists_what_counts_and_its_addresses_resolve() {
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    for number in 0..25 {
        let draft = offering(&format!("course-{number}"), "Welding");
        publish(&world.n, "welders", draft).await;
    }
    for (path, actor) in [
        ("/outbox", "/actor"),
        ("/orgs/welders/outbox", "/orgs/welders"),
    ] {
        let (_, outbox) = get(&world, &world.n.config.address(path), ACCEPT).await;
        assert_eq!(outbox["totalItems"], 26);
        let mut next = outbox["first"].as_str().map(str::to_owned);
        let mut items = Vec::new();
        while let Some(page) = next {
            let (_, page) = get(&world, &page, ACCEPT).await;
            items.extend(page["orderedItems"].as_array().unwrap().clone());
            next = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(items.len(), 26);
        let last = items.last().unwrap();
        assert_eq!(last["actor"], world.n.config.address(actor));
        for pointer in ["/id", "/object/id"] {
            let address = last.pointer(pointer).unwrap().as_str().unwrap();
            let (_, found) = get(&world, address, ACCEPT).await;
            assert_eq!(found["id"], address);
        }
    }
    let (_, followers) = get(&world, &world.n.config.address("/followers"), ACCEPT).await;
    assert_eq!(followers["totalItems"], 0);
    until("the node still answers", || true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodeinfo_has_every_member_that_its_schema_requires() {
    let world = World::new().await;
    let (_, links) = get(
        &world,
        &world.n.config.address("/.well-known/nodeinfo"),
        "*/*",
    )
    .await;
    let link = links["links"][0]["href"].as_str().unwrap();
    assert_eq!(links["links"][1]["href"], world.n.config.address("/actor"));
    let (kind, info) = get(&world, link, "*/*").await;
    assert!(kind.contains("schema/2.1#"), "{kind}");
    let shared = std::env::var_os("BARAZA_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    let schema = shared.join("vectors/nodeinfo/schema-2.1.json");
    let Ok(schema) = std::fs::read(&schema) else {
        println!("skipped: no schema at {}", schema.display());
        return;
    };
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    has_required(&schema, &info, "");
}

/// Checks presence of what is required, absence of what is not named, and enumerations.
fn has_required(schema: &Value, value: &Value, path: &str) {
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{path}: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(name.as_str().unwrap()).is_some(),
            "{path}: {name}"
        );
    }
    if let (Some(properties), Some(members)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, value) in members {
            match properties.get(name) {
                Some(schema) => has_required(schema, value, &format!("{path}/{name}")),
                None => assert_ne!(schema["additionalProperties"], false, "{path}/{name}"),
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        has_required(&schema["items"], item, path);
    }
}
