//! `FuturesUnordered`: a linked list of its futures, and the streams that fill one.
//!
//! Source: futures-util 0.3 `stream/futures_unordered/mod.rs` and `task.rs`: `head_all` is the first task, a task has its `future` (`None` once
//! it is done) and `next_all`.

use profiler_common::awaits::node::FRAME;
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Kind, Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;

impl<'s> Compiler<'_, 's> {
    pub(super) fn unordered(&mut self, place: u32, die: Die, shape: &Shape<'s>) {
        let found = self.list(shape);
        let Some((head, next, future, task)) = found else { return self.changed(place, die, shape, "head_all") };
        match self.member(&future, false, 0) {
            Held::At(edge) => {
                let node = Node { kind: NodeKind::List as u8, flags: FRAME, offset: head, aux: next, ..Node::default() };
                self.fill(place, node, &[edge]);
            }
            Held::Nothing => {
                let task_shape = self.types.shape(task);
                self.changed(place, task, &task_shape, "future");
            }
        }
    }

    /// Offsets of the pointer to the first task and, in a task, of that to the next; a task's future; its type.
    fn list(&self, shape: &Shape<'s>) -> Option<(u32, u32, Member<'s>, Die)> {
        let head = self.field(shape, "head_all")?;
        let (into, task) = self.pointer_inside(head.of?, 0)?;
        let head = u32::try_from(head.offset?.checked_add(into)?).ok()?;
        let of_task = self.types.shape(task);
        let next = self.field(&of_task, "next_all")?;
        let next = u32::try_from(next.offset?.checked_add(self.pointer_inside(next.of?, 0)?.0)?).ok()?;
        Some((head, next, self.field(&of_task, "future")?, task))
    }

    /// A frame with a queue of futures inside, or where that is empty, what gives more of them.
    pub(super) fn queue_else(&mut self, place: u32, die: Die, shape: &Shape<'s>, queue: &Member<'s>, stream: &Member<'s>) {
        let head = queue.of.and_then(|of| self.head(of, 0)).and_then(|head| u32::try_from(queue.offset?.checked_add(head)?).ok());
        let (Some(head), Held::At(queue)) = (head, self.member(queue, false, 0)) else {
            return self.changed(place, die, shape, queue.name);
        };
        let stream = self.member(stream, false, 0).edge();
        // A pointer of 0, or any other.
        let edges = [stream, queue];
        let Some(choice) = self.place() else { return self.shown(place, &[]) };
        let node = Node { kind: NodeKind::Tagged as u8, width: 8, offset: head, count: 1, ..Node::default() };
        self.fill_tagged(choice, node, &edges);
        self.shown(place, &[Edge { offset: 0, node: choice }]);
    }

    /// Where the pointer to the first task lies in a queue, or in what is around one.
    fn head(&self, die: Die, depth: u32) -> Option<u64> {
        let shape = self.types.shape(die);
        if shape.kind != Kind::Structure || depth > 3 {
            return None;
        }
        if let Some(head) = self.field(&shape, "head_all") {
            return head.offset?.checked_add(self.pointer_inside(head.of?, 0)?.0);
        }
        let inner = self.field(&shape, "in_progress_queue")?;
        inner.offset?.checked_add(self.head(inner.of?, depth + 1)?)
    }
}
