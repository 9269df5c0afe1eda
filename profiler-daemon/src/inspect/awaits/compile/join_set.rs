//! `JoinSet`: the tasks in it that have not ended.
//!
//! Source: tokio 1.21 to 1.54, `task/join_set.rs` and `util/idle_notified_set.rs`: a set has `inner.lists`, an `Arc` of a mutex with two linked
//! lists, `notified` and `idle`. A poll of the set that is pending has emptied `notified` before; a task that ends moves its entry there, under the
//! mutex, and says so in the entry's `my_list` (`Notified`, `Idle`, `Neither`: 0, 1, 2) before it changes a pointer. A walk reads an entry's pointer
//! first and `my_list` after it, so an entry that still says `Idle` then had a pointer that led on in `idle`; one that does not cuts the
//! walk there ([`profiler_common::awaits::AwaitEnd::BadTag`]). Entries live as long as the set's owner wants them, which is the task whose poll is about to end.

use profiler_common::awaits::node::{FRAME, NO_EDGE};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::known::Rule;
use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::shape::{Kind, Member, Shape};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::layouts::FrameKind;

/// What `my_list` says of an entry whose task has not ended.
const IDLE: u64 = 1;
/// Wrappers around the lists, the pointers of an entry and its value.
const MAX_WRAPPERS: u32 = 8;

/// Where the walk goes in a set.
struct Lists<'s> {
    /// The pointer to what is shared, in the set.
    shared: u32,
    /// The pointer to the first entry, in what is shared.
    head: u32,
    /// The pointer to the next, in an entry.
    next: u32,
    /// The word that says which list it is in, in an entry.
    my_list: u32,
    /// The join handle, in an entry.
    value: Member<'s>,
}

impl<'s> Compiler<'_, 's> {
    /// The set that a captured member of a closure is or borrows. `None`: it is none. Only there: whoever polls a set captures it, and a
    /// structure that keeps one may never ask it.
    pub(super) fn captured_set(&mut self, member: &Member<'s>) -> Option<Held> {
        let (mut die, mut pointers) = (member.of?, 0);
        let shape = loop {
            let shape = self.types.shape(die);
            match shape.to.filter(|_| shape.kind == Kind::Pointer && shape.name.starts_with("&mut ")) {
                Some(to) if pointers < MAX_WRAPPERS => (die, pointers) = (to, pointers + 1),
                _ => break shape,
            }
        };
        if self.rule(die, &shape) != Some(Rule::JoinSet) {
            return None;
        }
        let mut held = self.join_set(die, &shape);
        for _ in 0..pointers {
            held = self.passed(Node { kind: NodeKind::Pointer as u8, ..Node::default() }, &[held.edge()]);
        }
        Some(held.inside(member.offset))
    }

    fn join_set(&mut self, die: Die, shape: &Shape<'s>) -> Held {
        if let Some(node) = self.placed.get(&die) {
            return Held::At(Edge { offset: 0, node: *node });
        }
        let Some(lists) = self.lists(shape) else {
            return self.strange(die, shape, "a set of tasks without the lists that are known");
        };
        let Held::At(handle) = self.member(&lists.value, false, 0) else {
            return self.strange(die, shape, "a set of tasks without join handles");
        };
        let (Some(set), Some(entry)) = (self.place(), self.place()) else { return Held::UNKNOWN };
        self.placed.insert(die, set);
        let choice = Node {
            kind: NodeKind::Tagged as u8,
            width: 1,
            offset: lists.my_list,
            base: IDLE,
            count: 1,
            aux: NO_EDGE,
            ..Node::default()
        };
        self.fill_tagged(entry, choice, &[handle]);
        let list = Node { kind: NodeKind::List as u8, offset: lists.head, aux: lists.next, ..Node::default() };
        let list = self.passed(list, &[Edge { offset: 0, node: entry }]).edge();
        let shared = Node { kind: NodeKind::Pointer as u8, offset: lists.shared, ..Node::default() };
        let shared = self.passed(shared, &[list]).edge();
        self.fill(set, Node { kind: NodeKind::Inside as u8, flags: FRAME, ..Node::default() }, &[shared]);
        let name = self.types.path(die, shape.name);
        self.show(set, name, FrameKind::Join);
        Held::At(Edge { offset: 0, node: set })
    }

    fn lists(&self, shape: &Shape<'s>) -> Option<Lists<'s>> {
        let number = |offset: u64| u32::try_from(offset).ok();
        let arc = self.field(shape, "inner.lists")?;
        let (into, shared) = self.pointer_inside(arc.of?, 0)?;
        let (lists, of) = self.with_member(shared, "idle", 0)?;
        let idle = self.field(&self.types.shape(of), "idle.head")?;
        let (head, entry) = self.pointer_inside(idle.of?, 0)?;
        let entry_shape = self.types.shape(entry);
        let pointers = self.field(&entry_shape, "pointers")?;
        let (inner, of) = self.with_member(pointers.of?, "next", 0)?;
        let next = self.field(&self.types.shape(of), "next")?;
        let my_list = self.field(&entry_shape, "my_list")?;
        let is_byte = self.types.shape(my_list.of?).size == Some(1);
        Some(Lists {
            shared: number(arc.offset?.checked_add(into)?)?,
            head: number(lists.checked_add(idle.offset?)?.checked_add(head)?)?,
            next: number(
                pointers
                    .offset?
                    .checked_add(inner)?
                    .checked_add(next.offset?)?
                    .checked_add(self.pointer_inside(next.of?, 0)?.0)?,
            )?,
            my_list: number(my_list.offset.filter(|_| is_byte)?)?,
            value: self.field(&entry_shape, "value")?,
        })
    }

    /// Where in a type, by value, a structure with a member of this name lies, and its type.
    fn with_member(&self, die: Die, name: &str, depth: u32) -> Option<(u64, Die)> {
        let shape = self.types.shape(die);
        if shape.kind != Kind::Structure || depth > MAX_WRAPPERS {
            return None;
        }
        if shape.members.iter().any(|member| member.name == name) {
            return Some((0, die));
        }
        shape.members.iter().find_map(|member| {
            let (into, of) = self.with_member(member.of?, name, depth + 1)?;
            Some((member.offset?.checked_add(into)?, of))
        })
    }
}
