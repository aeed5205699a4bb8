//! Whom node `n` deals with: what a stranger `m` may send depends on what the operator decided.

use std::sync::Arc;

use baraza::clock::{Clock as _, ManualClock, SystemClock};
use baraza::commands::Command;
use baraza::config::{Federation, Policy};
use protocol::httpsig::{DELIVERY_COMPONENTS, SigningOptions};

use crate::world::{
    Signed, World, add_organization, follow, followers, now, offering, publish, record, refused,
    run, seq_at, taken, until,
};

async fn world(policy: Policy) -> World {
    let federation = Federation {
        policy,
        ..Federation::default()
    };
    World::with(federation, Arc::new(SystemClock)).await
}

async fn allow(world: &World) {
    let command = Command::Allow {
        url: world.m.address(""),
        reason: None,
    };
    run(&world.n, command).await;
}

async fn block(world: &World, reason: &str) {
    let command = Command::Block {
        subject: world.m.address(""),
        reason: Some(reason.to_owned()),
    };
    run(&world.n, command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f14_content_of_a_node_that_needs_approval_is_403_and_nothing_of_it_is_kept() {
    let world = world(Policy::Approval).await;
    let signer = world.m.identity(&world.n, world.folder.path(), "m").await;
    let create = world.m.wrapped("Create", &record(&signer, "a", 1, "A"));
    for activity in [&create, &follow(&world)] {
        assert_eq!(
            world.m_sends(activity).await,
            refused(403, "approval-needed")
        );
    }
    assert_eq!(seq_at(&world.n, &signer, "a"), None);
    assert_eq!(followers(&world), 0);
    // Beside its actor, whose key signed, nothing was fetched.
    assert!(world.m.asked().iter().all(|path| path == "/actor"));
    let newcomers = world.n.gate.newcomers().unwrap();
    assert_eq!(newcomers.len(), 1);
    assert_eq!(newcomers[0].0, world.m.address(""));
    // Others wait for themselves; what needs no approval is taken.
    let undo = world.m.activity("Undo", follow(&world));
    assert_eq!(world.m_sends(&undo).await, taken());

    allow(&world).await;
    assert_eq!(world.m_sends(&create).await, taken());
    assert_eq!(world.m_sends(&follow(&world)).await, taken());
    assert_eq!(seq_at(&world.n, &signer, "a"), Some(1));
    assert_eq!(followers(&world), 1);
    assert!(world.n.gate.newcomers().unwrap().is_empty());
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_allow_list_nobody_else_is_asked_anything_or_remembered() {
    let world = world(Policy::AllowList).await;
    assert_eq!(
        world.m_sends(&follow(&world)).await,
        refused(403, "not-allowed")
    );
    assert_eq!(world.m.asked(), Vec::<String>::new());
    assert!(world.n.gate.newcomers().unwrap().is_empty());
    allow(&world).await;
    assert_eq!(world.m_sends(&follow(&world)).await, taken());
    assert_eq!(followers(&world), 1);
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_blocked_node_follows_and_sends_nothing_and_nothing_is_delivered_to_it() {
    let world = world(Policy::Open).await;
    add_organization(&world.n, "org").await;
    let signer = world.m.identity(&world.n, world.folder.path(), "m").await;
    assert_eq!(world.m_sends(&follow(&world)).await, taken());
    until("the follow is accepted", || !world.m.received().is_empty()).await;
    let asked = world.m.asked().len();

    block(&world, "it sends advertisements").await;
    let create = world.m.wrapped("Create", &record(&signer, "a", 1, "A"));
    let undo = world.m.activity("Undo", follow(&world));
    for activity in [&follow(&world), &create, &undo] {
        assert_eq!(world.m_sends(activity).await, refused(403, "blocked"));
    }
    assert_eq!(seq_at(&world.n, &signer, "a"), None);
    publish(&world.n, "org", offering("during", "During")).await;
    // Whoever else follows has it by the time when the blocked one would.
    let other = world
        .p
        .activity("Follow", world.n.config.address("/actor").into());
    let inbox = world.inbox();
    let sent = world
        .p
        .signed(&inbox, &other)
        .send(&world.client, &inbox)
        .await;
    assert_eq!(sent, taken());
    publish(&world.n, "org", offering("later", "Later")).await;
    until("the other one is told", || world.p.received().len() >= 2).await;
    assert_eq!(world.m.asked().len(), asked, "{:?}", world.m.asked());

    let command = Command::Unblock {
        subject: world.m.address(""),
    };
    run(&world.n, command).await;
    // What it was owed is sent now.
    until("it is told of what it missed", || {
        let received = world.m.received();
        ["During", "Later"].iter().all(|name| {
            received
                .iter()
                .any(|activity| activity["object"]["name"] == *name)
        })
    })
    .await;
    assert_eq!(world.m_sends(&create).await, taken());
    world.n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_new_brings_only_so_much_on_its_first_day() {
    let clock = Arc::new(ManualClock::at(now()));
    let federation = Federation {
        newcomer_records: 2,
        ..Federation::default()
    };
    let world = World::with(federation, clock.clone()).await;
    let signer = world.m.identity(&world.n, world.folder.path(), "m").await;
    let send = async |local: &str| {
        let activity = world.m.wrapped("Create", &record(&signer, local, 1, local));
        let (inbox, key_id) = (world.inbox(), world.m.key_id());
        let nonce = baraza::keychain::random_name().unwrap();
        let mut options = SigningOptions::new(&key_id, clock.now());
        options.nonce = Some(&nonce);
        let body = activity.to_string().into_bytes();
        let signed = Signed::with(&world.m.key, &inbox, body, &DELIVERY_COMPONENTS, &options);
        signed.send(&world.client, &inbox).await
    };
    assert_eq!(send("a").await, taken());
    assert_eq!(send("b").await, taken());
    assert_eq!(send("c").await, refused(429, "newcomer-limit"));
    assert_eq!(seq_at(&world.n, &signer, "c"), None);
    let newcomers = world.n.gate.newcomers().unwrap();
    assert_eq!((newcomers.len(), newcomers[0].1.records), (1, 2));
    clock.advance(86_400);
    assert_eq!(send("c").await, taken());
    // On its first day, the operator's word does it.
    clock.advance(-86_400);
    assert_eq!(send("d").await, refused(429, "newcomer-limit"));
    allow(&world).await;
    assert_eq!(send("d").await, taken());
    assert_eq!(seq_at(&world.n, &signer, "d"), Some(1));
    world.n.stop().await;
}
