//! How many tasks and requests there is room for in the kernel: the arguments that `run` and `record` share.

use clap::Args as ClapArgs;

/// The most that can be asked for: what more rows would take at once is more than any target has.
pub const ROOM_MAX: u32 = 1 << 24;

/// Room for rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ClapArgs)]
#[command(next_help_heading = "Room")]
pub struct RoomArgs {
    /// How many tasks may live at once; one too many has no row, which is counted. Each that there may be takes 16 bytes of kernel memory, and each that
    /// there is some 300 more [default: 262144]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROOM_MAX)))]
    pub max_tasks: Option<u32>,
    /// The same for wanted requests in flight at once [default: 16384]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(ROOM_MAX)))]
    pub max_requests: Option<u32>,
}
