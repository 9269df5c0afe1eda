//! Tables for a terminal: functions from a report to text.
//!
//! Times are milliseconds to the microsecond. Whatever came from the target is escaped and shortened; widths are those
//! a terminal gives the characters.

mod awaits;
mod blocking;
mod cost;
mod family;
mod fit;
mod foreign;
mod grid;
mod losses;
mod requests;
mod routes;
mod sampled;
mod tasks;
mod unfollowed;
mod waits;

pub use awaits::awaits;
pub use blocking::{blocking, worst_places};
pub use cost::cost;
pub use family::families;
pub use fit::fit;
pub use foreign::foreign;
pub use grid::Colours;
pub(super) use grid::{beginning, end};
pub use losses::losses;
pub use requests::{request, requests};
pub use routes::routes;
pub use tasks::{TaskColumn, UnknownColumn, tasks};
pub use waits::waits;
