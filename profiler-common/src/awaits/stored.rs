//! Stacks in which wakers were stored, told again without a walk.
//!
//! A walk looks a row up for each frame; all that comes of it is where the return addresses lie. Where a stack of the same depth, and with the
//! same innermost return address, has been walked before, they are read from the places at which they lay then. If they are those of a stack
//! that is known, it is that stack: each return address tells how large its function's frame is, and so where the next one lies.

use super::stack::{ID_START, id_with};
use super::word::{WordKind, address_word};
use crate::limits::AWAIT_WORDS;
use crate::unwind::Memory;

/// Key of the map `WAKER_SHAPES`: stacks that are likely to have one shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WakerKey {
    /// Where the function that stores the waker returns to.
    pub caller: u64,
    /// Bytes from the stack pointer to the return address of the task's poll.
    pub depth: u64,
}

/// Where the return addresses lie in stacks of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WakerShape {
    /// Frames, the innermost included, which has no return address. 0: nothing was walked.
    pub frames: u32,
    /// Keeps the places together; always 0.
    pub padding: u32,
    /// The place of each frame's address, in words (8 bytes) above the stack pointer.
    pub places: [u16; AWAIT_WORDS],
}

impl WakerShape {
    /// No frames.
    pub const NONE: Self = Self { frames: 0, padding: 0, places: [0; AWAIT_WORDS] };

    /// Notes that the address of frame `frame` lies at `address`, which is `sp` or above it.
    #[inline(always)]
    pub fn note(&mut self, frame: u32, sp: u64, address: u64) {
        let words = address.wrapping_sub(sp) / 8;
        // One that lies too far away is never found again: at the stack pointer there is another word.
        let place = u16::try_from(words).unwrap_or(0);
        self.places[frame as usize & (AWAIT_WORDS - 1)] = place;
    }

    /// Whether a stack of this shape can be told again.
    #[inline(always)]
    #[must_use]
    pub const fn is_of_use(&self) -> bool {
        self.frames > 1 && self.frames as usize <= AWAIT_WORDS
    }

    /// The id of the stack at `sp`, if it has this shape and its innermost frame is at `pc`.
    #[inline(always)]
    pub fn id(&self, pc: u64, sp: u64, memory: &impl Memory) -> Option<u64> {
        let mut id = id_with(ID_START, address_word(WordKind::Address, 0, pc));
        for frame in 1..AWAIT_WORDS {
            if frame >= self.frames as usize {
                break;
            }
            let place = self.places[frame & (AWAIT_WORDS - 1)];
            let address = memory.word(sp.wrapping_add(u64::from(place) * 8))?;
            id = id_with(id, address_word(WordKind::Address, 0, address));
        }
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::awaits::AwaitWalk;
    use crate::awaits::node::target;

    const SP: u64 = 0x7fff_0000;

    /// A stack: words from [`SP`] on.
    struct Stack(Vec<u64>);

    impl Memory for Stack {
        fn word(&self, address: u64) -> Option<u64> {
            self.0.get(usize::try_from(address.checked_sub(SP)? / 8).ok()?).copied()
        }
    }

    /// What a walk keeps of `addresses`, the innermost first.
    fn walked(addresses: &[u64]) -> u64 {
        let mut walk = AwaitWalk::NEW;
        walk.begin(0, target::NOTHING);
        assert!(addresses.iter().all(|address| walk.keep(address_word(WordKind::Address, 0, *address))));
        walk.id
    }

    fn shape(places: &[u64]) -> WakerShape {
        let mut shape = WakerShape { frames: u32::try_from(places.len()).unwrap() + 1, ..WakerShape::NONE };
        (1..).zip(places).for_each(|(frame, place)| shape.note(frame, SP, SP + place * 8));
        shape
    }

    /// Check that a stack has the id that a walk gives it, and one with another caller in its midst has another.
    #[test]
    fn a_known_stack_is_told_by_its_return_addresses() {
        let shape = shape(&[1, 4, 6]);
        let stack = |caller| Stack(vec![0, 0x5001, 9, 9, caller, 9, 0x5003]);
        assert_eq!(shape.id(0x5000, SP, &stack(0x5002)), Some(walked(&[0x5000, 0x5001, 0x5002, 0x5003])));
        assert_eq!(shape.id(0x5000, SP, &stack(0x6002)), Some(walked(&[0x5000, 0x5001, 0x6002, 0x5003])));
        assert_ne!(shape.id(0x5000, SP, &stack(0x5002)), shape.id(0x5000, SP, &stack(0x6002)));
    }

    /// Check that what cannot be read tells nothing.
    #[test]
    fn an_unreadable_stack_has_no_id() {
        assert_eq!(shape(&[1, 7]).id(0x5000, SP, &Stack(vec![0, 0x5001])), None);
    }

    /// Check that a shape that takes all places is of use, and one that would take more is not.
    #[test]
    fn shapes_have_bounds() {
        let frames = u32::try_from(AWAIT_WORDS).unwrap();
        assert!(!WakerShape { frames: 1, ..WakerShape::NONE }.is_of_use());
        assert!(WakerShape { frames, ..WakerShape::NONE }.is_of_use());
        assert!(!WakerShape { frames: frames + 1, ..WakerShape::NONE }.is_of_use());
        let mut far = WakerShape::NONE;
        far.note(frames - 1, SP, SP + 8 * 65_535);
        assert_eq!(far.places[AWAIT_WORDS - 1], u16::MAX);
        far.note(1, SP, SP + 8 * 65_536);
        assert_eq!(far.places[1], 0);
    }
}
