//! Tasks, requests, samples and states as plain data: what was measured, merged and named, and nothing about how.
//!
//! [`Capture`] is what the collect step hands over. Everything else here is a function of it: [`Selection`] says which
//! part of it is asked for. Nothing in this folder knows BPF or Tokio; the exporters know nothing but this folder.
//!
//! All times are nanoseconds. Instants are on the clock that [`Window::clock`] names, durations are lengths on it.

pub mod awaits;
pub mod blocking;
pub mod calls;
pub mod capture;
mod cost;
pub mod family;
#[cfg(test)]
pub(crate) mod fixture;
pub mod folding;
pub mod gather;
pub mod graph;
pub mod held;
pub mod names;
mod refused;
pub mod report;
pub mod request_id;
pub mod request_key;
pub mod selection;
pub mod snapshot;
mod spans;
pub mod stacks;
pub mod states;
pub mod symbols;
pub mod syscalls;
pub mod waits;

// Of the crate, since what the user types is of the same form.
pub use crate::text;
pub use blocking::{Blocking, Question, blocking};
pub use calls::{CallGraph, call_graph};
pub use capture::{
    AwaitFrame, AwaitFrameKind, AwaitIndex, AwaitOwner, AwaitSource, AwaitSpan, AwaitStack, AwaitSum, AwaitWalks, BlockedPlace,
    Capture, ChildRow, FinishedTypeRow, ForeignRow, ForeignSource, Loss, OffCpu, PollSpan, RequestRow, Sample, Sampled,
    SampledOwner, SampledRow, ScopeSeq, Stack, Target, TaskIds, TaskKind, TaskRow, TaskType, TypeIndex, Unfollowed, UnwindTables,
    Wake, Walks, Window,
};
pub use cost::{Cost, ProgramCost};
pub use family::{CriticalPath, Family, Hop, Member, PathRow, PathState, PathStep, PathTimes, families};
pub use graph::weighted::{Weighted, WeightedStack, weighted};
pub use graph::{Graph, GraphOptions, Metric, Owner, graph};
pub use refused::RefusedSite;
pub use report::{Filter, Report, report};
pub use request_id::RequestId;
pub use request_key::{IdError, KeyFormat};
pub use selection::{NothingSelected, Selection};
pub use snapshot::{AwaitedTasks, NoStack, Snapshot, SnapshotFrame, SnapshotStack, SnapshotTask, SnapshotType};
pub use states::{State, States};
pub use symbols::{Frame, MappedFile, Symbolize, Symbols};
pub use waits::{Keep, Wait, WaitFrame, Waits, Whose, WokenBy, name_waits, waits};
