//! What operators are told about the hosts that this node delivers to.

use protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::federation::deliveries::Delivery;
use crate::node::{Node, NodeError};

/// Most hosts in the table for people, those with something to say first; the JSON has them all.
const SHOWN_MAX: usize = 50;

/// The hosts that followers receive at: for people, and each as JSON.
pub(super) fn hosts(node: &Node) -> Result<(String, Vec<Value>), NodeError> {
    let last = node.store.last_change()?;
    let now = node.clock.now();
    let mut hosts: Vec<(String, Delivery)> = node
        .followers
        .hosts()
        .into_iter()
        .filter_map(|host| node.deliveries.get(&host).map(|delivery| (host, delivery)))
        .collect();
    hosts.sort_by_key(|(_, delivery)| delivery.last_error.is_none());
    let items = hosts.iter().map(|(host, delivery)| {
        json!({
            "host": host, "behind": delivery.behind(last), "failures": delivery.failures,
            "last_taken": delivery.last_taken, "last_error": delivery.last_error,
            "next_attempt": delivery.next_attempt(now).map(Timestamp::unix_seconds),
            "is_left_to_pulling": delivery.is_left_to_pulling(),
        })
    });
    let items: Vec<Value> = items.collect();
    if hosts.is_empty() {
        return Ok((String::new(), items));
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "delivers to",
        "last took",
        "behind by",
        "next attempt",
        "last error",
    ]);
    for (host, delivery) in hosts.iter().take(SHOWN_MAX) {
        let taken = delivery.last_taken.map(Timestamp::from_unix_seconds);
        table.add_row([
            host.clone(),
            taken.map_or_else(|| "nothing yet".to_owned(), |taken| taken.to_string()),
            match delivery.behind(last) {
                _ if delivery.is_left_to_pulling() => "left to pulling".to_owned(),
                0 => String::new(),
                behind => format!("at most {behind} changes"),
            },
            delivery
                .next_attempt(now)
                .map_or_else(String::new, |at| at.to_string()),
            delivery.last_error.clone().unwrap_or_default(),
        ]);
    }
    let mut text = format!("\n{table}");
    if let Some(left @ 1..) = hosts.len().checked_sub(SHOWN_MAX) {
        text.push_str(&format!(
            "\n{left} more hosts: `baraza peers --json` lists them"
        ));
    }
    Ok((text, items))
}
