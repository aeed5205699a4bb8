//! Recovery cards: a secret key on paper, or in a file kept by someone trusted, that takes an
//! identity back when every other key is lost or stolen.

use std::fmt;

use protocol::id::{EntryHash, Scid};
use protocol::identity::key_hash;
use protocol::key::SecretKey;

/// Characters of the check at the end: a typing error passes once in eleven million.
const CHECK_CHARS: usize = 4;

/// Characters between two spaces, and groups on a line, where a card is printed.
const GROUP: usize = 5;
const GROUPS_ON_A_LINE: usize = 7;

/// Longest text that is read as a card, spaces included.
const TEXT_BYTES_MAX: usize = 4_096;

/// Whose identity it is, and a key that may sign the next entry of its log.
pub struct Card {
    /// The author.
    pub scid: Scid,
    /// The secret key.
    pub key: SecretKey,
}

/// Why a text is no card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// It has another form.
    #[error(
        "this is no recovery code: it has three parts with dots between, and begins with Qm; spaces and line breaks do not matter"
    )]
    Form,
    /// It has the form, and something in it is wrong.
    #[error(
        "the recovery code was not typed as it is on the card: compare it group by group; it has no letters l, I or O and no digit 0"
    )]
    Mistyped,
}

impl Card {
    /// Reads a code as it was printed or typed; spaces and line breaks do not matter.
    ///
    /// # Errors
    /// See [`CardError`].
    pub fn parse(text: &str) -> Result<Self, CardError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(CardError::Form);
        }
        let code: String = text.split_whitespace().collect();
        let (body, check) = code.rsplit_once('.').ok_or(CardError::Form)?;
        let (scid, key) = body.split_once('.').ok_or(CardError::Form)?;
        if check_of(body) != check {
            return Err(CardError::Mistyped);
        }
        Ok(Self {
            scid: Scid::parse(scid).map_err(|_| CardError::Mistyped)?,
            key: SecretKey::parse(key).map_err(|_| CardError::Mistyped)?,
        })
    }

    /// The digest by which a log commits to this card.
    pub fn hash(&self) -> EntryHash {
        key_hash(&self.key.public())
    }

    /// The code in groups, as it is printed.
    pub fn grouped(&self) -> String {
        let code: Vec<char> = self.to_string().chars().collect();
        let groups: Vec<String> = code
            .chunks(GROUP)
            .map(|group| group.iter().collect())
            .collect();
        let lines: Vec<String> = groups
            .chunks(GROUPS_ON_A_LINE)
            .map(|line| format!("    {}", line.join(" ")))
            .collect();
        lines.join("\n")
    }
}

impl Card {
    /// The whole card in words for whoever finds it in a drawer in ten years.
    pub fn paper(&self, name: &str) -> String {
        format!(
            "---- RECOVERY CARD of {name} ----\n\
             {code}\n\
             What it is: whoever has this code can take over the identity {scid}.\n\
             How to keep it: print this page or copy it by hand, and lock it away from the machine. It is\n\
             shown only this once and stored nowhere. Do not photograph it and do not send it.\n\
             When to use it: the machine is lost, broken or stolen, or the hub is gone. On another machine, run\n    \
             baraza identity recover --code - --from ADDRESS-OF-ANY-NODE-THAT-SHOWS-YOUR-RECORDS\n\
             and type the code. A used card is worthless: you are given a new one.\n\
             ---- end of card ----",
            code = self.grouped(),
            scid = self.scid,
        )
    }
}

fn check_of(body: &str) -> String {
    let digest = EntryHash::of(body.as_bytes()).to_string();
    digest
        .get(digest.len().saturating_sub(CHECK_CHARS)..)
        .unwrap_or_default()
        .to_owned()
}

impl fmt::Display for Card {
    /// The code: to be shown to its owner only.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = format!("{}.{}", self.scid, self.key.to_secret_multikey());
        write!(out, "{body}.{}", check_of(&body))
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Card(of {})", self.scid)
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::Scid;
    use protocol::key::SecretKey;

    use super::{Card, CardError};

    fn card() -> Card {
        Card {
            scid: Scid::of(b"author"),
            key: SecretKey::from_seed(&[7; 32]),
        }
    }

    #[test]
    fn a_card_is_read_as_it_is_printed() {
        for text in [card().to_string(), card().grouped()] {
            let read = Card::parse(&text).unwrap();
            assert_eq!((read.scid, read.hash()), (card().scid, card().hash()));
        }
    }

    #[test]
    fn a_card_with_one_character_wrong_is_refused_as_mistyped() {
        let code = card().to_string();
        let mut refused = 0;
        for place in (0..code.len()).filter(|place| code.as_bytes()[*place] != b'.') {
            let other = if code.as_bytes()[place] == b'x' {
                "y"
            } else {
                "x"
            };
            let mut wrong = code.clone();
            wrong.replace_range(place..=place, other);
            assert!(
                matches!(Card::parse(&wrong), Err(CardError::Mistyped)),
                "{wrong}"
            );
            refused += 1;
        }
        assert!(refused > 90);
    }

    #[test]
    fn what_is_no_card_is_refused_as_such() {
        for text in ["", "hello", "z3u2b6yp", &"x".repeat(10_000)] {
            assert!(matches!(Card::parse(text), Err(CardError::Form)), "{text}");
        }
    }
}
