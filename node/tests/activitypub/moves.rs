//! Organisations that move from node to node, and actors elsewhere that this node follows and that move.

use std::path::Path;

use baraza::commands::Command;
use baraza::federation::actors::Local;
use baraza::federation::client::Client;
use baraza::federation::peers::Stage;
use baraza::keychain::{Keychain, Renewal, Signing, Step};
use baraza::node::Node;
use protocol::activity::{self, ACCEPT, Activity, Actor, MEDIA_TYPE};
use protocol::identity::write::Place;
use protocol::identity::{LogEntry, LogState, WitnessProofs};
use serde_json::{Value, json};

use crate::world::{
    Signed, Stranger, World, add_organization, now, offering, publish, run, start, until,
};

async fn document(client: &Client, address: &str) -> Value {
    let document = client.document(address, ACCEPT).await.unwrap();
    serde_json::from_slice(&document.bytes).unwrap()
}

fn of_kind(stranger: &Stranger, kind: &str) -> Vec<Value> {
    let received = stranger.received().into_iter();
    received.filter(|it| it["type"] == kind).collect()
}

/// Whom a node asked to push at an address, and how far that is.
fn asked(node: &Node, url: &str) -> Option<(Option<String>, Stage)> {
    let peer = node.peers.get(url).unwrap()?;
    peer.asked.map(|asked| (asked.actor, asked.stage))
}

/// An identity's log of two entries: it begins at one place, and moves to another.
fn log_that_moves(folder: &Path, handle: &str, places: [Place; 2]) -> [LogEntry; 2] {
    let keychain = Keychain::open(folder).unwrap();
    let [from, to] = places;
    let first = keychain.found(handle, from, now()).unwrap().entry;
    let state = LogState::begin(&first, now(), &WitnessProofs::empty()).unwrap();
    let step = Step {
        name: "move".to_owned(),
        place: to,
        renewal: Renewal::Nothing,
        signing: Signing::Working,
    };
    let second = keychain.change(handle, &state, step, now()).unwrap().entry;
    [first, second]
}

async fn learn(node: &Node, entry: &LogEntry) {
    let line = entry.to_canonical_bytes();
    node.ingest
        .log_entry(&line, &Default::default())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_that_moves_leaves_its_new_address_and_tells_its_followers_once() {
    let World {
        folder,
        n,
        m,
        p,
        client,
        ports,
    } = World::new().await;
    let inbox = n.config.address("/inbox");
    let new_home = start(folder.path(), ports[3], &ports).await;
    add_organization(&n, "welders").await;
    let former = n.config.address("/orgs/welders");
    let target = new_home.config.address("/orgs/welders");
    let node = n.config.address("/actor");
    for (stranger, followed) in [(&m, &former), (&p, &node)] {
        let follow = stranger.activity("Follow", followed.clone().into());
        let sent = stranger.signed(&inbox, &follow);
        assert_eq!(sent.send(&client, &inbox).await.0, 202);
        until("the follow is accepted", || {
            !of_kind(stranger, "Accept").is_empty()
        })
        .await;
    }
    let to = new_home.config.address("");
    let change = Command::OrgMove {
        handle: "welders".to_owned(),
        to,
        invitation: None,
    };
    run(&n, change).await;
    until("the move is told", || !of_kind(&m, "Move").is_empty()).await;
    until("who was told follows no longer", || {
        n.followers.count(&former) == 0
    })
    .await;

    let told = of_kind(&m, "Move").remove(0);
    assert_eq!(told["object"], former.as_str());
    assert_eq!(told["target"], target.as_str());
    assert_eq!(told["to"], json!([format!("{former}/followers")]));
    let left = document(&client, &former).await;
    assert_eq!(left["movedTo"], target.as_str());
    let read = Activity::parse(told.to_string().as_bytes()).unwrap();
    assert_eq!(read.actor(), former);
    assert!(read.is_proven());
    let actor = Actor::parse(left.to_string().as_bytes()).unwrap();
    assert_eq!(read.check_proof(&actor), Ok(()));
    // The other half of it: without this, whoever holds an old host could move anyone.
    let found = document(&client, &target).await;
    let did = n.keychain.signer("welders").unwrap().did;
    assert_eq!(left["alsoKnownAs"], json!([did.to_string()]));
    assert_eq!(found["alsoKnownAs"][1], former.as_str());
    assert_eq!(found["movedTo"], Value::Null);
    let (status, code) = m
        .signed(&inbox, &m.activity("Follow", former.clone().into()))
        .send(&client, &inbox)
        .await;
    assert_eq!((status, code.as_str()), (422, "moved-away"));

    // Who follows the node alone is not told of it.
    add_organization(&n, "smiths").await;
    publish(&n, "smiths", offering("tongs", "Tongs")).await;
    until("the node goes on", || {
        of_kind(&p, "Create")
            .iter()
            .any(|it| it["object"]["barazaRecord"]["localId"] == "tongs")
    })
    .await;
    assert_eq!(of_kind(&m, "Move").len(), 1);
    assert_eq!(of_kind(&p, "Move").len(), 0);
    new_home.stop().await;
    n.stop().await;
    drop(n);
    // The old address goes on saying it after a restart, until somebody else has that name here.
    let again = start(folder.path(), ports[0], &ports).await;
    assert_eq!(document(&client, &former).await["movedTo"], target.as_str());
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_only_says_that_it_was_at_home_here_makes_no_address_here_point_at_it() {
    let world = World::new().await;
    let (n, m) = (&world.n, &world.m);
    let (host, port) = n.config.did_host();
    let here = Place::new(&host, port, &["orgs", "ghost"]).unwrap();
    let there = Place::new("node.localhost", Some(m.port), &["orgs", "ghost"]).unwrap();
    let log = log_that_moves(&world.folder.path().join("ghost"), "ghost", [here, there]);
    for entry in &log {
        learn(n, entry).await;
    }
    let scid = *log[1].did().scid();
    assert_eq!(
        n.store.author(&scid).unwrap().unwrap().state.did(),
        log[1].did()
    );
    assert_eq!(n.actors.organization("ghost").unwrap(), None);
    // Nor does it take the name of somebody who was let in.
    add_organization(n, "welders").await;
    let [here, there] = [(host.as_str(), port), ("node.localhost", Some(m.port))]
        .map(|(host, port)| Place::new(host, port, &["orgs", "welders"]).unwrap());
    let thief = log_that_moves(&world.folder.path().join("thief"), "thief", [here, there]);
    learn(n, &thief[0]).await;
    n.actors
        .note_homes(n.keychain.signers().unwrap())
        .await
        .unwrap();
    learn(n, &thief[1]).await;
    assert_eq!(n.actors.left_by(thief[1].did().scid()).unwrap(), []);
    // Whoever was a guest here is another matter.
    n.actors.note_home(log[0].did()).await.unwrap();
    let local = n.actors.organization("ghost").unwrap();
    assert!(matches!(local, Some(Local::Moved { .. })), "{local:?}");
    n.stop().await;
}

/// Makes `n` follow `m`, which accepts.
async fn follow_m(world: &World) {
    let (n, m) = (&world.n, &world.m);
    let follow = Command::Follow {
        url: m.address(""),
        filter: String::new(),
        every_hours: None,
    };
    run(n, follow).await;
    until("m is asked", || !of_kind(m, "Follow").is_empty()).await;
    let accept = m.activity("Accept", of_kind(m, "Follow").remove(0));
    assert_eq!(world.m_sends(&accept).await.0, 202);
}

fn moving(by: &Stranger, target: &str) -> Value {
    let mut activity = by.activity("Move", by.actor().into());
    activity["target"] = target.into();
    activity
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_followed_if_the_new_actor_names_the_old_one_and_refused_in_words_if_not() {
    let world = World::new().await;
    let (n, m, p) = (&world.n, &world.m, &world.p);
    follow_m(&world).await;
    let granted = Some((Some(m.actor()), Stage::Granted));
    let mut about_another = moving(m, &p.actor());
    about_another["object"] = p.actor().into();
    let mut nowhere = moving(m, &p.actor());
    nowhere.as_object_mut().unwrap().remove("target");
    let refused = (422, "move-refused".to_owned());
    for activity in [
        // It does not say that it is the same.
        moving(m, &p.actor()),
        moving(m, &m.actor()),
        moving(m, &p.address("/missing")),
        about_another,
        nowhere,
    ] {
        assert_eq!(world.m_sends(&activity).await, refused, "{activity}");
        assert_eq!(asked(n, &m.address("")), granted);
    }
    let mut person = p.document("/actor");
    person["alsoKnownAs"] = m.actor().into();
    person["type"] = "Person".into();
    p.serve("/person", MEDIA_TYPE, &{
        let mut person = person.clone();
        person["id"] = p.address("/person").into();
        person["assertionMethod"] = json!([]);
        person
    });
    assert_eq!(
        world.m_sends(&moving(m, &p.address("/person"))).await,
        refused
    );

    let mut found = p.document("/moved");
    found["alsoKnownAs"] = json!([m.actor()]);
    p.serve("/moved", MEDIA_TYPE, &found);
    let target = p.address("/moved");
    assert_eq!(world.m_sends(&moving(m, &target)).await.0, 202);
    until("the new one is asked", || !of_kind(p, "Follow").is_empty()).await;
    assert_eq!(of_kind(p, "Follow")[0]["object"], target.as_str());
    until("the old one is told", || !of_kind(m, "Undo").is_empty()).await;
    let peer = |url: &str| n.peers.get(url).unwrap().unwrap();
    assert!(peer(&p.address("")).is_followed);
    let old = peer(&m.address(""));
    assert!(!old.is_followed);
    assert!(old.last_error.unwrap().contains(&p.address("")));

    // The same again is taken and changes nothing; nothing is fetched for it.
    let before = p.asked().iter().filter(|path| *path == "/moved").count();
    assert_eq!(world.m_sends(&moving(m, &target)).await.0, 202);
    let fetched = p.asked().iter().filter(|path| *path == "/moved").count();
    assert_eq!(fetched, before);
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_to_a_blocked_host_is_refused_and_the_follow_stays() {
    let world = World::new().await;
    let (n, m, p) = (&world.n, &world.m, &world.p);
    follow_m(&world).await;
    let block = Command::Block {
        subject: p.address(""),
        reason: Some("no".to_owned()),
    };
    run(n, block).await;
    let mut found = p.document("/moved");
    found["alsoKnownAs"] = m.actor().into();
    p.serve("/moved", MEDIA_TYPE, &found);
    let sent = world.m_sends(&moving(m, &p.address("/moved"))).await;
    assert_eq!(sent, (422, "move-refused".to_owned()));
    assert_eq!(
        p.asked(),
        Vec::<String>::new(),
        "a blocked host is not asked"
    );
    assert_eq!(
        asked(n, &m.address("")),
        Some((Some(m.actor()), Stage::Granted))
    );
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_key_log_says_whose_address_it_was_the_log_must_say_where_it_went() {
    let world = World::new().await;
    let (n, m, p) = (&world.n, &world.m, &world.p);
    let at = |port: u16| Place::new("node.localhost", Some(port), &["orgs", "smiths"]).unwrap();
    let keys = world.folder.path().join("smiths");
    let log = log_that_moves(&keys, "smiths", [at(m.port), at(p.port)]);
    learn(n, &log[0]).await;
    let former = m.address("/orgs/smiths");
    m.serve("/orgs/smiths", MEDIA_TYPE, &m.document("/orgs/smiths"));
    for path in ["/orgs/smiths", "/orgs/thieves"] {
        let mut found = p.document(path);
        found["alsoKnownAs"] = former.as_str().into();
        p.serve(path, MEDIA_TYPE, &found);
    }
    n.outbox
        .follow(&m.address(""), Some(former.clone()))
        .await
        .unwrap();
    let is_asked = || asked(n, &m.address("")).is_some_and(|asked| asked.1 == Stage::Sent);
    until("m is asked", is_asked).await;
    let moves = async |target: &str| {
        let mut activity = moving(m, target);
        activity["actor"] = former.as_str().into();
        activity["object"] = former.as_str().into();
        let key_id = activity::key_id(&former, &m.key.public());
        let inbox = world.inbox();
        let body = activity.to_string().into_bytes();
        let signed = Signed::by(&m.key, &key_id, &inbox, body);
        signed.send(&world.client, &inbox).await
    };
    // Whoever holds the old host and another one says it alone; by the log nobody moved yet.
    let target = p.address("/orgs/smiths");
    assert_eq!(moves(&target).await, (503, "unavailable".to_owned()));
    learn(n, &log[1]).await;
    let elsewhere = moves(&p.address("/orgs/thieves")).await;
    assert_eq!(elsewhere, (422, "move-refused".to_owned()));
    assert!(is_asked());
    assert_eq!(moves(&target).await.0, 202);
    until("the new one is asked", || {
        asked(n, &p.address("")) == Some((Some(target.clone()), Stage::Sent))
    })
    .await;
    n.stop().await;
}
