//! The polls and scopes open on one thread, innermost last.
//!
//! Polls nest (`LocalSet`, `block_in_place`), and an end can be missed (a panic, a lost event). The stack pointer tells: a frame
//! whose stack pointer lies at or below that of a later event has been unwound, so its entry is stale.

use crate::limits::FRAME_DEPTH;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FrameKind {
    /// No frame.
    None = 0,
    /// A task's poll.
    Poll = 1,
    /// A scope's poll.
    Scope = 2,
}

/// One open poll or scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// [`FrameKind`] as a number.
    pub kind: u32,
    /// Of a poll: the generation of the task's row at its start. A later generation means that the task was polled elsewhere since.
    pub generation: u32,
    /// Of a poll: the task's header address. Of a scope: its sequence number.
    pub key: u64,
    /// The stack pointer at the entry of the poll function. A scope has its enclosing poll's: it leaves by its own event. Outside any poll
    /// that is seen it is an address in the stack frame that polls, and 1: see [`crate::unwind::Cursor::step`].
    pub sp: u64,
    /// The request (scope sequence number) that is current inside the frame, 0 for none or an unwanted one.
    pub request: u64,
    /// The header address of the innermost polled task, 0 outside any task.
    pub task: u64,
    /// When that task became ready for this poll (ns), 0 where its wake was not seen.
    pub ready_ns: u64,
    /// When that poll started (ns).
    pub start_ns: u64,
}

/// The open frames of one thread.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FrameStack {
    /// How many are open.
    pub depth: u32,
    /// Keeps the frames aligned; always 0.
    pub padding: u32,
    /// The frames, outermost first.
    pub frames: [Frame; FRAME_DEPTH],
}

/// Masks an index into bounds where the verifier and the compiler can see it.
const MASK: usize = FRAME_DEPTH - 1;
const _: () = assert!(FRAME_DEPTH.is_power_of_two());

impl FrameStack {
    /// No open frames.
    pub const EMPTY: Self = Self {
        depth: 0,
        padding: 0,
        frames: [Frame { kind: 0, generation: 0, key: 0, sp: 0, request: 0, task: 0, ready_ns: 0, start_ns: 0 }; FRAME_DEPTH],
    };

    /// The innermost open frame.
    #[inline(always)]
    #[must_use]
    pub fn top(&self) -> Option<&Frame> {
        let depth = self.depth as usize;
        if depth == 0 || depth > FRAME_DEPTH {
            return None;
        }
        Some(&self.frames[(depth - 1) & MASK])
    }

    /// Opens a frame. False if the stack is full.
    #[inline(always)]
    pub fn push(&mut self, frame: Frame) -> bool {
        let depth = self.depth as usize;
        if depth >= FRAME_DEPTH {
            return false;
        }
        self.frames[depth & MASK] = frame;
        self.depth += 1;
        true
    }

    /// Drops every frame that an event at stack pointer `sp` shows to be gone, and says how many.
    #[inline(always)]
    pub fn drop_stale(&mut self, sp: u64) -> u32 {
        let mut dropped = 0;
        for _ in 0..FRAME_DEPTH {
            match self.top() {
                Some(frame) if frame.sp <= sp => {
                    self.depth -= 1;
                    dropped += 1;
                }
                _ => break,
            }
        }
        dropped
    }

    /// Closes the innermost frame of this kind and key, with every frame inside it. `None` if there is none: nothing is closed.
    #[inline(always)]
    pub fn close(&mut self, kind: FrameKind, key: u64) -> Option<Closed> {
        // What almost always holds: the frame is the innermost one.
        let top = *self.top()?;
        if top.kind == kind as u32 && top.key == key {
            self.depth -= 1;
            return Some(Closed { frame: top, inside: 0 });
        }
        let depth = self.depth as usize;
        for down in 1..FRAME_DEPTH {
            if down >= depth {
                return None;
            }
            let place = (depth - 1 - down) & MASK;
            let frame = self.frames[place];
            if frame.kind == kind as u32 && frame.key == key {
                self.depth = u32::try_from(place).unwrap_or(0);
                return Some(Closed { frame, inside: u32::try_from(down).unwrap_or(0) });
            }
        }
        None
    }

    /// The request current on the thread, 0 for none. What is spawned now belongs to it.
    #[inline(always)]
    #[must_use]
    pub fn current_request(&self) -> u64 {
        self.top().map_or(0, |frame| frame.request)
    }

    /// The frame to open for a poll of the task at `header`.
    #[inline(always)]
    #[must_use]
    pub const fn poll(header: u64, sp: u64, start: PollFrame) -> Frame {
        Frame {
            kind: FrameKind::Poll as u32,
            generation: start.generation,
            key: header,
            sp,
            request: start.request,
            task: header,
            ready_ns: start.ready_ns,
            start_ns: start.start_ns,
        }
    }

    /// The frame to open for a scope's poll on this thread.
    #[inline(always)]
    #[must_use]
    pub fn scope(&self, sequence: u64, request: u64) -> Frame {
        let outer = self.top().copied().unwrap_or(Frame { sp: u64::MAX, ..Frame::default() });
        Frame { kind: FrameKind::Scope as u32, generation: 0, key: sequence, request, ..outer }
    }
}

/// What a poll's start knows of its frame.
#[derive(Clone, Copy, Debug)]
pub struct PollFrame {
    /// The generation of the task's row.
    pub generation: u32,
    /// The request that owns the task, 0 for none.
    pub request: u64,
    /// When the task became ready (ns), 0 unseen.
    pub ready_ns: u64,
    /// When the poll started (ns).
    pub start_ns: u64,
}

/// A closed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The frame.
    pub frame: Frame,
    /// How many frames inside it were still open: their ends were not seen.
    pub inside: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(key: u64, sp: u64) -> Frame {
        FrameStack::poll(key, sp, PollFrame { generation: 1, request: 0, ready_ns: 5, start_ns: 9 })
    }

    /// Check that a poll at the same depth shows that the one before it has gone, and a deeper one that it has not.
    #[test]
    fn stack_pointer_tells_stale_frames() {
        let mut stack = FrameStack::EMPTY;
        assert!(stack.push(poll(1, 1000)));
        assert_eq!(stack.drop_stale(900), 0);
        assert!(stack.push(poll(2, 900)));
        assert_eq!(stack.drop_stale(900), 1);
        assert_eq!(stack.drop_stale(1000), 1);
        assert_eq!(stack.depth, 0);
    }

    /// Check that a scope goes with its enclosing poll, and that one outside any poll stays until it is left.
    #[test]
    fn scopes_live_as_long_as_their_poll() {
        let mut stack = FrameStack::EMPTY;
        assert!(stack.push(stack.scope(7, 7)));
        assert_eq!(stack.drop_stale(u64::MAX - 1), 0);
        assert!(stack.push(poll(1, 1000)));
        assert!(stack.push(stack.scope(8, 8)));
        assert_eq!(stack.top().map(|frame| (frame.task, frame.ready_ns)), Some((1, 5)));
        assert_eq!(stack.drop_stale(1000), 2);
        assert_eq!(stack.close(FrameKind::Scope, 7).map(|closed| closed.inside), Some(0));
    }

    /// Check that closing an outer frame closes what is inside it and says how much, and that an unknown one closes nothing.
    #[test]
    fn closing_an_outer_frame_closes_the_inner() {
        let mut stack = FrameStack::EMPTY;
        assert!(stack.push(poll(1, 1000)));
        assert!(stack.push(stack.scope(8, 8)));
        assert!(stack.push(poll(2, 900)));
        assert_eq!(stack.close(FrameKind::Poll, 3), None);
        assert_eq!(stack.depth, 3);
        assert_eq!(stack.close(FrameKind::Poll, 1).map(|closed| closed.inside), Some(2));
        assert_eq!(stack.depth, 0);
    }

    /// Check that a full stack refuses and stays whole.
    #[test]
    fn full_stack_refuses() {
        let mut stack = FrameStack::EMPTY;
        for place in 0..FRAME_DEPTH as u64 {
            assert!(stack.push(poll(place, 1000 - place)));
        }
        assert!(!stack.push(poll(99, 1)));
        assert_eq!(stack.top().map(|frame| frame.key), Some(FRAME_DEPTH as u64 - 1));
    }
}
