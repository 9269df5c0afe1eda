//! The tasks that a walk met: those that a task waits for by a `JoinHandle`, or in a `JoinSet`.
//!
//! A walk keeps one of many equal ones, and the header of the first. It asks the table for the type of each that it meets, so the table is
//! where they can be counted.

use std::cell::RefCell;

use profiler_common::awaits::{Edge, Node, Tables};

/// Tasks that are told one by one.
const MOST: usize = 8;

/// Tasks, the first of them by a number each: their headers, or their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    numbers: [u64; MOST],
    told: usize,
    /// How many there are beyond those.
    pub(super) more: u64,
}

impl Met {
    /// Each that is told.
    pub(super) fn numbers(&self) -> &[u64] {
        self.numbers.get(..self.told).unwrap_or_default()
    }

    fn note(&mut self, number: u64) {
        match self.numbers.get_mut(self.told) {
            Some(place) => {
                *place = number;
                self.told += 1;
            }
            None => self.more += 1,
        }
    }

    /// The same tasks by other numbers; of one that has none nothing is told, but that it is there.
    pub(super) fn by(&self, of: impl Fn(u64) -> Option<u64>) -> Self {
        let mut met = Self::default();
        for number in self.numbers() {
            match of(*number) {
                Some(number) => met.note(number),
                None => met.more += 1,
            }
        }
        met.more += self.more;
        met
    }
}

#[cfg(test)]
impl From<&[u64]> for Met {
    fn from(numbers: &[u64]) -> Self {
        let mut met = Self::default();
        for number in numbers {
            met.note(*number);
        }
        met
    }
}

/// A table that notes which tasks a walk meets.
pub(super) struct Watched<T> {
    tables: T,
    met: RefCell<Met>,
}

impl<T: Tables> Watched<T> {
    pub(super) fn new(tables: T) -> Self {
        Self { tables, met: RefCell::default() }
    }

    /// The headers of the tasks that were met.
    pub(super) fn met(self) -> Met {
        self.met.into_inner()
    }
}

impl<T: Tables> Tables for Watched<T> {
    fn node(&self, place: u32) -> Option<Node> {
        self.tables.node(place)
    }

    fn edge(&self, place: u32) -> Option<Edge> {
        self.tables.edge(place)
    }

    fn entry(&self, vtable: u64) -> Option<u32> {
        self.tables.entry(vtable)
    }

    fn task_type(&self, header: u64) -> u32 {
        // Borrowed for this one line, by the one thread that walks.
        self.met.borrow_mut().note(header);
        self.tables.task_type(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the first are told, all are counted, and that one without a number of the other kind stays counted.
    #[test]
    fn all_are_counted() {
        let headers: Vec<u64> = (1..=11).collect();
        let met = Met::from(&headers[..]);
        assert_eq!((met.numbers(), met.more), (&headers[..8], 3));
        let ids = met.by(|header| (header != 2).then_some(header * 10));
        assert_eq!((ids.numbers(), ids.more), (&[10, 30, 40, 50, 60, 70, 80][..], 4));
    }
}
