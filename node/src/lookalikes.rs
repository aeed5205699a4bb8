//! Organisations whose names look alike. Anyone may choose any name, so one that looks like another that is
//! carried here is pointed out beside both; neither is preferred or kept out.
//!
//! Names are compared by what the eye sees of them: without case, accents, punctuation and spaces, and with
//! letters of different scripts that are drawn alike as one (the idea of Unicode's UTS #39, for the scripts
//! in which names are forged in practice). Names are read from the change log as it grows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use icu_normalizer::DecomposingNormalizerBorrowed;
use protocol::id::Scid;

use crate::catalogue::{Catalogue, PROFILE, Saying, ShownAuthor};
use crate::store::{Store, StoreError};

/// Rows of the change log that are read at a time.
const ROWS: usize = 2_000;

/// Which names look alike, of those that are carried here.
pub struct LookAlikes {
    store: Arc<Store>,
    catalogue: Catalogue,
    known: Mutex<Option<Known>>,
}

#[derive(Default)]
struct Known {
    /// How far the change log was read.
    read_to: u64,
    /// What each organisation's names look like.
    looks: BTreeMap<Scid, BTreeSet<String>>,
    bearers: BTreeMap<String, BTreeSet<Scid>>,
}

impl LookAlikes {
    /// Of what a store holds. Nothing is read yet.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            catalogue: Catalogue::new(Arc::clone(&store)),
            store,
            known: Mutex::default(),
        }
    }

    /// The others that bear a name which looks like one of this author's.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of(&self, scid: &Scid) -> Result<BTreeSet<Scid>, StoreError> {
        let mut slot = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = match slot.take() {
            Some(known) => known,
            None => self.read_all()?,
        };
        self.advance(&mut known)?;
        let looks = known.looks.get(scid).into_iter().flatten();
        let bearers = looks.filter_map(|look| known.bearers.get(look)).flatten();
        let others = bearers.filter(|other| *other != scid).copied().collect();
        // What could not be read is read from the start next time.
        *slot = Some(known);
        Ok(others)
    }

    fn read_all(&self) -> Result<Known, StoreError> {
        let mut known = Known {
            read_to: self.store.last_change()?,
            ..Known::default()
        };
        for author in self.catalogue.authors()? {
            known.set(*author.scid(), looks_of(&author));
        }
        Ok(known)
    }

    fn advance(&self, known: &mut Known) -> Result<(), StoreError> {
        loop {
            let (changed, read_to) = self.store.changed_records(known.read_to, ROWS)?;
            for (_, id) in changed {
                if id.local.as_str() == PROFILE {
                    let author = self.catalogue.author(&id.author)?;
                    known.set(
                        id.author,
                        author.as_ref().map_or_else(BTreeSet::new, looks_of),
                    );
                }
            }
            if read_to == known.read_to {
                return Ok(());
            }
            known.read_to = read_to;
        }
    }
}

impl Known {
    fn set(&mut self, scid: Scid, looks: BTreeSet<String>) {
        for look in self.looks.remove(&scid).into_iter().flatten() {
            if let Some(bearers) = self.bearers.get_mut(&look) {
                bearers.remove(&scid);
                if bearers.is_empty() {
                    self.bearers.remove(&look);
                }
            }
        }
        for look in &looks {
            self.bearers.entry(look.clone()).or_default().insert(scid);
        }
        if !looks.is_empty() {
            self.looks.insert(scid, looks);
        }
    }
}

/// What an author's names look like, in all languages.
fn looks_of(author: &ShownAuthor) -> BTreeSet<String> {
    let names = author
        .profile
        .as_ref()
        .and_then(|profile| match &profile.body {
            Saying::Body(body) => body.name(),
            _ => None,
        });
    let looks = names.into_iter().flat_map(|names| names.values());
    looks
        .map(|name| look(name))
        .filter(|look| !look.is_empty())
        .collect()
}

/// What the eye sees of a name.
fn look(name: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(name);
    let drawn: String = decomposed
        .chars()
        .filter(|next| next.is_alphanumeric() && !is_pointing(*next))
        .flat_map(|next| drawn_as(next).to_lowercase())
        // Capital I and small l are drawn alike, and case does not count.
        .map(|next| {
            if matches!(next, 'i' | 'ı') {
                'l'
            } else {
                next
            }
        })
        .collect();
    [
        ("ß", "ss"),
        ("æ", "ae"),
        ("œ", "oe"),
        ("rn", "m"),
        ("vv", "w"),
    ]
    .iter()
    .fold(drawn, |drawn, (from, to)| drawn.replace(from, to))
}

/// Vowel signs of Arabic and Hebrew, which writers leave out, and the stroke that only lengthens a word.
fn is_pointing(next: char) -> bool {
    matches!(next, '\u{591}'..='\u{5c7}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}')
}

/// The letter that this one is taken for.
fn drawn_as(letter: char) -> char {
    match letter {
        '0' | 'о' | 'О' | 'ο' | 'Ο' | 'օ' | 'Օ' | 'ø' | 'Ø' => 'o',
        '1' | 'ӏ' | 'Ӏ' | 'і' | 'І' | 'ι' | 'Ι' | 'ł' | 'Ł' => 'l',
        'а' | 'А' | 'α' | 'Α' | 'ɑ' => 'a',
        'В' | 'ь' | 'Ь' | 'β' | 'Β' => 'b',
        'с' | 'С' | 'ϲ' | 'Ϲ' => 'c',
        'ԁ' | 'đ' | 'Đ' => 'd',
        'е' | 'Е' | 'ε' | 'Ε' => 'e',
        'ց' | 'ɡ' => 'g',
        'Н' | 'һ' | 'Һ' | 'Η' | 'հ' => 'h',
        'ј' | 'Ј' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'м' | 'М' | 'Μ' => 'm',
        'Ν' | 'η' | 'п' | 'ո' => 'n',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' | 'Ԛ' => 'q',
        'г' => 'r',
        'ѕ' | 'Ѕ' => 's',
        'т' | 'Т' | 'τ' | 'Τ' => 't',
        'υ' | 'ս' | 'Ս' | 'μ' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'Ԝ' | 'ω' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'Υ' | 'γ' => 'y',
        'Ζ' => 'z',
        'ک' => 'ك',
        'ی' | 'ى' => 'ي',
        'ة' => 'ه',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::look;

    #[test]
    fn names_that_the_eye_takes_for_one_another_look_alike() {
        for (one, other) in [
            ("Pacific ICT Institute", "PACIFIC  ICT-Institute."),
            ("Université de Dakar", "Universite de Dakar"),
            // Cyrillic а, е, о and р; Greek capitals; digits.
            ("Open Bank", "Ореn Ваnк"),
            ("UN TONGA", "UΝ ΤΟΝGΑ"),
            ("Global School", "G1oba1 Sch00l"),
            ("Illinois Learning", "lllinois learning"),
            ("Modern Skills", "Modem Skills"),
            ("Ｆｕｌｌ width", "Full width"),
            ("المعهد الوطنيّ", "المعهد الوطني"),
        ] {
            assert_eq!(look(one), look(other), "{one} {other}");
        }
    }

    #[test]
    fn names_that_differ_do_not_look_alike() {
        for (one, other) in [
            ("Pacific ICT Institute", "Atlantic ICT Institute"),
            ("Université de Dakar", "Université de Bamako"),
            ("Школа", "Школы"),
            ("विद्यालय", "विद्यालयी"),
            ("東京大学", "京都大学"),
        ] {
            assert_ne!(look(one), look(other), "{one} {other}");
        }
        assert_eq!(look("—!?"), "");
    }
}
