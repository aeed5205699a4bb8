//! Dates and durations.

use protocol::time::Timestamp;
use serde_json::Value;

use super::numbers::ascii_digits;
use super::{Fault, Reader};

impl Reader<'_> {
    pub(super) fn date(&mut self, text: &str) -> Result<String, Fault> {
        const RIGHT: &str = "write year-month-day, such as 2027-01-12";
        let text = ascii_digits(text);
        let is_day = |text: &str| Timestamp::parse(&format!("{text}T00:00:00Z")).is_ok();
        if (text.len() == 10 && is_day(&text)) || Timestamp::parse(&text).is_ok() {
            return Ok(text);
        }
        let fault = |problem: &str, suggestion: &str| Err(Fault::new(&text, problem, suggestion));
        if text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return fault(
                "is a spreadsheet's own day number",
                "format the column as dates like 2027-01-12 and save again",
            );
        }
        if let Some((day, time)) = text.split_at_checked(10) {
            let has_time = time.starts_with([' ', 'T']) && time.contains(':');
            if has_time && is_day(day) {
                self.note("times of day without a time zone were left out");
                return Ok(day.to_owned());
            }
        }
        let parts: Vec<&str> = text.split(['/', '.', '-']).map(str::trim).collect();
        let [first, second, third] = parts.as_slice() else {
            return fault("is no date", RIGHT);
        };
        let day = |year: &str, month: &str, day: &str| {
            Some(format!("{year}-{month:0>2}-{day:0>2}"))
                .filter(|text| text.len() == 10 && is_day(text))
        };
        if first.len() == 4 {
            return day(first, second, third).map_or_else(|| fault("is no date", RIGHT), Ok);
        }
        // Where days and months are parted by dots, the day comes first.
        let readings = match (day(third, second, first), day(third, first, second)) {
            (Some(day_first), _) if text.contains('.') => vec![day_first],
            (Some(day_first), Some(month_first)) if day_first == month_first => vec![day_first],
            (day_first, month_first) => day_first.into_iter().chain(month_first).collect(),
        };
        match readings.as_slice() {
            [only] => Ok(only.clone()),
            [day_first, month_first] => fault(
                "may be two dates",
                &format!("write {day_first} or {month_first}"),
            ),
            _ => fault("is no date", RIGHT),
        }
    }
}

/// `P6W` as it is; `6 weeks`, `12 h`, `3 jours` as ISO 8601.
pub(super) fn duration(text: &str) -> Result<Value, Fault> {
    const UNITS: [(&str, &str, &str); 6] = [
        (
            "PT",
            "M",
            "m min mins minute minutes minuto minutos دقيقة دقائق dakika",
        ),
        (
            "PT",
            "H",
            "h hr hrs hour hours heure heures hora horas ساعة ساعات saa",
        ),
        (
            "P",
            "D",
            "d day days jour jours j día dia días dias يوم أيام siku",
        ),
        (
            "P",
            "W",
            "w wk wks week weeks semaine semaines semana semanas أسبوع أسابيع wiki",
        ),
        (
            "P",
            "M",
            "month months mois mes meses mês شهر أشهر شهور mwezi miezi",
        ),
        (
            "P",
            "Y",
            "y yr yrs year years an ans année años año ano anos سنة سنوات mwaka miaka",
        ),
    ];
    let plain = ascii_digits(text);
    if plain.starts_with(['P', 'p']) && plain.chars().any(|letter| letter.is_ascii_digit()) {
        // Its form is checked with the body.
        return Ok(plain.to_uppercase().into());
    }
    let digits = plain.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = plain.split_at_checked(digits).unwrap_or_default();
    let unit = unit.trim().trim_end_matches('.').to_lowercase();
    let found = UNITS
        .iter()
        .find(|(_, _, words)| words.split(' ').any(|word| word == unit));
    match found {
        Some((before, after, _)) if (1..=6).contains(&number.len()) => {
            Ok(format!("{before}{number}{after}").into())
        }
        _ => {
            let hours = if unit.is_empty() && !number.is_empty() {
                number
            } else {
                "12"
            };
            let right = format!("write it like P6W (6 weeks) or PT{hours}H ({hours} hours)");
            Err(Fault::new(
                text,
                "is no duration that can be read in one way",
                right,
            ))
        }
    }
}
