//! From text to the words that are compared: the same path for records and for queries.
//!
//! Every text gives *plain* words, whatever its language: NFKC, lower case, diacritics folded,
//! Arabic letter forms unified, scripts without spaces cut by ICU4X. Beside them a text gives the
//! *stems* of its language where there is a stemmer, and otherwise *grams*, the beginnings of its
//! words, so that a language nobody thought of works like a known one. Scripts without spaces give
//! *sequences* of letters too, for where words were cut otherwise.
//!
//! A change of what comes out here is a change of the index: raise `SCHEMA_VERSION` in
//! [`super::schema`].

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_segmenter::{WordSegmenter, options::WordBreakInvariantOptions};
use protocol::codes::primary_language;
use tantivy::tokenizer::{Language, Stemmer, TextAnalyzer, TokenStream, WhitespaceTokenizer};

/// Longer words are cut: what lies beyond tells no two words of a language apart.
const WORD_CHARS_MAX: usize = 64;
/// The shortest beginning of a word that is kept as a gram.
const GRAM_CHARS_MIN: usize = 3;
/// The longest.
const GRAM_CHARS_MAX: usize = 15;
/// Endings of up to so many letters may differ between a query's word and a record's.
const GRAM_ENDING_CHARS: usize = 2;
/// A query's word is never shortened below this.
const GRAM_QUERY_CHARS_MIN: usize = 4;

/// Languages with a stemmer, by primary subtag. The position in this list names the field.
pub(super) const STEMMED: [(&str, Language); 18] = [
    ("ar", Language::Arabic),
    ("da", Language::Danish),
    ("nl", Language::Dutch),
    ("en", Language::English),
    ("fi", Language::Finnish),
    ("fr", Language::French),
    ("de", Language::German),
    ("el", Language::Greek),
    ("hu", Language::Hungarian),
    ("it", Language::Italian),
    ("no", Language::Norwegian),
    ("pt", Language::Portuguese),
    ("ro", Language::Romanian),
    ("ru", Language::Russian),
    ("es", Language::Spanish),
    ("sv", Language::Swedish),
    ("ta", Language::Tamil),
    ("tr", Language::Turkish),
];

/// Languages written without spaces: their plain words already are what a stemmer would give.
const SEGMENTED: [&str; 7] = ["zh", "yue", "ja", "th", "km", "lo", "my"];

/// What a text gives beside its plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Analysis {
    /// The stems of the language at this position of [`STEMMED`].
    Stems(usize),
    /// Nothing: see [`SEGMENTED`].
    Segments,
    /// The beginnings of its words.
    Grams,
}

/// What the text of a language gives; any tag will do.
pub(super) fn analysis_of(tag: &str) -> Analysis {
    let primary = match primary_language(tag) {
        "nb" | "nn" => "no",
        other => other,
    };
    if let Some(position) = STEMMED.iter().position(|(code, _)| *code == primary) {
        Analysis::Stems(position)
    } else if SEGMENTED.contains(&primary) {
        Analysis::Segments
    } else {
        Analysis::Grams
    }
}

/// A word, before and after folding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// In lower case with its diacritics: what stemmers were made for.
    lower: Cow<'t, str>,
    /// As it is compared.
    pub(super) folded: Cow<'t, str>,
}

impl Word<'_> {
    pub(super) fn into_owned(self) -> Word<'static> {
        Word {
            lower: Cow::Owned(self.lower.into_owned()),
            folded: Cow::Owned(self.folded.into_owned()),
        }
    }
}

/// A text with its compatibility forms unified, in lower case, without what is invisible or only
/// ornament.
#[derive(Debug)]
pub(super) struct Lowered(String);

impl Lowered {
    pub(super) fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self(text.to_ascii_lowercase());
        }
        let decomposed = DecomposingNormalizerBorrowed::new_nfkd()
            .normalize(text)
            .to_lowercase();
        let visible: String = decomposed
            .chars()
            .filter(|letter| !is_ignored(*letter))
            .collect();
        Self(
            ComposingNormalizerBorrowed::new_nfc()
                .normalize(&visible)
                .into_owned(),
        )
    }

    /// The words of the text, in order.
    pub(super) fn words(&self) -> Vec<Word<'_>> {
        let mut found = Vec::new();
        for chunk in self.0.split_whitespace() {
            if chunk.chars().all(is_spaced) {
                found.extend(spaced_words(chunk));
                continue;
            }
            let segmenter = WordSegmenter::new_auto(WordBreakInvariantOptions::default());
            let mut start = 0;
            for (end, kind) in segmenter.segment_str(chunk).iter_with_word_type() {
                let segment = chunk.get(start..end).unwrap_or_default();
                start = end;
                if segment.chars().all(is_spaced) {
                    found.extend(spaced_words(segment));
                } else if kind.is_word_like() {
                    found.extend(word(segment));
                }
            }
        }
        found
    }

    /// Short runs of letters of the scripts without spaces, overlapping: pairs for Chinese and
    /// Japanese, threes for Thai, Khmer, Lao and Burmese.
    ///
    /// Where words end in these scripts depends on what stands around them, so a record may have
    /// been cut otherwise than a query. If all runs of the query's are there, so most likely is its
    /// text.
    pub(super) fn sequences(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.0.chars().all(is_spaced) {
            return found;
        }
        let letters: Vec<char> = self.0.chars().collect();
        for run in letters.chunk_by(|left, right| sequence_length(*left) == sequence_length(*right))
        {
            if let Some(length) = run.first().copied().and_then(sequence_length) {
                found.extend(
                    run.windows(length)
                        .map(|letters| fold(&String::from_iter(letters)).into_owned()),
                );
            }
        }
        found
    }
}

/// Whether a letter belongs to the scripts, Latin to Syriac, in which words are simply runs of
/// letters and digits; all others are left to ICU4X.
fn is_spaced(letter: char) -> bool {
    letter < '\u{900}' || ('\u{1e00}'..='\u{206f}').contains(&letter)
}

fn spaced_words(chunk: &str) -> impl Iterator<Item = Word<'_>> {
    chunk
        .split(|letter: char| !letter.is_alphanumeric() && !is_diacritic(letter))
        .filter_map(word)
}

fn word(text: &str) -> Option<Word<'_>> {
    let end = text
        .char_indices()
        .nth(WORD_CHARS_MAX)
        .map_or(text.len(), |(end, _)| end);
    let lower = text.get(..end)?;
    let folded = fold(lower);
    folded.chars().any(char::is_alphanumeric).then_some(Word {
        lower: Cow::Borrowed(lower),
        folded,
    })
}

/// Soft hyphens, joiners and marks of direction; Arabic vowel signs and the stretching stroke;
/// Hebrew points.
fn is_ignored(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e4}' | '\u{6e7}' | '\u{6e8}' | '\u{6ea}'..='\u{6ed}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}')
}

/// The marks that alphabets add to their letters. Vowel signs of Indic and other scripts are not
/// among them: without those, words of different meaning would be one.
fn is_diacritic(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}')
}

/// A word as it is compared: without diacritics, and with letters that people interchange unified.
fn fold(lower: &str) -> Cow<'_, str> {
    if lower.is_ascii() {
        return Cow::Borrowed(lower);
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(lower);
    let mut folded = String::with_capacity(decomposed.len());
    for letter in decomposed.chars().filter(|letter| !is_diacritic(*letter)) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' | 'ɔ' => folded.push('o'),
            'đ' | 'ð' | 'ɗ' | 'ɖ' => folded.push('d'),
            'ł' => folded.push('l'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            'ŋ' => folded.push('n'),
            'ɓ' => folded.push('b'),
            'ƙ' => folded.push('k'),
            'ƴ' => folded.push('y'),
            'ɛ' => folded.push('e'),
            'ς' => folded.push('σ'),
            'ٱ' => folded.push('ا'),
            'ى' | 'ی' => folded.push('ي'),
            'ک' => folded.push('ك'),
            'ة' | 'ہ' => folded.push('ه'),
            '٠'..='٩' => folded.push(ascii_digit(letter, '٠')),
            '۰'..='۹' => folded.push(ascii_digit(letter, '۰')),
            other => folded.push(other),
        }
    }
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&folded);
    Cow::Owned(composed.into_owned())
}

fn ascii_digit(digit: char, zero: char) -> char {
    char::from_digit(u32::from(digit).wrapping_sub(u32::from(zero)), 10).unwrap_or(digit)
}

/// Gives `each` the stems of words, folded: for each word that of its written form and that of its
/// folded form, so that `sécurité` and `securite` meet although the stemmer knows only the first.
pub(super) fn stems(position: usize, words: &[Word<'_>], mut each: impl FnMut(&str)) {
    let Some((code, language)) = STEMMED.get(position) else {
        return;
    };
    let mut analyzer = TextAnalyzer::builder(WhitespaceTokenizer::default())
        .filter(Stemmer::new(*language))
        .build();
    let mut stem = |forms: String| {
        analyzer
            .token_stream(&forms)
            .process(&mut |token| each(&fold(&token.text)));
    };
    stem(joined(words.iter().map(|word| word.lower.as_ref())));
    if *code == "ar" {
        for word in words {
            each(light_arabic_stem(&word.folded));
        }
        return;
    }
    let differing = words.iter().filter(|word| word.lower != word.folded);
    stem(joined(differing.map(|word| word.folded.as_ref())));
}

/// Words with single spaces between them.
pub(super) fn joined<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// A folded Arabic word without its article and its commonest endings (the “light10” stemmer of
/// Larkey, Ballesteros and Connell). The Snowball stemmer takes a word with the article for a noun
/// and one without for a verb, so that `السيبراني` and `سيبراني` do not meet under it.
fn light_arabic_stem(word: &str) -> &str {
    let letters = |text: &str| text.chars().count();
    let articles = ["وال", "بال", "كال", "فال", "لل", "ال"].iter();
    let mut stem = articles
        .filter_map(|article| word.strip_prefix(article))
        .find(|rest| letters(rest) >= 2)
        .unwrap_or(word);
    for ending in ["ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي"] {
        stem = stem
            .strip_suffix(ending)
            .filter(|rest| letters(rest) >= 2)
            .unwrap_or(stem);
    }
    stem
}

/// How many letters a run of this letter's script has; `None` for scripts with spaces.
fn sequence_length(letter: char) -> Option<usize> {
    match letter {
        '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Some(2),
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => Some(3),
        _ => None,
    }
}

/// The beginnings of a record's word, 3 to 15 letters long.
pub(super) fn grams<'w>(word: &'w Word<'_>) -> impl Iterator<Item = &'w str> {
    let ends = word
        .folded
        .char_indices()
        .map(|(start, letter)| start + letter.len_utf8());
    ends.take(GRAM_CHARS_MAX)
        .skip(GRAM_CHARS_MIN - 1)
        .filter_map(|end| word.folded.get(..end))
}

/// The beginning that a record's word must have to answer a query's word; `None` for a word too
/// short to have any.
///
/// Up to two last letters may differ, where four are left: `mafunzoni` finds `mafunzo`.
pub(super) fn gram_asked<'w>(word: &'w Word<'_>) -> Option<&'w str> {
    let letters = word.folded.chars().count();
    let kept = letters
        .saturating_sub(GRAM_ENDING_CHARS)
        .max(GRAM_QUERY_CHARS_MIN)
        .min(letters)
        .min(GRAM_CHARS_MAX);
    grams(word).nth(kept.checked_sub(GRAM_CHARS_MIN)?)
}

#[cfg(test)]
mod tests {
    use super::{Analysis, Lowered, Word, analysis_of, gram_asked, grams, stems};

    fn words(text: &str) -> Vec<Word<'static>> {
        let lowered = Lowered::of(text);
        lowered.words().into_iter().map(Word::into_owned).collect()
    }

    fn sequences(text: &str) -> Vec<String> {
        Lowered::of(text).sequences()
    }

    fn plain(text: &str) -> Vec<String> {
        words(text)
            .into_iter()
            .map(|word| word.folded.into_owned())
            .collect()
    }

    fn stem(tag: &str, text: &str) -> Vec<String> {
        let Analysis::Stems(position) = analysis_of(tag) else {
            panic!("{tag} has no stemmer")
        };
        let mut found = Vec::new();
        stems(position, &words(text), |stem| found.push(stem.to_owned()));
        found
    }

    #[test]
    fn accents_are_one_whether_composed_decomposed_or_left_out() {
        for text in [
            "Sécurité",
            "Se\u{301}curite\u{301}",
            "SECURITE",
            "ｓｅｃｕｒｉｔｅ",
        ] {
            assert_eq!(plain(text), ["securite"], "{text}");
        }
        assert_eq!(plain("Ærø STRASSE straße"), ["aero", "strasse", "strasse"]);
        assert_eq!(plain("ɗalibai ƙasa"), ["dalibai", "kasa"]);
    }

    #[test]
    fn arabic_letter_forms_vowel_signs_and_stretching_make_no_difference() {
        for text in ["الأمن", "الامن", "الأَمْن", "الأمـــن", "ٱلأمن"]
        {
            assert_eq!(plain(text), ["الامن"], "{text}");
        }
        assert_eq!(plain("مهارة مهاره ٢٠٢٦"), ["مهاره", "مهاره", "2026"]);
    }

    #[test]
    fn words_end_at_apostrophes_and_signs() {
        assert_eq!(
            plain("l'accès, e-learning; v2.0 «été»"),
            ["l", "acces", "e", "learning", "v2", "0", "ete"]
        );
        assert_eq!(plain("*:* % \\ -- \u{200b} 🎓"), Vec::<String>::new());
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_words() {
        assert_eq!(plain("网络安全培训"), ["网络", "安全", "培训"]);
        assert!(plain("การฝึกอบรมดิจิทัล").len() > 1);
        assert_eq!(plain("डिजिटल साक्षरता"), ["डिजिटल", "साक्षरता"]);
        assert_eq!(plain("AI技術"), ["ai", "技術"]);
    }

    #[test]
    fn sequences_are_of_scripts_without_spaces_only() {
        assert_eq!(sequences("AI 技術者 x"), ["技術", "術者"]);
        assert_eq!(sequences("หลัก"), ["หลั", "ลัก"]);
        assert!(sequences("网").is_empty() && sequences("security ስልጠና 한국어").is_empty());
    }

    #[test]
    fn vowel_signs_of_indic_scripts_tell_words_apart() {
        assert_ne!(plain("की"), plain("का"));
    }

    #[test]
    fn stems_meet_with_and_without_accents_and_articles() {
        let sought = stem("fr", "securite");
        assert!(
            stem("fr", "sécurités")
                .iter()
                .any(|stem| sought.contains(stem))
        );
        for (one, other) in [
            ("تدريب", "والتدريب"),
            ("سيبراني", "السيبراني"),
            ("مهارات", "المهارة"),
            ("رقمي", "الرقمية"),
        ] {
            let sought = stem("ar", one);
            assert!(
                stem("ar", other).iter().any(|stem| sought.contains(stem)),
                "{one}"
            );
        }
        assert_eq!(stem("pt-BR", "formação").len(), 2);
    }

    #[test]
    fn grams_are_the_beginnings_of_words() {
        let word = words("elimu").remove(0);
        assert_eq!(grams(&word).collect::<Vec<_>>(), ["eli", "elim", "elimu"]);
        let asked = |text: &str| gram_asked(&words(text).remove(0)).map(str::to_owned);
        assert_eq!(asked("ab"), None);
        assert_eq!(asked("data").as_deref(), Some("data"));
        assert_eq!(asked("mafunzoni").as_deref(), Some("mafunzo"));
        assert_eq!(asked(&"x".repeat(90)).map(|gram| gram.len()), Some(15));
    }

    #[test]
    fn a_language_that_no_list_has_is_given_grams() {
        for tag in ["sw", "am", "ha", "qqq", "x-ours", "tlh-Latn"] {
            assert_eq!(analysis_of(tag), Analysis::Grams, "{tag}");
        }
        assert_eq!(analysis_of("zh-Hant-TW"), Analysis::Segments);
        assert_eq!(analysis_of("nb"), analysis_of("no"));
    }
}
