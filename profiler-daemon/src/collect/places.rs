//! Where threads were blocked inside polls: every stretch since the attach, summed by its place.
//!
//! Single stretches are kept for a while only ([`super::keep`]); a daemon that has run for days must still know its worst
//! places. A place is small and there are few: as many as there are lines that block.

use std::collections::HashMap;

use profiler_common::unwind::End;

use super::Off;

/// The most places that are known. One with a stack of full length takes some 1.2 KiB.
const MAX_PLACES: usize = 20_000;

/// Every stretch that was blocked with one stack, in one system call, in tasks of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// User addresses, leaf first.
    pub frames: Box<[u64]>,
    /// How the walk ended.
    pub end: End,
    /// The system call.
    pub syscall: Option<u32>,
    /// The polled tasks' type, `None` outside any task.
    pub task_type: Option<u32>,
    /// What they come to.
    pub sum: PlaceSum,
}

/// What the stretches of one place come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceSum {
    /// Stretches.
    pub count: u64,
    /// Time asleep (ns).
    pub blocked_ns: u64,
    /// The longest of them (ns).
    pub longest_ns: u64,
    /// The part of `blocked_ns` in which the thread was stopped or traced.
    pub stopped_ns: u64,
    /// The innermost request of the longest, 0 for none.
    pub request: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    frames: Box<[u64]>,
    end: End,
    syscall: Option<u32>,
    task_type: Option<u32>,
}

/// All places.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    known: HashMap<Key, PlaceSum>,
    dropped: u64,
}

impl Places {
    /// Counts a stretch to its place, if it was blocked at all.
    pub(super) fn add(&mut self, off: &Off) {
        if off.off.blocked_ns == 0 {
            return;
        }
        let stack = &off.stack;
        let key = Key { frames: stack.frames.clone(), end: stack.end, syscall: off.syscall, task_type: stack.task_type };
        if self.known.len() >= MAX_PLACES && !self.known.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let sum = self.known.entry(key).or_default();
        sum.count += 1;
        sum.blocked_ns = sum.blocked_ns.saturating_add(off.off.blocked_ns);
        sum.stopped_ns = sum.stopped_ns.saturating_add(off.off.stopped_ns);
        if off.off.blocked_ns > sum.longest_ns {
            sum.longest_ns = off.off.blocked_ns;
            sum.request = stack.requests.iter().copied().find(|number| *number != 0).unwrap_or(0);
        }
    }

    /// The places themselves, in no order.
    pub(super) fn into_all(self) -> Vec<Place> {
        let place = |(Key { frames, end, syscall, task_type }, sum)| Place { frames, end, syscall, task_type, sum };
        self.known.into_iter().map(place).collect()
    }

    /// How many stretches had no place because too many were known.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::clock::OffCpu;
    use profiler_common::record::SAMPLE_REQUESTS;

    use super::super::Stack;
    use super::*;

    fn off(leaf: u64, blocked_ns: u64, request: u64) -> Off {
        let mut requests = [0; SAMPLE_REQUESTS];
        requests[1] = request;
        Off {
            stack: Stack {
                time_ns: 1,
                tid: 7,
                task_type: Some(2),
                task_id: 3,
                requests,
                poll_start_ns: 1,
                frames: Box::new([leaf, 0x2000]),
                end: End::Poll,
            },
            syscall: Some(230),
            off: OffCpu { preempted_ns: 9, blocked_ns, stopped_ns: blocked_ns / 2 },
        }
    }

    /// Check that stretches of one place are summed, the longest with its request, and mere preemption is no place.
    #[test]
    fn stretches_are_summed_by_place() {
        let mut places = Places::default();
        for stretch in [off(0x1000, 10, 5), off(0x1000, 40, 6), off(0x1000, 20, 7), off(0x1008, 0, 8)] {
            places.add(&stretch);
        }
        let all = places.into_all();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].sum, PlaceSum { count: 3, blocked_ns: 70, longest_ns: 40, stopped_ns: 35, request: 6 });
        assert_eq!((all[0].frames[0], all[0].syscall, all[0].task_type), (0x1000, Some(230), Some(2)));
    }

    /// Check that one place too many is counted and that the known ones still grow.
    #[test]
    fn places_are_bounded() {
        let mut places = Places::default();
        (0..MAX_PLACES as u64 + 2).for_each(|leaf| places.add(&off(leaf, 1, 0)));
        places.add(&off(0, 1, 0));
        let (dropped, all) = (places.dropped(), places.into_all());
        assert_eq!((all.len(), dropped), (MAX_PLACES, 2));
        assert_eq!(all.iter().map(|place| place.sum.count).sum::<u64>(), MAX_PLACES as u64 + 1);
    }
}
