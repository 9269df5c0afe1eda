//! What the profiler may and may not do, as users who are not root: which capabilities suffice, what is left of them after the attach,
//! whom the socket lets in, and where results are written. The other users are real: 65534 (nobody) and 1234, whom nobody knows.

mod hardened;
mod output;
mod reduced;
mod sets;
mod socket;
mod stats;
mod user;
