//! What a node behind a thin line costs that line.

use serde_json::{Value, json};

use crate::support::node::port;
use crate::support::tube::Tube;
use crate::support::until;

/// What a day may cost: 25 seconds of a line of 64 kbit/s.
const DAY_BYTES_MAX: u64 = 200_000;
const CHANGES: usize = 200;

/// Records that differ as courses of one provider do.
fn courses() -> Value {
    let course = |n: usize| {
        json!({
            "type": "Offering", "localId": format!("course-{n}"),
            "body": {
                "kind": "course", "name": {"en": format!("Course number {n}")},
                "summary": {"en": format!("The {n}th course of this provider, for people who begin.")},
                "areas": ["cyber"], "languages": ["en"], "cost": {"kind": "free"},
            },
        })
    };
    (0..CHANGES).map(course).collect()
}

#[test]
fn a_hub_takes_up_a_day_of_200_changes_in_under_200_kb_in_both_directions() {
    let ports = [port(), port()];
    let (to_source, mut source) = Tube::before(ports[0], &ports);
    let (to_hub, mut hub) = Tube::before(ports[1], &ports);
    source.start();
    hub.start();
    source.org("school");
    // Who follows a part reads the log and is pushed nothing.
    hub.json(&["follow", &source.url, "--topic", "cyber"]);
    until("the hub has heard of the source", || {
        hub.peer()["last_heard"].is_i64().then_some(())
    });
    // The line is down for the day.
    hub.stop();
    source.publish("school", &courses());
    let _ = (to_source.passed(), to_hub.passed());
    hub.start();
    until("all that changed is here", || {
        let received = hub.peer()["received"].as_u64().unwrap();
        (received >= CHANGES as u64).then_some(())
    });
    let bytes = to_source.passed() + to_hub.passed();
    eprintln!("{CHANGES} changes: {bytes} bytes");
    // At least what cannot be packed, the signatures: otherwise nothing was counted.
    assert!(bytes > CHANGES as u64 * 64, "{bytes}");
    assert!(bytes < DAY_BYTES_MAX, "{bytes}");
}
