//! Other nodes: fetching, catching up, pushing, and who they are.

pub mod actors;
pub mod client;
pub mod clocks;
pub mod courier;
pub mod deliveries;
pub(crate) mod fetch;
pub mod followers;
pub mod inbox;
pub mod moves;
pub mod outbox;
pub mod peers;
pub mod policy;
pub mod pull;
pub mod remote;
pub mod replays;
pub mod site;
pub mod topics;
