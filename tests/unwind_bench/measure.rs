//! One profile after the other: the profiler on the fixture, then perf, then the stacks that perf dumped unwound by framehop and by us.

use profiler_common::limits::STACK_FRAMES;
use profiler_common::record::StackRecord;
use profiler_daemon::session::Subject;
use profiler_tests::Result;
use profiler_tests::cells::{Cell, Debug, PROFILES, Profile};
use profiler_tests::chain::Functions;
use profiler_tests::chained::{Chained, Profiled, code_of, is_inside, profiled};
use stack_fixture::truth::{Kind, Phase};

use crate::dumps;
use crate::perf::{Recording, Seen, absent};
use crate::report::Stacks;
use crate::user::{Code, Unwound};

/// Samples a second of each CPU, with every unwinder.
const RATE_HZ: u32 = 997;
const PHASE_MS: u32 = 100;
/// perf's own default, and its most: 64 KiB less what a record's head takes.
const DUMPS: [u32; 2] = [8192, 65_528];

pub(crate) fn all(quick: bool) -> Result<Vec<Stacks>> {
    let profiles: &[Profile] = if quick { &PROFILES[..1] } else { &PROFILES };
    let rounds = if quick { 1 } else { 3 };
    let mut rows = Vec::new();
    for profile in profiles {
        eprintln!("the fixture in profile {}", profile.name());
        let mut fixture = Chained::start(Cell { profile: *profile, debug: Debug::None }, PHASE_MS)?;
        rows.push(ours(&profiled(&mut fixture, &Subject::AllTasks, RATE_HZ, rounds)?));
        for dump in DUMPS {
            rows.extend(perf(&mut fixture, dump, rounds)?);
        }
        fixture.end()?;
        for row in rows.iter_mut().filter(|row| row.profile.is_empty()) {
            profile.name().clone_into(&mut row.profile);
        }
    }
    Ok(rows)
}

/// The kernel side's walks.
fn ours(seen: &Profiled) -> Stacks {
    let walks = &seen.capture.walks;
    let stacks: Vec<Seen> = seen
        .capture
        .samples
        .iter()
        .map(|sample| Seen { tid: sample.stack.tid, at_ns: sample.ts_ns, frames: sample.stack.frames.clone() })
        .collect();
    let (known, complete) = complete(&stacks, &seen.phases, &seen.functions);
    let head = size_of::<StackRecord>() - STACK_FRAMES * size_of::<u64>();
    Stacks {
        unwinder: "profiler-daemon, kernel side".to_owned(),
        source: "live".to_owned(),
        known,
        complete,
        walks: walks.walks,
        whole: Some(["poll", "root"].iter().filter_map(|end| walks.ends.get(*end)).sum()),
        frames: walks.frames,
        walk_ns: Some(walks.walk_ns),
        bytes_per_sample: (walks.frames * 8).checked_div(walks.walks).map(|frames| frames + head as u64),
        ..Stacks::default()
    }
}

/// perf on the same fixture, and its dumps unwound by others.
fn perf(fixture: &mut Chained, dump: u32, rounds: usize) -> Result<Vec<Stacks>> {
    let from = format!("perf, {} KiB dumps", dump.div_ceil(1024));
    let row = |unwinder: &str| Stacks { unwinder: unwinder.to_owned(), source: from.clone(), ..Stacks::default() };
    if let Some(why) = absent() {
        return Ok(vec![Stacks { absent: Some(why), ..row("perf --call-graph dwarf") }]);
    }
    let recording = Recording::start(fixture.pid(), RATE_HZ, dump)?;
    let mut phases = Vec::new();
    for _ in 0..rounds {
        phases.extend(fixture.round(|| Ok(()))?);
    }
    let recorded = recording.end()?;
    let functions = fixture.functions()?;
    let code = Code::of(fixture.pid())?;
    let dumps = dumps::read(&recorded.file())?;
    let bytes = dumps.iter().map(dumps::Dump::bytes).sum::<u64>().checked_div(dumps.len() as u64);

    let by_perf = recorded.unwound(&code_of(fixture.pid())?)?;
    let (known, complete) = complete(&by_perf, &phases, &functions);
    let frames = by_perf.iter().map(|seen| seen.frames.len() as u64).sum();
    let walks = by_perf.len() as u64;
    let mut rows = vec![Stacks { known, complete, walks, frames, bytes_per_sample: bytes, ..row("perf --call-graph dwarf") }];

    // Once to bring caches and pages in, then for the record.
    let _: (Unwound, Unwound) = (code.by_framehop(&dumps), code.by_rows(&dumps));
    let (framehop, by_rows) = (code.by_framehop(&dumps), code.by_rows(&dumps));
    let pairs = framehop.stacks.iter().zip(&by_rows.stacks).filter(|(seen, _)| !is_below_a_signal(&phases, seen));
    let (compared, alike) = pairs
        .fold((0, 0), |(compared, alike), (theirs, ours)| (compared + 1, alike + u64::from(same(&theirs.frames, &ours.frames))));
    rows.push(Stacks { bytes_per_sample: bytes, ..unwound(row("framehop"), &framehop, &phases, &functions) });
    let ours = unwound(row("profiler-daemon, in user space"), &by_rows, &phases, &functions);
    rows.push(Stacks { bytes_per_sample: bytes, as_framehop: Some(alike), compared, ..ours });
    Ok(rows)
}

/// Whether a stack has a signal's trampoline in it, which framehop does not follow.
fn is_below_a_signal(phases: &[Phase], seen: &Seen) -> bool {
    phases.iter().any(|phase| phase.name.ends_with("signal") && is_inside(phase, seen.tid, seen.at_ns))
}

/// Whether two unwinders found the same.
fn same(theirs: &[u64], ours: &[u64]) -> bool {
    theirs == ours
}

fn unwound(row: Stacks, of: &Unwound, phases: &[Phase], functions: &Functions) -> Stacks {
    let (known, complete) = complete(&of.stacks, phases, functions);
    let frames = of.stacks.iter().map(|seen| seen.frames.len() as u64).sum();
    Stacks { known, complete, walks: of.stacks.len() as u64, whole: Some(of.whole), frames, walk_ns: Some(of.ns), ..row }
}

/// How many stacks were taken while a chain was known, and how many of them hold it.
fn complete(stacks: &[Seen], phases: &[Phase], functions: &Functions) -> (u64, u64) {
    let (mut known, mut complete) = (0, 0);
    for seen in stacks {
        // Asleep a thread takes no samples; at the edges of a sleep it does.
        let phase = phases.iter().find(|phase| phase.kind == Kind::Spin && is_inside(phase, seen.tid, seen.at_ns));
        if let Some(phase) = phase {
            known += 1;
            complete += u64::from(functions.against(&seen.frames, &phase.chain).is_none());
        }
    }
    (known, complete)
}
