//! How `run` and `record` measure, apart from whom and for how long: flags that mean the same in both, and nothing else together.

use clap::Args as ClapArgs;

use super::value::{self, Rate};

/// The most rows that can be asked for: what they take before there is one in them is then 256 MB.
const ROOM_MAX: i64 = 1 << 24;

/// These flags. What clap reads is what is meant: no two of them make no sense together but those that clap itself refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct Measuring {
    /// Name requests by this `tokio::task_local!` key of the program, by its path or an end of it; needs full debug information, and no
    /// change of the program
    #[arg(long, value_name = "PATH", value_parser = value::key_path)]
    pub request_key: Option<String>,
    /// The attribute (OpenTelemetry) or label (custom-labels) that names a request, where another library names them [default: request.id, else
    /// the trace id]
    #[arg(long, value_name = "NAME", conflicts_with = "request_key")]
    pub label_key: Option<String>,
    /// Stack samples a second on each CPU (1 to 4000) [default: 99, and 4000 while a wanted request is in flight; in request mode none until
    /// one comes, then 99 to 997]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<Rate>,
    /// Do not look where tasks wait: the ends of polls cost less, and suspended time has no await stack
    #[arg(long)]
    pub no_awaits: bool,
    /// Where the program has no layouts of its futures, do not note the stacks in which wakers are stored either: suspended time then has its
    /// task's type alone, and storing a waker costs nothing
    #[arg(long)]
    pub no_await_wakers: bool,
    /// Count and time the runs of the kernel side's own programs, and show that with the result. While it is on, every run of every BPF program
    /// of the machine costs two readings of a clock more
    #[arg(long)]
    pub stats: bool,
    /// How many tasks may live at once; one too many has no row, which is counted. Each that there may be takes 16 bytes of kernel memory, and
    /// each that there is some 300 more [default: 262144]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=ROOM_MAX))]
    pub max_tasks: Option<u32>,
    /// The same for wanted requests in flight at once [default: 16384]. Of those that have ended the daemon then keeps no fewer [default: the
    /// latest 12000, `record`: 20000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=ROOM_MAX))]
    pub max_requests: Option<u32>,
}
