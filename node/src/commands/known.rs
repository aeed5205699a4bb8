//! The nodes that are known by their cards.

use serde_json::{Value, json};

use super::Done;
use crate::cards::{self, Known};
use crate::node::{Node, NodeError};

/// Lists the nodes that are known by their cards, and who names them.
pub(super) fn known(node: &Node) -> Result<Done, NodeError> {
    let known = cards::known(node)?;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "node", "name", "country", "records", "followed", "named by", "contact",
    ]);
    for known in &known {
        table.add_row(row_of(known));
    }
    let text = if known.is_empty() {
        "no cards of other nodes are here yet: they come with the records of nodes that are followed whole".to_owned()
    } else {
        table.to_string()
    };
    let items: Vec<Value> = known.iter().map(item_of).collect();
    Ok(Done::new(
        text,
        json!({"total": items.len(), "items": items}),
    ))
}

fn row_of(known: &Known) -> [String; 7] {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [
        known.url.clone(),
        match known.is_contested {
            true => "two identities claim this address".to_owned(),
            false => text(known.name()),
        },
        text(known.card.country.as_deref()),
        known
            .card
            .carries
            .map_or_else(String::new, |carries| carries.records.to_string()),
        if known.is_followed { "yes" } else { "no" }.to_owned(),
        match known.named_by.len() {
            0 => "itself".to_owned(),
            _ => known
                .named_by
                .iter()
                .cloned()
                .collect::<Vec<_>>()
                .join("\n"),
        },
        text(known.card.contact.as_deref()),
    ]
}

fn item_of(known: &Known) -> Value {
    let card = &known.card;
    json!({
        "url": known.url,
        "author": known.author.to_string(),
        "name": known.name(),
        "is_contested": known.is_contested,
        "is_followed": known.is_followed,
        "named_by": known.named_by,
        "software": card.software.as_ref().map(|it| json!({"name": it.name, "version": it.version})),
        "languages": card.languages,
        "country": card.country,
        "records": card.carries.map(|carries| carries.records),
        "organizations": card.carries.map(|carries| carries.organizations),
        "contact": card.contact,
    })
}
