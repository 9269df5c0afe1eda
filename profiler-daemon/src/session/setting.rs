//! What the model needs to know beside the rows: the target, its types, the window, and what of them this session sees.

use super::clock;
use super::sampled::Sampling;
use crate::attach::{Pace, Rate};
use crate::inspect::{Inspection, TaskKind as ProgramKind};
use crate::model::awaits::AwaitNames;
use crate::model::gather::Setting;
use crate::model::{KeyFormat, Target as ModelTarget, TaskKind, TaskType, UnwindTables, Window};
use crate::plan::Plan;
use crate::target::Target;

/// What is known once the window is open.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    pub(super) start_ns: u64,
    pub(super) scopes_before: Option<u64>,
    pub(super) rate: Rate,
    pub(super) every_poll: bool,
    pub(super) poll_record_ns: u64,
    pub(super) unwind_tables: UnwindTables,
    pub(super) key: Option<KeyFormat>,
    pub(super) requests_only: bool,
    pub(super) ids_counted: bool,
}

/// The setting of what `target` is seen doing.
pub(super) fn setting(
    target: &Target,
    inspection: &Inspection,
    plan: &Plan,
    Opened { start_ns, scopes_before, rate, every_poll, poll_record_ns, unwind_tables, key, requests_only, ids_counted }: Opened,
    awaits: AwaitNames,
) -> Setting {
    use crate::inspect::Role;
    Setting {
        target: ModelTarget {
            pid: target.pid(),
            exe: target.profiled().display().to_string(),
            build_id: inspection.build_id.clone(),
            tokio: inspection.tokio.map(|version| version.to_string()),
        },
        window: Window {
            clock: "CLOCK_MONOTONIC".to_owned(),
            start_ns,
            end_ns: start_ns,
            start_unix_ns: clock::unix_ns(start_ns),
        },
        types: inspection
            .task_types
            .iter()
            .map(|found| TaskType {
                name: found.name.clone(),
                kind: match found.kind {
                    ProgramKind::MultiThread | ProgramKind::CurrentThread => TaskKind::Spawned,
                    ProgramKind::Local => TaskKind::Local,
                    ProgramKind::Blocking => TaskKind::Blocking,
                    ProgramKind::Unknown => TaskKind::Unknown,
                },
            })
            .collect(),
        sample_period_ns: Some(rate.period_ns(Pace::Slow)),
        fast_period_ns: (rate.fast_hz != rate.slow_hz).then(|| rate.period_ns(Pace::Fast)),
        every_poll,
        poll_record_ns,
        unwind_tables,
        scopes_before,
        key,
        requests_only,
        ids_counted,
        awaits,
        sampled: None,
        wakes_seen: plan.sites.iter().any(|planned| matches!(planned.site.role, Role::WakeByVal | Role::WakeByRef)),
        ids_known: inspection.task_types.iter().all(|found| found.id_offset.is_some()),
    }
}

/// What a mode does not measure.
pub(super) fn of_mode(setting: Setting, times: bool, sampled: Option<&Sampling>) -> Setting {
    match sampled {
        Some(sampled) => Setting { sampled: Some(sampled.task_ids()), ids_known: true, ..setting },
        None if times => Setting { sample_period_ns: None, fast_period_ns: None, ..setting },
        None => setting,
    }
}
