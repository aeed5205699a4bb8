//! Other nodes: fetching, catching up, and who they are.

pub mod client;
pub mod peers;
pub mod pull;
