//! Stacks of one group merged, and the group's exact time divided between them.
//!
//! Two kinds of weight. A sample stands for what lay between two ticks of its clock, which is an estimate: samples are
//! stretched to the exact `running` time, whatever their number. A stretch off the CPU has its own exact time: it is
//! drawn as it is, and what is missing is shown as missing.

use std::collections::BTreeMap;

use super::split::split_exactly;
use super::{Aligned, FrameId, FrameKind, FrameName, Frames, Nested, Resolved, cut};
use crate::model::capture::{OffCpu, Sample, ScopeSeq, Stack};
use crate::model::states::State;
use crate::model::syscalls::syscall_name;

/// Stacks of one group in one state.
#[derive(Clone, Debug)]
pub struct Merged {
    state: State,
    weights: BTreeMap<Walked, Weight>,
}

/// What stacks are merged by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Walked {
    /// Leaf first, each in its call.
    addresses: Vec<u64>,
    /// Whether the walk ended early.
    truncated: bool,
    syscall: Option<u32>,
    /// The thread: a graph adds them up, a list of stacks tells them apart.
    tid: u32,
    /// Where the scope of the group's request lies in it.
    nested: Nested,
}

/// A stack as it was walked, and its part of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Leaf first, each in its call. Empty: no stack.
    pub addresses: Vec<u64>,
    /// What stands before the outermost function that was seen, where that is not the outermost there is.
    pub cut: Option<FrameName>,
    /// The state, with the system call where there is one.
    pub leaf: FrameName,
    /// The thread. `None`: time without a sample or stretch.
    pub tid: Option<u32>,
    /// Where the scope of the group's request lies in the stack.
    pub nested: Nested,
    /// Samples or stretches with this stack.
    pub count: u64,
    /// Its part of the group's time.
    pub ns: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    count: u64,
    ns: u64,
}

impl Weight {
    const fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ns = self.ns.saturating_add(other.ns);
    }
}

impl Merged {
    /// Samples: on the CPU. `scope` is that of the request whose time it is.
    #[must_use]
    pub fn samples<'s>(samples: impl IntoIterator<Item = &'s Sample>, scope: Option<ScopeSeq>) -> Self {
        // A sample that stands for no time would be a stack that is never drawn.
        let weighed = samples.into_iter().map(|sample| (&sample.stack, None, sample.period_ns.max(1)));
        Self::of(State::Running, weighed, scope)
    }

    /// What stretches off the CPU spent in `state`: blocked or preempted.
    #[must_use]
    pub fn off_cpu<'s>(stretches: impl IntoIterator<Item = &'s OffCpu>, state: State, scope: Option<ScopeSeq>) -> Self {
        let weighed = stretches.into_iter().map(|off| match state {
            State::Blocked => (&off.stack, off.syscall, off.blocked_ns),
            State::Preempted => (&off.stack, None, off.preempted_ns),
            State::Running | State::Scheduled | State::Suspended => (&off.stack, None, 0),
        });
        Self::of(state, weighed.filter(|&(_, _, ns)| ns > 0), scope)
    }

    fn of<'s>(state: State, weighed: impl Iterator<Item = (&'s Stack, Option<u32>, u64)>, scope: Option<ScopeSeq>) -> Self {
        let mut weights: BTreeMap<Walked, Weight> = BTreeMap::new();
        for (stack, syscall, ns) in weighed {
            let walked = Walked {
                addresses: call_sites(&stack.frames),
                truncated: !stack.end.is_whole(),
                syscall,
                tid: stack.tid,
                nested: nested(stack, scope),
            };
            weights.entry(walked).or_default().add(Weight { count: 1, ns });
        }
        Self { state, weights }
    }

    /// How many samples or stretches there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.weights.values().fold(0, |sum, weight| sum.saturating_add(weight.count))
    }

    /// The time they stand for.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.weights.values().fold(0, |sum, weight| sum.saturating_add(weight.ns))
    }

    /// How many of them have a stack that was not walked to its end, or none at all.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        let cut = self.weights.iter().filter(|(walked, _)| walked.truncated || walked.addresses.is_empty());
        cut.fold(0, |sum, (_, weight)| sum.saturating_add(weight.count))
    }

    /// The group's time divided between its stacks, by address: the same rule as [`weigh`], before names are looked up.
    #[must_use]
    pub fn shares(&self, total_ns: u64) -> Vec<Share> {
        let weights: Vec<u64> = self.weights.values().map(|weight| weight.ns).collect();
        let (shares, rest_ns) = self.divide(total_ns, &weights);
        let seen = self.weights.iter().zip(shares).map(|((walked, weight), ns)| Share {
            addresses: walked.addresses.clone(),
            cut: cut(&walked.addresses, walked.truncated),
            leaf: self.leaf(walked),
            tid: Some(walked.tid),
            nested: walked.nested,
            count: weight.count,
            ns,
        });
        let (addresses, nested) = (Vec::new(), Nested::default());
        let rest = Share { addresses, cut: None, leaf: self.unseen(), tid: None, nested, count: 0, ns: rest_ns };
        seen.chain([rest]).filter(|share| share.ns > 0).collect()
    }

    /// What each weight gets of `total_ns`, and what is left without a stack.
    fn divide(&self, total_ns: u64, weights: &[u64]) -> (Vec<u64>, u64) {
        let seen_ns = self.ns();
        let rest_ns = if self.state == State::Running && seen_ns > 0 { 0 } else { total_ns.saturating_sub(seen_ns) };
        (split_exactly(total_ns.saturating_sub(rest_ns), weights), rest_ns)
    }

    /// Every address in it, as often as it comes.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.weights.keys().flat_map(|walked| walked.addresses.iter().copied())
    }

    fn leaf(&self, walked: &Walked) -> FrameName {
        match walked.syscall {
            Some(number) => {
                let text = format!("[{} in {}]", self.state.name(), syscall_name(number));
                FrameName { text, kind: FrameKind::State(self.state) }
            }
            None => FrameName::state(self.state),
        }
    }

    /// Time of the state that no stack was taken in. A shape is never made up.
    fn unseen(&self) -> FrameName {
        match self.state {
            State::Running => FrameName::new(FrameKind::Unseen, "[running, no sample]"),
            state => FrameName { text: format!("[{}, no stack]", state.name()), kind: FrameKind::State(state) },
        }
    }
}

/// Where a request's scope lies among those that a stack was in.
fn nested(stack: &Stack, scope: Option<ScopeSeq>) -> Nested {
    let at = scope.and_then(|scope| stack.requests.iter().position(|&entered| entered == scope));
    at.map_or_else(Nested::default, |at| Nested { place: at.saturating_add(1), of: stack.requests.len() })
}

/// A return address is the instruction after the call: one byte before lies in the call, on its line, in its function.
#[must_use]
pub fn call_sites(stack: &[u64]) -> Vec<u64> {
    let leaf = stack.iter().take(1).copied();
    leaf.chain(stack.iter().skip(1).map(|address| address.saturating_sub(1))).collect()
}

/// One stack and its part of the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// Frames, root first.
    pub stack: Vec<FrameId>,
    /// Samples or stretches with this stack. 0: time without one.
    pub count: u64,
    /// Its part of the group's time.
    pub ns: u64,
}

/// The stacks of a group with `total_ns` divided between them, exactly; with their state as the leaf if `leaves`.
///
/// Samples share all of it. Stretches off the CPU take what they lasted, and what is left is one frame that says so;
/// if they lasted longer than that (a stretch that began before its scope was entered), each is cut by the same factor.
/// Without time there are no stacks, whatever was seen. Stacks are cut to those of awaits where there is something to align them with.
pub fn weigh(
    group: &Merged,
    total_ns: u64,
    leaves: bool,
    (resolved, aligned): (&Resolved, Option<&Aligned>),
    frames: &mut Frames,
) -> Vec<Weighed> {
    if total_ns == 0 {
        return Vec::new();
    }
    // Different addresses of one function are one stack.
    let mut stacks: BTreeMap<Vec<FrameId>, Weight> = BTreeMap::new();
    for (walked, weight) in &group.weights {
        let mut stack = resolved.stack(&walked.addresses, walked.truncated, frames);
        if let Some(aligned) = aligned {
            stack = frames.aligned(stack, aligned, walked.nested);
        }
        if leaves {
            stack.push(frames.id(group.leaf(walked)));
        }
        stacks.entry(stack).or_default().add(*weight);
    }
    let weights: Vec<u64> = stacks.values().map(|weight| weight.ns).collect();
    let (shares, rest_ns) = group.divide(total_ns, &weights);
    let drawn = stacks.into_iter().zip(shares).map(|((stack, weight), ns)| Weighed { stack, count: weight.count, ns });
    let rest = (rest_ns > 0).then(|| Weighed { stack: vec![frames.id(group.unseen())], count: 0, ns: rest_ns });
    drawn.chain(rest).collect()
}
