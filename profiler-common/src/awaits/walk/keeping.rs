//! What a walk keeps of what it meets, and how it and its branches end.

use super::branching::BRANCH_MASK;
use super::{AwaitWalk, Step};
use crate::awaits::end::AwaitEnd;
use crate::awaits::node::target;
use crate::awaits::stack::id_with;
use crate::awaits::word::{WordKind, word};
use crate::limits::{AWAIT_PENDING, AWAIT_WORDS};

const WORD_MASK: usize = AWAIT_WORDS - 1;
const _: () = assert!(AWAIT_WORDS.is_power_of_two());

impl AwaitWalk {
    /// The branch ends here: nothing is awaited below.
    #[inline(always)]
    pub(super) fn leave(&mut self) -> Step {
        self.node = target::NOTHING;
        Step::Going
    }

    /// Notes that the walk is not whole. The first reason stands.
    #[inline(always)]
    pub fn fail(&mut self, end: AwaitEnd) {
        if self.kept.end == AwaitEnd::Whole as u32 {
            self.kept.end = end as u32;
        }
    }

    /// The branch ends here because of `end`; the others go on.
    #[inline(always)]
    pub(super) fn cut(&mut self, end: AwaitEnd) -> Step {
        self.fail(end);
        if !self.keep(word(WordKind::Cut, self.depth, 0, end as u32)) {
            return self.stop(AwaitEnd::TooWide);
        }
        self.leave()
    }

    /// The whole walk ends here because of `end`.
    #[inline(always)]
    pub(super) fn stop(&mut self, end: AwaitEnd) -> Step {
        self.fail(end);
        // What is cut off is part of what the stack is.
        self.id = id_with(self.id, end as u64);
        self.close_all();
        Step::Done
    }

    #[inline(always)]
    pub(super) fn finish(&mut self) -> Step {
        if self.kept.len == 0 {
            self.fail(AwaitEnd::NotPending);
        }
        Step::Done
    }

    /// The id of what was kept, with branchings still open.
    #[inline(always)]
    fn close_all(&mut self) {
        for down in 0..AWAIT_PENDING {
            let open = self.open as usize;
            if down >= open || open > AWAIT_PENDING {
                break;
            }
            let here = self.branchings[(open - 1 - down) & BRANCH_MASK];
            self.id = id_with(here.before, here.sum.wrapping_add(self.id));
        }
    }

    /// Keeps a frame, inside of which the walk then is. False: there is no room.
    #[inline(always)]
    pub(super) fn show(&mut self, node: u32, state: u32) -> bool {
        let kept = self.keep(word(WordKind::Frame, self.depth, node, state));
        self.depth += 1;
        kept
    }

    /// Keeps a word. False: there is no room.
    #[inline(always)]
    pub fn keep(&mut self, word: u64) -> bool {
        let place = self.kept.len as usize;
        if place >= AWAIT_WORDS {
            return false;
        }
        self.kept.words[place & WORD_MASK] = word;
        self.kept.len += 1;
        self.id = id_with(self.id, word);
        true
    }
}
