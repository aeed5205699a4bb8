//! A month in which a host fails: over sockets, on clocks that the test moves.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use protocol::id::{LocalId, RecordId};
use protocol::time::Timestamp;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::sockets::{Sink, deliver, follower, node_at, publish};
use crate::clock::{Clock as _, ManualClock};
use crate::federation::deliveries::{Deliveries, FAILURES_MAX};
use crate::node::Node;

const HOUR: u64 = 3_600;
const DAYS: u32 = 30;

/// The clock that dates and the one that waits. Both stand still unless they are moved.
struct Clocks {
    dated: Arc<ManualClock>,
    _held: mpsc::Sender<()>,
}

impl Clocks {
    fn stopped() -> Self {
        tokio::time::pause();
        // A clock that is paused goes on by itself while there is nothing to do but to wait, be it for a
        // socket; not while something blocks.
        let (held, until_dropped) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until_dropped.recv());
        Self {
            dated: Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000))),
            _held: held,
        }
    }

    async fn pass(&self, seconds: u64) {
        self.dated.advance(i64::try_from(seconds).unwrap());
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
}

/// Waits until something is so, while the clocks all but stand still: news is gathered for a moment.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for turn in 0..20_000 {
        if is_so() {
            return;
        }
        if turn % 50 == 10 {
            tokio::time::advance(Duration::from_millis(60)).await;
        }
        let breath = || std::thread::sleep(Duration::from_millis(2));
        tokio::task::spawn_blocking(breath).await.unwrap();
    }
    panic!("it was not seen that {what}");
}

impl Sink {
    /// How often it was knocked at since it was asked last.
    fn knocks(&mut self) -> u32 {
        let mut knocks = 0;
        while self.heard.try_recv().is_ok() {
            knocks += 1;
        }
        knocks
    }
}

fn failures(node: &Node, host: &str) -> u32 {
    node.deliveries.get(host).unwrap().failures
}

fn is_told(node: &Node, host: &str) -> bool {
    node.deliveries
        .is_told(host, node.store.last_change().unwrap())
}

/// Publishes, and waits until the host that is well has it.
async fn tell(node: &Node, well: &mut Sink, local: &str) {
    publish(node, local).await;
    until("the host that is well has it", || is_told(node, &well.url)).await;
    assert_eq!(well.knocks(), 1, "{local}");
}

/// Lets time pass until a host that fails was tried once more.
async fn try_again(clocks: &Clocks, node: &Node, host: &str) {
    let before = failures(node, host);
    if let Some(at) = node.deliveries.not_before(host) {
        clocks.pass((at - Instant::now()).as_secs() + 1).await;
    }
    until("it is tried again", || {
        failures(node, host) != before || is_told(node, host)
    })
    .await;
}

#[tokio::test]
async fn f25_a_host_that_fails_for_a_month_is_tried_seldom_and_misses_nothing() {
    let clocks = Clocks::stopped();
    let mut well = Sink::answering(202).await;
    let mut ill = Sink::answering(500).await;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = listener.await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hosts = [well.url.as_str(), &ill.url];
    let (node, _folder) = node_at(&url, clocks.dated.clone(), &hosts).await;
    for host in hosts {
        let follower = follower(&node, host, "actor");
        node.outbox.accept(follower).await.unwrap();
    }
    deliver(&node);
    let mut published = Vec::new();

    // It fails for a moment: what waits is pushed, all of it and once.
    for n in 0..3 {
        published.push(format!("moment-{n}"));
        tell(&node, &mut well, &published[n]).await;
    }
    while failures(&node, &ill.url) < FAILURES_MAX / 2 {
        try_again(&clocks, &node, &ill.url).await;
    }
    ill.knocks();
    ill.answer_with(202);
    try_again(&clocks, &node, &ill.url).await;
    until("it has all", || is_told(&node, &ill.url)).await;
    assert_eq!((ill.knocks(), failures(&node, &ill.url)), (3, 0));

    // It fails for a month. Each day something is published twice.
    ill.answer_with(500);
    let mut knocks = 0;
    for day in 0..DAYS {
        for n in 0..2 {
            let local = format!("day-{day}-{n}");
            tell(&node, &mut well, &local).await;
            published.push(local);
            clocks.pass(60).await;
        }
        while !is_told(&node, &ill.url) {
            try_again(&clocks, &node, &ill.url).await;
        }
        knocks += ill.knocks();
        // Nothing waits for it, and what is kept of it does not grow.
        assert_eq!(node.outbox.0.owed().unwrap(), []);
        let rows = node.store.all_named("deliveries").unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|(_, row)| row.len() < 512));
        let row = node.deliveries.get(&ill.url).unwrap();
        assert!(row.is_left_to_pulling());
        assert_eq!(row.failures, knocks, "each failure is one request");
        let now = clocks.dated.now();
        until("it stands so after a restart as well", || {
            let reopened = Deliveries::open(Arc::clone(&node.store), now).unwrap();
            reopened.get(&ill.url).as_ref() == Some(&row)
        })
        .await;
        // The rest of the day nobody knocks: there is no news.
        clocks.pass(20 * HOUR).await;
    }
    assert!(knocks >= DAYS, "who comes back is found: {knocks}");
    assert!(knocks <= FAILURES_MAX + 2 * DAYS, "{knocks}");

    // It is back: one success closes the circuit, and what is new comes at once again.
    ill.answer_with(202);
    for local in ["back", "after"] {
        tell(&node, &mut well, local).await;
        until("it is told", || is_told(&node, &ill.url)).await;
        assert_eq!((ill.knocks(), failures(&node, &ill.url)), (1, 0), "{local}");
        published.push(local.to_owned());
    }
    let row = node.deliveries.get(&ill.url).unwrap();
    assert_eq!((row.last_error, row.next_attempt), (None, None));
    assert_eq!(row.last_taken, Some(clocks.dated.now().unix_seconds()));

    // What was not pushed is there to be pulled.
    tokio::spawn(crate::web::serve(Arc::clone(&node), listener));
    let (library, _folder) = node_at("http://127.0.0.1:8898", clocks.dated.clone(), &[&url]).await;
    library.puller.follow(&url, "", None).await.unwrap();
    let scid = *node.keychain.signer("org").unwrap().did.scid();
    for local in published {
        let id = RecordId {
            author: scid,
            local: LocalId::parse(&local).unwrap(),
        };
        let has = || library.store.counting(&id).unwrap().is_some();
        until(&local, has).await;
    }
    library.stop().await;
    node.stop().await;
}
