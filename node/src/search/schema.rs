//! The fields of the index. Nothing is stored but what filters, counts and order need: records
//! themselves are in the store.

use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, STRING, Schema, TextFieldIndexing, TextOptions,
};

use super::facet::Facet;
use super::text::STEMMED;

/// Raised with every change of fields, of text analysis ([`super::text`]) or of what is put into
/// them ([`super::document`]): an index of another version is refilled.
pub(super) const SCHEMA_VERSION: u32 = 2;

pub(super) const ID: &str = "id";
pub(super) const ISSUED: &str = "issued";
pub(super) const CONFIRMED: &str = "confirmed";
pub(super) const VALID_UNTIL: &str = "valid_until";
pub(super) const LANGUAGE_TAG: &str = "language_tag";

/// Handles of all fields.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    /// The record id: unique, and the last rule of every order.
    pub(super) id: Field,
    /// Codes to filter by, each with its family; see [`code`].
    pub(super) code: Field,
    /// Plain words with positions, by [`super::rank::Part`].
    pub(super) plain: [Field; 4],
    /// Stems, by position in [`STEMMED`], each with the letter of its part.
    pub(super) stems: [Field; STEMMED.len()],
    /// Beginnings of words, each with the letter of its part.
    pub(super) grams: Field,
    /// Codes to count, by position in [`Facet::ALL`].
    pub(super) counted: [Field; Facet::ALL.len()],
    /// The languages as the record writes them.
    pub(super) language_tag: Field,
    pub(super) issued: Field,
    pub(super) confirmed: Field,
    pub(super) valid_until: Field,
}

/// The column in which the codes of a family are counted.
pub(super) fn column(facet: Facet) -> String {
    format!("count_{}", facet.name())
}

/// A code with its family, as one term.
pub(super) fn code(family: &str, value: &str) -> String {
    format!("{family}={value}")
}

impl Fields {
    /// The schema and its handles.
    pub(super) fn build() -> (Schema, Self) {
        let mut schema = Schema::builder();
        // Texts are analysed before they come here: their words stand between single spaces.
        let indexed = |tokenizer, option| {
            TextOptions::default().set_indexing_options(
                TextFieldIndexing::default()
                    .set_tokenizer(tokenizer)
                    .set_fieldnorms(false)
                    .set_index_option(option),
            )
        };
        let column_only = || TextOptions::default().set_fast("raw");
        let number = || NumericOptions::default().set_fast();
        let fields = Self {
            id: schema.add_text_field(ID, STRING.set_fast("raw")),
            code: schema.add_text_field("code", indexed("raw", IndexRecordOption::Basic)),
            plain: ["name", "summary", "description", "label"].map(|part| {
                schema.add_text_field(
                    &format!("plain_{part}"),
                    indexed("whitespace", IndexRecordOption::WithFreqsAndPositions),
                )
            }),
            stems: STEMMED.map(|(language, _)| {
                schema.add_text_field(
                    &format!("stems_{language}"),
                    indexed("whitespace", IndexRecordOption::Basic),
                )
            }),
            grams: schema.add_text_field("grams", indexed("whitespace", IndexRecordOption::Basic)),
            counted: Facet::ALL.map(|facet| schema.add_text_field(&column(facet), column_only())),
            language_tag: schema.add_text_field(LANGUAGE_TAG, column_only()),
            issued: schema.add_u64_field(ISSUED, number()),
            confirmed: schema.add_u64_field(CONFIRMED, number()),
            valid_until: schema.add_u64_field(VALID_UNTIL, number()),
        };
        (schema.build(), fields)
    }
}
