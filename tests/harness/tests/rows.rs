//! Rows of the list of bad inputs that need long times or several nodes, each as a story of its own on
//! manual clocks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use baraza_harness::told::Said;
use baraza_harness::{Author, Chance, Fault, Liar, Mood, Network, Told, Version, at};
use protocol::acceptance::Rules;
use protocol::envelope::{Envelope, Status};
use protocol::id::VersionHash;

const DAY: i64 = 86_400;

/// Each follows the next in a ring, and the one after that.
fn ring(nodes: usize) -> Network {
    let follows: Vec<Vec<usize>> = (0..nodes)
        .map(|node| vec![(node + 1) % nodes, (node + 2) % nodes])
        .collect();
    Network::new(&follows, Rules::decided(), false)
}

fn record(author: &Author, version: &Version<'_>) -> Told {
    told(Said::Record(Box::new(author.record(version))))
}

fn told(what: Said) -> Told {
    Told {
        what,
        is_owed: true,
    }
}

/// An author whose log a node has.
fn found(network: &mut Network, node: usize, name: u8) -> Author {
    let author = Author::found(name, &[1], at(-1_000));
    let entry = told(Said::Entry(author.entries[0].clone()));
    network.hand_in(node, &entry).unwrap();
    author
}

/// Everybody reads everybody that it follows until nothing is new; gives the rounds that it took.
fn come_to_rest(network: &mut Network, rounds_max: usize) -> usize {
    let order = network.honest();
    let rounds = network.settle(&order, rounds_max);
    rounds.expect("they come to rest in time")
}

fn hashes(network: &Network) -> Vec<VersionHash> {
    let sites = network
        .honest()
        .into_iter()
        .map(|node| &network.sites[node]);
    sites.map(|site| site.store.state_hash().unwrap()).collect()
}

fn assert_all_alike(network: &Network) {
    let hashes = hashes(network);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// How many of these each honest node has.
fn assert_all_have(network: &Network, records: &[Envelope]) {
    for node in network.honest() {
        for record in records {
            let found = network.sites[node].store.by_hash(&record.hash()).unwrap();
            assert!(
                found.is_some(),
                "{node} lacks {}",
                record.header().record_id()
            );
        }
    }
}

/// What each honest node shows of a record: number and status.
fn shown(network: &Network, author: &Author, local: &str) -> Vec<Option<(u64, Status)>> {
    let sites = network
        .honest()
        .into_iter()
        .map(|node| &network.sites[node]);
    sites
        .map(|site| {
            let row = site.store.counting(&author.id(local)).unwrap()?;
            Some((row.rank.seq, row.status))
        })
        .collect()
}

#[test]
fn y09_pushes_that_come_twice_in_another_order_and_hours_late_leave_the_same_state() {
    let mut network = ring(5);
    let mut chance = Chance::of(9);
    let author = found(&mut network, 0, 1);
    let mut all = vec![told(Said::Entry(author.entries[0].clone()))];
    for n in 0..40 {
        let local = format!("r{}", n % 12);
        let mut version = Version::of(&local, 1 + n / 12);
        if n % 7 == 0 {
            version = version.withdrawn();
        }
        let next = record(&author, &version);
        network.hand_in(0, &next).unwrap();
        all.push(next);
    }
    for to in 1..5 {
        for told in &all {
            for _ in 0..2 {
                let seconds = chance.below(6 * 3_600) as i64;
                network.push(0, to, told, seconds, None);
            }
        }
    }
    network.pass(6 * 3_600);
    assert_all_alike(&network);
    assert_eq!(network.sites[4].store.held(None).count(), 12);
}

#[test]
fn y10_a_week_of_two_and_three_apart_heals_within_four_rounds_and_nothing_is_missing() {
    let mut network = ring(5);
    let authors: Vec<Author> = (0..5)
        .map(|node| found(&mut network, node, node as u8))
        .collect();
    come_to_rest(&mut network, 5);
    network.part(&[0, 1], &[2, 3, 4]);
    let mut accepted = Vec::new();
    for day in 0..7 {
        for (node, author) in authors.iter().enumerate() {
            let local = format!("day-{day}");
            let version = Version::of(&local, 1).issued(at(network.now()));
            let next = record(author, &version);
            network.hand_in(node, &next).unwrap();
            accepted.extend(next.record().cloned());
        }
        network.pass(DAY);
        for node in 0..5 {
            for from in network.sites[node].follows.clone() {
                // Those on the other side do not answer.
                network.catch_up(node, from);
            }
        }
    }
    let hashes = hashes(&network);
    assert_ne!(hashes[0], hashes[2], "the sides are apart");
    network.join();
    let rounds = come_to_rest(&mut network, 4);
    assert!(rounds >= 1);
    assert_all_alike(&network);
    assert_eq!(accepted.len(), 35);
    assert_all_have(&network, &accepted);
}

#[test]
fn f06_of_two_records_with_one_number_one_wins_everywhere_and_the_author_is_flagged() {
    let mut network = ring(4);
    let author = found(&mut network, 0, 1);
    come_to_rest(&mut network, 4);
    let [one, other] =
        ["one", "other"].map(|says| record(&author, &Version::of("a", 1).saying(says)));
    network.hand_in(1, &one).unwrap();
    network.hand_in(3, &other).unwrap();
    come_to_rest(&mut network, 4);
    assert_all_alike(&network);
    let winner = one.hash().min(other.hash());
    for site in &network.sites {
        let row = site.store.counting(&author.id("a")).unwrap().unwrap();
        assert_eq!(Some(row.rank.hash), winner);
    }
    // Whoever met both says so of the author; the one that lost is not relayed.
    let flagged = network.sites.iter().filter(|site| {
        let author = site.store.author(&author.scid()).unwrap();
        author.unwrap().has_twins
    });
    assert!(flagged.count() >= 1);
}

#[test]
fn f07_an_outdated_peer_that_sends_a_deleted_record_again_brings_it_back_to_nobody() {
    let mut network = ring(4);
    let author = found(&mut network, 0, 1);
    let first = record(&author, &Version::of("a", 1));
    network.hand_in(0, &first).unwrap();
    come_to_rest(&mut network, 4);
    network.part(&[2], &[0, 1, 3]);
    network
        .hand_in(0, &record(&author, &Version::of("a", 2).withdrawn()))
        .unwrap();
    come_to_rest(&mut network, 4);
    assert_eq!(
        shown(&network, &author, "a")[2],
        Some((1, Status::Active)),
        "it has not heard"
    );
    network.join();
    // It says what it knows before it hears what it does not.
    for to in [0, 1, 3] {
        network.push(2, to, &first, 0, None);
    }
    network.pass(1);
    let gone = Some((2, Status::Withdrawn));
    for node in [0, 1, 3] {
        assert_eq!(shown(&network, &author, "a")[node], gone);
    }
    come_to_rest(&mut network, 4);
    assert_eq!(shown(&network, &author, "a"), [gone; 4]);
}

#[test]
fn f08_a_deleted_record_that_comes_again_after_two_years_stays_deleted() {
    let mut network = ring(3);
    let author = found(&mut network, 0, 1);
    let first = record(&author, &Version::of("a", 1));
    network.hand_in(0, &first).unwrap();
    network
        .hand_in(0, &record(&author, &Version::of("a", 2).withdrawn()))
        .unwrap();
    come_to_rest(&mut network, 3);
    for _ in 0..24 {
        network.pass(30 * DAY);
    }
    for to in 0..3 {
        network.push((to + 1) % 3, to, &first, 0, None);
    }
    network.pass(1);
    come_to_rest(&mut network, 3);
    assert_eq!(
        shown(&network, &author, "a"),
        [Some((2, Status::Withdrawn)); 3]
    );
}

#[test]
fn t3_a_peer_that_was_dead_for_a_week_misses_nothing_once_it_is_back() {
    let mut network = ring(4);
    let author = found(&mut network, 0, 1);
    come_to_rest(&mut network, 4);
    network.take_down(3);
    let mut accepted = Vec::new();
    for hour in 0..7 * 24 {
        let local = format!("hour-{hour}");
        let next = record(&author, &Version::of(&local, 1).issued(at(network.now())));
        network.hand_in(0, &next).unwrap();
        accepted.extend(next.record().cloned());
        network.pass(3_600);
    }
    let alive = [0, 1, 2];
    network.settle(&alive, 4).unwrap();
    // How far it has read is written at its side alone: its return changes nothing at theirs.
    let written: Vec<u64> = alive
        .iter()
        .map(|node| network.sites[*node].store.last_change().unwrap())
        .collect();
    network.bring_back(3);
    let rounds = come_to_rest(&mut network, 2);
    assert_eq!(rounds, 1);
    assert_all_have(&network, &accepted);
    assert_all_alike(&network);
    for (node, before) in alive.iter().zip(written) {
        assert_eq!(network.sites[*node].store.last_change().unwrap(), before);
    }
}

#[test]
fn y08_a_tombstone_that_a_hostile_peer_keeps_back_comes_by_another_way() {
    // 2 follows the hostile 3 and the honest 1.
    let follows = vec![vec![1], vec![0], vec![3, 1], vec![0]];
    let mut network = Network::new(&follows, Rules::decided(), false);
    let author = found(&mut network, 0, 1);
    network
        .hand_in(0, &record(&author, &Version::of("a", 1)))
        .unwrap();
    for (to, from) in [(3, 0), (2, 3)] {
        network.catch_up(to, from);
    }
    network
        .hand_in(0, &record(&author, &Version::of("a", 2).withdrawn()))
        .unwrap();
    let mut liar = Liar::new(Chance::of(1));
    liar.mood = Mood::Silent;
    network.turn_hostile(3, liar);
    network.catch_up(2, 3);
    let site = &network.sites[2];
    assert_eq!(
        site.store
            .counting(&author.id("a"))
            .unwrap()
            .unwrap()
            .status,
        Status::Active
    );
    come_to_rest(&mut network, 4);
    assert_eq!(
        shown(&network, &author, "a"),
        [Some((2, Status::Withdrawn)); 3]
    );
}

#[test]
fn y07_y08_what_a_peer_hides_in_its_log_and_in_its_sets_is_found_by_comparing_with_another() {
    // 2 follows the hostile 3 and the honest 1.
    let follows = vec![vec![1], vec![0], vec![3, 1], vec![0]];
    let mut network = Network::new(&follows, Rules::decided(), false);
    let [hidden, other] = [1, 2].map(|name| found(&mut network, 0, name));
    network
        .hand_in(0, &record(&hidden, &Version::of("a", 1)))
        .unwrap();
    network
        .hand_in(0, &record(&other, &Version::of("b", 1)))
        .unwrap();
    network.catch_up(3, 0);
    network
        .hand_in(0, &record(&other, &Version::of("b", 2).withdrawn()))
        .unwrap();
    for (to, from) in [(3, 0), (1, 0)] {
        network.catch_up(to, from);
    }
    let mut liar = Liar::new(Chance::of(1));
    (liar.mood, liar.hides) = (Mood::Hiding, Some(hidden.scid()));
    network.turn_hostile(3, liar);

    let shown_by_2 = |network: &Network| {
        [(&hidden, "a"), (&other, "b")].map(|(author, local)| shown(network, author, local)[2])
    };
    network.catch_up(2, 3);
    let compared = network.compare_with(2, 3).unwrap().unwrap();
    assert_eq!(compared.stored, 0);
    assert_eq!(shown_by_2(&network), [None, None]);
    let compared = network.compare_with(2, 1).unwrap().unwrap();
    assert_eq!(compared.stored, 2);
    let right = [Some((1, Status::Active)), Some((2, Status::Withdrawn))];
    assert_eq!(shown_by_2(&network), right);
}

#[test]
fn a_log_that_has_begun_anew_is_compared_and_read_on_from_where_it_stands() {
    let mut network = ring(3);
    let author = found(&mut network, 0, 1);
    for n in 0..200 {
        let next = record(&author, &Version::of(&format!("r{n}"), 1));
        network.hand_in(0, &next).unwrap();
    }
    come_to_rest(&mut network, 3);
    network.back_up(0);
    assert!(network.restore(0));
    let gone = record(&author, &Version::of("r7", 2).withdrawn());
    network.hand_in(0, &gone).unwrap();
    let compared = network.pull(2, 0).unwrap();
    assert_eq!((compared.stored, compared.lines), (1, 0));
    assert!(compared.messages >= 2, "{compared:?}");
    assert_eq!(
        shown(&network, &author, "r7")[2],
        Some((2, Status::Withdrawn))
    );
    // What comes after that is read from the log.
    let next = record(&author, &Version::of("r7", 3));
    network.hand_in(0, &next).unwrap();
    let read = network.pull(2, 0).unwrap();
    assert_eq!((read.stored, read.messages), (1, 0));
}

#[test]
fn that_an_author_is_disputed_reaches_those_who_compare_because_a_log_has_begun_anew() {
    let mut network = ring(3);
    let mut author = found(&mut network, 0, 1);
    let mut thief = author.stolen(1, 1);
    let grown = told(Said::Entry(author.rotate(&[2], at(-500))));
    network.hand_in(0, &grown).unwrap();
    come_to_rest(&mut network, 3);
    let other = told(Said::Entry(thief.rotate(&[3], at(-500))));
    network.hand_in(0, &other).unwrap();
    network.back_up(0);
    assert!(network.restore(0));
    let compared = network.pull(2, 0).unwrap();
    assert!(compared.messages >= 2, "{compared:?}");
    let known = network.sites[2].store.author(&author.scid()).unwrap();
    assert!(known.unwrap().is_disputed);
    // Whoever goes by one line and has the other as evidence has the same set.
    assert_eq!(network.sites[2].sets_off(), None);
    assert_eq!(network.pull(2, 0).unwrap().log_entries, 0);
}

#[test]
fn f28_of_a_blocked_author_nothing_comes_by_any_way_and_all_once_it_is_carried_again() {
    let mut network = ring(3);
    let author = found(&mut network, 0, 1);
    let scid = author.scid();
    network
        .hand_in(0, &record(&author, &Version::of("a", 1)))
        .unwrap();
    come_to_rest(&mut network, 3);
    // From now on its sets are kept up.
    assert_eq!(network.sites[2].sets_off(), None);
    network.block_author(2, &scid, true);
    let pushed = record(&author, &Version::of("b", 1));
    for told in [record(&author, &Version::of("a", 2)), pushed.clone()] {
        network.hand_in(0, &told).unwrap();
    }
    network.push(1, 2, &pushed, 0, None);
    network.pass(1);
    come_to_rest(&mut network, 3);
    for from in [0, 1] {
        network.compare_with(2, from).unwrap().unwrap();
    }
    let site = &network.sites[2];
    assert_eq!(site.store.authors().unwrap().len(), 0);
    assert_eq!(site.store.held(None).count(), 0);
    assert_eq!(site.sets_off(), None);
    network.block_author(2, &scid, false);
    come_to_rest(&mut network, 3);
    assert_all_alike(&network);
    assert_eq!(
        shown(&network, &author, "a"),
        [Some((2, Status::Active)); 3]
    );
    assert_eq!(
        shown(&network, &author, "b"),
        [Some((1, Status::Active)); 3]
    );
}

#[test]
fn a_blocked_node_is_not_read_and_what_it_pushes_is_refused_until_it_is_blocked_no_longer() {
    let mut network = Network::new(&[vec![], vec![0]], Rules::decided(), false);
    let author = found(&mut network, 0, 1);
    network.catch_up(1, 0);
    network.block_node(1, 0, true);
    let told = record(&author, &Version::of("a", 1));
    network.hand_in(0, &told).unwrap();
    network.push(0, 1, &told, 0, None);
    network.pass(1);
    network.catch_up(1, 0);
    assert!(network.compare_with(1, 0).unwrap().is_none());
    assert_eq!(shown(&network, &author, "a")[1], None);
    // Its authors stay.
    assert!(
        network.sites[1]
            .store
            .author(&author.scid())
            .unwrap()
            .is_some()
    );
    network.block_node(1, 0, false);
    network.catch_up(1, 0);
    assert_eq!(shown(&network, &author, "a")[1], Some((1, Status::Active)));
}

#[test]
fn an_answer_that_breaks_off_is_read_on_from_where_it_stopped() {
    let mut network = ring(3);
    let author = found(&mut network, 0, 1);
    let mut accepted = Vec::new();
    for n in 0..50 {
        let next = record(&author, &Version::of(&format!("r{n}"), 1));
        network.hand_in(0, &next).unwrap();
        accepted.extend(next.record().cloned());
    }
    for part in [0, 10, 50, 90, 99] {
        let cut = network.pull_badly(2, 0, Some(Fault::CutOff(part)), None);
        assert!(cut.is_err(), "{part}: {cut:?}");
    }
    network.pull(2, 0).unwrap();
    for record in &accepted {
        assert!(
            network.sites[2]
                .store
                .by_hash(&record.hash())
                .unwrap()
                .is_some()
        );
    }
}
