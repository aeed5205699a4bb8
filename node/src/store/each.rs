//! Reading what stands under many prefixes in one pass: to seek a place takes sled several times as long as
//! to go on to the next row.

use std::collections::BTreeSet;

use super::StoreError;
use super::engine::{Engine, Row};
use super::transaction::after;

/// Rows that are passed over before the next place is sought.
const PASSED_OVER_MAX: usize = 8;

/// The rows under each prefix, in order of the prefixes, none of which begins with another. Prefixes with nothing
/// under them come with no rows. A disk fault ends the iteration as an error.
pub(super) fn under_each(
    engine: &dyn Engine,
    prefixes: BTreeSet<Vec<u8>>,
) -> impl Iterator<Item = Result<(Vec<u8>, Vec<Row>), StoreError>> {
    let end = prefixes.last().map(|last| after(last)).unwrap_or_default();
    let seek = move |prefix: &[u8]| engine.range(prefix, &end).peekable();
    let mut rows = prefixes.first().map(|first| seek(first));
    prefixes.into_iter().map_while(move |prefix| {
        let mut at_hand = rows.take()?;
        let mut passed_over = 0;
        while at_hand
            .next_if(|row| row.as_ref().is_ok_and(|(key, _)| *key < prefix))
            .is_some()
        {
            passed_over += 1;
            if passed_over == PASSED_OVER_MAX {
                at_hand = seek(&prefix);
            }
        }
        let mut under = Vec::new();
        while let Some(row) = at_hand.next_if(|row| {
            row.as_ref()
                .map_or(true, |(key, _)| key.starts_with(&prefix))
        }) {
            match row {
                Ok(row) => under.push(row),
                Err(error) => return Some(Err(error)),
            }
        }
        rows = Some(at_hand);
        Some(Ok((prefix, under)))
    })
}
