//! A request's family: its root scope, the tasks that it spawned, and theirs; and its critical path.
//!
//! The critical path says what the request's wall time consisted of: where its root awaited a child, the child's own states stand in place
//! of the root's `suspended`, and so on down. It is a function of plain [`Node`]s, whatever they were measured by: tasks that are followed
//! from outside, or scopes that say themselves who spawned them.
//!
//! Invariant: the steps of a path add up to the root's wall time, to the nanosecond. What is not known is a step of its own, with the reason.

mod awaited;
mod gather;
mod node;
mod path;
#[cfg(test)]
mod tests;
mod timeline;
mod told;
mod tree;

pub(crate) use gather::Seen;
pub use node::{Awaited, Key, Kind, Node, Parent, Span, Stretch, Wait};
pub use path::{Chain, Path, Step, What, path};
pub use timeline::{Doing, Piece, Unknown, timeline};
pub use told::{CriticalPath, Family, Hop, Member, PathRow, PathState, PathStep, PathTimes, families};
pub(crate) use told::{Told, tell};
pub use tree::{Place, tree};
