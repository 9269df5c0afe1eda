//! From the plan's sites to probes that the kernel side understands.

use profiler_common::site::{NO_TYPE, Register as Number, Site as CommonSite, SiteRole, more_registers};

use super::SessionError;
use crate::attach::Probe;
use crate::inspect::{Operand, Placement, Register, Role, UsdtProbe};
use crate::plan::{Plan, PlannedSite, ProbeKind};

/// Every probe of the plan. With `quietly` no semaphore is raised, so that only scopes that the annotation's table wants reach theirs.
pub(super) fn probes(plan: &Plan, quietly: bool) -> Result<Vec<Probe>, SessionError> {
    let sites = plan.sites.iter().map(|planned| Ok(site(planned)));
    let scopes = plan.scopes.iter().map(|planned| {
        let probe = scope(&planned.probe)?;
        Ok(if quietly { Probe { semaphore: 0, ..probe } } else { probe })
    });
    sites.chain(scopes).collect()
}

fn site(planned: &PlannedSite) -> Probe {
    let site = &planned.site;
    Probe {
        offset: site.file_offset,
        site: CommonSite {
            role: match site.role {
                Role::PollStart => SiteRole::PollStart,
                Role::PollIdle => SiteRole::PollIdle,
                Role::PollComplete => SiteRole::TaskComplete,
                Role::PollReturn => SiteRole::PollReturn,
                // Tokio exchanges the state only for a wake that does something (state.rs, `transition_to_notified_by_ref`).
                Role::WakeByVal | Role::WakeByRef if site.placement == Placement::AfterExchange => SiteRole::Woken,
                Role::WakeByVal | Role::WakeByRef => SiteRole::Wake,
                Role::Defer => SiteRole::Defer,
                Role::CloneWaker => SiteRole::WakerStored,
                Role::Spawn | Role::SpawnBlocking => SiteRole::Spawn,
                Role::LocalScheduled => SiteRole::LocalScheduled,
            },
            first: site.header.map_or(Number::Rdi, number),
            second: number(site.sp_base),
            repeats: site.repeats,
            pushed: u16::try_from(site.sp_adjust).unwrap_or(u16::MAX),
            task_type: site.task_type.unwrap_or(NO_TYPE),
        },
        semaphore: 0,
        on_return: planned.probe == ProbeKind::Return,
    }
}

fn scope(probe: &UsdtProbe) -> Result<Probe, SessionError> {
    let role = match probe.name.as_str() {
        "scope_enter" => SiteRole::ScopeEnter,
        "scope_exit" => SiteRole::ScopeExit,
        "scope_end" => SiteRole::ScopeEnd,
        "scope_wake" => SiteRole::ScopeWake,
        "scope_spawn" => SiteRole::ScopeSpawn,
        "scope_task" => SiteRole::ScopeTask,
        "scope_times" => SiteRole::ScopeTimes,
        _ => return Err(SessionError::UnknownAnnotationProbe { name: probe.name.clone() }),
    };
    let argument = |place: usize| match probe.arguments.get(place).map(|argument| argument.operand) {
        Some(Operand::Register(register)) => Ok(number(register)),
        _ => Err(SessionError::AnnotationArgument { name: probe.name.clone(), place }),
    };
    let arguments = match role {
        SiteRole::ScopeWake => 1,
        SiteRole::ScopeEnter => 5,
        SiteRole::ScopeExit | SiteRole::ScopeTimes => 3,
        SiteRole::ScopeSpawn => 4,
        _ => 2,
    };
    // Those that an event has not are never asked for.
    let nth = |place: usize| if place < arguments { argument(place) } else { Ok(Number::Rdi) };
    let pushed = more_registers(nth(2)?, nth(3)?, nth(4)?);
    Ok(Probe {
        offset: probe.file_offset,
        site: CommonSite { role, first: nth(0)?, second: nth(1)?, repeats: false, pushed, task_type: NO_TYPE },
        semaphore: probe.semaphore_offset.unwrap_or(0),
        on_return: false,
    })
}

const fn number(register: Register) -> Number {
    match register {
        Register::Rax => Number::Rax,
        Register::Rcx => Number::Rcx,
        Register::Rdx => Number::Rdx,
        Register::Rbx => Number::Rbx,
        Register::Rsp => Number::Rsp,
        Register::Rbp => Number::Rbp,
        Register::Rsi => Number::Rsi,
        Register::Rdi => Number::Rdi,
        Register::R8 => Number::R8,
        Register::R9 => Number::R9,
        Register::R10 => Number::R10,
        Register::R11 => Number::R11,
        Register::R12 => Number::R12,
        Register::R13 => Number::R13,
        Register::R14 => Number::R14,
        Register::R15 => Number::R15,
    }
}
