//! What others have written and we build upon: under which licences, from where, and what is known to be wrong with it.
//!
//! `deny.toml` says what is allowed, for cargo-deny as well, which takes minutes to build and is not asked for: licences and sources are checked
//! here, by what cargo itself tells of the dependencies.

pub(crate) mod advisories;
pub(crate) mod dependencies;
mod licence;
pub(crate) mod policy;
