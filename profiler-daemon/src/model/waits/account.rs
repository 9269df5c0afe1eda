//! The time between polls divided among await stacks, exactly: waits that were seen, and a rest.

use std::collections::{BTreeMap, HashMap};

use super::frames::Stacks;
use super::reading::branch_name;
use super::tree::woken;
use crate::model::capture::{AwaitIndex, AwaitOwner, AwaitSpan, AwaitSum, Capture, ScopeSeq};
use crate::model::stacks::split_exactly;
use crate::model::states::States;

/// Suspended and scheduled time with what it was spent in. The parts and the rests add up to the states that it was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounted {
    /// By stack, and by what ended the wait.
    pub parts: Vec<Part>,
    /// Suspended time without a wait.
    pub suspended_rest_ns: u64,
    /// Scheduled time without one.
    pub scheduled_rest_ns: u64,
    /// By how much waits were cut to fit into the states: an event was lost, or came late.
    pub clamped_ns: u64,
}

/// Waits in one stack that were ended by the same branch of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The stack: of equal ones the first.
    pub stack: AwaitIndex,
    /// The branch, by name, where it can be told.
    pub woken_by: Option<String>,
    /// How many.
    pub count: u64,
    /// Their suspended part.
    pub suspended_ns: u64,
    /// Their scheduled part.
    pub scheduled_ns: u64,
    /// The longest, both parts.
    pub longest_ns: u64,
}

/// Waits by whose they are, in order of time.
#[derive(Clone, Debug, Default)]
pub struct Spans<'c>(HashMap<AwaitOwner, Vec<&'c AwaitSpan>>);

impl<'c> Spans<'c> {
    /// Sorts them out.
    #[must_use]
    pub fn of(capture: &'c Capture) -> Self {
        let mut by_owner: HashMap<AwaitOwner, Vec<&AwaitSpan>> = HashMap::new();
        for span in &capture.awaits {
            by_owner.entry(span.owner).or_default().push(span);
        }
        for spans in by_owner.values_mut() {
            spans.sort_by_key(|span| span.start_ns);
        }
        Self(by_owner)
    }

    /// Those of a request's root scope.
    #[must_use]
    pub fn of_scope(&self, scope: ScopeSeq) -> Vec<&'c AwaitSpan> {
        self.of_owner(AwaitOwner::Scope(scope))
    }

    /// Those of a task that a request spawned.
    #[must_use]
    pub fn of_child(&self, request: ScopeSeq, task_id: Option<u64>) -> Vec<&'c AwaitSpan> {
        self.of_owner(AwaitOwner::Child { task_id, request })
    }

    fn of_owner(&self, owner: AwaitOwner) -> Vec<&'c AwaitSpan> {
        self.0.get(&owner).cloned().unwrap_or_default()
    }
}

/// Waits of some owners, each owner's in order of time, within the states of all of them.
#[must_use]
pub fn of_parts<'s>(owners: impl IntoIterator<Item = Vec<&'s AwaitSpan>>, states: &States, stacks: &Stacks) -> Accounted {
    let mut parts: BTreeMap<(AwaitIndex, Option<String>), Part> = BTreeMap::new();
    for spans in owners {
        for (at, span) in spans.iter().enumerate() {
            let Some(stack) = span.stack.and_then(|index| stacks.first_of(index)) else { continue };
            let woken_by = spans.get(at.saturating_add(1)).and_then(|next| woken_by(span, next, stacks));
            let part = parts.entry((stack, woken_by.clone())).or_insert_with(|| Part::none(stack, woken_by));
            part.add(1, span.suspended_ns, span.scheduled_ns, span.suspended_ns.saturating_add(span.scheduled_ns));
        }
    }
    fitted(parts.into_values().collect(), states)
}

/// Waits of all tasks of a type, within their states. What ended one is not kept.
#[must_use]
pub fn of_sums<'s>(sums: impl IntoIterator<Item = &'s AwaitSum>, states: &States, stacks: &Stacks) -> Accounted {
    let mut parts: BTreeMap<AwaitIndex, Part> = BTreeMap::new();
    for sum in sums {
        let Some(stack) = stacks.first_of(sum.stack) else { continue };
        let part = parts.entry(stack).or_insert_with(|| Part::none(stack, None));
        part.add(sum.count, sum.suspended_ns, sum.scheduled_ns, sum.longest_ns);
    }
    fitted(parts.into_values().collect(), states)
}

impl Part {
    const fn none(stack: AwaitIndex, woken_by: Option<String>) -> Self {
        Self { stack, woken_by, count: 0, suspended_ns: 0, scheduled_ns: 0, longest_ns: 0 }
    }

    fn add(&mut self, count: u64, suspended_ns: u64, scheduled_ns: u64, longest_ns: u64) {
        self.count = self.count.saturating_add(count);
        self.suspended_ns = self.suspended_ns.saturating_add(suspended_ns);
        self.scheduled_ns = self.scheduled_ns.saturating_add(scheduled_ns);
        self.longest_ns = self.longest_ns.max(longest_ns);
    }

    /// Both parts.
    #[must_use]
    pub const fn total_ns(&self) -> u64 {
        self.suspended_ns.saturating_add(self.scheduled_ns)
    }
}

fn woken_by(span: &AwaitSpan, next: &AwaitSpan, stacks: &Stacks) -> Option<String> {
    let before = stacks.get(span.stack?)?;
    let after = stacks.get(next.stack?)?;
    // A stack that was cut may lack the very branch.
    if span.open || before.cut.is_some() || after.cut.is_some() {
        return None;
    }
    woken(&before.frames, &after.frames).map(branch_name)
}

/// Cuts waits that are longer than the states together, each by the same factor, and tells the rest.
fn fitted(mut parts: Vec<Part>, states: &States) -> Accounted {
    let suspended: Vec<u64> = parts.iter().map(|part| part.suspended_ns).collect();
    let scheduled: Vec<u64> = parts.iter().map(|part| part.scheduled_ns).collect();
    let (suspended, suspended_rest_ns, over) = within(suspended, states.suspended_ns);
    let (scheduled, scheduled_rest_ns, over_too) = within(scheduled, states.scheduled_ns);
    for (part, (suspended_ns, scheduled_ns)) in parts.iter_mut().zip(suspended.into_iter().zip(scheduled)) {
        part.suspended_ns = suspended_ns;
        part.scheduled_ns = scheduled_ns;
        part.longest_ns = part.longest_ns.min(part.total_ns());
    }
    Accounted { parts, suspended_rest_ns, scheduled_rest_ns, clamped_ns: over.saturating_add(over_too) }
}

/// The times within `total_ns`, what is left of it, and what they were cut by.
fn within(times: Vec<u64>, total_ns: u64) -> (Vec<u64>, u64, u64) {
    let sum: u128 = times.iter().map(|&ns| u128::from(ns)).sum();
    if let Some(rest) = u128::from(total_ns).checked_sub(sum) {
        return (times, u64::try_from(rest).unwrap_or(total_ns), 0);
    }
    let over = u64::try_from(sum.saturating_sub(u128::from(total_ns))).unwrap_or(u64::MAX);
    (split_exactly(total_ns, &times), 0, over)
}
