//! The service's parts, so that it can be built with other profilers inside.

pub mod counted;
pub mod crowds;
pub mod routes;
pub mod serve;
pub mod usage;
