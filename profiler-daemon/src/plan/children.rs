//! Which children of a request can be followed from outside: whose spawns are seen, so that it is known whose they are.

use serde::Serialize;

use crate::inspect::{Inspection, Role};

/// Children that are spawned in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Children {
    /// The functions that spawn them.
    pub spawned_by: &'static str,
    /// Whether they are tied to the request that spawned them.
    pub followed: bool,
    /// If not, why.
    pub why: Option<&'static str>,
}

/// Every way to spawn, and whether its children are followed.
#[must_use]
pub fn children(inspection: &Inspection) -> Vec<Children> {
    let has = |role| inspection.sites_with(role).next().is_some();
    let of = |spawned_by, followed: bool, why| Children { spawned_by, followed, why: (!followed).then_some(why) };
    let bind = "the function that binds a new task to its runtime was not found: Tokio before 1.38, link-time optimisation, or a stripped file";
    let blocking = "the function that queues blocking tasks was not found: Tokio before 1.28, inlined, or a stripped file";
    let local = "the function that queues a LocalSet's tasks was not found, or nothing tells new tasks from old ones: a stripped file, or a Tokio without task ids";
    vec![
        of("tokio::spawn, JoinSet::spawn", has(Role::Spawn), bind),
        of("spawn_blocking, JoinSet::spawn_blocking", has(Role::SpawnBlocking), blocking),
        of("spawn_local, JoinSet::spawn_local", local_is_seen(inspection), local),
    ]
}

/// A new task is told from an old one by its id: by the counter that gives them out, or by that of a task whose spawn was seen.
pub(super) fn local_is_seen(inspection: &Inspection) -> bool {
    let has = |role| inspection.sites_with(role).next().is_some();
    let ids = inspection.task_types.iter().all(|task_type| task_type.id_offset.is_some());
    has(Role::LocalScheduled) && ids && (inspection.next_task_id.is_some() || has(Role::Spawn) || has(Role::SpawnBlocking))
}
