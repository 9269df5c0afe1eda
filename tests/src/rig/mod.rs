//! What benchmarks of a service under load have in common: the service on a CPU of its own, the load, the profiler attached and detached, short
//! slices by turns, and the middle of what they come to.
//!
//! A shared machine drifts twofold within a minute, so nothing is compared but neighbours in time, and a row in which nothing is attached says how far
//! neighbours differ by themselves.

pub mod attached;
pub mod load;
pub mod pinned;
pub mod quartiles;
pub mod ratios;
pub mod rival;
pub mod service;
pub mod slice;
