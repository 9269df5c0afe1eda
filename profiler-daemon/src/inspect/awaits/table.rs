//! A layout table where its program is loaded: what a walk of awaits reads, for whoever walks in user space.

use std::collections::HashMap;
use std::sync::Arc;

use profiler_common::awaits::word::NO_TYPE;
use profiler_common::awaits::{Edge, Node, Tables};
use profiler_common::unwind::Memory;

use super::layouts::AwaitLayouts;
use crate::inspect::{HeaderLayout, TaskType};

/// A table with the addresses of a running process.
#[derive(Debug, Clone)]
pub struct LoadedTable {
    /// The table.
    pub layouts: Arc<AwaitLayouts>,
    /// By runtime address of a vtable of a `dyn` future, or of a poll function of a scope's future, the node of that future.
    pub entries: HashMap<u64, u32>,
    /// By runtime address of a task's vtable its node, at the task's header; `None` where its type has no layout.
    pub tasks: HashMap<u64, TaskEntry>,
    /// Where in a task's header the pointer to its vtable lies.
    pub vtable_offset: u32,
}

/// What is known of the tasks of one vtable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEntry {
    /// Place of their type in the list that the table was made with.
    pub task_type: u32,
    /// Where a walk from their header begins; `None` where their type has no layout.
    pub node: Option<u32>,
}

impl LoadedTable {
    /// The table of a process: `bias` is what its addresses are beyond those of the file, `header` and `task_types` are what
    /// [`crate::inspect::inspect`] found.
    #[must_use]
    pub fn new(layouts: Arc<AwaitLayouts>, bias: u64, header: HeaderLayout, task_types: &[TaskType]) -> Self {
        let both = layouts.dynamic.iter().chain(&layouts.scopes);
        let entries = both.map(|(address, node)| (address.wrapping_add(bias), *node)).collect();
        let nodes: HashMap<u64, u32> = layouts.tasks.iter().copied().collect();
        let tasks = (0..).zip(task_types).map(|(task_type, task)| {
            (task.vtable.wrapping_add(bias), TaskEntry { task_type, node: nodes.get(&task.vtable).copied() })
        });
        Self { tasks: tasks.collect(), layouts, entries, vtable_offset: header.vtable }
    }

    /// What is known of the task whose header lies at this address. `None`: its vtable cannot be read, or is no task's.
    pub fn task(&self, header: u64, memory: &impl Memory) -> Option<TaskEntry> {
        self.tasks.get(&memory.word(header.checked_add(u64::from(self.vtable_offset))?)?).copied()
    }

    /// The table as a walk over this memory reads it.
    pub fn over<'a, M: Memory>(&'a self, memory: &'a M) -> Loaded<'a, M> {
        Loaded { table: self, memory }
    }
}

/// A table and the memory that it is of.
#[derive(Debug)]
pub struct Loaded<'a, M> {
    table: &'a LoadedTable,
    memory: &'a M,
}

impl<M: Memory> Tables for Loaded<'_, M> {
    fn node(&self, place: u32) -> Option<Node> {
        self.table.layouts.nodes.get(place as usize).copied()
    }

    fn edge(&self, place: u32) -> Option<Edge> {
        self.table.layouts.edges.get(place as usize).copied()
    }

    fn entry(&self, vtable: u64) -> Option<u32> {
        self.table.entries.get(&vtable).copied()
    }

    fn task_type(&self, header: u64) -> u32 {
        self.table.task(header, self.memory).map_or(NO_TYPE, |task| task.task_type)
    }
}
