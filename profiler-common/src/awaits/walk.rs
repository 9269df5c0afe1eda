//! The walk itself, a step at a time, so that the kernel side can run it in a loop that its verifier accepts.

mod branching;
mod keeping;

use super::basis::Basis;
use super::end::AwaitEnd;
use super::key::KeyWords;
use super::node::{COROUTINE, Edge, FRAME, NO_EDGE, Node, NodeKind, TASK_LOCAL, target};
use super::stack::{AwaitStack, ID_START, id_with};
use super::word::{WordKind, address_word, word};
use crate::limits::{AWAIT_DEPTH, AWAIT_PENDING, AWAIT_STEPS};
use crate::unwind::Memory;
use branching::{At, BRANCH_MASK, Branching, SEEN, branch_at};

/// The layout table, as whoever walks can read it.
pub trait Tables {
    /// The node at this place.
    fn node(&self, place: u32) -> Option<Node>;
    /// The edge at this place.
    fn edge(&self, place: u32) -> Option<Edge>;
    /// The node of what stands behind this vtable (a runtime address). `None`: it is not known.
    fn entry(&self, vtable: u64) -> Option<u32>;
    /// Place of the type of the task whose header lies at this address, [`super::word::NO_TYPE`] where it is not known.
    fn task_type(&self, header: u64) -> u32;
}

/// Whether a walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It does.
    Going,
    /// It has come to its end, which is in [`AwaitWalk::kept`].
    Done,
}

/// A walk under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AwaitWalk {
    /// Where the walk is.
    at: u64,
    /// Id of the words of the branch that is being followed, of all words at the end.
    pub id: u64,
    /// Header of the first task that was met ([`NodeKind::Task`]), 0 for none.
    pub awaited: u64,
    /// The node it is at, [`target::NOTHING`] between two branches.
    node: u32,
    /// How many frames it is in.
    depth: u32,
    /// Steps taken.
    pub steps: u32,
    /// Branchings open.
    open: u32,
    /// Address of the key whose value is looked for, 0: none is.
    pub key: u64,
    /// Where the slot of the first future lies that carries that key's value, 0: none was met. The first is the outermost.
    pub slot: u64,
    /// The value that was read from there.
    pub value: KeyWords,
    /// Its length (bytes).
    pub value_len: u32,
    padding: u32,
    /// What was met so far, and the first thing that went wrong.
    pub kept: AwaitStack,
    /// The words that it went by.
    basis: Basis,
    branchings: [Branching; AWAIT_PENDING],
}

impl AwaitWalk {
    /// A walk that has not begun.
    pub const NEW: Self = Self {
        at: 0,
        id: ID_START,
        awaited: 0,
        node: target::NOTHING,
        depth: 0,
        steps: 0,
        open: 0,
        key: 0,
        slot: 0,
        value: [0; crate::limits::REQUEST_ID_BYTES / 8],
        value_len: 0,
        padding: 0,
        kept: AwaitStack::EMPTY,
        basis: Basis::NONE,
        branchings: [Branching { at: 0, before: 0, sum: 0, seen: [0; SEEN], node: 0, depth: 0, next: 0, start: 0 };
            AWAIT_PENDING],
    };

    /// Begins at `node`, which lies at `address`.
    #[inline(always)]
    pub fn begin(&mut self, address: u64, node: u32) {
        // Not a plain 0: LLVM would make one call of `memset` of these, which is a loop of bytes on BPF.
        let zero = core::hint::black_box(0_u32);
        self.at = address;
        self.id = ID_START;
        self.awaited = 0;
        self.slot = u64::from(zero);
        self.node = node;
        self.depth = zero;
        self.steps = zero;
        self.open = zero;
        self.kept.len = zero;
        self.kept.end = zero;
        self.basis.count = zero;
    }

    /// A walk that has come to its end before its first step, because of `end`.
    #[inline(always)]
    pub fn begin_cut(&mut self, end: AwaitEnd) {
        self.begin(0, target::NOTHING);
        let _: Step = self.cut(end);
    }

    /// What must change before another walk of the same future finds something else; `None` where that is not known. Nor is it of other
    /// tasks that it waits for: which task stands at an address is not told by the address.
    #[inline(always)]
    #[must_use]
    pub fn basis(&self) -> Option<&Basis> {
        let is_known = self.kept.end == AwaitEnd::Whole as u32 && self.awaited == 0 && self.key == 0;
        if is_known && self.basis.is_whole() { Some(&self.basis) } else { None }
    }

    /// The word at `address`, of which it is noted that the walk goes by it.
    #[inline(always)]
    fn word(&mut self, memory: &impl Memory, address: u64) -> Option<u64> {
        let value = memory.word(address)?;
        self.basis.note(address, 0, value);
        Some(value)
    }

    /// The words in use.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        self.kept.words()
    }

    /// The first thing that went wrong.
    #[must_use]
    pub fn end(&self) -> AwaitEnd {
        AwaitEnd::from_number(self.kept.end).unwrap_or(AwaitEnd::Unsupported)
    }

    /// Walks to the end. For user space; the kernel side has a loop of its own.
    pub fn run(&mut self, tables: &impl Tables, memory: &impl Memory) {
        while self.step(tables, memory) == Step::Going {}
    }

    /// One step.
    #[inline(always)]
    pub fn step(&mut self, tables: &impl Tables, memory: &impl Memory) -> Step {
        self.steps += 1;
        if self.steps > AWAIT_STEPS {
            return self.stop(AwaitEnd::TooLong);
        }
        if self.node >= target::FIRST {
            return self.next_branch(tables, memory);
        }
        let Some(node) = tables.node(self.node) else { return self.cut(AwaitEnd::Unsupported) };
        if node.kind == NodeKind::Tagged as u8 {
            return self.tagged(&node, tables, memory);
        }
        let here = self.node;
        if node.flags & TASK_LOCAL != 0
            && self.key != 0
            && self.slot == 0
            && memory.word(self.at.wrapping_add(u64::from(node.offset))) == Some(self.key)
        {
            self.slot = self.at.wrapping_add(u64::from(node.aux));
        }
        if node.kind == NodeKind::Task as u8 {
            return self.task(&node, here, tables, memory);
        }
        if node.flags & FRAME != 0 && !self.show(here, 0) {
            return self.stop(AwaitEnd::TooWide);
        }
        if node.kind == NodeKind::Inside as u8 {
            let at = self.at;
            self.follow(tables.edge(node.first), at)
        } else if node.kind == NodeKind::Pointer as u8 {
            match self.word(memory, self.at.wrapping_add(u64::from(node.offset))) {
                None => self.cut(AwaitEnd::Unreadable),
                Some(0) => self.leave(),
                Some(to) => self.follow(tables.edge(node.first), to),
            }
        } else if node.kind == NodeKind::Dyn as u8 {
            self.dynamic(&node, tables, memory)
        } else if node.kind == NodeKind::Branches as u8 || node.kind == NodeKind::Slice as u8 {
            let at = self.at;
            self.branch(here, at)
        } else if node.kind == NodeKind::List as u8 {
            match self.word(memory, self.at.wrapping_add(u64::from(node.offset))) {
                None => self.cut(AwaitEnd::Unreadable),
                Some(first) => self.branch(here, first),
            }
        } else {
            self.leave()
        }
    }

    #[inline(always)]
    fn tagged(&mut self, node: &Node, tables: &impl Tables, memory: &impl Memory) -> Step {
        let Some(tag) = memory.tag(self.at.wrapping_add(u64::from(node.offset)), node.width) else {
            return self.cut(AwaitEnd::Unreadable);
        };
        self.basis.note(self.at.wrapping_add(u64::from(node.offset)), node.width, tag);
        let into = tag.wrapping_sub(node.base);
        let place = if into < u64::from(node.count) {
            node.first.wrapping_add(low(into))
        } else if node.aux != NO_EDGE {
            node.aux
        } else {
            return self.cut(AwaitEnd::BadTag);
        };
        let edge = tables.edge(place);
        // What has not been polled yet is awaited by nobody, though it may lie beside what is.
        let waits_beside = self.open != 0 && node.flags & COROUTINE != 0;
        if let Some(edge) = edge
            && (edge.node == target::NOTHING || edge.node == target::SPENT || edge.node == target::UNSTARTED && waits_beside)
        {
            return self.leave();
        }
        if node.flags & FRAME != 0 {
            let state = if node.flags & COROUTINE != 0 { low(tag) } else { 0 };
            let here = self.node;
            if !self.show(here, state) {
                return self.stop(AwaitEnd::TooWide);
            }
        }
        let at = self.at;
        self.follow(edge, at)
    }

    #[inline(always)]
    fn task(&mut self, node: &Node, here: u32, tables: &impl Tables, memory: &impl Memory) -> Step {
        let Some(header) = self.word(memory, self.at.wrapping_add(u64::from(node.offset))) else {
            return self.cut(AwaitEnd::Unreadable);
        };
        if header == 0 {
            return self.leave();
        }
        let task_type = tables.task_type(header);
        if !self.keep(word(WordKind::Task, self.depth, here, task_type)) {
            return self.stop(AwaitEnd::TooWide);
        }
        if self.awaited == 0 {
            self.awaited = header;
        }
        self.leave()
    }

    #[inline(always)]
    fn dynamic(&mut self, node: &Node, tables: &impl Tables, memory: &impl Memory) -> Step {
        let data = self.word(memory, self.at.wrapping_add(u64::from(node.offset)));
        let vtable = self.word(memory, self.at.wrapping_add(u64::from(node.aux)));
        let (Some(data), Some(vtable)) = (data, vtable) else { return self.cut(AwaitEnd::Unreadable) };
        if let Some(place) = tables.entry(vtable) {
            return self.follow(Some(Edge { offset: 0, node: place }), data);
        }
        self.fail(AwaitEnd::UnknownDyn);
        if !self.keep(address_word(WordKind::UnknownDyn, self.depth, vtable)) {
            return self.stop(AwaitEnd::TooWide);
        }
        self.leave()
    }

    /// Goes on at `edge`, which starts at `from`.
    #[inline(always)]
    fn follow(&mut self, edge: Option<Edge>, from: u64) -> Step {
        match edge {
            Some(edge) if edge.node < target::FIRST => {
                if self.depth >= AWAIT_DEPTH {
                    return self.cut(AwaitEnd::TooDeep);
                }
                self.at = from.wrapping_add(u64::from(edge.offset));
                self.node = edge.node;
                Step::Going
            }
            Some(edge) if edge.node != target::UNKNOWN => self.leave(),
            _ => self.cut(AwaitEnd::Unsupported),
        }
    }

    /// Opens the branching at the node `here`, whose first branch is found from `at`.
    #[inline(always)]
    fn branch(&mut self, here: u32, at: u64) -> Step {
        let place = self.open as usize;
        if place >= AWAIT_PENDING {
            return self.stop(AwaitEnd::TooWide);
        }
        self.basis.spoil();
        // Not a plain 0: as in `begin`.
        let zero = core::hint::black_box(0_u64);
        self.branchings[place & BRANCH_MASK] = Branching {
            at,
            before: self.id,
            sum: zero,
            seen: [zero; SEEN],
            node: here,
            depth: self.depth,
            next: low(zero),
            start: self.kept.len,
        };
        self.open += 1;
        self.id = ID_START;
        self.node = target::NOTHING;
        Step::Going
    }

    /// The branch that was followed has come to its end: the next one, if there is one.
    #[inline(always)]
    fn next_branch(&mut self, tables: &impl Tables, memory: &impl Memory) -> Step {
        let open = self.open as usize;
        if open == 0 || open > AWAIT_PENDING {
            return self.finish();
        }
        let place = (open - 1) & BRANCH_MASK;
        let mut here = self.branchings[place];
        let Some(node) = tables.node(here.node) else { return self.stop(AwaitEnd::Unsupported) };
        let dynamic = node.kind != NodeKind::Branches as u8;
        if self.kept.len != here.start {
            // Of many equal ones one is kept: a set of a thousand sleepers is one stack, and stays it as they wake one after another.
            let id = self.id;
            if dynamic && (here.seen[0] == id || here.seen[1] == id || here.seen[2] == id || here.seen[3] == id) {
                self.kept.len = here.start;
            } else {
                here.seen = [id, here.seen[0], here.seen[1], here.seen[2]];
                here.sum = here.sum.wrapping_add(id);
            }
        }
        self.depth = here.depth;
        self.id = ID_START;
        here.start = self.kept.len;
        let nth = here.next;
        here.next = nth.wrapping_add(1);
        let (from, edge_place) = match branch_at(&node, &mut here, nth, memory) {
            At::Branch(from, edge_place) => (from, edge_place),
            At::Skipped => {
                self.branchings[place] = here;
                return Step::Going;
            }
            At::Over => {
                self.open -= 1;
                self.id = if here.sum == 0 { here.before } else { id_with(here.before, here.sum) };
                // Behind the last branch the branching is a branch of the one around it.
                return Step::Going;
            }
            At::Unreadable => {
                self.open -= 1;
                self.id = id_with(here.before, here.sum);
                return self.cut(AwaitEnd::Unreadable);
            }
        };
        self.branchings[place] = here;
        self.follow(tables.edge(edge_place), from)
    }
}

/// The lower half of a word. The kernel side's verifier and the compiler both see that nothing else can come of it.
#[inline(always)]
const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests;
