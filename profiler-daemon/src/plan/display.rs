//! A plan as an aligned table, for `inspect` on the command line.

use std::collections::BTreeMap;
use std::fmt;

use super::{LinkKind, Plan, PlannedSite, PollEndMethod, ProbeKind};
use crate::inspect::{InstructionClass, Role};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: BTreeMap<(Role, bool), Vec<&PlannedSite>> = BTreeMap::new();
        for planned in &self.sites {
            groups.entry((planned.site.role, planned.probe == ProbeKind::Return)).or_default().push(planned);
        }
        writeln!(f, "{:<16} {:>5}  {:<34} {:<7} {:>9}", "PROBE", "SITES", "INSTRUCTIONS", "LINK", "STEPPED")?;
        for ((role, returns), sites) in &groups {
            let stepped = sites.iter().filter(|planned| !planned.emulated && !returns).count();
            writeln!(
                f,
                "{:<16} {:>5}  {:<34} {:<7} {:>9}",
                name(*role),
                sites.len(),
                if *returns { "return probe".to_owned() } else { classes(sites) },
                sites.first().map_or("", |planned| link(planned.link)),
                stepped,
            )?;
        }
        if let Some(first) = self.scopes.first() {
            let count = self.scopes.len();
            let stepped = self.scopes.iter().filter(|scope| !scope.emulated).count();
            writeln!(f, "{:<16} {count:>5}  {:<34} {:<7} {stepped:>9}", "scope", "the annotation's nop", link(first.link))?;
        }
        writeln!(f)?;
        writeln!(f, "{:<16} {}", "end of poll", end(self.poll_end))?;
        for (index, method) in &self.other_ends {
            writeln!(f, "{:<16} {} for task type {index}", "", end(*method))?;
        }
        writeln!(f, "{:<16} {}", "cost per poll", self.cost.poll)?;
        if let Some(wake) = self.cost.wake {
            writeln!(f, "{:<16} {}", "cost per wake", wake)?;
        }
        if let Some(spawn) = self.cost.spawn {
            writeln!(f, "{:<16} {}", "cost per spawn", spawn)?;
        }
        for missing in &self.missing {
            writeln!(f, "\nmissing: {}\n  why:   {}\n  get:   {}", missing.what, missing.why, missing.how_to_get)?;
        }
        Ok(())
    }
}

fn classes(sites: &[&PlannedSite]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for planned in sites {
        *counts.entry(class(planned.site.class)).or_default() += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(class, count)| format!("{class} {count}")).collect();
    parts.join(", ")
}

fn class(class: InstructionClass) -> &'static str {
    match class {
        InstructionClass::Push => "push",
        InstructionClass::Nop => "nop",
        InstructionClass::Nop5 => "nop5",
        InstructionClass::LongNop => "long nop",
        InstructionClass::Jump => "jmp",
        InstructionClass::ConditionalJump => "jcc",
        InstructionClass::Call => "call",
        InstructionClass::SingleStepped => "other",
        InstructionClass::Refused => "refused",
    }
}

pub(super) const fn name(role: Role) -> &'static str {
    match role {
        Role::PollStart => "poll start",
        Role::PollIdle => "poll idle",
        Role::PollComplete => "task complete",
        Role::PollReturn => "poll return",
        Role::WakeByVal => "wake by value",
        Role::WakeByRef => "wake by ref",
        Role::Defer => "deferred wake",
        Role::CloneWaker => "stored waker",
        Role::Spawn => "spawn",
        Role::SpawnBlocking => "spawn blocking",
        Role::LocalScheduled => "local queue",
    }
}

fn link(link: LinkKind) -> &'static str {
    match link {
        LinkKind::Multi => "multi",
        LinkKind::Single => "single",
    }
}

fn end(method: PollEndMethod) -> &'static str {
    match method {
        PollEndMethod::BeforeRelease => "before the task is released (await stacks possible)",
        PollEndMethod::ReturnProbe => "return probe, after the task is released",
        PollEndMethod::ReturnInstructions => "return instructions, after the task is released",
    }
}
