//! How a walk ended. A whole stack ends at the task's poll or at the thread's root; every other end has its counter.

use crate::loss::Loss;

/// How a walk ended. Numbers are never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum End {
    /// It goes on: a record never holds this.
    #[default]
    Going = 0,
    /// At the function that polls the innermost task, which is the last frame.
    Poll = 1,
    /// At the thread's root.
    Root = 2,
    /// At a pc that lies in no known mapping.
    NoMapping = 3,
    /// At a pc of a known file for which its tables have no row.
    NoRow = 4,
    /// At a rule that compact rows cannot say.
    Unsupported = 5,
    /// At a word of the stack that could not be read: never touched, paged out, or not the target's.
    Unreadable = 6,
    /// At a caller that would not lie above its callee, or would lie beyond the task's poll.
    NoProgress = 7,
    /// After [`crate::limits::STACK_FRAMES`] frames.
    TooDeep = 8,
    /// Where a chain of frame pointers was left, in code without tables.
    FramePointer = 9,
    /// At the trampoline of a return probe whose caller the kernel did not tell.
    Trampoline = 10,
}

impl End {
    /// Every end that a record can hold, in order of its number.
    pub const ALL: [Self; 10] = [
        Self::Poll,
        Self::Root,
        Self::NoMapping,
        Self::NoRow,
        Self::Unsupported,
        Self::Unreadable,
        Self::NoProgress,
        Self::TooDeep,
        Self::FramePointer,
        Self::Trampoline,
    ];

    /// The end of this number. `None`: there is none.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|end| *end as u32 == number)
    }

    /// Whether the stack is whole.
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Poll | Self::Root)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Going => "going",
            Self::Poll => "poll",
            Self::Root => "root",
            Self::NoMapping => "no_mapping",
            Self::NoRow => "no_row",
            Self::Unsupported => "unsupported",
            Self::Unreadable => "unreadable",
            Self::NoProgress => "no_progress",
            Self::TooDeep => "too_deep",
            Self::FramePointer => "frame_pointer",
            Self::Trampoline => "trampoline",
        }
    }

    /// The loss that a walk is that ended so, `None` for a whole stack. It has no counter of its own: [`Walks`] count ends.
    #[must_use]
    pub const fn loss(self) -> Option<Loss> {
        match self {
            Self::Going | Self::Poll | Self::Root => None,
            Self::NoMapping => Some(Loss::UnwindNoMapping),
            Self::NoRow => Some(Loss::UnwindNoRow),
            Self::Unsupported => Some(Loss::UnwindUnsupported),
            Self::Unreadable => Some(Loss::UnwindUnreadable),
            Self::NoProgress => Some(Loss::UnwindNoProgress),
            Self::TooDeep => Some(Loss::UnwindTooDeep),
            Self::FramePointer => Some(Loss::UnwindFramePointer),
            Self::Trampoline => Some(Loss::UnwindTrampoline),
        }
    }
}

/// Every walk since the attach, summed by the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Walks {
    /// Walks.
    pub walks: u64,
    /// Frames found by them.
    pub frames: u64,
    /// Time they took (ns).
    pub walk_ns: u64,
    /// How many ended how, by number of the [`End`].
    pub ends: [u64; ENDS],
}

/// Places for ends: a power of two, so that an index can be masked.
pub const ENDS: usize = 16;

impl Walks {
    /// No walk.
    pub const NONE: Self = Self { walks: 0, frames: 0, walk_ns: 0, ends: [0; ENDS] };

    /// How many ended so.
    #[must_use]
    pub fn ended(&self, end: End) -> u64 {
        self.ends.get(end as usize).copied().unwrap_or(0)
    }

    /// How many were cut in a way that is this loss.
    #[must_use]
    pub fn cut_by(&self, loss: Loss) -> u64 {
        End::ALL.into_iter().filter(|end| end.loss() == Some(loss)).map(|end| self.ended(end)).sum()
    }

    /// Notes a walk. `end` is the number of its [`End`], and masked: the verifier knows no bound of it.
    #[inline(always)]
    pub fn add(&mut self, end: u32, frames: u32, walk_ns: u64) {
        self.walks += 1;
        self.frames += u64::from(frames);
        self.walk_ns += walk_ns;
        self.ends[end as usize & (ENDS - 1)] += 1;
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.walks += other.walks;
        self.frames += other.frames;
        self.walk_ns += other.walk_ns;
        self.ends.iter_mut().zip(other.ends).for_each(|(sum, more)| *sum += more);
        self
    }
}

impl Default for Walks {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Loss, Walks};

    /// Check that numbers find their ends and that every cut is counted.
    #[test]
    fn every_cut_is_counted() {
        for end in End::ALL {
            assert_eq!(End::from_number(end as u32), Some(end));
            assert_eq!(end.loss().is_none(), end.is_whole(), "{}", end.name());
        }
        assert_eq!(End::from_number(0), None);
        assert_eq!(End::from_number(99), None);
    }

    /// Check that a loss is the sum of the ends that it stands for, and that others are none.
    #[test]
    fn cut_walks_are_losses() {
        let mut walks = Walks::NONE;
        for end in End::ALL {
            (0..=end as u32).for_each(|_| walks.add(end as u32, 1, 1));
        }
        assert_eq!(walks.cut_by(Loss::UnwindNoRow), u64::from(End::NoRow as u32) + 1);
        assert_eq!(walks.cut_by(Loss::StaleFrame), 0);
    }
}
