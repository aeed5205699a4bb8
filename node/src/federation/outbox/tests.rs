//! What is owed, to whom and when.

mod month;
mod sockets;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::identity::write::Place;
use protocol::time::Timestamp;
use tempfile::TempDir;
use tokio::time::Instant;

use super::turns::{AILING_JOBS_MAX, JOBS_MAX, Turns};
use super::{FAILURES_MAX, Job, Outbox, Parts, SendError};
use crate::clock::{ManualClock, SharedClock};
use crate::config::{Config, Settings};
use crate::federation::actors::{Actors, Local};
use crate::federation::client::Client;
use crate::federation::courier::Courier;
use crate::federation::deliveries::{Deliveries, Said};
use crate::federation::followers::{Follower, Followers};
use crate::federation::peers::Peers;
use crate::federation::remote::RemoteActors;
use crate::ingest::Ingest;
use crate::keychain::{Keychain, NODE};
use crate::labels::Labels;
use crate::store::Store;

const HOST: &str = "https://m.example";

fn store(folder: &Path) -> Arc<Store> {
    Arc::new(Store::open(&folder.join("store"), "e".into()).unwrap())
}

fn outbox(folder: &Path, store: &Arc<Store>) -> Outbox {
    let settings: Settings = toml::from_str("name = \"n\"\nurl = \"https://n.example\"").unwrap();
    let config = Config::check(folder, settings).unwrap();
    let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(0)));
    let client = Client::new(BTreeSet::new(), "a test").unwrap();
    let keychain = Keychain::open(&config.keys_folder()).unwrap();
    let labels = Arc::new(Labels::shipped().unwrap());
    let actors = Actors::open(config, keychain, Arc::clone(store), labels).unwrap();
    let own = actors.http_signer(&Local::Node);
    let courier = Courier::open(client.clone(), own, Arc::clone(store), Arc::clone(&clock));
    let courier = courier.unwrap();
    let deliveries = Deliveries::open(Arc::clone(store), clock.now()).unwrap();
    Outbox::open(Parts {
        deliveries,
        actors,
        remote: RemoteActors::new(courier.clone(), Arc::clone(&clock)),
        client,
        courier,
        followers: Followers::open(Arc::clone(store)).unwrap(),
        peers: Peers::new(Arc::clone(store)),
        store: Arc::clone(store),
        clock,
    })
    .unwrap()
}

/// Something in the change log.
async fn change(folder: &Path, store: &Arc<Store>) {
    change_by(folder, store, NODE).await;
}

async fn change_again(folder: &Path, store: &Arc<Store>) {
    change_by(folder, store, "another").await;
}

async fn change_by(folder: &Path, store: &Arc<Store>, who: &str) {
    let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(0)));
    let keychain = Keychain::open(&folder.join("keys")).unwrap();
    let place = Place::new("n.example", None, &[]).unwrap();
    let founded = keychain.found(who, place, clock.now()).unwrap();
    Ingest::new(Arc::clone(store), clock)
        .log_entry(&founded.entry.to_canonical_bytes(), &Default::default())
        .await
        .unwrap();
}

fn away() -> SendError {
    SendError::Refused {
        status: 503,
        retry_after: None,
        turned_away: None,
        reason: "away".to_owned(),
    }
}

#[tokio::test]
async fn f25_a_host_that_stays_away_is_left_to_pulling_and_costs_nothing() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let outbox = outbox(folder.path(), &store);
    let actor = format!("{HOST}/actor");
    let followed = "https://n.example/actor".to_owned();
    let inbox = format!("{HOST}/inbox");
    let follower = Follower::new(&actor, followed.clone(), "x", &inbox).unwrap();
    outbox.accept(follower).await.unwrap();
    change(folder.path(), &store).await;
    let announce = Job::Announce {
        host: HOST.to_owned(),
    };
    let answer = Job::Answer { actor, followed };
    let deliveries = &outbox.0.deliveries;
    let mut turns = Turns::default();
    let mut tried_at = Instant::now();
    for failures in 1..=FAILURES_MAX {
        let owed = outbox.0.owed().unwrap();
        assert_eq!(owed, [announce.clone(), answer.clone()], "{failures}");
        turns.wait(owed);
        // One at a time, and none before the pause is over.
        let job = turns.next(deliveries, tried_at).unwrap();
        assert_eq!(turns.next(deliveries, tried_at), None);
        outbox
            .0
            .settle(job.clone(), Err(away()), &mut turns.retries)
            .await;
        turns.end(&job);
        assert_eq!(turns.next(deliveries, tried_at), None);
        assert_eq!(deliveries.get(HOST).unwrap().failures, failures);
        tried_at = deliveries.not_before(HOST).unwrap();
        assert!(tried_at > Instant::now());
    }
    assert_eq!(outbox.0.owed().unwrap(), []);
    let row = deliveries.get(HOST).unwrap();
    assert_eq!(row.last_error.as_deref(), Some("away"));

    // Something new: it is tried once, an hour later, and one success closes the circuit.
    change_again(folder.path(), &store).await;
    let owed = outbox.0.owed().unwrap();
    assert_eq!(owed, std::slice::from_ref(&announce));
    turns.wait(owed);
    assert_eq!(turns.next(deliveries, Instant::now()), None);
    let again = turns.again.unwrap();
    assert!(again > Instant::now() + Duration::from_secs(3_500));
    turns.wait(outbox.0.owed().unwrap());
    assert_eq!(turns.next(deliveries, again), Some(announce));
    let taken = Said {
        taken: Some(Timestamp::from_unix_seconds(0)),
        refusal: None,
    };
    // Or at once, if somebody there follows meanwhile.
    deliveries
        .note_failed(HOST, "away", None, Timestamp::from_unix_seconds(0))
        .await
        .unwrap();
    assert!(deliveries.not_before(HOST).is_some());
    let actor = format!("{HOST}/another");
    let follower = Follower::new(&actor, "https://n.example/actor".to_owned(), "y", &inbox);
    outbox.accept(follower.unwrap()).await.unwrap();
    assert_eq!(deliveries.not_before(HOST), None);
    assert!(deliveries.is_ailing(HOST));
    let last = store.last_change().unwrap();
    deliveries.note_answered(HOST, last, taken);
    assert!(!deliveries.is_ailing(HOST));
    store.close();
}

#[tokio::test]
async fn a_host_is_left_alone_for_as_long_as_it_asks() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let outbox = outbox(folder.path(), &store);
    let busy = SendError::Refused {
        status: 429,
        retry_after: Some(Duration::from_secs(600)),
        turned_away: None,
        reason: "busy".to_owned(),
    };
    outbox.0.note_failed(HOST, &busy).await.unwrap();
    let not_before = outbox.0.deliveries.not_before(HOST).unwrap();
    assert!(not_before > Instant::now() + Duration::from_secs(590));
    store.close();
}

#[tokio::test]
async fn f23_hosts_that_fail_or_are_slow_leave_places_for_those_that_are_well() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let outbox = outbox(folder.path(), &store);
    let deliveries = &outbox.0.deliveries;
    let job = |name: String| Job::Announce {
        host: format!("https://{name}.example"),
    };
    let mut owed = Vec::new();
    for n in 0..200 {
        // In the order of names the ailing come first.
        let (slow, well) = (job(format!("a{n}")), job(format!("b{n}")));
        deliveries.begin(&slow.host()).await.unwrap();
        deliveries.note_pace(&slow.host(), true);
        owed.extend([slow, well]);
    }
    let mut turns = Turns::default();
    turns.wait(owed);
    let mut started = Vec::new();
    while let Some(job) = turns.next(deliveries, Instant::now()) {
        started.push(job);
    }
    let ailing = |job: &&Job| deliveries.is_ailing(&job.host());
    assert_eq!(started.len(), JOBS_MAX);
    assert_eq!(started.iter().filter(ailing).count(), AILING_JOBS_MAX);
    // Places that the well give back go to the well.
    for job in started.iter().filter(|job| !ailing(job)) {
        turns.end(job);
        let next = turns.next(deliveries, Instant::now()).unwrap();
        assert!(!deliveries.is_ailing(&next.host()));
    }
    store.close();
}

#[tokio::test]
async fn what_is_owed_is_known_after_a_restart_and_nothing_old_after_a_restore() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let first = outbox(folder.path(), &store);
    let follower = |name: &str| {
        let actor = format!("{HOST}/{name}");
        let followed = "https://n.example/actor".to_owned();
        Follower::new(&actor, followed, "x", &format!("{HOST}/inbox")).unwrap()
    };
    first.accept(follower("a")).await.unwrap();
    first.follow("https://p.example", None).await.unwrap();
    change(folder.path(), &store).await;
    // A second follower of a host does not move its cursor past what the first is owed.
    first.accept(follower("b")).await.unwrap();
    let owed = first.0.owed().unwrap();
    assert_eq!(owed.len(), 4);
    let again = outbox(folder.path(), &store);
    assert_eq!(again.0.owed().unwrap(), owed);
    let foreign = b"another-0".to_vec();
    store
        .put_named("deliveries", HOST, Some(foreign))
        .await
        .unwrap();
    let restored = outbox(folder.path(), &store);
    let announce = Job::Announce {
        host: HOST.to_owned(),
    };
    assert!(!restored.0.owed().unwrap().contains(&announce));
    store.close();
}
