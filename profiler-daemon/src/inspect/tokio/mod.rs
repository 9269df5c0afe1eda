//! What is Tokio's own: its version, task vtables, state transitions and the functions that wake and spawn.

pub(crate) mod current_task;
pub(crate) mod debug_info;
pub(crate) mod ends;
pub(crate) mod loads;
pub(crate) mod names;
pub(crate) mod owned;
pub(crate) mod shapes;
pub(crate) mod sites;
pub(crate) mod spawns;
pub(crate) mod transitions;
pub(crate) mod types;
pub(crate) mod version;
pub(crate) mod vtables;
pub(crate) mod wakers;
