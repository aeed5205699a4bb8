//! Two nodes that follow each other.

use baraza::commands::Command;
use baraza::federation::peers::Stage;
use protocol::envelope::Status;
use protocol::id::RecordId;
use serde_json::Value;

use crate::world::{
    Stranger, World, add_organization, free_ports, offering, publish, record, run, seq_at, start,
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_node_pushes_what_is_published_until_it_is_unfollowed() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(3);
    let school = start(folder.path(), ports[0], &ports).await;
    let library = start(folder.path(), ports[1], &ports).await;
    let witness = Stranger::start(ports[2]).await;
    add_organization(&school, "welders").await;
    let url = format!("http://127.0.0.1:{}", ports[0]);

    let follow = Command::Follow {
        url: url.clone(),
        filter: String::new(),
        every_hours: None,
    };
    run(&library, follow).await;
    let stage = || {
        let peer = library.peers.get(&url).unwrap()?;
        Some(peer.asked?.stage)
    };
    until("the follow is accepted", || stage() == Some(Stage::Granted)).await;
    let school_actor = format!("{url}/actor");
    assert_eq!(school.followers.count(&school_actor), 1);
    let back = format!("http://127.0.0.1:{}", ports[1]);
    let peer = school.peers.get(&back).unwrap().unwrap();
    assert_eq!(peer.follower_inbox, Some(format!("{back}/inbox")));
    assert!(!peer.is_followed);
    let authors = school.store.authors().unwrap().len();
    until("the welders' log has come by pulling", || {
        library.store.authors().unwrap().len() > authors
    })
    .await;

    // From here on nothing is pulled.
    library.puller.stop();
    let held = |id: &RecordId| library.store.counting(id).unwrap();
    let id = publish(&school, "welders", offering("basics", "Welding")).await;
    until("the new record has come", || held(&id).is_some()).await;
    let shown = library.catalogue.record(&id).unwrap().unwrap();
    let published = school.catalogue.record(&id).unwrap().unwrap();
    assert_eq!(shown.canonical, published.canonical);
    publish(&school, "welders", offering("basics", "Welding, again")).await;
    until("the new version has come", || {
        held(&id).is_some_and(|row| row.rank.seq == 2)
    })
    .await;
    let withdraw = Command::Withdraw { id: id.to_string() };
    run(&school, withdraw).await;
    until("the tombstone has come", || {
        held(&id).is_some_and(|row| row.status == Status::Withdrawn)
    })
    .await;

    // Somebody who stays tells when an announcement has gone out to all.
    let client = crate::world::client(&ports);
    let inbox = format!("{url}/inbox");
    let follow = witness.activity("Follow", school_actor.clone().into());
    let sent = witness.signed(&inbox, &witness.proven(&follow));
    assert_eq!(sent.send(&client, &inbox).await.0, 202);
    let of_kind = |kind: &str| {
        let received = witness.received();
        received
            .into_iter()
            .find(|activity| activity["type"] == kind)
    };
    until("the witness is accepted", || of_kind("Accept").is_some()).await;
    assert_eq!(of_kind("Accept").unwrap()["object"]["id"], follow["id"]);

    let unfollow = Command::Unfollow { url: url.clone() };
    run(&library, unfollow).await;
    until("the follow is undone", || {
        school.followers.count(&school_actor) == 1
    })
    .await;
    until("nothing is owed any more", || {
        library.peers.get(&url).unwrap().unwrap().asked.is_none()
    })
    .await;
    let peer = school.peers.get(&back).unwrap().unwrap();
    assert_eq!(peer.follower_inbox, None);
    let late = publish(&school, "welders", offering("late", "Too late")).await;
    until("the witness has it", || {
        of_kind("Create")
            .is_some_and(|create| create["object"]["barazaRecord"]["localId"] == "late")
    })
    .await;
    assert!(held(&late).is_none());
    let create: Value = of_kind("Create").unwrap();
    assert_eq!(create["actor"], school_actor);
    assert_eq!(create["object"]["type"], "Proposal");
    assert_eq!(
        create["object"]["attributedTo"],
        format!("{url}/orgs/welders")
    );
    school.stop().await;
    library.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_followed_and_a_node_that_is_away_is_only_noted() {
    let folder = tempfile::tempdir().unwrap();
    let ports = free_ports(3);
    let school = start(folder.path(), ports[0], &ports).await;
    let library = start(folder.path(), ports[1], &ports).await;
    let account = format!("acct:node@127.0.0.1:{}", ports[0]);
    let follow = |url: String| Command::Follow {
        url,
        filter: String::new(),
        every_hours: None,
    };
    let done = run(&library, follow(account)).await;
    let url = format!("http://127.0.0.1:{}", ports[0]);
    assert_eq!(done.json["url"], url);
    until("the follow is accepted", || {
        let peer = library.peers.get(&url).unwrap().unwrap();
        peer.asked
            .is_some_and(|asked| asked.stage == Stage::Granted)
    })
    .await;

    let away = format!("http://127.0.0.1:{}", ports[2]);
    run(&library, follow(away.clone())).await;
    until("it is noted that nobody is there", || {
        let peer = library.peers.get(&away).unwrap().unwrap();
        peer.last_error.is_some() && peer.is_followed
    })
    .await;
    school.stop().await;
    library.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_gets_it_later_and_what_it_refuses_is_passed_over() {
    let World {
        folder,
        n,
        m,
        client,
        ..
    } = World::new().await;
    add_organization(&n, "welders").await;
    let inbox = n.config.address("/inbox");
    let follow = m.activity("Follow", n.config.address("/orgs/welders").into());
    assert_eq!(m.signed(&inbox, &follow).send(&client, &inbox).await.0, 202);
    let has = |local: &str| {
        m.received()
            .iter()
            .any(|activity| activity["object"]["barazaRecord"]["localId"] == local)
    };
    until("the follow is accepted", || {
        m.received()
            .iter()
            .any(|activity| activity["type"] == "Accept")
    })
    .await;
    // A refusal for good: the next one is not held up.
    m.answer_with(422);
    let knocks = m.knocks();
    publish(&n, "welders", offering("refused", "Refused")).await;
    until("the first one was refused", || m.knocks() > knocks).await;
    m.answer_with(0);
    publish(&n, "welders", offering("second", "Second")).await;
    until("the second one has come", || has("second")).await;
    assert!(!has("refused"));
    // A failure: the same is sent again.
    m.answer_with(503);
    let knocks = m.knocks();
    publish(&n, "welders", offering("third", "Third")).await;
    until("the third one has failed", || m.knocks() > knocks).await;
    m.answer_with(0);
    until("the third one has come after all", || has("third")).await;
    let third = m.received().pop().unwrap();
    assert_eq!(third["actor"], n.config.address("/orgs/welders"));
    n.stop().await;
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn k14_a_host_that_is_gone_is_sent_nothing_more_and_its_authors_records_stay() {
    let World {
        folder,
        n,
        m,
        p,
        client,
        ..
    } = World::new().await;
    add_organization(&n, "welders").await;
    let signer = m.identity(&n, folder.path(), "gone").await;
    let theirs = record(&signer, "theirs", 1, "Theirs").to_string();
    n.ingest.record(theirs.as_bytes(), None).await.unwrap();
    let inbox = n.config.address("/inbox");
    let welders = n.config.address("/orgs/welders");
    for stranger in [&m, &p] {
        let follow = stranger.activity("Follow", welders.clone().into());
        let follow = stranger.signed(&inbox, &follow);
        assert_eq!(follow.send(&client, &inbox).await.0, 202);
        let is_accepted = || stranger.received().iter().any(|it| it["type"] == "Accept");
        until("the follow is accepted", is_accepted).await;
    }

    m.answer_with(410);
    publish(&n, "welders", offering("first", "First")).await;
    until("it is gone", || n.followers.count(&welders) == 1).await;
    let knocks = m.knocks();
    publish(&n, "welders", offering("second", "Second")).await;
    let is_second = |it: &Value| it["object"]["barazaRecord"]["localId"] == "second";
    until("the other has it", || p.received().iter().any(is_second)).await;
    assert_eq!(m.knocks(), knocks);
    assert_eq!(seq_at(&n, &signer, "theirs"), Some(1));
    n.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_before_a_restart_is_delivered_after_it() {
    let World {
        folder,
        n,
        m,
        p: _p,
        client,
        ports,
    } = World::new().await;
    add_organization(&n, "welders").await;
    let inbox = n.config.address("/inbox");
    let follow = m.activity("Follow", n.config.address("/actor").into());
    assert_eq!(m.signed(&inbox, &follow).send(&client, &inbox).await.0, 202);
    until("the follow is accepted", || {
        m.received()
            .iter()
            .any(|activity| activity["type"] == "Accept")
    })
    .await;
    m.answer_with(503);
    let knocks = m.knocks();
    publish(&n, "welders", offering("late", "Late")).await;
    until("it has failed", || m.knocks() > knocks).await;
    n.stop().await;
    drop(n);
    m.answer_with(0);
    let n = start(folder.path(), ports[0], &ports).await;
    until("it has come after all", || {
        m.received()
            .iter()
            .any(|activity| activity["object"]["barazaRecord"]["localId"] == "late")
    })
    .await;
    let accepts = m
        .received()
        .iter()
        .filter(|activity| activity["type"] == "Accept")
        .count();
    assert_eq!(accepts, 1);
    n.stop().await;
}
