//! Yes or no, counts, amounts of money.

use serde_json::Value;

use super::Fault;

pub(super) fn flag(text: &str) -> Result<Value, Fault> {
    const YES: [&str; 12] = [
        "true", "yes", "y", "1", "x", "✓", "oui", "sí", "si", "sim", "نعم", "ndiyo",
    ];
    const NO: [&str; 10] = [
        "false", "no", "n", "0", "non", "não", "nao", "لا", "hapana", "la",
    ];
    match text.to_lowercase().as_str() {
        text if YES.contains(&text) => Ok(true.into()),
        text if NO.contains(&text) => Ok(false.into()),
        _ => Err(Fault::new(
            text,
            "is neither yes nor no",
            "write yes or no, or leave the cell empty",
        )),
    }
}

pub(super) fn ascii_digits(text: &str) -> String {
    let digit = |letter: char| match letter {
        '٠'..='٩' => char::from_digit(letter as u32 - '٠' as u32, 10),
        '۰'..='۹' => char::from_digit(letter as u32 - '۰' as u32, 10),
        _ => None,
    };
    text.trim()
        .chars()
        .map(|letter| digit(letter).unwrap_or(letter))
        .collect()
}

pub(super) fn count(text: &str) -> Result<Value, Fault> {
    let digits: String = ascii_digits(text)
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let number = digits
        .parse::<u64>()
        .ok()
        .filter(|_| digits.len() <= 15 && !digits.starts_with('+'));
    number
        .map(Value::from)
        .ok_or_else(|| Fault::new(text, "is no whole number", "write digits alone, such as 30"))
}

/// A decimal number as records write it: digits and at most one point.
pub(super) fn decimal(text: &str) -> Result<String, Fault> {
    let compact: String = ascii_digits(text)
        .chars()
        .filter(|letter| {
            !letter.is_whitespace() && !matches!(letter, '\u{A0}' | '\u{202F}' | '\'' | '’')
        })
        .collect();
    let (sign, number) = match compact.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", compact.strip_prefix('+').unwrap_or(&compact)),
    };
    let fault = |suggestion: String| {
        Err(Fault::new(
            text,
            "is no number that can be read in one way",
            suggestion,
        ))
    };
    let groups = |text: &str, mark: char| {
        let mut parts = text.split(mark);
        parts
            .next()
            .is_some_and(|first| (1..=3).contains(&first.len()))
            && parts.all(|part| part.len() == 3)
    };
    let number = match (number.rfind(','), number.rfind('.')) {
        (None, None) => number.to_owned(),
        (Some(comma), Some(point)) => {
            let (mark, at) = if comma < point {
                (',', point)
            } else {
                ('.', comma)
            };
            let (whole, fraction) = number.split_at_checked(at).unwrap_or_default();
            if !groups(whole, mark) {
                return fault("write digits and one point, such as 12.50".to_owned());
            }
            format!(
                "{}.{}",
                whole.replace(mark, ""),
                fraction.get(1..).unwrap_or_default()
            )
        }
        (Some(comma), None) => match number.split_at_checked(comma) {
            Some((whole, fraction)) if fraction.len() == 4 || whole.contains(',') => {
                return fault(format!(
                    "write {whole}{rest} or {whole}.{rest}",
                    whole = whole.replace(',', ""),
                    rest = fraction.trim_start_matches(',')
                ));
            }
            _ => number.replace(',', "."),
        },
        (None, Some(_)) => number.to_owned(),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, "0"));
    let digits = |part: &str| {
        (1..=20).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(whole) && digits(fraction) {
        return Ok(format!("{sign}{number}"));
    }
    fault("write digits and one point, such as 12.50".to_owned())
}

/// `50`, `50 USD`, `EUR 12,50` as price and currency.
pub(super) fn amount(text: &str) -> Option<(String, Option<String>)> {
    if let Ok(price) = decimal(text) {
        return Some((price, None));
    }
    let (first, last) = text.split_once(char::is_whitespace)?;
    let code = |text: &str| {
        currency(text.trim())
            .ok()
            .and_then(|code| code.as_str().map(str::to_owned))
    };
    match (decimal(first), decimal(last)) {
        (Ok(price), _) => Some((price, Some(code(last)?))),
        (_, Ok(price)) => Some((price, Some(code(first)?))),
        _ => None,
    }
}

pub(super) fn currency(text: &str) -> Result<Value, Fault> {
    let code = match text {
        "€" => "EUR".to_owned(),
        "£" => "GBP".to_owned(),
        "₹" => "INR".to_owned(),
        "₦" => "NGN".to_owned(),
        "₣" | "$" | "¥" => String::new(),
        other => other.to_ascii_uppercase(),
    };
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(code.into());
    }
    Err(Fault::new(
        text,
        "is no currency",
        "write its three letters of ISO 4217, such as KES",
    ))
}
