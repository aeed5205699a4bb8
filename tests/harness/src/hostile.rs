//! What hostile nodes do to the answers that they give.

mod comparing;

use protocol::id::Scid;

use crate::chance::Chance;
use crate::told::Told;
use crate::wire::Host;

/// How a hostile node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Now this, now that.
    Any,
    /// It gives no answer.
    Silent,
    /// It hides tombstones, and one author, in every answer, and is honest otherwise.
    Hiding,
    /// As [`Mood::Any`], but it brings up nothing that honest nodes do not know, beside what it has signed
    /// with stolen keys, and that in every answer: while others come to rest.
    Settled,
}

/// A hostile node's way of answering.
pub struct Liar {
    /// How it behaves.
    pub mood: Mood,
    /// What it gives with its answers, such as what it signed with stolen keys: places in what was told.
    pub bag: Vec<usize>,
    /// Whose records it hides.
    pub hides: Option<Scid>,
    chance: Chance,
}

impl Liar {
    /// One that lies by this chance.
    pub fn new(chance: Chance) -> Self {
        Self {
            mood: Mood::Any,
            bag: Vec::new(),
            hides: None,
            chance,
        }
    }

    /// What becomes of an honest answer; `None` if there is none.
    pub(crate) fn twist(
        &mut self,
        honest: String,
        told: &[Told],
        others: &[&Host],
    ) -> Option<String> {
        let mut lines: Vec<String> = honest.split_inclusive('\n').map(str::to_owned).collect();
        if self.mood == Mood::Hiding {
            hide_tombstones(&mut lines);
            self.hide_author(&mut lines);
            return Some(lines.concat());
        }
        let end = lines.pop();
        match self.chance.below(10) {
            _ if self.mood == Mood::Silent => return None,
            0 => return None,
            1 => hide_tombstones(&mut lines),
            2 | 3 => self.hide_author(&mut lines),
            4 => {
                for line in self.replays(told, others) {
                    let place = self.chance.below(lines.len() + 1);
                    lines.insert(place, line);
                }
            }
            5 => self.garble(&mut lines),
            6 => self.chance.shuffle(&mut lines),
            7 => lines.extend(self.junk()),
            8 => lines.extend(lines.clone()),
            _ => {}
        }
        if self.mood == Mood::Settled || self.chance.happens(60) {
            for place in self.bag.clone() {
                lines.push(told[place].line());
            }
        }
        match self.chance.below(8) {
            0 => lines.push("{\"cursor\":\"elsewhere-7\"}\n".to_owned()),
            1 => lines.push(format!("{{\"cursor\":\"x-{}\"}}\n", u64::MAX)),
            2 => {}
            _ => lines.extend(end),
        }
        Some(lines.concat())
    }

    fn hide_author(&self, lines: &mut Vec<String>) {
        if let Some(scid) = self.hides.map(|scid| scid.to_string()) {
            lines.retain(|line| !line.contains(&scid));
        }
    }

    /// Things that were said once, whatever became of them since.
    fn replays(&mut self, told: &[Told], others: &[&Host]) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..5 {
            let Some(old) = told.get(self.chance.below(told.len())) else {
                break;
            };
            let is_known = || match old.hash() {
                Some(hash) => others.iter().any(|other| other.store.knows(&hash).unwrap()),
                None => false,
            };
            if self.mood == Mood::Any || is_known() {
                lines.push(old.line());
            }
        }
        lines
    }

    /// One altered byte, or something cut out of the middle.
    fn garble(&mut self, lines: &mut [String]) {
        if lines.is_empty() {
            return;
        }
        let place = self.chance.below(lines.len());
        let mut bytes = lines[place].clone().into_bytes();
        let at = self.chance.below(bytes.len());
        bytes[at] = b'a' + self.chance.below(26) as u8;
        if let Ok(line) = String::from_utf8(bytes) {
            lines[place] = line;
        }
    }

    /// What is no line at all, or one that names what nobody has.
    fn junk(&mut self) -> Vec<String> {
        (0..1 + self.chance.below(20))
            .map(|_| match self.chance.below(4) {
                0 => "{}\n".to_owned(),
                1 => "{\"record\":{\"spec\":\"baraza/1\"}}\n".to_owned(),
                2 => format!("{{\"record\":{}}}\n", self.chance.number()),
                _ => "not even json\n".to_owned(),
            })
            .collect()
    }
}

fn hide_tombstones(lines: &mut Vec<String>) {
    lines.retain(|line| !line.contains("\"status\":\"withdrawn\""));
}
