//! Rows F and S of what arrives: what is old, doubled, moved or endless changes nothing that it should not.

use std::sync::Arc;

use baraza::clock::ManualClock;
use baraza::commands::Command;
use baraza::federation::followers::Follower;
use protocol::envelope::Envelope;
use protocol::id::RecordId;
use serde_json::{Value, json};

use crate::world::{
    Silent, World, add_organization, now, offering, publish, record, run, seq_at, start, start_by,
    tombstone, until,
};

fn id_of(record: &Value) -> RecordId {
    let scid = record["author"]
        .as_str()
        .unwrap()
        .split(':')
        .nth(2)
        .unwrap();
    RecordId::parse(&format!("{scid}/{}", record["localId"].as_str().unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_of_two_versions_with_one_number_every_node_shows_the_same_gives_both_and_flags_the_author()
 {
    let world = World::new().await;
    let other = start(world.folder.path(), world.ports[3], &world.ports).await;
    let signer = world
        .m
        .identity(&world.n, world.folder.path(), "twice")
        .await;
    let log = world.n.store.log_of(signer.did.scid()).unwrap();
    other
        .ingest
        .log_entry(&log[0], &Default::default())
        .await
        .unwrap();
    let both = ["One", "Two"].map(|name| record(&signer, "same", 1, name));
    for version in &both {
        assert_eq!(
            world.m_sends(&world.m.wrapped("Create", version)).await.0,
            202
        );
    }
    for version in both.iter().rev() {
        other
            .ingest
            .record(version.to_string().as_bytes(), None)
            .await
            .unwrap();
    }
    let id = id_of(&both[0]);
    let shown = [&world.n, &other].map(|node| node.store.counting(&id).unwrap().unwrap().rank);
    assert_eq!(shown[0], shown[1]);
    for node in [&world.n, &other] {
        let get = async |path: &str| {
            let address = node.config.address(path);
            world.client.document(&address, "*/*").await.unwrap().bytes
        };
        let json =
            async |path: &str| -> Value { serde_json::from_slice(&get(path).await).unwrap() };
        let history = json(&format!("/api/v1/records/{id}/history")).await;
        let twins = history["twins"].as_array().unwrap();
        assert_eq!(twins.len(), 2, "{history}");
        for said in &both {
            assert!(twins.iter().any(|twin| twin["record"] == *said));
        }
        // Nobody need believe the node: each shows by its own proof who signed it.
        for twin in twins {
            let bytes = twin["record"].to_string();
            let proven = Envelope::parse(bytes.as_bytes()).unwrap().prove().unwrap();
            assert_eq!(proven.record().header.record_id(), id);
            assert_eq!(twin["seq"], 1);
        }
        let all = json("/api/v1/organizations").await;
        let flags = all["items"].as_array().unwrap().iter();
        let flagged: Vec<&Value> = flags.filter(|it| it["hasTwins"] == true).collect();
        assert_eq!(flagged.len(), 1);
        assert_eq!(flagged[0]["id"], id.author.to_string());
        let page = get(&format!("/en/o/{id}")).await;
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("two different versions under one number"));
        let found = run(node, Command::Doctor).await.json;
        let of_it = found.as_array().unwrap().iter();
        let of_it: Vec<&Value> = of_it.filter(|it| it["code"] == "twins").collect();
        assert_eq!(of_it.len(), 1, "{found}");
        assert!(of_it[0]["what"].to_string().contains(&id.to_string()));
    }
    other.stop().await;
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f07_f08_what_is_withdrawn_stays_so_when_an_outdated_peer_sends_it_again_years_later() {
    let world = World::new().await;
    let clock = Arc::new(ManualClock::at(now()));
    let n = start_by(
        clock.clone(),
        world.folder.path(),
        world.ports[3],
        &world.ports,
    )
    .await;
    let signer = world.m.identity(&n, world.folder.path(), "gone").await;
    let first = record(&signer, "gone", 1, "Gone").to_string();
    n.ingest.record(first.as_bytes(), None).await.unwrap();
    let end = tombstone(&signer, "gone", 2).to_string();
    n.ingest.record(end.as_bytes(), None).await.unwrap();
    let before = n.store.state_hash().unwrap();
    for days in [0, 1, 31, 4_000] {
        clock.advance(days * 86_400);
        // Refused or known, it changes nothing.
        let _ = n
            .ingest
            .record(first.as_bytes(), Some("http://outdated.example".into()))
            .await;
        assert_eq!(seq_at(&n, &signer, "gone"), Some(2), "{days}");
        assert_eq!(n.store.state_hash().unwrap(), before, "{days}");
    }
    let id = id_of(&serde_json::from_str(&first).unwrap());
    let address = n.config.address(&format!("/api/v1/records/{id}"));
    let read = world.client.document(&address, "*/*").await.unwrap_err();
    assert!(read.to_string().contains("410"), "{read}");
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f18_f19_f20_f30_chains_collections_and_lists_are_never_walked() {
    let world = World::new().await;
    let endless = world.m.address("/endless");
    let page = json!({
        "id": endless, "type": "OrderedCollection", "totalItems": 10, "first": endless,
        "next": endless, "items": [endless], "orderedItems": [endless],
    });
    let mut sent = 0;
    for kind in ["Create", "Update", "Announce", "Follow", "Like", "Add"] {
        for object in [json!(endless), page.clone(), json!([endless])] {
            let mut activity = world.m.activity(kind, object);
            for term in [
                "inReplyTo",
                "context",
                "replies",
                "target",
                "origin",
                "result",
                "to",
                "cc",
            ] {
                activity[term] = page.clone();
            }
            let (status, _) = world.m_sends(&activity).await;
            assert!(matches!(status, 202 | 403 | 422), "{kind}: {status}");
            sent += 1;
        }
    }
    assert_eq!(sent, 18);
    assert_eq!(
        world.m.asked(),
        ["/actor"],
        "nothing but the key is fetched"
    );
}

/// A follower that receives at a port of this machine.
async fn follower_at(world: &World, port: u16, followed: &str) {
    let actor = format!("http://127.0.0.1:{port}/actor");
    let inbox = format!("http://127.0.0.1:{port}/inbox");
    let follower = Follower::new(&actor, followed.to_owned(), "x", &inbox).unwrap();
    world.n.outbox.accept(follower).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_who_never_answers_keeps_no_other_follower_waiting() {
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    let welders = world.n.config.address("/orgs/welders");
    let inbox = world.inbox();
    let follow = world.p.activity("Follow", welders.clone().into());
    let answer = world
        .p
        .signed(&inbox, &follow)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer.0, 202);
    let silent = Silent::start(world.ports[3]).await;
    follower_at(&world, world.ports[3], &welders).await;
    for name in ["first", "second", "third"] {
        publish(&world.n, "welders", offering(name, name)).await;
        let has = || {
            world
                .p
                .received()
                .iter()
                .any(|it| it["object"]["barazaRecord"]["localId"] == name)
        };
        until("the other follower has it", has).await;
    }
    until("it was knocked at", || silent.accepted() > 0).await;
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_a_thousand_followers_behind_one_inbox_are_one_delivery() {
    const FOLLOWERS: usize = 1_000;
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    let welders = world.n.config.address("/orgs/welders");
    follower_at(&world, world.ports[2], &welders).await;
    let mut added = tokio::task::JoinSet::new();
    for n in 0..FOLLOWERS {
        let actor = world.p.address(&format!("/users/{n}"));
        let (inbox, followed) = (world.p.address("/inbox"), welders.clone());
        let follower = Follower::new(&actor, followed.clone(), &actor, &inbox).unwrap();
        let followers = world.n.followers.clone();
        added.spawn(async move {
            followers.add(follower).await.unwrap();
            followers.note_answered(&actor, &followed).await.unwrap();
        });
    }
    added.join_all().await;
    assert_eq!(world.n.followers.count(&welders), FOLLOWERS + 1);
    let times = |name: &str| {
        let received = world.p.received();
        let of_it = |it: &&Value| it["object"]["barazaRecord"]["localId"] == name;
        received.iter().filter(of_it).count()
    };
    for name in ["first", "second"] {
        publish(&world.n, "welders", offering(name, name)).await;
        until("it is delivered", || times(name) > 0).await;
    }
    // What was sent of the first one came before the second.
    assert_eq!((times("first"), times("second")), (1, 1));
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s27_s28_s29_a_signature_is_of_one_record_whole_however_it_is_written() {
    let world = World::new().await;
    let signer = world
        .m
        .identity(&world.n, world.folder.path(), "smiths")
        .await;
    let good = record(&signer, "one", 1, "Keys");
    let mut moved = record(&signer, "two", 1, "Keys");
    moved["proof"] = good["proof"].clone();
    let mut more = good.clone();
    more["remark"] = "unsigned".into();
    for bad in [moved, more] {
        let answer = world.m_sends(&world.m.wrapped("Create", &bad)).await;
        assert_eq!(answer, (422, "bad-signature".to_owned()));
    }
    assert_eq!(seq_at(&world.n, &signer, "one"), None);
    assert_eq!(seq_at(&world.n, &signer, "two"), None);

    // Members the other way round, space, and another escape of the same letter.
    let members = good.as_object().unwrap().iter().rev();
    let members = members.map(|(name, value)| {
        format!(
            "\n\t\"{name}\" : {}",
            value.to_string().replace("Keys", "\\u004beys")
        )
    });
    let written = format!("{{{} }}", members.collect::<Vec<_>>().join(" ,"));
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), good);
    let wrapped = world.m.wrapped("Create", &json!("RECORD")).to_string();
    let body = wrapped.replace("\"RECORD\"", &written).into_bytes();
    assert_eq!(world.m_sends_bytes(body).await.0, 202);
    assert_eq!(seq_at(&world.n, &signer, "one"), Some(1));
}
