//! The way in: check the machine, the process and its program, plan, attach, open the window.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use profiler_common::awaits::RequestKey;
use profiler_common::limits::POLL_RECORD_NS;
use profiler_common::site::TypeRow;

use super::annotation::{arm, table_of};
use super::awaits::{AwaitSight, debug_file, whose};
use super::choice::Choice;
use super::ending::{Count, Enough};
use super::foreign::Foreign;
use super::heap;
use super::keys::NamingKey;
use super::look::{machine, wanted};
use super::manner::{Manner, Subject};
use super::mode::{self, Mode, ModeChosen};
use super::object::{self, Profiled};
use super::pace::Pacing;
use super::sampled::Sampling;
use super::setting::{Opened, of_mode, setting};
use super::sites::Sites;
use super::table::Table;
use super::times::Keeping;
use super::unwind::{Ahead, Known, Unwinding};
use super::{Session, SessionError, modules_of, probes, task_ids};
use crate::attach::{Attached, AwaitTables, LinkKind, Order, RunStatistics};
use crate::collect::Collector;
use crate::inspect::Inspection;
use crate::inspect::awaits::{LoadedTable, Progress};
use crate::model::gather::Setting;
use crate::model::{AwaitSource, Symbols};
use crate::plan::{self, Plan, Wanted, plan};
use crate::target::Target;
use crate::target::hardening::Lockdown;
use crate::target::image::{Image, Runs};
use crate::target::kernel::KernelVersion;
use crate::target::mapped::Modules;
use crate::target::privileges::Privileges;
use crate::target::program::Program;

/// See [`Session::start`].
pub(super) fn start(
    mut target: Target,
    subject: &Subject,
    manner: &Manner,
    debug_dirs: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<Session, SessionError> {
    let kernel = KernelVersion::running()?;
    kernel.check()?;
    let pid = target.pid();
    let privileges = Privileges::read()?;
    privileges.check()?;
    if manner.stats {
        privileges.check_statistics()?;
    }
    Lockdown::in_force().check()?;
    let statistics = manner.stats.then(RunStatistics::enable).transpose()?;
    let image = Image::of(&target);
    let result = attach_to(&mut target, kernel, subject, manner, debug_dirs, progress);
    // Whatever went wrong, a target that is gone is why. And if nothing did, the last look at the number may have found another process that
    // has it by now, or the same with another program in it: what was attached goes here, before the window has seen anything.
    match image.now(&target) {
        _ if target.has_exited() => return Err(SessionError::DiedDuringAttach { pid }),
        Runs::TheSame => {}
        Runs::Another => return Err(SessionError::ExecDuringAttach { pid }),
        Runs::Nothing => return Err(SessionError::DiedDuringAttach { pid }),
    }
    let session = result?.into_session((target, image), subject, manner, statistics);
    heap::give_back();
    Ok(session)
}

/// A session but for its target.
struct Parts {
    attached: Attached,
    setting: Setting,
    modules: Modules,
    plan: Plan,
    inspection: Inspection,
    unwinding: Unwinding,
    foreign: Option<Foreign>,
    awaits: AwaitSight,
    await_table: Option<Arc<LoadedTable>>,
    key: Option<NamingKey>,
    mode: ModeChosen,
    table: Option<Table>,
    keeping: Keeping,
    sampled: Option<Sampling>,
    sites: Sites,
}

impl Parts {
    fn into_session(
        self,
        (target, image): (Target, Image),
        subject: &Subject,
        manner: &Manner,
        statistics: Option<RunStatistics>,
    ) -> Session {
        let Self {
            attached,
            setting,
            modules,
            plan,
            inspection,
            unwinding,
            foreign,
            awaits,
            await_table,
            key,
            mode,
            table,
            keeping,
            sampled,
            sites,
        } = self;
        Session {
            attached,
            collector: collector(sampled, subject, manner),
            setting,
            symbols: Arc::new(Mutex::new(Symbols::new(modules.clone()))),
            modules,
            target,
            image,
            plan,
            inspection,
            mode,
            table,
            asks_tokens: matches!(subject, Subject::Requests(choice) if choice.tokens),
            pacing: Pacing::new(mode.mode),
            tokens: None,
            keeping,
            statistics,
            count: Count { ended: 0, enough: Enough::of(subject) },
            awaited: match subject {
                Subject::Requests(choice) => {
                    let shown = |id: &Vec<u8>| key.as_ref().map_or_else(|| id.clone(), |key| key.format.shown(id));
                    choice.ids.iter().map(shown).collect()
                }
                Subject::AllTasks | Subject::AllRequests => std::collections::HashSet::new(),
            },
            ended: std::collections::HashSet::new(),
            closed: false,
            unwinding,
            foreign,
            awaits,
            await_table,
            kernel_said: Vec::new(),
            key_sentence: key.as_ref().map(NamingKey::sentence),
            snapshots: super::snapshot::Snapshots::default(),
            sites,
        }
    }
}

fn attach_to(
    target: &mut Target,
    kernel: KernelVersion,
    subject: &Subject,
    manner: &Manner,
    debug_dirs: &[PathBuf],
    progress: &mut dyn FnMut(Progress),
) -> Result<Parts, SessionError> {
    let (modules, beside) = (modules_of(target.pid())?, ahead(subject, target.pid()));
    let debug_of = |target: &Target| debug_file(&target.profiled_file(), target.profiled(), modules.root(), debug_dirs);
    let (Profiled { program, inspection }, rows) = object::find_beside(target, |target| debug_of(target).0, beside)?;
    // Settled now.
    let target: &Target = target;
    let by_key = manner.request_key.is_some();
    let machine = machine(kernel, target.seccomp()?.filtered > 0);
    let bias = target.load_bias(&program)?;
    let mut table = table_of(target, &inspection, bias, mode::needs_table(subject, manner.mode))?;
    let mode = mode::choose(subject, table.is_some(), by_key, manner.mode, manner.follow_spawns)?;
    let foreign = foreign_of(target, &program, bias, manner, (mode.mode, &inspection, table.is_some()))?;
    check_named(subject, by_key, &inspection, foreign.as_ref())?;
    let (times, requests_only) = (mode.mode == Mode::Times, mode.mode == Mode::Request);
    let next_task_id = inspection.next_task_id.map(|counter| counter.wrapping_add(bias));
    let sampled = (mode.mode == Mode::Sample).then(|| Sampling::of(program.bytes(), &inspection, bias));
    let awaits = awaits_of(&program, || debug_of(target), &inspection, manner, mode, progress);
    let wanted_sites = wanted(&inspection, awaits.source, by_key, mode.mode);
    let plan = plan(&inspection, &machine, &Wanted { wakes: wanted_sites.wakes && !manner.no_wakes, ..wanted_sites })?;
    let key = NamingKey::of(manner.request_key.as_deref(), &awaits, &plan, (&program, inspection.tokio), bias)?;
    let probes = probes::probes(&plan, mode.through_table)?;
    let await_table = awaits.table(bias, &inspection);
    let await_entries = entries(await_table.as_deref());
    let types = types(&inspection, &plan, await_table.as_deref(), bias);
    let (wanted, wanted_traces) = subject.named(key.as_ref())?;
    let every_poll = matches!(subject, Subject::AllTasks);
    let rate = manner.rate(subject, mode.mode);
    let pacing = Pacing::new(mode.mode);
    let poll_record_ns = if manner.timeline && every_poll { 0 } else { POLL_RECORD_NS };
    let mut attached = Attached::new(&Order {
        pid: target.pid(),
        exe: &target.profiled_file(),
        probes: &probes,
        links: links(&plan),
        types: &types,
        type_count: u32::try_from(types.len()).unwrap_or(u32::MAX),
        header_vtable_offset: inspection.header.vtable,
        rate: (!times).then_some(rate),
        pace: pacing.pace(),
        tell: pacing.tell(Enough::of(subject) != Enough::Never),
        all_requests: subject.is_open(),
        // Whose the first poll is of a request that a key names is known at its end.
        sample_all: every_poll || by_key,
        poll_record_ns,
        wake_all: manner.timeline && every_poll,
        requests_only,
        // Elsewhere spawns are seen.
        task_ids: next_task_id.filter(|_| requests_only),
        chosen_there: mode.through_table,
        keep_times: times,
        room: manner.room,
        wanted: &wanted,
        wanted_traces: &wanted_traces,
        request_key: key.as_ref().map_or(RequestKey::NONE, |key| key.row),
        awaits: whose(awaits.source, every_poll),
        await_tables: awaits.layouts.as_ref().map(|layouts| AwaitTables {
            nodes: &layouts.nodes,
            edges: &layouts.edges,
            entries: &await_entries,
        }),
        handlers: manner.handlers,
    })?;
    tell_places(&mut attached, sampled.as_ref(), foreign.as_ref(), key.as_ref())?;
    let (unwinding, start_ns) = opened(&mut attached, (!times).then_some(rows), target)?;
    task_ids::tell(&mut attached, target, next_task_id)?;
    // Last: from here on wanted scopes reach the probes.
    let scopes_before = table.as_mut().map(|table| arm(table, subject, mode)).transpose()?.flatten();
    let mut keeping = Keeping { since_ns: times.then_some(start_ns), armed: false };
    let setting = setting(
        target,
        &inspection,
        &plan,
        Opened {
            start_ns,
            scopes_before,
            rate,
            every_poll,
            poll_record_ns,
            unwind_tables: unwinding.tables(),
            key: key.as_ref().map(|key| key.format),
            requests_only,
            ids_counted: requests_only && next_task_id.is_some(),
        },
        awaits.names(),
    );
    let setting = of_mode(setting, times, sampled.as_ref());
    keeping.begin(&mut attached, table.as_mut())?;
    Ok(Parts {
        sites: Sites::of(&plan, &inspection, bias),
        attached,
        setting,
        modules,
        plan,
        inspection,
        unwinding,
        foreign,
        awaits,
        await_table,
        key,
        mode,
        table,
        keeping,
        sampled,
    })
}

/// What is made while the program is inspected. Requests that keep their own times are seen without walking stacks.
fn ahead(subject: &Subject, pid: u32) -> impl FnOnce(Option<Known>) -> Ahead + Send + use<> {
    let is_unwound = *subject != Subject::AllRequests;
    move |known| if is_unwound { Ahead::of(pid, known.as_ref()) } else { Ahead::default() }
}

/// Reads what stacks are walked by, where some are, and opens the window. Returns its start.
fn opened(attached: &mut Attached, rows: Option<Ahead>, target: &Target) -> Result<(Unwinding, u64), SessionError> {
    let mut unwinding = Unwinding::default();
    if let Some(rows) = rows {
        let _: bool = unwinding.refresh(attached, target.pid(), rows)?;
    }
    Ok((unwinding, attached.open()?))
}

/// Requests can be asked for only where something names them.
fn check_named(subject: &Subject, by_key: bool, inspection: &Inspection, foreign: Option<&Foreign>) -> Result<(), SessionError> {
    let is_named = inspection.is_annotated() || by_key || foreign.is_some_and(|foreign| !foreign.is_empty());
    if is_named || *subject == Subject::AllTasks { Ok(()) } else { Err(SessionError::NoAnnotation) }
}

fn entries(await_table: Option<&LoadedTable>) -> Vec<(u64, u32)> {
    await_table.iter().flat_map(|table| table.entries.iter().map(|(address, node)| (*address, *node))).collect()
}

/// Where futures can be seen to wait, in a mode that sees them wait.
fn awaits_of(
    program: &Program,
    debug: impl FnOnce() -> (Option<Vec<u8>>, Vec<String>),
    inspection: &Inspection,
    manner: &Manner,
    mode: ModeChosen,
    progress: &mut dyn FnMut(Progress),
) -> AwaitSight {
    let is_unwanted = manner.no_awaits && manner.request_key.is_none();
    if is_unwanted || matches!(mode.mode, Mode::Times | Mode::Sample) {
        return AwaitSight::default();
    }
    AwaitSight::of(program.bytes(), debug, inspection, progress).without_wakers(manner.no_await_wakers, mode)
}

/// What takes what comes, as it is asked for.
fn collector(sampled: Option<Sampling>, subject: &Subject, manner: &Manner) -> Collector {
    let collector = match (sampled, subject) {
        (Some(sampled), _) => Collector::of_samples(sampled.polls, sampled.why.is_none()),
        (None, Subject::Requests(Choice { slower_than: Some(least), .. })) => Collector::of_requests_slower_than(*least),
        (None, _) => Collector::by_routes(manner.routes.clone()),
    };
    let collector = if manner.is_daemon { collector.of_a_daemon() } else { collector };
    manner.room.requests.into_iter().fold(collector, Collector::with_room_for)
}

/// Tells the kernel side where threads keep what they are in.
fn tell_places(
    attached: &mut Attached,
    sampled: Option<&Sampling>,
    foreign: Option<&Foreign>,
    key: Option<&NamingKey>,
) -> Result<(), SessionError> {
    sampled.map_or(Ok(()), |sampled| attached.read_from_threads(sampled.place))?;
    // Other libraries' are not read where a key names requests.
    let of_key = key.and_then(NamingKey::slots);
    let slots = foreign.map(Foreign::slots).or(of_key.as_ref());
    Ok(slots.map_or(Ok(()), |slots| attached.set_foreign(slots))?)
}

impl AwaitSight {
    /// Stored wakers are left out where nobody wants them, and where wanted scopes have wakers of their own: those are not Tokio's.
    fn without_wakers(mut self, unwanted: bool, mode: ModeChosen) -> Self {
        if self.source == AwaitSource::Wakers && (unwanted || mode.through_table) {
            self.source = AwaitSource::None;
        }
        self
    }
}

/// Ids of other libraries. A key's values are compared as they lie in memory, and so are of another form than these; and where only wanted
/// requests are probed, polls are not seen, in which these are. An annotated program's own records would be taken for another library's where they stand
/// outside of scopes (in a layer's `call`): there a label must be named.
fn foreign_of(
    target: &Target,
    program: &Program,
    bias: u64,
    manner: &Manner,
    (mode, inspection, has_table): (Mode, &Inspection, bool),
) -> Result<Option<Foreign>, SessionError> {
    if mode == Mode::Sample {
        let foreign = Foreign::of(target, program, bias, manner.label_key.as_deref())?;
        // Who names an attribute or label does not mean the annotation's ids.
        return Ok(Some(match inspection.annotation_table.filter(|_| has_table && manner.label_key.is_none()) {
            Some(table) => foreign.with_scopes(table.wrapping_add(bias))?,
            None => foreign,
        }));
    }
    let is_asked = !inspection.is_annotated() || manner.label_key.is_some();
    let is_read = manner.request_key.is_none() && mode == Mode::Process && is_asked;
    is_read.then(|| Foreign::of(target, program, bias, manner.label_key.as_deref())).transpose()
}

/// The task types by their vtables, with where a walk of their awaits begins.
fn types(inspection: &Inspection, plan: &Plan, await_table: Option<&LoadedTable>, bias: u64) -> Vec<(u64, TypeRow)> {
    (0_u32..)
        .zip(&inspection.task_types)
        .map(|(task_type, found)| {
            let vtable = found.vtable.wrapping_add(bias);
            // Polls whose end is seen too late must not be walked.
            let late = plan.other_ends.iter().any(|(other, _)| *other == task_type);
            let root = await_table.filter(|_| !late).and_then(|table| table.tasks.get(&vtable)?.node);
            let await_root = root.map_or(0, |node| node.saturating_add(1));
            (vtable, TypeRow { task_type, id_offset: found.id_offset.unwrap_or(0), await_root, padding: 0 })
        })
        .collect()
}

fn links(plan: &Plan) -> LinkKind {
    let mut links = plan.sites.iter().map(|planned| planned.link).chain(plan.scopes.iter().map(|planned| planned.link));
    if links.all(|link| link == plan::LinkKind::Multi) { LinkKind::Multi } else { LinkKind::Single }
}
