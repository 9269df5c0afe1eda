//! A corpus of futures that know where they wait.
//!
//! Every case is one request in a task of its own. Each `.await` in it stands inside [`wait!`], which notes by `CLOCK_MONOTONIC` when the
//! await began and ended, and in which function, file and line it stands; the coroutine is the same as without it, but for one integer.
//! From these notes [`sweep`] tells at which awaits the request stood at each moment, and the fixture prints it: whatever a profiler says of
//! the request's suspended time must be that.
//!
//! | module | holds |
//! | --- | --- |
//! | [`truth`] | what is printed |
//! | [`sweep`] | from notes to the truth |
//! | `trail` | the notes, and the macro that makes them |
//! | `cases` | the futures |
//! | `serve` | the modes and the line protocol |

pub mod sweep;
pub mod truth;

#[cfg(feature = "cases")]
pub mod cases;
#[cfg(feature = "cases")]
pub mod serve;
#[cfg(feature = "cases")]
pub mod trail;
