//! The two ways to sign a request, each for the hosts that take it.

use baraza::federation::client::Client;
use baraza::rsa;
use protocol::activity::{ACCEPT, Actor};
use protocol::httpsig::{Dialect, RequestParts, read};

use crate::world::{
    Heard, Stranger, World, add_organization, now, offering, publish, start, until,
};

/// Whose signature stands on a request, and in which way it was made; it must hold.
async fn signed_by(client: &Client, stranger: &Stranger, heard: &Heard) -> (String, Dialect) {
    let headers: Vec<(&str, &[u8])> = heard
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let target = stranger.address(&heard.path);
    let request = RequestParts::new(heard.method.as_str(), &target, &headers).unwrap();
    let signature = read(&request).unwrap().remove(0);
    signature.check_policy(&heard.body, now()).unwrap();
    let (actor, _) = signature.key_id().split_once('#').unwrap();
    let document = client.document(actor, ACCEPT).await.unwrap();
    let document = Actor::parse(&document.bytes).unwrap();
    let key = document.rsa_key(signature.key_id()).unwrap();
    rsa::verify(&signature, key).unwrap();
    (actor.to_owned(), signature.dialect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_knows_the_older_signatures_only_is_sent_them_and_after_a_restart_at_once() {
    let world = World::new().await;
    add_organization(&world.n, "welders").await;
    let (inbox, welders) = (world.inbox(), world.n.config.address("/orgs/welders"));
    let World {
        folder,
        n,
        m,
        client,
        ports,
        ..
    } = world;
    let follow = m.activity("Follow", welders.clone().into());
    let answer = m.signed(&inbox, &follow).send(&client, &inbox).await;
    assert_eq!(answer.0, 202);
    let has = |text: &str| m.received().iter().any(|it| it.to_string().contains(text));
    until("the follow is accepted", || has("Accept")).await;
    let ways = async |from: usize| {
        let mut ways = Vec::new();
        for heard in m.heard().iter().skip(from).filter(|it| it.path == "/inbox") {
            let (actor, way) = signed_by(&client, &m, heard).await;
            assert_eq!(actor, welders);
            ways.push(way);
        }
        ways
    };
    assert_eq!(ways(0).await, [Dialect::Rfc9421]);

    m.know_only_cavage();
    let before = m.heard().len();
    publish(&n, "welders", offering("first", "First")).await;
    until("the first has come", || has("\"first\"")).await;
    assert_eq!(ways(before).await, [Dialect::Rfc9421, Dialect::Cavage12]);

    n.stop().await;
    drop(n);
    let n = start(folder.path(), ports[0], &ports).await;
    let before = m.heard().len();
    publish(&n, "welders", offering("second", "Second")).await;
    until("the second has come", || has("\"second\"")).await;
    assert_eq!(ways(before).await, [Dialect::Cavage12]);
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_is_not_shown_to_strangers_is_asked_for_as_the_node_and_not_over_and_over() {
    let world = World::new().await;
    world.m.lock();
    let follow = world
        .m
        .activity("Follow", world.n.config.address("/actor").into());
    assert_eq!(world.m_sends(&follow).await.0, 202);
    let asked = world.m.heard();
    let asked: Vec<&Heard> = asked.iter().filter(|it| it.path == "/actor").collect();
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].headers.contains_key("signature"));
    let (actor, way) = signed_by(&world.client, &world.m, asked[1]).await;
    assert_eq!(actor, world.n.config.address("/actor"));
    assert_eq!(way, Dialect::Cavage12);

    // What is not there for the node either is not asked for again with each request in its name.
    for _ in 0..5 {
        let inbox = world.inbox();
        let actor = world.m.address("/hidden");
        let key = format!("{actor}#key");
        let body = follow.to_string().into_bytes();
        let sent = crate::world::Signed::by(&world.m.key, &key, &inbox, body);
        assert_eq!(sent.send(&world.client, &inbox).await.0, 401);
    }
    let hidden = world
        .m
        .asked()
        .iter()
        .filter(|path| *path == "/hidden")
        .count();
    assert_eq!(hidden, 2, "once as anybody, once signed");
}
