//! Keeping the latest so many, and counting what had to go.

use std::collections::VecDeque;

/// How many it first has room for.
const LEAST: usize = 16;

/// The latest `most` items.
#[derive(Debug)]
pub(super) struct Latest<T> {
    items: VecDeque<T>,
    most: usize,
    dropped: u64,
}

impl<T> Latest<T> {
    pub(super) const fn of(most: usize) -> Self {
        Self { items: VecDeque::new(), most, dropped: 0 }
    }

    /// The same, with `most` no less than `least`.
    pub(super) fn with_room_for(mut self, least: usize) -> Self {
        self.most = self.most.max(least);
        self
    }

    pub(super) fn push(&mut self, item: T) {
        if self.items.len() >= self.most {
            self.items.pop_front();
            self.dropped += 1;
        }
        if self.items.len() == self.items.capacity() {
            // Left to itself it doubles beyond `most`, and in going round comes to use all that it has.
            let more = self.items.len().max(LEAST).min(self.most.saturating_sub(self.items.len())).max(1);
            self.items.reserve_exact(more);
        }
        self.items.push_back(item);
    }

    /// Lets go of what is of no use; that is no loss.
    pub(super) fn retain(&mut self, of_use: impl FnMut(&T) -> bool) {
        self.items.retain(of_use);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// How many had to go.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::Latest;

    /// Check that the oldest goes first and that it is counted.
    #[test]
    fn the_oldest_goes() {
        let mut latest = Latest::of(2);
        (1..=5).for_each(|item| latest.push(item));
        assert_eq!(latest.iter().copied().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(latest.dropped(), 3);
        latest.retain(|item| *item != 4);
        assert_eq!((latest.iter().copied().collect::<Vec<_>>(), latest.dropped()), (vec![5], 3));
    }

    /// Check that more can be kept where it is asked for, and never less.
    #[test]
    fn more_are_kept_where_there_is_room() {
        for (least, kept) in [(4, 4), (1, 2)] {
            let mut latest = Latest::of(2).with_room_for(least);
            (1..=5).for_each(|item| latest.push(item));
            assert_eq!((latest.iter().count(), latest.dropped()), (kept, 5 - kept as u64));
        }
    }

    /// Check that no more room is taken than for the most that are kept.
    #[test]
    fn it_takes_no_more_room_than_it_may_fill() {
        let mut latest = Latest::of(1000);
        (0..5000).for_each(|item| latest.push(item));
        assert_eq!((latest.items.len(), latest.items.capacity()), (1000, 1000));
    }
}
