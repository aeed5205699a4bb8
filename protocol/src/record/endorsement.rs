//! What one organisation says of another, such as a hub of its member.

use super::fields::Fields;
use crate::codes::ENDORSEMENT_CLAIMS;
use crate::id::Scid;

/// The body of an `Endorsement`. Who says so is the record's author, until when its `validUntil`.
#[derive(Debug, Clone, PartialEq)]
pub struct Endorsement {
    /// Of whom it is said.
    pub subject: Option<Scid>,
    /// What is said.
    pub claim: &'static str,
}

impl Endorsement {
    /// The claim that the subject is a member.
    pub const MEMBER: &'static str = "member";

    /// The local id of the record that says whether an author is a member: one for each, so that
    /// membership is looked up and never searched for.
    pub fn member_id(subject: &Scid) -> String {
        let digest = subject.as_digest().iter();
        let hex: String = digest.map(|byte| format!("{byte:02x}")).collect();
        format!("member-{hex}")
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            subject: fields.required_scid("subject"),
            claim: fields.required_own_code("claim", &ENDORSEMENT_CLAIMS),
        }
    }
}
