//! What records say: the typed bodies, a file each, unaware of each other.
//!
//! A body is checked twice: when its author publishes it, where every fault is named with its field,
//! and when a node shows it, where a fault means that the record is not shown, with the reason. It is
//! never checked on admission (see [`crate::envelope`]), and members that a type does not know are
//! left alone. Unknown is never “no”: an absent member says nothing.

mod checkpoint;
mod draft;
mod endorsement;
mod fields;
mod node_card;
mod offering;
mod organization;
mod solution;

use serde_json::{Map, Value};

pub use checkpoint::{Checkpoint, Completeness};
pub use draft::{Draft, DraftError};
pub use endorsement::Endorsement;
pub use fields::{Code, FieldError, FieldErrors, TextMap};
pub use node_card::{Carries, NodeCard, Software};
pub use offering::{Certificate, Cost, Funding, Instance, Offering, Place};
pub use organization::{ContactPoint, Organization};
pub use solution::{DpgStatus, Solution};

use fields::Fields;

/// A body whose type this version knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Something that is offered.
    Offering(Box<Offering>),
    /// Who offers.
    Organization(Box<Organization>),
    /// Something that can be used.
    Solution(Box<Solution>),
    /// How many records an author has.
    Checkpoint(Checkpoint),
    /// What one organisation says of another.
    Endorsement(Endorsement),
    /// What a node says of itself.
    NodeCard(Box<NodeCard>),
}

impl Body {
    /// Reads the body of a record of type `kind`; `None` if this version does not know the type.
    ///
    /// # Errors
    /// Every fault, each with the path of its member.
    pub fn read(kind: &str, body: &Map<String, Value>) -> Result<Option<Self>, FieldErrors> {
        Self::read_fields(kind, Fields::of(body))
    }

    /// As [`Body::read`], of what is not signed yet: what is odd and harmless in a record that stands is
    /// a fault in one that is being written.
    ///
    /// # Errors
    /// As [`Body::read`]; also languages that are written by name, such as `english`.
    pub fn read_draft(kind: &str, body: &Map<String, Value>) -> Result<Option<Self>, FieldErrors> {
        Self::read_fields(kind, Fields::of_draft(body))
    }

    fn read_fields(kind: &str, mut fields: Fields<'_>) -> Result<Option<Self>, FieldErrors> {
        let read = match kind {
            "Offering" => Self::Offering(Box::new(Offering::read(&mut fields))),
            "Organization" => Self::Organization(Box::new(Organization::read(&mut fields))),
            "Solution" => Self::Solution(Box::new(Solution::read(&mut fields))),
            "Checkpoint" => Self::Checkpoint(Checkpoint::read(&mut fields)),
            "Endorsement" => Self::Endorsement(Endorsement::read(&mut fields)),
            NodeCard::TYPE => Self::NodeCard(Box::new(NodeCard::read(&mut fields))),
            _ => return Ok(None),
        };
        fields.finish().map(|()| Some(read))
    }

    /// The name that is shown, in the languages it was given.
    pub fn name(&self) -> Option<&TextMap> {
        match self {
            Self::Offering(offering) => Some(&offering.name),
            Self::Organization(organization) => Some(&organization.name),
            Self::Solution(solution) => Some(&solution.name),
            Self::Checkpoint(_) | Self::Endorsement(_) | Self::NodeCard(_) => None,
        }
    }
}
