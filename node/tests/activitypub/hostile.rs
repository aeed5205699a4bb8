//! What a hostile server `m` sends to our node `n`, alone and in the name of an honest server `p`.

use std::sync::Arc;

use baraza::clock::ManualClock;
use baraza::commands::Command;
use protocol::activity::MEDIA_TYPE;
use protocol::httpsig::{DELIVERY_COMPONENTS, SigningOptions};
use protocol::key::SecretKey;
use serde_json::{Value, json};

use crate::world::{
    Signed, Silent, Stranger, World, add_organization, client, follow, followers, free_ports, now,
    record, refused, run, seq_at, start, start_by, taken, through_router, tombstone, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn h01_h02_h03_other_media_types_are_415_and_spellings_are_not() {
    let world = World::new().await;
    let inbox = world.inbox();
    let mut request = world.m.signed(&inbox, &follow(&world));
    for kind in [
        "text/plain",
        "application/json",
        "application/ld+json",
        "application/ld+json; profile=\"https://www.w3.org/ns/anno\"",
    ] {
        let answer = request
            .set("content-type", kind)
            .send(&world.client, &inbox)
            .await;
        assert_eq!(answer, refused(415, "not-activitystreams"), "{kind}");
    }
    request.remove("content-type");
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(415, "not-activitystreams"));
    assert_eq!(world.m.asked(), Vec::<String>::new());
    assert_eq!(followers(&world), 0);
    for kind in [
        "application/activity+json; charset=utf-8",
        "APPLICATION/ACTIVITY+JSON",
        "application/LD+json; profile=\"https://www.w3.org/ns/activitystreams\"",
    ] {
        let mut request = world.m.signed(&inbox, &follow(&world));
        let answer = request
            .set("content-type", kind)
            .send(&world.client, &inbox)
            .await;
        assert_eq!(answer, taken(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_its_bound_is_413_and_nobody_is_asked() {
    let world = World::new().await;
    let inbox = world.inbox();
    let mut activity = follow(&world);
    activity["summary"] = "x".repeat(256 * 1024).into();
    let answer = world
        .m
        .signed(&inbox, &activity)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, refused(413, "too-large"));
    assert_eq!(world.m.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn s01_s02_s03_s04_s07_a_missing_or_broken_signature_is_401() {
    let world = World::new().await;
    let inbox = world.inbox();
    let good = world.m.signed(&inbox, &follow(&world));
    let send = async |spoil: &dyn Fn(&mut Signed)| {
        let mut request = good.clone();
        spoil(&mut request);
        request.send(&world.client, &inbox).await
    };
    let answer = send(&|request| {
        request.remove("signature").remove("signature-input");
    });
    assert_eq!(answer.await, refused(401, "missing-signature"));
    let answer = send(&|request| {
        let signature = request.get("signature");
        let flipped = if signature.contains("sig1=:A") {
            "sig1=:B"
        } else {
            "sig1=:A"
        };
        request.set("signature", &format!("{flipped}{}", &signature[7..]));
    });
    assert_eq!(answer.await, refused(401, "bad-signature"));
    let answer = send(&|request| request.body.push(b' '));
    assert_eq!(answer.await, refused(401, "digest-mismatch"));
    let answer = send(&|request| {
        request.body.push(b' ');
        let digest = protocol::httpsig::content_digest(&request.body);
        request.set("content-digest", &digest);
    });
    assert_eq!(answer.await, refused(401, "bad-signature"));
    let answer = send(&|request| {
        request.remove("content-digest");
    });
    assert_eq!(answer.await, refused(401, "absent-component"));
    assert_eq!(followers(&world), 0);
    assert_eq!(send(&|_| {}).await, taken());
    assert_eq!(followers(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s05_s06_a_signature_must_cover_digest_method_and_address() {
    let world = World::new().await;
    let inbox = world.inbox();
    let key_id = world.m.key_id();
    for left_out in [
        &["@method", "@target-uri", "@authority"][..],
        &["@target-uri", "@authority", "content-digest"],
        &["@method", "@authority", "content-digest"],
        &["@method", "@path", "content-digest"],
    ] {
        let body = follow(&world).to_string().into_bytes();
        let options = SigningOptions::new(&key_id, now());
        let request = Signed::with(&world.m.key, &inbox, body, left_out, &options);
        let answer = request.send(&world.client, &inbox).await;
        assert_eq!(answer, refused(401, "missing-component"), "{left_out:?}");
    }
    assert_eq!(world.m.asked(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_out_of_its_window_is_401() {
    let world = World::new().await;
    let inbox = world.inbox();
    let key_id = world.m.key_id();
    for (seconds, code) in [(-400, "stale"), (120, "from-the-future")] {
        let body = follow(&world).to_string().into_bytes();
        let options = SigningOptions::new(&key_id, now().plus_seconds(seconds));
        let request = Signed::with(&world.m.key, &inbox, body, &DELIVERY_COMPONENTS, &options);
        assert_eq!(
            request.send(&world.client, &inbox).await,
            refused(401, code)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s08_s09_a_captured_request_fits_no_other_path_and_no_other_node() {
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    let other = start(world.folder.path(), world.ports[3], &world.ports).await;
    let captured = world.m.signed(&world.inbox(), &follow(&world));
    for elsewhere in [
        world.n.config.address("/orgs/welders/inbox"),
        world.n.config.address("/inbox?x=1"),
        other.config.address("/inbox"),
    ] {
        let answer = captured.send(&world.client, &elsewhere).await;
        assert_eq!(answer, refused(401, "bad-signature"), "{elsewhere}");
    }
    assert_eq!(followers(&world), 0);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_captured_request_has_one_effect_even_across_a_restart() {
    let World {
        folder,
        n,
        m,
        p,
        client,
        ports,
    } = World::new().await;
    let inbox = n.config.address("/inbox");
    let actor = n.config.address("/actor");
    let follow = m.activity("Follow", actor.clone().into());
    let captured = m.signed(&inbox, &follow);
    assert_eq!(captured.send(&client, &inbox).await, taken());
    let undo = m.activity("Undo", follow);
    assert_eq!(m.signed(&inbox, &undo).send(&client, &inbox).await, taken());
    assert_eq!(n.followers.count(&actor), 0);
    assert_eq!(captured.send(&client, &inbox).await, taken());
    assert_eq!(n.followers.count(&actor), 0);
    n.stop().await;
    drop(n);
    let n = start(folder.path(), ports[0], &ports).await;
    assert_eq!(captured.send(&client, &inbox).await, taken());
    assert_eq!(n.followers.count(&actor), 0);
    drop(p);
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_s12_whoever_signs_speaks_for_nobody_else() {
    let world = World::new().await;
    let inbox = world.inbox();
    // m's key, p's actor.
    let activity = world
        .p
        .activity("Follow", world.n.config.address("/actor").into());
    let request = world.m.signed(&inbox, &activity);
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(401, "actor-mismatch"));
    // Another actor on m's own host, which m's actor does not speak for.
    let mut activity = follow(&world);
    activity["actor"] = world.m.address("/orgs/other").into();
    assert_eq!(
        world.m_sends(&activity).await,
        refused(401, "actor-mismatch")
    );
    // A key id at p that m signs under.
    let request = Signed::by(
        &world.m.key,
        &world.p.key_id(),
        &inbox,
        follow(&world).to_string().into_bytes(),
    );
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(401, "bad-signature"));
    assert_eq!(followers(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_s14_key_ids_that_are_no_address_and_foreign_algorithms_are_401_without_a_fetch() {
    let world = World::new().await;
    let inbox = world.inbox();
    let body = follow(&world).to_string().into_bytes();
    for key_id in [
        "http://203.0.113.9/actor",
        "http://127.0.0.1:1/actor",
        "file:///etc/passwd",
        "data:application/activity+json,{}",
        "unix:/run/x.sock",
    ] {
        let request = Signed::by(&world.m.key, key_id, &inbox, body.clone());
        let answer = request.send(&world.client, &inbox).await;
        assert_eq!(answer, refused(401, "bad-key-id"), "{key_id}");
    }
    let good = world.m.signed(&inbox, &follow(&world));
    for algorithm in ["none", "hmac-sha256", "x"] {
        let input = good.get("signature-input");
        let mut request = good.clone();
        request.set("signature-input", &format!("{input};alg=\"{algorithm}\""));
        let answer = request.send(&world.client, &inbox).await;
        assert_eq!(answer, refused(401, "unsupported-algorithm"), "{algorithm}");
    }
    assert_eq!(world.m.asked(), Vec::<String>::new());
    let mut request = good.clone();
    let input = good.get("signature-input");
    request.set(
        "signature-input",
        &format!("{input};alg=\"rsa-v1_5-sha256\""),
    );
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(401, "algorithm-mismatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_s16_s17_s18_f09_the_record_within_is_judged_by_its_own_proof() {
    let world = World::new().await;
    let folder = world.folder.path();
    let own = world.m.identity(&world.n, folder, "m").await;
    let other = world.p.identity(&world.n, folder, "p").await;
    let good = record(&own, "course", 1, "Welding");
    let honest_m = world.m.signer(folder, "m");
    let spoilt = |spoil: &dyn Fn(&mut Value)| {
        let mut record = good.clone();
        spoil(&mut record);
        world.m.wrapped("Create", &record)
    };
    let unproven = spoilt(&|record| {
        record.as_object_mut().unwrap().remove("proof");
    });
    assert_eq!(
        world.m_sends(&unproven).await,
        refused(422, "proof-required")
    );
    let changed = spoilt(&|record| record["body"]["name"]["en"] = "Fraud".into());
    assert_eq!(world.m_sends(&changed).await, refused(422, "bad-signature"));
    let purpose = spoilt(&|record| record["proof"]["proofPurpose"] = "authentication".into());
    assert_eq!(world.m_sends(&purpose).await, refused(422, "bad-proof"));
    // p's record under m's key, by m's name and by p's.
    let mut foreign = record(&other, "course", 1, "Welding");
    foreign["proof"] = good["proof"].clone();
    let foreign = world.m.wrapped("Create", &foreign);
    assert_eq!(
        world.m_sends(&foreign).await,
        refused(422, "foreign-signer")
    );
    let mut foreign = tombstone(&other, "course", 9);
    foreign["proof"] = tombstone(&own, "course", 9)["proof"].clone();
    let foreign = world.m.wrapped("Delete", &foreign);
    assert_eq!(
        world.m_sends(&foreign).await,
        refused(422, "foreign-signer")
    );
    let thief = baraza::keychain::Signer {
        handle: "p".into(),
        did: other.did.clone(),
        key: own.key,
    };
    // A key that p's log does not list waits for a log that lists it; it never counts.
    let unlisted = world
        .m
        .wrapped("Create", &record(&thief, "course", 1, "Fraud"));
    assert_eq!(world.m_sends(&unlisted).await, taken());
    assert_eq!(seq_at(&world.n, &other, "course"), None);
    let real = world
        .p
        .wrapped("Create", &record(&other, "course", 1, "Real"));
    let inbox = world.inbox();
    let answer = world
        .p
        .signed(&inbox, &real)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, taken());
    let deleted = world.m.wrapped("Delete", &tombstone(&thief, "course", 2));
    assert_eq!(world.m_sends(&deleted).await, taken());
    assert_eq!(seq_at(&world.n, &other, "course"), Some(1));
    // All the same, m's own record is m's.
    assert_eq!(
        world.m_sends(&world.m.wrapped("Create", &good)).await,
        taken()
    );
    assert_eq!(seq_at(&world.n, &honest_m, "course"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_after_an_unfollow_is_left_until_its_sender_is_followed_again() {
    let world = World::new().await;
    let own = world.m.identity(&world.n, world.folder.path(), "m").await;
    let url = format!("http://127.0.0.1:{}", world.ports[1]);
    let follow = |filter: &str| Command::Follow {
        url: url.clone(),
        filter: filter.to_owned(),
        every_hours: None,
    };
    let push = async |local: &str| {
        let record = record(&own, local, 1, "Welding");
        let sent = world.m_sends(&world.m.wrapped("Create", &record)).await;
        assert_eq!(sent, taken());
        seq_at(&world.n, &own, local)
    };
    assert_eq!(push("before").await, Some(1));
    run(&world.n, follow("")).await;
    assert_eq!(push("followed").await, Some(1));
    let unfollow = Command::Unfollow { url: url.clone() };
    run(&world.n, unfollow).await;
    assert_eq!(push("late").await, None);
    assert_eq!(
        seq_at(&world.n, &own, "followed"),
        Some(1),
        "what came stays"
    );
    // Of a part, only the log is read, where the filter holds.
    run(&world.n, follow("area=cyber")).await;
    assert_eq!(push("partly").await, None);
    run(&world.n, follow("")).await;
    assert_eq!(push("again").await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn s17_s18_a_broken_activity_proof_refuses_under_a_good_signature() {
    let world = World::new().await;
    let good = world.m.proven(&follow(&world));
    let spoilt = async |name: &str, value: Value| {
        let mut activity = good.clone();
        activity["proof"][name] = value;
        world.m_sends(&activity).await
    };
    let stranger = SecretKey::from_seed(&[9; 32]).public();
    let unlisted = format!("{}#{stranger}", world.m.actor());
    for (name, value, code) in [
        ("verificationMethod", unlisted.into(), "key-not-listed"),
        (
            "verificationMethod",
            world.p.key_id().into(),
            "key-not-listed",
        ),
        ("proofPurpose", "authentication".into(), "bad-proof"),
        ("created", "2026-01-01T00:00:00Z".into(), "bad-signature"),
        ("cryptosuite", "eddsa-rdfc-2022".into(), "unsupported-proof"),
    ] {
        assert_eq!(spoilt(name, value).await, refused(422, code), "{name}");
    }
    let mut moved = good.clone();
    moved["id"] = world.m.address("/activities/moved").into();
    assert_eq!(world.m_sends(&moved).await, refused(422, "bad-signature"));
    assert_eq!(followers(&world), 0);
    assert_eq!(world.m_sends(&good).await, taken());
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_f02_f03_f15_what_belongs_to_another_host_is_not_touched() {
    let world = World::new().await;
    let folder = world.folder.path();
    let owner = world.p.identity(&world.n, folder, "p").await;
    let inbox = world.inbox();
    let first = record(&owner, "course", 1, "Real");
    let create = world.p.wrapped("Create", &first);
    let answer = world
        .p
        .signed(&inbox, &create)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, taken());
    let second = record(&owner, "course", 2, "Real, too");
    // The object by its owner, by its address, and by its address alone.
    for kind in ["Create", "Update", "Delete"] {
        let mut by_owner = world.m.wrapped(kind, &second);
        by_owner["object"]["attributedTo"] = world.p.actor().into();
        assert_eq!(
            world.m_sends(&by_owner).await,
            refused(403, "foreign-object"),
            "{kind}"
        );
        let mut by_address = world.m.wrapped(kind, &second);
        by_address["object"]["id"] = world.p.address("/records/1").into();
        assert_eq!(
            world.m_sends(&by_address).await,
            refused(403, "foreign-object"),
            "{kind}"
        );
        let alone = world.m.activity(kind, world.p.address("/records/1").into());
        assert_eq!(
            world.m_sends(&alone).await,
            refused(403, "foreign-object"),
            "{kind}"
        );
        let mut two_owners = world.m.wrapped(kind, &second);
        two_owners["object"]["attributedTo"] = json!([world.m.actor(), world.p.actor()]);
        assert_eq!(
            world.m_sends(&two_owners).await,
            refused(403, "foreign-object"),
            "{kind}"
        );
    }
    assert_eq!(seq_at(&world.n, &owner, "course"), Some(1));
    let mut foreign_id = world.m.wrapped("Update", &second);
    foreign_id["id"] = world.p.address("/activities/1").into();
    assert_eq!(world.m_sends(&foreign_id).await, refused(422, "foreign-id"));
    let bare = world
        .m
        .activity("Delete", world.m.address("/records/1").into());
    assert_eq!(world.m_sends(&bare).await, refused(422, "record-required"));
    assert_eq!(seq_at(&world.n, &owner, "course"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn f04_f05_deletes_repeat_and_old_versions_arrive_without_effect() {
    let world = World::new().await;
    let own = world.m.identity(&world.n, world.folder.path(), "m").await;
    for (kind, version, counts) in [
        ("Create", record(&own, "course", 1, "One"), 1),
        ("Update", record(&own, "course", 3, "Three"), 3),
        ("Update", record(&own, "course", 2, "Two"), 3),
        ("Delete", tombstone(&own, "course", 4), 4),
    ] {
        assert_eq!(
            world.m_sends(&world.m.wrapped(kind, &version)).await,
            taken()
        );
        assert_eq!(seq_at(&world.n, &own, "course"), Some(counts));
    }
    let delete = tombstone(&own, "course", 5);
    assert_eq!(
        world.m_sends(&world.m.wrapped("Delete", &delete)).await,
        taken()
    );
    let changes = world.n.store.last_change().unwrap();
    assert_eq!(
        world.m_sends(&world.m.wrapped("Delete", &delete)).await,
        taken()
    );
    assert_eq!(world.n.store.last_change().unwrap(), changes);
    assert_eq!(seq_at(&world.n, &own, "course"), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn f12_f13_follows_are_answered_and_undone_by_their_own_parties_only() {
    let world = World::new().await;
    let inbox = world.inbox();
    let invented = json!({
        "id": world.n.config.address("/actor#follows/1"), "type": "Follow",
        "actor": world.n.config.address("/actor"), "object": world.m.actor(),
    });
    for kind in ["Accept", "Reject"] {
        let answer = world
            .m_sends(&world.m.activity(kind, invented.clone()))
            .await;
        assert_eq!(answer, refused(422, "no-such-follow"));
        let answer = world
            .m_sends(&world.m.activity(kind, invented["id"].clone()))
            .await;
        assert_eq!(answer, refused(422, "no-such-follow"));
    }
    assert!(world.n.peers.all().unwrap().is_empty());

    let theirs = world
        .p
        .activity("Follow", world.n.config.address("/actor").into());
    let answer = world
        .p
        .signed(&inbox, &theirs)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, taken());
    for undone in [theirs.clone(), theirs["id"].clone()] {
        let answer = world.m_sends(&world.m.activity("Undo", undone)).await;
        assert_eq!(answer, refused(403, "foreign-follow"));
    }
    assert_eq!(followers(&world), 1);
    let undo = world.p.activity("Undo", theirs["id"].clone());
    for _ in 0..2 {
        let answer = world
            .p
            .signed(&inbox, &undo)
            .send(&world.client, &inbox)
            .await;
        assert_eq!(answer, taken());
        assert_eq!(followers(&world), 0);
    }
    let nobody = world
        .m
        .activity("Follow", world.n.config.address("/orgs/nobody").into());
    assert_eq!(world.m_sends(&nobody).await, refused(422, "not-here"));
    let answer = {
        let target = world.n.config.address("/orgs/nobody/inbox");
        world
            .m
            .signed(&target, &nobody)
            .send(&world.client, &target)
            .await
    };
    assert_eq!(answer, refused(404, "not-found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_f29_circles_and_heaps_are_422() {
    let world = World::new().await;
    let mut itself = world.m.activity("Create", json!(null));
    itself["object"] = itself["id"].clone();
    assert_eq!(world.m_sends(&itself).await, refused(422, "self-reference"));
    itself["object"] = json!({"id": itself["id"], "type": "Create", "object": itself["id"]});
    assert_eq!(world.m_sends(&itself).await, refused(422, "self-reference"));
    let [a, b] = [world.m.address("/a"), world.m.address("/b")];
    let mut circle = world
        .m
        .activity("Create", json!({"id": a, "type": "Create"}));
    circle["object"]["object"] = json!({"id": b, "type": "Create", "object": circle["id"]});
    assert_eq!(
        world.m_sends(&circle).await,
        refused(422, "record-required")
    );
    assert_eq!(
        world.m.asked(),
        ["/actor"],
        "nothing but the key is fetched"
    );
    let mut small = follow(&world);
    small.as_object_mut().unwrap().remove("@context");
    let heap = Value::Array(vec![small; 1_000]);
    assert!(heap.to_string().len() < 256 * 1024);
    assert_eq!(world.m_sends(&heap).await, refused(422, "not-one-activity"));
    assert_eq!(followers(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_concern_a_directory_is_taken_and_left() {
    let world = World::new().await;
    let changes = world.n.store.last_change().unwrap();
    let like = world
        .m
        .activity("Like", world.n.config.address("/records/x").into());
    assert_eq!(world.m_sends(&like).await, taken());
    assert_eq!(world.n.store.last_change().unwrap(), changes);
}

/// Sends a `Follow` signed under a key id at `path` of `m`, and expects a refusal of the actor.
async fn is_refused_under(world: &World, path: &str) {
    let inbox = world.inbox();
    let actor = world.m.address(path);
    let mut activity = follow(world);
    activity["actor"] = actor.clone().into();
    let key_id = format!("{actor}#{}", world.m.key.public());
    let request = Signed::by(
        &world.m.key,
        &key_id,
        &inbox,
        activity.to_string().into_bytes(),
    );
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(401, "actor-refused"), "{path}");
    assert_eq!(followers(world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn k01_k02_a_document_about_another_address_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let inbox = world.inbox();
    let honest = world.p.activity("Like", json!("x"));
    let answer = world
        .p
        .signed(&inbox, &honest)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, taken());
    // m serves an actor under p's name, with m's key.
    let mut stolen = world.m.document("/actor");
    stolen["id"] = world.p.actor().into();
    let key_id = format!("{}#{}", world.p.actor(), world.m.key.public());
    stolen["assertionMethod"][0]["id"] = key_id.clone().into();
    stolen["assertionMethod"][0]["controller"] = world.p.actor().into();
    world.m.serve("/stolen", MEDIA_TYPE, &stolen);
    is_refused_under(&world, "/stolen").await;
    // Under p's name m's key is as unknown as before.
    let activity = world
        .p
        .activity("Follow", world.n.config.address("/actor").into());
    let request = Signed::by(
        &world.m.key,
        &key_id,
        &inbox,
        activity.to_string().into_bytes(),
    );
    let answer = request.send(&world.client, &inbox).await;
    assert_eq!(answer, refused(401, "unknown-key"));
    let honest = world.p.activity("Like", json!("y"));
    let answer = world
        .p
        .signed(&inbox, &honest)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(answer, taken());
    // Another path of the same host is another actor.
    world
        .m
        .serve("/alias", MEDIA_TYPE, &world.m.document("/actor"));
    is_refused_under(&world, "/alias").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k03_k04_a_document_of_another_media_type_is_no_actor() {
    let world = World::new().await;
    for (path, kind) in [
        ("/page", "text/html"),
        ("/uploads/actor.json", "application/json"),
        ("/plain", "text/plain"),
        ("/linked", "application/ld+json"),
    ] {
        world.m.serve(path, kind, &world.m.document(path));
        is_refused_under(&world, path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k05_f21_a_document_with_a_foreign_key_or_inbox_is_refused() {
    let world = World::new().await;
    let mut controller = world.m.document("/controller");
    controller["assertionMethod"][0]["controller"] = world.p.actor().into();
    world.m.serve("/controller", MEDIA_TYPE, &controller);
    is_refused_under(&world, "/controller").await;
    let mut owner = world.m.document("/owner");
    owner["publicKey"] = json!({"id": world.m.address("/owner#main"), "owner": world.p.actor()});
    world.m.serve("/owner", MEDIA_TYPE, &owner);
    is_refused_under(&world, "/owner").await;
    for (path, inbox) in [("/in", world.inbox()), ("/inn", world.p.address("/inbox"))] {
        let mut elsewhere = world.m.document(path);
        elsewhere["inbox"] = inbox.into();
        world.m.serve(path, MEDIA_TYPE, &elsewhere);
        is_refused_under(&world, path).await;
    }
    is_refused_under(&world, "/nothing-there").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_can_be_sent_again_and_is_refused_again() {
    let world = World::new().await;
    let inbox = world.inbox();
    let bare = world
        .m
        .activity("Delete", world.m.address("/records/1").into());
    let request = world.m.signed(&inbox, &bare);
    for _ in 0..2 {
        let answer = request.send(&world.client, &inbox).await;
        assert_eq!(answer, refused(422, "record-required"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_looked_up_once_and_wrong_signatures_make_us_ask_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(2);
    let clock = Arc::new(ManualClock::at(now()));
    let n = start_by(clock.clone(), folder.path(), ports[0], &ports).await;
    let mut m = Stranger::start(ports[1]).await;
    let client = client(&ports);
    let inbox = n.config.address("/inbox");
    let like = |m: &Stranger| m.signed(&inbox, &m.activity("Like", json!("x")));
    assert_eq!(like(&m).send(&client, &inbox).await, taken());
    assert_eq!(like(&m).send(&client, &inbox).await, taken());
    assert_eq!(m.asked().len(), 1);
    for _ in 0..5 {
        let mut spoilt = like(&m);
        spoilt.set("signature", &like(&m).get("signature"));
        let answer = spoilt.send(&client, &inbox).await;
        assert_eq!(answer, refused(401, "bad-signature"));
    }
    assert_eq!(m.asked().len(), 1);
    m.key = SecretKey::from_seed(&[255; 32]);
    m.serve("/actor", MEDIA_TYPE, &m.document("/actor"));
    clock.advance(11);
    assert_eq!(like(&m).send(&client, &inbox).await, taken());
    assert_eq!(m.asked().len(), 2);
    assert_eq!(like(&m).send(&client, &inbox).await, taken());
    assert_eq!(m.asked().len(), 2);
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn k11_a_thousand_keys_on_one_slow_host_keep_nobody_else_waiting() {
    let world = World::new().await;
    let inbox = world.inbox();
    let silent = Silent::start(world.ports[3]).await;
    let body = json!({"type": "Like"}).to_string().into_bytes();
    let ask = |n: usize| {
        let key_id = format!("http://127.0.0.1:{}/actors/{n}#key", world.ports[3]);
        let request = Signed::by(&world.m.key, &key_id, &inbox, body.clone());
        let node = Arc::clone(&world.n);
        async move { through_router(node, request).await }
    };
    let asked: Vec<_> = (0..1_000).map(|n| tokio::spawn(ask(n))).collect();
    until("the slow host is asked", || silent.open() == 4).await;
    // Meanwhile somebody else is heard.
    let like = world.m.activity("Like", json!("x"));
    let like = world.m.signed(&inbox, &like);
    assert_eq!(like.send(&world.client, &inbox).await, taken());
    assert_eq!(asked.iter().filter(|asked| asked.is_finished()).count(), 0);
    assert_eq!((silent.open(), silent.accepted()), (4, 4));
    for asked in asked {
        let status = asked.await.unwrap();
        assert!(matches!(status, 401 | 503), "{status}");
    }
    // Those who waited have given up before those who asked, but for some that came late.
    assert!(silent.accepted() < 50, "{}", silent.accepted());
    world.n.stop().await;
}
