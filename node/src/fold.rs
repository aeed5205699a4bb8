//! How names that people type are compared: letters and digits alone, without case and accents.

/// The text as it is compared.
pub(crate) fn fold(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter_map(plain)
        .collect()
}

/// The letter without what writers leave out; `None` for what does not count.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        'أ' | 'إ' | 'آ' => 'ا',
        'ة' => 'ه',
        'ى' => 'ي',
        // Tatweel and vowel signs; combining accents.
        'ـ' | '\u{64B}'..='\u{652}' | '\u{300}'..='\u{36F}' => return None,
        other if other.is_alphanumeric() => other,
        _ => return None,
    })
}
