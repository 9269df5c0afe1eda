//! Chooses probe sites for a target on a machine, estimates what they cost, and says what is missing.
//!
//! Pure: an [`Inspection`] and facts about the machine in, a [`Plan`] out. `attach` gathers the facts
//! and carries the plan out.
//!
//! The end of a poll is taken from, in order: the exchanges to idle and complete (before the task is released), a return
//! probe on the polling function where the kernel and the target's seccomp filter allow one, the `ret` instructions.

mod children;
mod choose;
mod cost;
mod display;
mod missing;
mod sites;
#[cfg(test)]
mod tests;

pub use self::children::{Children, children};
pub use self::choose::{plan, plan_placed};
pub use self::cost::{Cost, CostRange};
pub use self::sites::{SiteRow, SiteTable};

use serde::Serialize;

use crate::inspect::{Inspection, Site, UsdtProbe};

/// What the machine, its kernel and the target's confinement allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Major and minor version of the kernel.
    pub kernel: (u32, u32),
    /// Whether one link can hold many uprobes.
    pub uprobe_multi: MultiSupport,
    /// A return probe does not kill the target: no seccomp filter there, or one seen to let `uretprobe` through.
    pub uretprobe_safe: bool,
    /// Runs under a hypervisor, where a trap costs several times more.
    pub virtual_machine: bool,
}

/// Support for uprobe-multi links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MultiSupport {
    /// Works.
    Yes,
    /// The kernel has none (before 6.6).
    No,
    /// The kernel filters by one thread instead of the process (before commit 46ba0e49b642).
    BrokenPidFilter,
}

/// What the user asked for, beyond states of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself, and none follows from another")]
pub struct Wanted {
    /// States of tasks: starts and ends of polls.
    pub tasks: bool,
    /// Requests, by the annotation's probes.
    pub scopes: bool,
    /// Wakes, to tell `scheduled` from `suspended`.
    pub wakes: bool,
    /// Spawns, to know when a task began and whose child it is.
    pub spawns: bool,
    /// Of the annotation's probes only the one at which a request delivers the times that it has kept.
    pub times: bool,
    /// Stores of wakers, to know where a task waits whose futures have no layout.
    pub wakers: bool,
}

/// How a site is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// In the one uprobe-multi link.
    Multi,
    /// A uprobe of its own.
    Single,
}

/// When a planned probe fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeKind {
    /// When the instruction is about to run.
    Entry,
    /// When the function whose first instruction it is returns.
    Return,
}

/// At which of its instructions a site is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// At the cheapest that is proved to tell the same as the plain ones.
    Cheapest,
    /// At the plain ones: the function's entry, the loads from which an exchange begins. Dear, and of use only to compare with.
    Plain,
}

/// A site the plan uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedSite {
    /// The site.
    pub site: Site,
    /// Entry or return probe.
    pub probe: ProbeKind,
    /// How it is linked.
    pub link: LinkKind,
    /// This machine's kernel emulates the instruction: no single step.
    pub emulated: bool,
    /// Estimated cost of a hit.
    pub hit_ns: u32,
    /// The addresses of the plain sites that it stands for.
    pub plain: Vec<u64>,
    /// What a hit of the dearest of them would cost.
    pub plain_ns: u32,
}

/// A probe of the annotation the plan uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedScope {
    /// The probe.
    pub probe: UsdtProbe,
    /// How it is linked; its semaphore goes with it.
    pub link: LinkKind,
    /// This machine's kernel emulates the instruction.
    pub emulated: bool,
    /// Estimated cost of a hit, while somebody listens.
    pub hit_ns: u32,
}

/// Where the end of a poll comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PollEndMethod {
    /// Idle and complete sites, before the task is released: its memory may be read, await stacks are possible.
    BeforeRelease,
    /// A return probe, after the release.
    ReturnProbe,
    /// The `ret` instructions, after the release.
    ReturnInstructions,
}

impl PollEndMethod {
    /// The task is still owned by the poll at its end: its future can be read.
    #[must_use]
    pub fn is_before_release(self) -> bool {
        self == Self::BeforeRelease
    }
}

/// Something the user asked for, or would want, that this target or machine does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
    /// What would give it.
    pub how_to_get: String,
}

/// What to attach, and what it will cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Sites in the target, by role and address.
    pub sites: Vec<PlannedSite>,
    /// Probes of the annotation.
    pub scopes: Vec<PlannedScope>,
    /// How most types' polls end.
    pub poll_end: PollEndMethod,
    /// Types whose polls end otherwise (indexes into [`Inspection::task_types`]), and how.
    pub other_ends: Vec<(u32, PollEndMethod)>,
    /// What is missing, most important first.
    pub missing: Vec<Missing>,
    /// Estimated cost.
    pub cost: Cost,
}

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A task type whose polls cannot be seen at all.
    #[error("the poll of {name} at {poll:#x} cannot be probed: no instruction there that the kernel lets a uprobe sit on")]
    NoPollStart {
        /// The type.
        name: String,
        /// Its poll function.
        poll: u64,
    },
    /// No way to see a poll end.
    #[error(
        "the end of polls of {name} cannot be seen: no exchange to idle or complete was recognised in its code, \
         a return probe is not safe in this target, and it has no return instruction that can be probed"
    )]
    NoPollEnd {
        /// The type.
        name: String,
    },
}

impl Plan {
    /// The planned sites and, per site, the name of the only type it belongs to.
    pub fn named_sites<'p>(&'p self, inspection: &'p Inspection) -> impl Iterator<Item = (&'p PlannedSite, Option<&'p str>)> {
        self.sites.iter().map(|planned| {
            let index = planned.site.task_type.and_then(|index| usize::try_from(index).ok());
            let name = index.and_then(|index| inspection.task_types.get(index)).map(|t| t.name.as_str());
            (planned, name)
        })
    }
}
