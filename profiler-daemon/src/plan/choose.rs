//! Which sites a plan takes.

use std::collections::BTreeSet;

use super::cost;
use super::missing::what_is_missing;
use super::{
    LinkKind, Machine, MultiSupport, Placing, Plan, PlanError, PlannedScope, PlannedSite, PollEndMethod, ProbeKind, Wanted,
};
use crate::inspect::{Inspection, Note, Placement, Role, Site, Spot, TaskKind};

/// The annotation's probe at which a request delivers the times that it has kept: reached by those alone that are asked for them.
const TIMES: &str = "scope_times";

/// Chooses sites for everything wanted, each where a hit costs least.
///
/// # Errors
/// [`PlanError`] where some type's polls, or their ends, could not be seen at all.
pub fn plan(inspection: &Inspection, machine: &Machine, wanted: &Wanted) -> Result<Plan, PlanError> {
    plan_placed(inspection, machine, wanted, Placing::Cheapest)
}

/// As [`plan`], with sites placed as asked.
///
/// # Errors
/// As of [`plan`].
pub fn plan_placed(inspection: &Inspection, machine: &Machine, wanted: &Wanted, placing: Placing) -> Result<Plan, PlanError> {
    let link = if machine.uprobe_multi == MultiSupport::Yes { LinkKind::Multi } else { LinkKind::Single };
    let mut chosen = Chosen { inspection, machine: *machine, placing, link, sites: Vec::new() };
    let (poll_end, other_ends) = if wanted.tasks {
        chosen.starts()?;
        chosen.ends(machine)?
    } else {
        // Scopes say where their own polls end: inside them.
        (PollEndMethod::BeforeRelease, Vec::new())
    };
    if wanted.wakes {
        chosen.all_of(&[Role::WakeByVal, Role::WakeByRef, Role::Defer]);
    }
    if wanted.spawns {
        chosen.all_of(&[Role::Spawn, Role::SpawnBlocking, Role::LocalScheduled]);
    }
    if wanted.wakers {
        chosen.all_of(&[Role::CloneWaker]);
    }
    let probes = inspection.usdt.iter().filter(|probe| wanted.scopes && (probe.name == TIMES) == wanted.times);
    let scopes: Vec<PlannedScope> = probes
        .map(|probe| PlannedScope {
            probe: probe.clone(),
            link,
            emulated: probe.class.is_emulated_by(machine.kernel),
            hit_ns: cost::of_hit(machine, probe.class, ProbeKind::Entry),
        })
        .collect();
    let mut sites = chosen.sites;
    sites.sort_by_key(|planned| (planned.site.role, planned.site.vaddr));
    let cost = cost::of_plan(inspection, &sites);
    let missing = what_is_missing(inspection, machine, *wanted, (poll_end, &other_ends), sites.len() + scopes.len());
    Ok(Plan { sites, scopes, poll_end, other_ends, missing, cost })
}

struct Chosen<'i> {
    inspection: &'i Inspection,
    machine: Machine,
    placing: Placing,
    link: LinkKind,
    sites: Vec<PlannedSite>,
}

impl Chosen<'_> {
    /// Adds a site where it stands.
    fn add(&mut self, site: &Site, probe: ProbeKind) {
        let hit = |class| cost::of_hit(&self.machine, class, probe);
        let plain_ns = site.plain.iter().map(|spot| hit(spot.class)).max();
        self.sites.push(PlannedSite {
            site: site.clone(),
            probe,
            link: self.link,
            emulated: probe == ProbeKind::Return || site.class.is_emulated_by(self.machine.kernel),
            hit_ns: hit(site.class),
            plain: site.plain.iter().map(|spot| spot.vaddr).collect(),
            plain_ns: plain_ns.unwrap_or_else(|| hit(site.class)),
        });
    }

    /// Adds a site at the instruction, or at the plain ones, that it is to be placed at.
    fn place(&mut self, site: &Site) {
        let spots: Vec<&Spot> = match self.placing {
            Placing::Plain => site.plain.iter().collect(),
            // Of equals the first: it is passed soonest, and none that a retry passes again where another will do.
            Placing::Cheapest => {
                let cost = |spot: &&Spot| (cost::of_hit(&self.machine, spot.class, ProbeKind::Entry), spot.repeats);
                site.candidates.iter().min_by_key(cost).into_iter().collect()
            }
        };
        let placed: Vec<Site> =
            spots.into_iter().filter_map(|spot| Some(site.at(spot, self.inspection.file_offset(spot.vaddr)?))).collect();
        if placed.is_empty() {
            self.add_once(site, ProbeKind::Entry);
        }
        for site in placed {
            self.add_once(&site, ProbeKind::Entry);
        }
    }

    fn all_of(&mut self, roles: &[Role]) {
        for site in self.inspection.sites.iter().filter(|site| roles.contains(&site.role)) {
            self.place(site);
        }
    }

    fn starts(&mut self) -> Result<(), PlanError> {
        let seen: BTreeSet<u64> = self.inspection.sites_with(Role::PollStart).map(|site| site.function).collect();
        if let Some(unseen) = self.inspection.task_types.iter().find(|t| !seen.contains(&t.poll)) {
            return Err(PlanError::NoPollStart { name: unseen.name.clone(), poll: unseen.poll });
        }
        self.all_of(&[Role::PollStart]);
        Ok(())
    }

    /// Idle and complete sites for the types that have them, something else for the others.
    fn ends(&mut self, machine: &Machine) -> Result<(PollEndMethod, Vec<(u32, PollEndMethod)>), PlanError> {
        let unrecognised = self.unrecognised();
        let tasks = (0_u32..).zip(&self.inspection.task_types).filter(|(_, t)| t.kind != TaskKind::Blocking);
        let recognises_some = self.inspection.sites_with(Role::PollIdle).next().is_some()
            && tasks.clone().any(|(index, _)| !unrecognised.contains(&index));
        let blocking_only = tasks.clone().next().is_none();
        self.all_of(&[Role::PollIdle, Role::PollComplete]);
        let mut other = Vec::new();
        for (index, task_type) in (0_u32..).zip(&self.inspection.task_types) {
            let seen =
                !unrecognised.contains(&index) && (recognises_some || blocking_only || task_type.kind == TaskKind::Blocking);
            if !seen {
                other.push((index, self.fallback(machine, index)?));
            }
        }
        if recognises_some || blocking_only || other.is_empty() {
            return Ok((PollEndMethod::BeforeRelease, other));
        }
        let worst = other.iter().map(|(_, method)| *method).find(|method| *method == PollEndMethod::ReturnInstructions);
        let method = worst.unwrap_or(PollEndMethod::ReturnProbe);
        other.retain(|(_, other)| *other != method);
        Ok((method, other))
    }

    /// Types with an end that has no site.
    fn unrecognised(&self) -> BTreeSet<u32> {
        let listed = self.inspection.notes.iter().filter_map(|note| match note {
            Note::IdleNotRecognised { types } | Note::CompleteNotFound { types } => Some(types),
            _ => None,
        });
        listed.flatten().copied().collect()
    }

    fn fallback(&mut self, machine: &Machine, index: u32) -> Result<PollEndMethod, PlanError> {
        let inspection = self.inspection;
        let task_type = usize::try_from(index).ok().and_then(|index| inspection.task_types.get(index));
        let Some(task_type) = task_type else {
            return Ok(PollEndMethod::ReturnProbe);
        };
        let start = inspection.sites_with(Role::PollStart).find(|site| site.function == task_type.poll);
        if machine.uretprobe_safe
            && let Some(start) = start
            && start.placement == Placement::Entry
        {
            // A return probe replaces the return address that the entry's stack pointer points at.
            let site = Site { role: Role::PollReturn, header: None, ..start.clone() };
            self.add_once(&site, ProbeKind::Return);
            return Ok(PollEndMethod::ReturnProbe);
        }
        let returns: Vec<&Site> =
            inspection.sites_with(Role::PollReturn).filter(|site| site.function == task_type.body).collect();
        if returns.is_empty() {
            return Err(PlanError::NoPollEnd { name: task_type.name.clone() });
        }
        for site in returns {
            self.add_once(site, ProbeKind::Entry);
        }
        Ok(PollEndMethod::ReturnInstructions)
    }

    fn add_once(&mut self, site: &Site, probe: ProbeKind) {
        let known =
            |planned: &PlannedSite| planned.probe == probe && planned.site.vaddr == site.vaddr && planned.site.role == site.role;
        if !self.sites.iter().any(known) {
            self.add(site, probe);
        }
    }
}
