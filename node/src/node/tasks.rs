//! What a serving node does by itself, each until it stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Node;
use crate::cards;
use crate::chance;
use crate::commands;
use crate::standing::Why;
use crate::store::{Compacted, StoreError};

/// After a change, how long more changes are gathered before they are indexed: what is published is
/// found within a second.
const INDEX_GATHER: Duration = Duration::from_millis(100);

/// Without a change for so long, the index gives its writer's memory back.
const INDEX_REST: Duration = Duration::from_secs(10);

/// How often it is looked whether the store has nothing to do and takes more room than it must.
const COMPACT_EVERY: Duration = Duration::from_secs(60);

/// How often the allocator is given an occasion to return to the system what nobody uses: it looks for it when a
/// thread ends, and at a second after it was freed at the earliest (docs/decisions/0009-allocator.md).
const GIVE_BACK_EVERY: Duration = Duration::from_secs(10);

/// How often what was dated ahead is looked at.
const DUE_EVERY: Duration = Duration::from_secs(30);

/// After a change, how long more changes are gathered before it is judged how complete their authors are.
const COMPLETENESS_GATHER: Duration = Duration::from_secs(5);

/// How often a restored node asks those that it follows, until they have told it what it published.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);

/// How often a followed peer is compared with.
const COMPARE_MINUTES: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// How often authors whose keys are here are looked at for a new checkpoint.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(600);

/// After a start, and then again and again, it is looked for what was kept long enough.
const FORGET_FIRST: Duration = Duration::from_secs(600);
const FORGET_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// Starts all of it.
pub(super) fn start(node: &Arc<Node>) -> [JoinHandle<()>; 13] {
    let node = || Arc::clone(node);
    [
        tokio::spawn(keep_index(node())),
        tokio::spawn(admit_due(node())),
        tokio::spawn(deliver(node())),
        tokio::spawn(judge_completeness(node())),
        tokio::spawn(publish_checkpoints(node())),
        tokio::spawn(publish_card(node())),
        tokio::spawn(reconcile(node())),
        tokio::spawn(compact(node())),
        tokio::spawn(forget_past(node())),
        tokio::spawn(give_back(node())),
        tokio::spawn(compare(node())),
        tokio::spawn(watch_clock(node())),
        tokio::spawn(look_again(node())),
    ]
}

async fn keep_index(node: Arc<Node>) {
    let mut ticks = node.store.ticks();
    let mut is_resting = false;
    loop {
        ticks.mark_unchanged();
        let follower = Arc::clone(&node.follower);
        let advance = move || match is_resting {
            true => follower.rest().map(|()| None),
            false => follower.advance(),
        };
        let pause = match tokio::task::spawn_blocking(advance).await {
            Ok(Ok(pause)) => pause,
            Ok(Err(error)) => {
                tracing::error!(%error, "the search index does not keep up");
                None
            }
            Err(_) => None,
        };
        let waited = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None if is_resting => std::future::pending().await,
                None => tokio::time::sleep(INDEX_REST).await,
            }
        };
        is_resting = tokio::select! {
            changed = ticks.changed() => {
                if changed.is_err() {
                    return;
                }
                false
            }
            () = waited => pause.is_none(),
            () = node.stopping() => return,
        };
        tokio::select! {
            () = tokio::time::sleep(INDEX_GATHER) => {}
            () = node.stopping() => return,
        }
    }
}

/// Judges the authors of whom something came, once it is quiet for a moment.
async fn judge_completeness(node: Arc<Node>) {
    let mut ticks = node.store.ticks();
    loop {
        ticks.mark_unchanged();
        if let Err(error) = node.completeness.advance().await {
            tracing::error!(%error, "it was not judged how complete the authors are");
        }
        tokio::select! {
            changed = ticks.changed() => if changed.is_err() { return },
            () = node.stopping() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(COMPLETENESS_GATHER) => {}
            () = node.stopping() => return,
        }
    }
}

/// Says of each author whose key is here how many records it has, at most hourly.
async fn publish_checkpoints(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            () = node.stopping() => return,
        }
        if let Err(error) = node.publish_checkpoints().await {
            tracing::error!(%error, "no checkpoint was published");
        }
    }
}

/// Says what this node is, at its first start and when that changed.
async fn publish_card(node: Arc<Node>) {
    loop {
        if let Err(error) = cards::publish(&node).await {
            tracing::error!(%error, "this node's card was not published");
        }
        tokio::select! {
            () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            () = node.stopping() => return,
        }
    }
}

/// Compares with a followed peer about once an hour, each node at another minute.
async fn compare(node: Arc<Node>) {
    let mut minutes_left = 1 + u32::from(chance::byte()) % COMPARE_MINUTES;
    loop {
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            () = node.stopping() => return,
        }
        node.sets.rest();
        minutes_left -= 1;
        if minutes_left > 0 {
            continue;
        }
        minutes_left = COMPARE_MINUTES;
        tokio::select! {
            compared = node.puller.compare_with_some() => if let Err(error) = compared {
                tracing::error!(%error, "no peer was compared with");
            },
            () = node.stopping() => return,
        }
    }
}

/// Keeps a node from publishing while its clock is wrong.
async fn watch_clock(node: Arc<Node>) {
    loop {
        let compared = tokio::select! {
            compared = node.compare_clocks() => compared,
            () = node.stopping() => return,
        };
        let pause = compared.and_then(|clocks| clocks.pause(&node.peers));
        let pause = pause.unwrap_or_else(|error| {
            tracing::error!(%error, "it was not looked whether the clock is right");
            MINUTE
        });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = node.stopping() => return,
        }
    }
}

/// Asks those that a restored node follows what it published, until they have told.
async fn reconcile(node: Arc<Node>) {
    loop {
        let held = match node.standing.held() {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, "whether this node may publish is not known");
                return;
            }
        };
        // Of two nodes with one key, only people can say which is to go on.
        if !held.is_some_and(|held| matches!(held.why, Why::Restored { .. } | Why::Lost)) {
            return;
        }
        let asked = async {
            let followed = commands::followed(&node)?;
            commands::try_with(&node, &followed).await
        };
        tokio::select! {
            asked = asked => match asked {
                Ok(tried) if tried.unknown.is_empty() => {
                    tracing::warn!("peers told what this node published: it publishes again");
                    return;
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "peers could not be asked"),
            },
            () = node.stopping() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RECONCILE_EVERY) => {}
            () = node.stopping() => return,
        }
    }
}

/// Writes a store anew that has grown beyond its rows, once nothing was written for a while and all that was written
/// can be found: that is waited for, and this is not.
async fn compact(node: Arc<Node>) {
    let mut seen = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(COMPACT_EVERY) => {}
            () = node.stopping() => return,
        }
        let (store, before) = (Arc::clone(&node.store), seen);
        let follower = Arc::clone(&node.follower);
        let work = move || -> Result<_, StoreError> {
            let last = Some(store.last_change()?);
            if last != before || !follower.is_at_end()? || !store.is_sprawling()? {
                return Ok((last, None));
            }
            Ok((last, store.compact(&mut |_| ())?))
        };
        let done = tokio::select! {
            done = tokio::task::spawn_blocking(work) => done,
            // The store is closed next, which ends it.
            () = node.stopping() => return,
        };
        match done {
            Ok(Ok((last, compacted))) => {
                if let Some(Compacted { before, after }) = compacted {
                    tracing::info!(before, after, "the store was written anew");
                }
                seen = last;
            }
            // Without room for it, it stays as it is.
            Ok(Err(StoreError::Full { .. })) => {}
            Ok(Err(error)) => tracing::error!(%error, "the store was not written anew"),
            Err(_) => return,
        }
    }
}

/// Lets the allocator return what nobody uses.
async fn give_back(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(GIVE_BACK_EVERY) => {}
            () = node.stopping() => return,
        }
        let thread = std::thread::Builder::new().name("give-back".to_owned());
        // Where no thread can be started, there are worse worries.
        let _ = thread.spawn(|| ());
    }
}

/// Goes on with what a block began before the node was killed.
async fn look_again(node: Arc<Node>) {
    tokio::select! {
        looked = node.store.look_again() => if let Err(error) = looked {
            tracing::error!(%error, "records of an author that was blocked or unblocked are not followed up");
        },
        () = node.stopping() => {}
    }
}

async fn deliver(node: Arc<Node>) {
    node.outbox.run(node.stopping()).await;
}

/// Forgets what was kept long enough. A clock that is ahead would have it all forgotten at once.
async fn forget_past(node: Arc<Node>) {
    let mut pause = FORGET_FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = node.stopping() => return,
        }
        pause = FORGET_EVERY;
        let (store, now) = (Arc::clone(&node.store), node.clock.now());
        let is_ahead = node.standing.clock_ahead();
        let work = move || match is_ahead?.is_some() {
            true => Ok(0),
            false => store.forget_past(now),
        };
        let done = tokio::select! {
            done = tokio::task::spawn_blocking(work) => done,
            // The store is closed next, which ends it.
            () = node.stopping() => return,
        };
        match done {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => {
                tracing::info!(rows, "past versions were kept long enough and are gone")
            }
            Ok(Err(StoreError::Full { .. })) => {}
            Ok(Err(error)) => tracing::error!(%error, "past versions were not looked through"),
            Err(_) => return,
        }
    }
}

async fn admit_due(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(DUE_EVERY) => {}
            () = node.stopping() => return,
        }
        if let Err(error) = node.store.admit_due(node.clock.now()).await {
            tracing::error!(%error, "what is due was not taken in");
        }
    }
}
