//! Records that nobody wrote: the same on every run, of words that people use, as often as words are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use baraza::clock::{Clock as _, SystemClock};
use protocol::identity::write::{Change, Place, create};
use protocol::identity::{LogEntry, key_hash};
use protocol::key::SecretKey;
use protocol::record::Draft;
use protocol::time::Timestamp;
use serde_json::{Value, json};

const AUTHORS: usize = 100;
const CORES: usize = 2;
/// Enough for a million records to have words that only a few of them use.
const WORDS_MAX: usize = 40_000;

pub(crate) const AREAS: [&str; 4] = ["cyber", "policy", "data-ai", "connectivity"];
pub(crate) const COUNTRIES: [&str; 8] = ["KE", "SN", "BD", "EG", "FJ", "PE", "TN", "RW"];

/// Words from the most to the least frequent, each drawn as often as Zipf's law says.
pub(crate) struct Words {
    words: Vec<String>,
    /// Up to each word, its share and that of all before it.
    shares: Vec<f64>,
    /// Where they are from.
    pub(crate) source: &'static str,
}

impl Words {
    /// Reads the words of texts that lie beside the source tree; without them, makes some up.
    pub(crate) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let mut counts: HashMap<String, u64> = HashMap::new();
        for file in texts(&folder) {
            for word in words_of(&std::fs::read(file).unwrap_or_default()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_unstable_by(|(left, of_left), (right, of_right)| {
            (of_right, left).cmp(&(of_left, right))
        });
        words.truncate(WORDS_MAX);
        let (words, source) = match words.len() {
            0..1_000 => ((0..20_000).map(made_up).collect(), "made up"),
            _ => (words.into_iter().map(|(word, _)| word).collect(), "shared"),
        };
        Self::by_zipf(words, source)
    }

    fn by_zipf(words: Vec<String>, source: &'static str) -> Self {
        let mut sum = 0.0;
        let shares = (1..=words.len()).map(|place| {
            sum += 1.0 / place as f64;
            sum
        });
        Self {
            shares: shares.collect(),
            words,
            source,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.words.len()
    }

    fn draw(&self, chance: &mut Chance) -> &str {
        let point = chance.share() * self.shares.last().unwrap();
        let place = self.shares.partition_point(|share| *share < point);
        &self.words[place.min(self.words.len() - 1)]
    }

    fn text(&self, chance: &mut Chance, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.draw(chance)).collect();
        words.join(" ")
    }

    /// A word of these places in the order of frequency.
    fn among(&self, places: std::ops::Range<usize>, chance: &mut Chance) -> &str {
        let end = places.end.min(self.words.len());
        &self.words[places.start + chance.below(end - places.start)]
    }
}

/// Files of texts below a folder, in order.
fn texts(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of_path = |path: PathBuf| match path.extension().and_then(|ending| ending.to_str()) {
        _ if path.is_dir() => texts(&path),
        Some("csv" | "json" | "xml" | "md") => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(of_path).collect()
}

/// Small ASCII letters only: every engine cuts and folds such words in the same way.
fn words_of(text: &[u8]) -> impl Iterator<Item = String> {
    let words = text.split(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii());
    let is_plain =
        |word: &&[u8]| (3..=14).contains(&word.len()) && word.iter().all(u8::is_ascii_alphabetic);
    words
        .filter(is_plain)
        .map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
}

/// One word for each number.
fn made_up(number: usize) -> String {
    let syllables = ["ba", "ke", "lo", "mi", "nu", "ra", "si", "to", "vu", "za"];
    let digits = format!("{number:04}");
    digits
        .bytes()
        .map(|digit| syllables[usize::from(digit - b'0')])
        .collect()
}

/// A sequence of numbers that is the same on every run (SplitMix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Authors and what they sign.
pub(crate) struct Corpus {
    pub(crate) words: Words,
    authors: Vec<(LogEntry, SecretKey)>,
    now: Timestamp,
}

impl Corpus {
    pub(crate) fn new() -> Self {
        let now = SystemClock.now();
        let author = |number: usize| {
            let seed = |kind: u8| {
                SecretKey::from_seed(&[kind, number as u8].repeat(16).try_into().unwrap())
            };
            let change = Change {
                place: Place::new("hub.example", None, &["orgs", &format!("a{number}")]).unwrap(),
                record_keys: [seed(1).public()].into(),
                next_key_hashes: [key_hash(&seed(2).public())].into(),
                also_known_as: Vec::new(),
                services: Vec::new(),
            };
            (create(&change, &seed(3), now).unwrap(), seed(1))
        };
        Self {
            words: Words::read(),
            authors: (0..AUTHORS).map(author).collect(),
            now,
        }
    }

    /// The authors' key logs.
    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        self.authors
            .iter()
            .map(|(entry, _)| entry.clone())
            .collect()
    }

    /// A record's id.
    pub(crate) fn id(&self, number: usize) -> String {
        let (entry, _) = &self.authors[number % AUTHORS];
        format!("{}/r{number}", entry.did().scid())
    }

    /// Of each number below `count`, the place of its id among all in order.
    pub(crate) fn places(&self, count: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..count).collect();
        numbers.sort_by_cached_key(|number| self.id(*number));
        let mut places = vec![0; count];
        for (place, number) in numbers.into_iter().enumerate() {
            places[number] = place;
        }
        places
    }

    /// Signed records by their numbers, made on all cores.
    pub(crate) fn sign(&self, numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
        let numbers: Vec<usize> = numbers.collect();
        std::thread::scope(|scope| {
            let parts: Vec<_> = numbers
                .chunks(numbers.len().div_ceil(CORES).max(1))
                .map(|part| {
                    scope.spawn(|| {
                        part.iter()
                            .map(|number| self.sign_one(*number))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap())
                .collect()
        })
    }

    fn sign_one(&self, number: usize) -> Vec<u8> {
        self.sign_at(number, self.now)
    }

    /// A signed record by its number, issued at this time.
    pub(crate) fn sign_at(&self, number: usize, issued: Timestamp) -> Vec<u8> {
        let (entry, key) = &self.authors[number % AUTHORS];
        let tree = self.draft(number);
        let draft = Draft::new(tree.as_object().unwrap(), "CC-BY-4.0").unwrap();
        let signed = draft.sign(entry.did(), 1, issued, key).unwrap();
        signed.canonical().to_vec()
    }

    /// Some 1.5 kB when it is signed.
    fn draft(&self, number: usize) -> Value {
        let mut chance = Chance::new(number as u64);
        let mut text = |words| self.words.text(&mut chance, words);
        let (name, summary, description) = (text(6), text(25), text(80));
        json!({
            "type": "Offering", "localId": format!("r{number}"), "language": "en",
            "body": {
                "kind": "course", "name": {"en": name}, "summary": {"en": summary},
                "description": {"en": description},
                "url": format!("https://example.org/courses/{number}"),
                "areas": [AREAS[chance.below(AREAS.len())]],
                "countries": [COUNTRIES[chance.below(COUNTRIES.len())]],
                "languages": ["en"], "audiences": ["civil-servants"],
                "cost": {"kind": "free"}, "modes": ["online-self"],
            },
        })
    }

    /// Searches for rare, middle and common words in turn.
    pub(crate) fn asked(&self, count: usize) -> Vec<Asked> {
        let mut chance = Chance::new(7);
        let asked = |number: usize| {
            let (class, places, words) = CLASSES[number % CLASSES.len()].clone();
            let words: Vec<&str> = (0..words)
                .map(|_| self.words.among(places.clone(), &mut chance))
                .collect();
            Asked {
                class,
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                area: AREAS[chance.below(AREAS.len())],
                country: COUNTRIES[chance.below(COUNTRIES.len())],
            }
        };
        (0..count).map(asked).collect()
    }
}

/// What searches are for: the name of the class, the places of its words in the order of frequency, and
/// how many words.
type Class = (&'static str, std::ops::Range<usize>, usize);
const CLASSES: [Class; 3] = [
    ("rare", 4_000..usize::MAX, 1),
    ("middle", 100..2_000, 2),
    ("common", 0..100, 3),
];

/// A search: every word, and two codes.
pub(crate) struct Asked {
    pub(crate) class: &'static str,
    pub(crate) words: Vec<String>,
    pub(crate) area: &'static str,
    pub(crate) country: &'static str,
}
