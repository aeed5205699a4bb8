//! Areas: who follows one hears of it alone, and what others pass on is taken for what it carries.

use baraza::commands::Command;
use protocol::activity::{Activity, Actor};
use serde_json::{Value, json};

use crate::world::{
    World, add_organization, offering, publish, record, record_of, run, seq_at, until,
};

/// An offering about an area.
fn about(area: &str, local: &str, name: &str) -> Value {
    let mut draft = offering(local, name);
    draft["body"]["areas"] = json!([area]);
    draft
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_an_area_hears_of_it_from_any_author_and_once_of_what_leaves_it() {
    let world = World::new().await;
    let (n, m, inbox) = (&world.n, &world.m, world.inbox());
    add_organization(n, "welders").await;
    let area = n.config.address("/topics/cyber");
    let follow = m.activity("Follow", area.clone().into());
    let answer = m.signed(&inbox, &follow).send(&world.client, &inbox).await;
    assert_eq!(answer.0, 202);
    let kind = |it: &Value, kind: &str| it["type"] == kind;
    until("the follow is accepted", || {
        m.received().iter().any(|it| kind(it, "Accept"))
    })
    .await;
    let told = |text: &str| {
        let received = m.received().into_iter();
        let of = received.filter(|it| {
            it["object"]["object"]["barazaRecord"]
                .to_string()
                .contains(text)
        });
        of.collect::<Vec<Value>>()
    };
    let until_told = async |text: &str| until(text, || !told(text).is_empty()).await;

    publish(n, "welders", about("policy", "laws", "Laws")).await;
    let id = publish(n, "welders", about("cyber", "walls", "Firewalls")).await;
    until_told("Firewalls").await;
    publish(n, "welders", about("policy", "walls", "Lawful walls")).await;
    until_told("Lawful walls").await;
    publish(n, "welders", about("policy", "walls", "Garden walls")).await;
    // An author that is at home elsewhere.
    let signer = m.identity(n, world.folder.path(), "smiths").await;
    let theirs = record_of(&signer, &about("cyber", "keys", "Keys"), 1);
    n.ingest
        .record(theirs.to_string().as_bytes(), None)
        .await
        .unwrap();
    until_told("Keys").await;
    publish(n, "welders", about("cyber", "gone", "Going")).await;
    until_told("Going").await;
    let withdraw = Command::Withdraw { id: id.to_string() };
    run(n, withdraw).await;
    let gone = id.to_string().replace("/walls", "/gone");
    run(n, Command::Withdraw { id: gone }).await;
    until_told("withdrawn").await;

    assert_eq!(told("\"laws\"").len(), 0, "nothing of another area");
    assert_eq!(told("Garden walls").len(), 0, "what left is told of once");
    let withdrawn = told("withdrawn");
    assert_eq!(withdrawn.len(), 1, "who heard of its leaving hears no more");
    assert_eq!(withdrawn[0]["object"]["type"], "Delete");
    assert_eq!(
        withdrawn[0]["object"]["object"]["barazaRecord"]["localId"],
        "gone"
    );

    // Both the announcement and what it passes on have proofs that hold, each by its own actor's key.
    for (text, author) in [("Firewalls", "/orgs/welders"), ("Keys", "/actor")] {
        let announce = told(text).remove(0);
        for (activity, actor) in [
            (&announce, area.clone()),
            (&announce["object"], n.config.address(author)),
        ] {
            let read = Activity::parse(activity.to_string().as_bytes()).unwrap();
            assert_eq!(read.actor(), actor);
            let document = world
                .client
                .document(&actor, protocol::activity::ACCEPT)
                .await
                .unwrap();
            let actor = Actor::parse(&document.bytes).unwrap();
            assert!(read.is_proven());
            assert_eq!(read.check_proof(&actor), Ok(()), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_what_is_passed_on_is_taken_for_the_record_in_it_and_nothing_is_fetched() {
    let world = World::new().await;
    let (n, m) = (&world.n, &world.m);
    let signer = m.identity(n, world.folder.path(), "smiths").await;
    let theirs = record(&signer, "keys", 1, "Keys");
    // Somebody else's activity, without a proof, at a host that is never asked: the record shows its author.
    let inner = json!({
        "id": "https://elsewhere.example/1", "type": "Create", "actor": "https://elsewhere.example/actor",
        "object": {"id": "https://elsewhere.example/2", "type": "Proposal", "barazaRecord": theirs},
    });
    let announce = m.activity("Announce", inner.clone());
    assert_eq!(world.m_sends(&announce).await.0, 202);
    assert_eq!(seq_at(n, &signer, "keys"), Some(1));

    let mut forged = inner;
    forged["object"]["barazaRecord"]["body"]["name"]["en"] = "Locks".into();
    forged["object"]["barazaRecord"]["seq"] = 2.into();
    let refused = world.m_sends(&m.activity("Announce", forged)).await;
    assert_eq!(refused, (422, "bad-signature".to_owned()));
    assert_eq!(seq_at(n, &signer, "keys"), Some(1));

    let changes = n.store.last_change().unwrap();
    for object in [
        json!(m.address("/records/1")),
        json!({"type": "Note"}),
        json!([]),
    ] {
        assert_eq!(world.m_sends(&m.activity("Announce", object)).await.0, 202);
    }
    assert_eq!(n.store.last_change().unwrap(), changes);
    assert_eq!(m.asked(), ["/actor"], "nothing but the key is fetched");
}

/// Every sample of ActivityStreams 2.0 that its editors published: as it is, and as the object of an
/// activity.
#[tokio::test(flavor = "multi_thread")]
async fn the_samples_of_activitystreams_make_no_inbox_fail() {
    let shared = std::env::var_os("BARAZA_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    let folder = shared.join("vectors/as2-examples");
    if !folder.exists() {
        println!("skipped: no samples at {}", folder.display());
        return;
    }
    let world = World::new().await;
    let changes = world.n.store.last_change().unwrap();
    let mut sent = 0;
    for folder in [folder.clone(), folder.join("fail")] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let mut bodies = vec![bytes.clone()];
            if let Ok(mut sample) = serde_json::from_slice::<Value>(&bytes) {
                bodies.extend(
                    ["Create", "Announce", "Undo", "Follow", "Accept"].map(|kind| {
                        world
                            .m
                            .activity(kind, sample.clone())
                            .to_string()
                            .into_bytes()
                    }),
                );
                // As if the sender had said it.
                if let Some(members) = sample.as_object_mut() {
                    members.insert("actor".into(), world.m.actor().into());
                    members.insert("id".into(), world.m.address("/sample").into());
                    bodies.push(sample.to_string().into_bytes());
                }
            }
            for body in bodies {
                let (status, code) = world.m_sends_bytes(body).await;
                // A sample's own actor is not the one who signs.
                let is_answer = matches!(status, 202 | 400 | 403 | 422) || code == "actor-mismatch";
                assert!(is_answer, "{status} {code}: {}", path.display());
                sent += 1;
            }
        }
    }
    assert!(sent > 100, "{sent}");
    println!("{sent} bodies were answered");
    assert_eq!(world.n.store.last_change().unwrap(), changes);
}
