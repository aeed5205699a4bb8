//! Keys whose ids are addresses of their own, without `#`, as some servers write them.

use protocol::activity::MEDIA_TYPE;
use serde_json::{Value, json};

use crate::world::{Signed, World};

/// A key of `m`'s actor as it is listed, or stands alone.
fn key(world: &World, id: &str) -> Value {
    json!({
        "id": id, "type": "Multikey", "controller": world.m.actor(),
        "publicKeyMultibase": world.m.key.public().to_string(),
    })
}

/// Makes `m`'s actor list keys under these ids.
fn list(world: &World, ids: &[&str]) {
    let mut actor = world.m.document("/actor");
    actor["assertionMethod"] = ids.iter().map(|id| key(world, id)).collect();
    world.m.serve("/actor", MEDIA_TYPE, &actor);
}

/// Sends something harmless of `m`'s, signed under a key id.
async fn sends_under(world: &World, key_id: &str) -> (u16, String) {
    let body = world
        .m
        .activity("Like", "x".into())
        .to_string()
        .into_bytes();
    let inbox = world.inbox();
    let signed = Signed::by(&world.m.key, key_id, &inbox, body);
    signed.send(&world.client, &inbox).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_an_address_of_its_own_is_found_by_it_and_then_at_its_owner() {
    let world = World::new().await;
    let m = &world.m;
    let alone = m.address("/actor/main-key");
    // At such an address some servers give the whole actor.
    let query = m.address("/actor?key");
    let listed: [&str; 2] = [&alone, &query];
    list(&world, &listed);
    m.serve("/actor/main-key", MEDIA_TYPE, &key(&world, &alone));
    assert_eq!(sends_under(&world, &alone).await.0, 202);
    assert_eq!(m.asked(), ["/actor/main-key", "/actor"]);
    for _ in 0..3 {
        assert_eq!(sends_under(&world, &alone).await.0, 202);
    }
    assert_eq!(m.asked().len(), 2, "what was found is not asked for again");
    assert_eq!(sends_under(&world, &query).await.0, 202);
    assert_eq!(m.asked()[2..], ["/actor"]);
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_s26_a_key_document_is_believed_only_of_a_key_that_its_owner_lists_at_the_same_host() {
    let world = World::new().await;
    let (m, p) = (&world.m, &world.p);
    let at = |path: &str| m.address(path);
    let refused = |code: &str| (401, code.to_owned());
    let serve = |path: &str, change: &dyn Fn(&mut Value)| {
        let mut document = key(&world, &at(path));
        change(&mut document);
        m.serve(path, MEDIA_TYPE, &document);
    };
    // Whoever can put a page at a host is not the actor there: it must say itself that the key is its own.
    serve("/unlisted", &|_| {});
    assert_eq!(
        sends_under(&world, &at("/unlisted")).await,
        refused("unknown-key")
    );
    let ids = ["/foreign", "/other", "/ownerless", "/two", "/page"].map(at);
    let listed: Vec<&str> = ids.iter().map(String::as_str).collect();
    list(&world, &listed);
    serve("/foreign", &|key| key["controller"] = p.actor().into());
    serve("/other", &|key| key["id"] = at("/else").into());
    serve("/ownerless", &|key| {
        key.as_object_mut().unwrap().remove("controller");
    });
    serve("/two", &|key| key["owner"] = at("/nobody").into());
    m.serve("/page", "text/html", &key(&world, &at("/page")));
    for path in [
        "/foreign",
        "/other",
        "/ownerless",
        "/two",
        "/page",
        "/missing",
    ] {
        assert_eq!(
            sends_under(&world, &at(path)).await,
            refused("actor-refused"),
            "{path}"
        );
        let asked = m.asked().iter().filter(|asked| *asked == path).count();
        assert_eq!(asked, 1, "{path}");
    }
    assert_eq!(p.asked(), Vec::<String>::new(), "nobody else is asked");
    let asked = m.asked().len();
    assert_eq!(asked, 8, "a key and an actor, then one document for each");
    world.n.stop().await;
}
