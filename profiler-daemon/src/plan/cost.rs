//! What a probe costs, per hit and per event of the target.
//!
//! Under a hypervisor: measured on Linux 6.18 in a virtual machine with two processors, a BPF program that counts into a per-CPU
//! word. On metal: J. Olsa, LKML 2025-03-20 (`uprobe/uretprobe` benchmarks). Ratios hold better than the times.

use std::fmt;

use serde::Serialize;

use super::{Machine, PlannedSite, ProbeKind};
use crate::inspect::{Inspection, InstructionClass, Role, TaskKind};

/// In words: `600 to 1200 ns a poll, about 600 ns a wake`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} a poll", self.poll)?;
        for (what, range) in [("wake", self.wake), ("spawn", self.spawn)] {
            if let Some(range) = range {
                write!(f, ", {range} a {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for CostRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.least_ns == self.most_ns {
            write!(f, "about {} ns", self.least_ns)
        } else {
            write!(f, "{} to {} ns", self.least_ns, self.most_ns)
        }
    }
}

/// Nanoseconds per hit by how the kernel steps over the instruction.
struct HitCosts {
    /// `push`, `nop`, `jmp`, `jcc`: emulated.
    emulated: u32,
    /// `call`: emulated, with a write to the stack.
    call: u32,
    /// The five-byte nop from 6.18 on.
    nop5: u32,
    /// Anything else: two traps.
    single_step: u32,
    /// What a return probe adds to the entry probe on the same instruction.
    return_probe: u32,
}

/// Measured under a hypervisor on several days: 490-630, 500-900, 220-540, 5,000-21,000; entry and return together 990-1,080.
const VIRTUAL: HitCosts = HitCosts { emulated: 600, call: 700, nop5: 300, single_step: 10_000, return_probe: 430 };
/// Published for metal: push 324, nop5 142, ret 898, return probe with its entry 483. A call was not measured there: taken as a push and
/// a half.
const METAL: HitCosts = HitCosts { emulated: 324, call: 480, nop5: 142, single_step: 898, return_probe: 159 };
/// The first kernel that turns a probed five-byte nop into a call.
const FAST_NOP5: (u32, u32) = (6, 18);

/// The least and the most, in nanoseconds: types and paths differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CostRange {
    /// The cheapest path.
    pub least_ns: u32,
    /// The dearest path.
    pub most_ns: u32,
}

/// Estimated cost of the probes, to the target, without the work of the handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Per poll.
    pub poll: CostRange,
    /// Per wake, where wakes are probed.
    pub wake: Option<CostRange>,
    /// Per spawn, where spawns are probed.
    pub spawn: Option<CostRange>,
}

/// Nanoseconds of one hit.
pub(super) fn of_hit(machine: &Machine, class: InstructionClass, probe: ProbeKind) -> u32 {
    let costs = if machine.virtual_machine { &VIRTUAL } else { &METAL };
    match (probe, class) {
        (ProbeKind::Return, _) => costs.return_probe,
        (_, InstructionClass::Nop5) if machine.kernel >= FAST_NOP5 => costs.nop5,
        (_, InstructionClass::Call) => costs.call,
        (_, class) if class.is_emulated_by(machine.kernel) => costs.emulated,
        _ => costs.single_step,
    }
}

/// The cost of all planned sites together.
pub(super) fn of_plan(inspection: &Inspection, sites: &[PlannedSite]) -> Cost {
    let hit = |planned: &PlannedSite| planned.hit_ns;
    let costs = |roles: &[Role], task_type: Option<u32>| -> Option<CostRange> {
        let hits = sites.iter().filter(|planned| {
            let owner = planned.site.task_type;
            roles.contains(&planned.site.role) && (owner.is_none() || task_type.is_none() || owner == task_type)
        });
        range(hits.map(hit))
    };
    let polls = (0_u32..).zip(&inspection.task_types).filter(|(_, t)| t.kind != TaskKind::Blocking);
    let polls: Vec<CostRange> = polls
        .filter_map(|(index, _)| {
            let start = costs(&[Role::PollStart], Some(index))?;
            // Most polls end idle, or at whatever replaces that; a type that never waits ends complete.
            let usual = costs(&[Role::PollIdle, Role::PollReturn], Some(index));
            let end = usual.or_else(|| costs(&[Role::PollComplete], Some(index)))?;
            Some(CostRange { least_ns: start.least_ns + end.least_ns, most_ns: start.most_ns + end.most_ns })
        })
        .collect();
    let poll = range(polls.iter().flat_map(|poll| [poll.least_ns, poll.most_ns]));
    Cost {
        poll: poll.unwrap_or(CostRange { least_ns: 0, most_ns: 0 }),
        wake: costs(&[Role::WakeByVal, Role::WakeByRef], None),
        spawn: costs(&[Role::Spawn, Role::SpawnBlocking], None),
    }
}

fn range(costs: impl Iterator<Item = u32>) -> Option<CostRange> {
    costs.fold(None, |range, cost| {
        let range = range.unwrap_or(CostRange { least_ns: cost, most_ns: cost });
        Some(CostRange { least_ns: range.least_ns.min(cost), most_ns: range.most_ns.max(cost) })
    })
}
