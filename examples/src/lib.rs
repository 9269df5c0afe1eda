//! What the services in `src/bin` have in common, and what nobody has to copy: the work that a request is, the clocks that tell the
//! profiler's tests what it took, and how a test starts and asks a service.
//!
//! What to copy is in the programs: each is one framework, and the line that names its requests is marked there.

pub mod control;
pub mod orders;
pub mod witness;
