//! Who offers.

use super::fields::{Code, Fields, TextMap};
use crate::codes::{AREAS, AUDIENCES, ORGANIZATION_KINDS};

/// The body of an `Organization`. Only `name` is required.
///
/// Member names follow schema.org `Organization` where it has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// Its name, by language.
    pub name: TextMap,
    /// Other names and abbreviations.
    pub alternate_names: Vec<Box<str>>,
    /// One or two sentences, by language.
    pub summary: TextMap,
    /// All there is to say, by language.
    pub description: TextMap,
    /// What kind of organisation.
    pub kind: Option<Code>,
    /// Its own website.
    pub website: Option<Box<str>>,
    /// The same organisation elsewhere: ROR, Wikidata, IATI.
    pub same_as: Vec<Box<str>>,
    /// Where it works.
    pub countries: Vec<Box<str>>,
    /// UN M49 regions in which it works.
    pub regions: Vec<Box<str>>,
    /// Languages in which it works.
    pub languages: Vec<Box<str>>,
    /// Its focus areas.
    pub areas: Vec<Code>,
    /// With whom it works.
    pub audiences: Vec<Code>,
    /// What it can do: skills of ESCO, DigComp, …
    pub capabilities: Vec<Code>,
    /// Where to write to: roles, never persons.
    pub contact_points: Vec<ContactPoint>,
    /// Who pays for its work.
    pub funders: Vec<Box<str>>,
    /// What it is a part of.
    pub parent_organization: Option<Box<str>>,
    /// What it is a member of.
    pub member_of: Vec<Box<str>>,
    /// What it stands to gain from what it offers, by language.
    pub commercial_interest: TextMap,
}

/// A role that answers (schema.org `ContactPoint`).
#[derive(Debug, Clone, PartialEq)]
pub struct ContactPoint {
    /// The role, by language: “Training desk”.
    pub role: TextMap,
    /// An address of the role.
    pub email: Option<Box<str>>,
    /// A number of the role.
    pub telephone: Option<Box<str>>,
    /// A form.
    pub url: Option<Box<str>>,
    /// Languages that it answers in.
    pub languages: Vec<Box<str>>,
}

impl Organization {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            name: fields.required_text_map("name"),
            alternate_names: fields.texts("alternateName"),
            summary: fields.text_map("summary"),
            description: fields.text_map("description"),
            kind: fields.code("kind", &ORGANIZATION_KINDS),
            website: fields.url("website"),
            same_as: fields.urls("sameAs"),
            countries: fields.countries("countries"),
            regions: fields.regions("regions"),
            languages: fields.languages("languages"),
            areas: fields.codes("areas", &AREAS),
            audiences: fields.codes("audiences", &AUDIENCES),
            capabilities: fields.foreign_codes("capabilities"),
            contact_points: fields.objects("contactPoints", |contact| ContactPoint {
                role: contact.text_map("role"),
                email: contact.text("email"),
                telephone: contact.text("telephone"),
                url: contact.url("url"),
                languages: contact.languages("languages"),
            }),
            funders: fields.texts("funders"),
            parent_organization: fields.text("parentOrganization"),
            member_of: fields.texts("memberOf"),
            commercial_interest: fields.text_map("commercialInterest"),
        }
    }
}
