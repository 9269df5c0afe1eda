//! Samples merged into stacks, weighted with exact time.
//!
//! Samples give the shape, the exact `running` time gives the total: the stacks of a group share its `running_ns` in
//! proportion to their samples, to the nanosecond. So a graph's width never depends on how many samples were lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::capture::Sample;
use super::folding::{Executor, fold};
use super::states::State;
use super::symbols::{Frame, Symbolize};
use super::text::printable;

/// A frame's number in [`Frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(u32);

/// What a frame of a graph stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FrameKind {
    /// A request, the root of its tower.
    Request,
    /// A task or a task type.
    Task,
    /// A function on the CPU.
    Code,
    /// The state that the time was spent in, the leaf of a wall graph.
    State(State),
    /// Running time without a sample, or a part of a stack that was not seen. Never a function.
    Unseen,
}

/// A frame as it is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameName {
    /// One line of printable text; may hold a `;`.
    pub text: String,
    /// What it stands for.
    pub kind: FrameKind,
}

impl FrameName {
    /// A frame with untrusted text, made printable.
    #[must_use]
    pub fn new(kind: FrameKind, text: &str) -> Self {
        Self { text: printable(text.as_bytes()), kind }
    }
}

/// Every frame of a graph once.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    names: Vec<FrameName>,
    ids: HashMap<FrameName, FrameId>,
    full: HashMap<FrameId, String>,
}

impl Frames {
    /// The number of a frame, new or known.
    pub fn id(&mut self, name: FrameName) -> FrameId {
        if let Some(&id) = self.ids.get(&name) {
            return id;
        }
        // 2^32 names do not fit into memory; were there more, they would share the last number.
        let id = FrameId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    /// Notes the full name that a frame's text is short for. Several may be short for one: the first is an example of them.
    pub fn note_full(&mut self, id: FrameId, frame: &Frame) {
        if frame.full != frame.function {
            self.full.entry(id).or_insert_with(|| printable(frame.full.as_bytes()));
        }
    }

    /// The full name that a frame's text is short for, printable. `None`: it is not short.
    #[must_use]
    pub fn full(&self, id: FrameId) -> Option<&str> {
        self.full.get(&id).map(String::as_str)
    }

    /// The frame of a number. `None`: the number is of another graph.
    #[must_use]
    pub fn name(&self, id: FrameId) -> Option<&FrameName> {
        self.names.get(usize::try_from(id.0).ok()?)
    }
}

/// Samples of one group, merged by stack: addresses leaf first, and whether the walk ended early.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    counts: BTreeMap<(Vec<u64>, bool), u64>,
}

impl Merged {
    /// Counts samples by stack.
    #[must_use]
    pub fn of<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Self {
        let mut counts = BTreeMap::new();
        for sample in samples {
            let count: &mut u64 = counts.entry((call_sites(&sample.stack.frames), !sample.stack.end.is_whole())).or_default();
            *count = count.saturating_add(1);
        }
        Self { counts }
    }

    /// How many samples there are.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.counts.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// How many of them have a stack that was not walked to its end, or none at all.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        let cut = self.counts.iter().filter(|((stack, truncated), _)| *truncated || stack.is_empty());
        cut.fold(0, |sum, (_, &count)| sum.saturating_add(count))
    }

    fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.keys().flat_map(|(stack, _)| stack.iter().copied())
    }
}

/// A return address is the instruction after the call: one byte before lies in the call, on its line, in its function.
fn call_sites(stack: &[u64]) -> Vec<u64> {
    let leaf = stack.iter().take(1).copied();
    leaf.chain(stack.iter().skip(1).map(|address| address.saturating_sub(1))).collect()
}

/// One stack and its part of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// Frames, root first.
    pub stack: Vec<FrameId>,
    /// Samples with this stack. 0: time that no sample fell into.
    pub samples: u64,
    /// Its part of the group's running time.
    pub ns: u64,
}

/// Frames of addresses, looked up once for a whole graph.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Root-most first.
    frames: HashMap<u64, Vec<FrameId>>,
}

impl Resolved {
    /// Looks up every address of the groups, each once.
    pub fn of<'m>(groups: impl IntoIterator<Item = &'m Merged>, symbols: &mut dyn Symbolize, frames: &mut Frames) -> Self {
        let addresses: BTreeSet<u64> = groups.into_iter().flat_map(Merged::addresses).collect();
        let addresses: Vec<u64> = addresses.into_iter().collect();
        let named = symbols.symbolize(&addresses);
        let ids = named.iter().map(|functions| {
            let functions = functions.iter().rev();
            let id = |frame: &Frame| {
                let id = frames.id(FrameName::new(FrameKind::Code, &frame.function));
                frames.note_full(id, frame);
                id
            };
            functions.map(id).collect()
        });
        Self { frames: addresses.iter().copied().zip(ids).collect() }
    }

    fn stack(&self, addresses: &[u64], truncated: bool, frames: &mut Frames) -> Vec<FrameId> {
        let mut stack = Vec::new();
        if addresses.is_empty() {
            stack.push(frames.id(FrameName::new(FrameKind::Unseen, "[no stack]")));
        } else if truncated {
            stack.push(frames.id(FrameName::new(FrameKind::Unseen, "[truncated]")));
        }
        for address in addresses.iter().rev() {
            stack.extend(self.frames.get(address).into_iter().flatten());
        }
        fold(&mut stack, |&id| Executor::of_shown(&frames.name(id)?.text));
        stack
    }
}

/// The stacks of a group with `running_ns` split between them by samples, exactly.
///
/// Without a sample the time is one frame that says so: a shape is never made up. Without running time there are no
/// stacks, whatever was sampled.
pub fn weigh(group: &Merged, running_ns: u64, resolved: &Resolved, frames: &mut Frames) -> Vec<Weighed> {
    if running_ns == 0 {
        return Vec::new();
    }
    if group.counts.is_empty() {
        let unseen = frames.id(FrameName::new(FrameKind::Unseen, "[running, no sample]"));
        return vec![Weighed { stack: vec![unseen], samples: 0, ns: running_ns }];
    }
    // Different addresses of one function are one stack.
    let mut stacks: BTreeMap<Vec<FrameId>, u64> = BTreeMap::new();
    for ((addresses, truncated), count) in &group.counts {
        let sum = stacks.entry(resolved.stack(addresses, *truncated, frames)).or_default();
        *sum = sum.saturating_add(*count);
    }
    let counts: Vec<u64> = stacks.values().copied().collect();
    let shares = split_exactly(running_ns, &counts);
    stacks.into_iter().zip(shares).map(|((stack, samples), ns)| Weighed { stack, samples, ns }).collect()
}

/// Splits `total` in proportion to `counts`, in whole numbers that add up to it (largest remainder; of equal
/// remainders the first). All zero where every count is zero.
#[must_use]
pub fn split_exactly(total: u64, counts: &[u64]) -> Vec<u64> {
    let sum: u128 = counts.iter().map(|&count| u128::from(count)).sum();
    if sum == 0 {
        return vec![0; counts.len()];
    }
    // Both factors are below 2^64: the product fits, and the quotient is at most `total`.
    let parts = counts.iter().map(|&count| u128::from(total) * u128::from(count));
    let mut shares: Vec<u64> = parts.clone().map(|part| u64::try_from(part / sum).unwrap_or(total)).collect();
    let given: u64 = shares.iter().sum();
    let left = usize::try_from(total.saturating_sub(given)).unwrap_or(usize::MAX);
    let mut by_remainder: Vec<(u128, usize)> = parts.map(|part| part % sum).zip(0..).collect();
    by_remainder.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in by_remainder.into_iter().take(left) {
        if let Some(share) = shares.get_mut(index) {
            *share = share.saturating_add(1);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stack;
    use crate::model::fixture::Names;
    use profiler_common::unwind::End;
    use proptest::prelude::*;

    fn weighed(samples: &[Sample], running_ns: u64) -> Vec<(String, u64, u64)> {
        let mut frames = Frames::default();
        let group = Merged::of(samples);
        let resolved = Resolved::of([&group], &mut Names, &mut frames);
        weigh(&group, running_ns, &resolved, &mut frames)
            .into_iter()
            .map(|stack| {
                let names = stack.stack.iter().map(|&id| frames.name(id).unwrap().text.as_str());
                (names.collect::<Vec<_>>().join(";"), stack.samples, stack.ns)
            })
            .collect()
    }

    fn sample(stack: &[u64], truncated: bool) -> Sample {
        let end = if truncated { End::Unreadable } else { End::Poll };
        Sample { stack: Stack { frames: stack.to_vec(), end, ..Stack::default() }, ..Sample::default() }
    }

    #[test]
    fn return_addresses_belong_to_the_call_before_them() {
        // 0x2000 as a return address is the end of the function before; as the leaf it is `orders::handle`.
        assert_eq!(weighed(&[sample(&[0x2000, 0x2001], false)], 5), [("orders::handle;orders::handle".to_owned(), 1, 5)]);
        assert_eq!(weighed(&[sample(&[0x2000, 0x2000], false)], 5), [("[unknown 0x1fff];orders::handle".to_owned(), 1, 5)]);
    }

    #[test]
    fn inlined_functions_stand_outermost_first() {
        assert_eq!(weighed(&[sample(&[0x4000], false)], 5), [("orders::price;orders::tax".to_owned(), 1, 5)]);
    }

    #[test]
    fn what_was_not_seen_is_shown_as_such() {
        assert_eq!(weighed(&[], 7), [("[running, no sample]".to_owned(), 0, 7)]);
        assert_eq!(weighed(&[sample(&[0x1000], false)], 0), []);
        assert_eq!(
            weighed(&[sample(&[], false), sample(&[0x1000], true)], 8),
            [("[no stack]".to_owned(), 1, 4), ("[truncated];orders::load".to_owned(), 1, 4)]
        );
    }

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        assert_eq!(split_exactly(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(split_exactly(100, &[999, 1, 0]), [100, 0, 0]);
        assert_eq!(split_exactly(7, &[0, 0]), [0, 0]);
        assert_eq!(split_exactly(u64::MAX, &[u64::MAX, u64::MAX]), [u64::MAX / 2 + 1, u64::MAX / 2]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_fair(total in any::<u64>(), counts in prop::collection::vec(any::<u64>(), 1..20)) {
            let shares = split_exactly(total, &counts);
            let sum: u128 = counts.iter().map(|&count| u128::from(count)).sum();
            prop_assume!(sum > 0);
            prop_assert_eq!(shares.iter().map(|&share| u128::from(share)).sum::<u128>(), u128::from(total));
            for (&share, &count) in shares.iter().zip(&counts) {
                let fair = u128::from(total) * u128::from(count) / sum;
                prop_assert!(u128::from(share) == fair || u128::from(share) == fair + 1);
            }
        }
    }
}
