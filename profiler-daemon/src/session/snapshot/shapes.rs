//! What a task looks like in the target's memory, by its vtable.

use std::collections::HashMap;

use crate::inspect::awaits::LoadedTable;
use crate::inspect::{Inspection, TaskKind};

/// Bytes of a task that are read at once, at most: the future of most lies in them.
const READ_AHEAD: usize = 1024;
/// Bytes of a header that are read to know a task: state, queue_next, vtable and owner_id, with room for older versions.
pub(super) const HEADER: usize = 64;

/// The tasks of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The vtable, a runtime address.
    pub(super) vtable: u64,
    /// Place in the list of task types.
    pub(super) task_type: u32,
    pub(super) kind: TaskKind,
    /// Bytes from the header to the id, the scheduler and the trailer.
    pub(super) id: Option<u64>,
    pub(super) scheduler: Option<u64>,
    pub(super) trailer: Option<u64>,
    /// Where a walk of awaits begins, at the header.
    pub(super) root: Option<u32>,
}

impl Shape {
    /// How many bytes of a task are worth reading at once: up to the end of its future, and never beyond it.
    pub(super) fn read_ahead(&self) -> usize {
        let length = self.trailer.and_then(|trailer| usize::try_from(trailer).ok());
        length.map_or(HEADER, |length| length.clamp(HEADER, READ_AHEAD))
    }
}

/// All types of tasks of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskShapes {
    by_vtable: HashMap<u64, Shape>,
    /// Bytes from a task's header to its vtable pointer.
    pub(super) vtable_at: usize,
}

impl TaskShapes {
    /// The types of `inspection`, in a process whose addresses are `bias` higher, with the layouts of their futures where there are any.
    pub(super) fn of(inspection: &Inspection, bias: u64, table: Option<&LoadedTable>) -> Self {
        let shapes = (0_u32..).zip(&inspection.task_types).map(|(task_type, found)| {
            let vtable = found.vtable.wrapping_add(bias);
            let shape = Shape {
                vtable,
                task_type,
                kind: found.kind,
                id: found.id_offset.map(u64::from),
                scheduler: found.scheduler_offset.map(u64::from),
                trailer: found.trailer_offset.map(u64::from),
                root: table.and_then(|table| table.tasks.get(&vtable)?.node),
            };
            (vtable, shape)
        });
        Self { by_vtable: shapes.collect(), vtable_at: inspection.header.vtable as usize }
    }

    #[cfg(test)]
    pub(super) fn of_test(shapes: &[Shape]) -> Self {
        Self { by_vtable: shapes.iter().map(|shape| (shape.vtable, *shape)).collect(), vtable_at: 16 }
    }

    /// The type with this vtable.
    pub(super) fn get(&self, vtable: u64) -> Option<&Shape> {
        self.by_vtable.get(&vtable)
    }

    /// The type of the task whose first bytes these are.
    pub(super) fn of_header(&self, bytes: &[u8]) -> Option<&Shape> {
        self.get(word_at(bytes, self.vtable_at)?)
    }
}

/// The eight bytes at `at`.
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}
