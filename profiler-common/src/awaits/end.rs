//! How a walk of awaits ended, and the sum of all walks.

/// How a walk, or one branch of it, ended. Numbers are never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum AwaitEnd {
    /// Every branch was followed to its leaf.
    #[default]
    Whole = 0,
    /// More frames inside one another than are followed.
    TooDeep = 1,
    /// More frames, or more branches, than are kept.
    TooWide = 2,
    /// More steps than a walk may take: a layout that runs in a circle.
    TooLong = 3,
    /// Memory that could not be read: paged out, or not the target's.
    Unreadable = 4,
    /// A tag that the layout does not know, or one that says that another thread was just changing what it is in (a `JoinSet`'s list).
    BadTag = 5,
    /// A `dyn` future whose vtable the layout does not know.
    UnknownDyn = 6,
    /// A type whose shape is not understood.
    Unsupported = 7,
    /// The root is not pending: it has returned or panicked.
    NotPending = 8,
    /// The type has no layout, or several different ones share its address.
    NoLayout = 9,
    /// The kernel side had no room for the walk.
    NoRoom = 10,
}

/// Places for ends: a power of two, so that an index can be masked.
pub const AWAIT_ENDS: usize = 16;

impl AwaitEnd {
    /// Every end, in order of its number.
    pub const ALL: [Self; 11] = [
        Self::Whole,
        Self::TooDeep,
        Self::TooWide,
        Self::TooLong,
        Self::Unreadable,
        Self::BadTag,
        Self::UnknownDyn,
        Self::Unsupported,
        Self::NotPending,
        Self::NoLayout,
        Self::NoRoom,
    ];

    /// The end of this number. `None`: there is none.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|end| *end as u32 == number)
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::TooDeep => "too_deep",
            Self::TooWide => "too_wide",
            Self::TooLong => "too_long",
            Self::Unreadable => "unreadable",
            Self::BadTag => "bad_tag",
            Self::UnknownDyn => "unknown_dyn",
            Self::Unsupported => "unsupported",
            Self::NotPending => "not_pending",
            Self::NoLayout => "no_layout",
            Self::NoRoom => "no_room",
        }
    }

    /// One sentence for the user: why an await stack is not whole.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Whole => "Every branch was followed to its leaf.",
            Self::TooDeep => "Futures lay deeper inside one another than are followed.",
            Self::TooWide => "More futures were awaited at once than are kept.",
            Self::TooLong => "The walk took more steps than it may.",
            Self::Unreadable => "A future's memory could not be read.",
            Self::BadTag => {
                "A future was in a state that its debug information does not describe, or a task of a set ended just then."
            }
            Self::UnknownDyn => "A boxed `dyn` future's vtable is not in the debug information.",
            Self::Unsupported => "A future's type has a shape that is not understood.",
            Self::NotPending => "The future had returned or panicked.",
            Self::NoLayout => "The future's type is not in the debug information, or shares its code with another.",
            Self::NoRoom => "The kernel side had no room for the walk.",
        }
    }
}

/// Every walk of awaits since the attach, summed by the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct AwaitWalks {
    /// Walks, those included that were not taken because nothing had changed.
    pub walks: u64,
    /// Those: see [`super::Basis`].
    pub unchanged: u64,
    /// Steps taken by them.
    pub steps: u64,
    /// Words kept by them, or kept before where nothing had changed.
    pub words: u64,
    /// Time they took (ns), estimated: one walk in sixteen is timed.
    pub walk_ns: u64,
    /// How many ended how, by number of the [`AwaitEnd`].
    pub ends: [u64; AWAIT_ENDS],
}

impl Default for AwaitWalks {
    fn default() -> Self {
        Self::NONE
    }
}

impl AwaitWalks {
    /// No walk.
    pub const NONE: Self = Self { walks: 0, unchanged: 0, steps: 0, words: 0, walk_ns: 0, ends: [0; AWAIT_ENDS] };

    /// How many ended so.
    #[must_use]
    pub fn ended(&self, end: AwaitEnd) -> u64 {
        self.ends.get(end as usize).copied().unwrap_or(0)
    }

    /// The sum of this and another (of another CPU).
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.walks += other.walks;
        self.unchanged += other.unchanged;
        self.steps += other.steps;
        self.words += other.words;
        self.walk_ns += other.walk_ns;
        for (mine, theirs) in self.ends.iter_mut().zip(&other.ends) {
            *mine += theirs;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{AWAIT_ENDS, AwaitEnd};

    /// Check that an end's number is its place, and that there is room for all.
    #[test]
    fn numbers_are_places() {
        const { assert!(AwaitEnd::ALL.len() <= AWAIT_ENDS) };
        for (place, end) in AwaitEnd::ALL.iter().enumerate() {
            assert_eq!(*end as usize, place, "{}", end.name());
            assert_eq!(AwaitEnd::from_number(*end as u32), Some(*end));
        }
    }
}
