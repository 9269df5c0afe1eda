//! Futures that are awaited at once: which comes next, and which have been kept.

use crate::awaits::node::{Node, NodeKind};
use crate::limits::AWAIT_PENDING;
use crate::unwind::Memory;

/// Different branches of one list or slice that are told apart from those met before: equal ones are kept once.
pub(super) const SEEN: usize = 4;

/// Keeps a place among the branchings.
pub(super) const BRANCH_MASK: usize = AWAIT_PENDING - 1;
const _: () = assert!(AWAIT_PENDING.is_power_of_two());

/// Futures that are awaited at once, and how far they have been followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Branching {
    /// Where the node lies; of a list the next element.
    pub(super) at: u64,
    /// The id of the walk before its first branch.
    pub(super) before: u64,
    /// Sum of its branches' ids.
    pub(super) sum: u64,
    /// Ids of branches that have been kept.
    pub(super) seen: [u64; SEEN],
    /// The node.
    pub(super) node: u32,
    /// How deep its branches lie.
    pub(super) depth: u32,
    /// The branch to follow next.
    pub(super) next: u32,
    /// Words kept before the branch that is being followed.
    pub(super) start: u32,
}

/// Where a branch is.
pub(super) enum At {
    /// It starts there, by the edge at that place.
    Branch(u64, u32),
    /// It is not awaited.
    Skipped,
    /// There are no more.
    Over,
    /// That cannot be read.
    Unreadable,
}

/// The branch number `nth` of a branching; of a list, moves on to the next element.
#[inline(always)]
pub(super) fn branch_at(node: &Node, here: &mut Branching, nth: u32, memory: &impl Memory) -> At {
    if node.kind == NodeKind::List as u8 {
        let element = here.at;
        if element == 0 {
            return At::Over;
        }
        return match memory.word(element.wrapping_add(u64::from(node.aux))) {
            Some(next) => {
                here.at = next;
                At::Branch(element, node.first)
            }
            None => At::Unreadable,
        };
    }
    if node.kind == NodeKind::Slice as u8 {
        return match memory.word(here.at.wrapping_add(u64::from(node.aux))) {
            Some(count) if u64::from(nth) >= count => At::Over,
            Some(_) => match memory.word(here.at.wrapping_add(u64::from(node.offset))) {
                Some(first) => At::Branch(first.wrapping_add(node.base.wrapping_mul(u64::from(nth))), node.first),
                None => At::Unreadable,
            },
            None => At::Unreadable,
        };
    }
    if nth >= node.count {
        return At::Over;
    }
    if node.width != 0 {
        let mask = match memory.word(here.at.wrapping_add(u64::from(node.aux))) {
            Some(mask) => memory.tag(mask, node.width),
            None => None,
        };
        match mask {
            Some(mask) if mask >> (nth & 63) & 1 != 0 => return At::Skipped,
            Some(_) => {}
            None => return At::Unreadable,
        }
    }
    At::Branch(here.at, node.first.wrapping_add(nth))
}
