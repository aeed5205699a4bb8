//! Languages, countries and regions, by code or by name.

use protocol::codes::{self, geography};
use serde_json::{Value, json};

use super::super::headers::short_tag;
use super::{Fault, Reader, list, parts};

impl Reader<'_> {
    fn language(&self, text: &str) -> Option<String> {
        match short_tag(text) {
            Some(tag) if codes::primary_language(&tag).len() == 2 => Some(tag),
            // Three letters may be another standard's code for a language that has two.
            other => self.labels.language(text).or(other),
        }
    }

    pub(super) fn languages(&mut self, pieces: Vec<String>) -> Vec<String> {
        let mut tags = Vec::new();
        for piece in pieces {
            if let Some(tag) = self.language(&piece) {
                tags.push(tag);
            } else if let Some(several) = parts(&piece, |part| self.language(part)) {
                tags.extend(several);
            } else {
                self.faults.push(Fault::new(
                    &piece,
                    "is no language that is known",
                    "write its name in English or French, or its tag such as fr or pt-BR; several parted by “;”",
                ));
            }
        }
        tags
    }

    pub(super) fn country(&self, text: &str) -> Option<String> {
        let code = text.to_ascii_uppercase().replace('_', "-");
        if geography::country(&code).is_some() || geography::country_of_subdivision(&code).is_some()
        {
            return Some(code);
        }
        self.labels.country(text).map(str::to_owned)
    }

    fn region(&self, text: &str) -> Option<&'static str> {
        const WORLD: [&str; 9] = [
            "world",
            "worldwide",
            "global",
            "all countries",
            "monde",
            "mondial",
            "mundial",
            "عالمي",
            "dunia nzima",
        ];
        if WORLD.contains(&text.to_lowercase().as_str()) {
            return Some(geography::WORLD);
        }
        self.known(&geography::REGIONS, text)
    }

    pub(super) fn countries(&mut self, path: &str, pieces: Vec<String>) -> Value {
        let mut countries = Vec::new();
        for piece in pieces {
            if let Some(code) = self.country(&piece) {
                countries.push(code);
            } else if let Some(region) = self.region(&piece).filter(|_| path == "countries") {
                self.beside.push(("regions", json!([region])));
            } else if let Some(several) = parts(&piece, |part| self.country(part)) {
                countries.extend(several);
            } else {
                self.faults.push(unknown_country(&piece));
            }
        }
        list(countries)
    }

    pub(super) fn regions(&mut self, pieces: Vec<String>) -> Value {
        let mut regions = Vec::new();
        for piece in pieces {
            let padded = format!("{piece:0>3}");
            if let Some(code) = self
                .region(&piece)
                .or_else(|| geography::REGIONS.get(&padded))
            {
                regions.push(code);
            } else if let Some(country) = self.country(&piece) {
                self.beside.push(("countries", json!([country])));
            } else if let Some(several) = parts(&piece, |part| self.region(part)) {
                regions.extend(several);
            } else {
                self.faults.push(Fault::new(
                    &piece,
                    "is no region that is known",
                    "write a region of UN M49, such as 011 for Western Africa",
                ));
            }
        }
        list(regions)
    }
}

pub(super) fn unknown_country(text: &str) -> Fault {
    let suggestion = match text.to_ascii_uppercase().as_str() {
        "UK" => "the code of the United Kingdom is GB",
        "EL" => "the code of Greece is GR",
        _ => "write its name in English or French, or its code such as KE; several parted by “;”",
    };
    Fault::new(text, "is no country that is known", suggestion)
}
