//! The profiler: from a process id to a flamegraph, one folder a step.

pub mod attach;
pub mod cli;
pub mod collect;
pub mod control;
pub mod export;
pub mod inspect;
pub mod launch;
pub mod model;
pub mod plan;
pub mod session;
pub mod target;
pub mod text;
