//! What each command does: glue between the checked arguments and the library.

mod aim;
mod ask;
mod curl;
mod inspect;
mod live;
mod record;
mod reduced;
mod run;
mod signals;
mod system_info;
mod token;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use profiler_common::loss::Loss;
use profiler_daemon::{
    attach::Room,
    cli::{
        Command, Exit, Invocation, Streams,
        choice::{Choice, How, ModeArg},
        color::Color,
        command::Names,
        form, manual,
        measuring::Measuring,
        output::Output,
        progress::Progress,
        value::{Rate, RequestId},
        visible,
    },
    control::Format,
    export::table::{self, Colours},
    inspect::awaits::Progress as Reading,
    inspect::foreign::Model,
    model::{AwaitSource, Metric, Report},
    session::{Choice as WantedRequests, ExecutorFrames, ForeignSight, FoundContext, Manner, Mode, Session, Tokens},
    target::{Target, kernel::KernelVersion, privileges::Privileges},
};

/// Does what the command line says.
pub(crate) fn run(invocation: Invocation, streams: Streams) -> Result<ExitCode> {
    let color = invocation.color;
    let exit = match invocation.command {
        // These may end by the exit code of a service that they started.
        Command::Run(order) => return run::run(&order, streams, color, invocation.verbosity),
        Command::Record(order) => return record::run(&order, streams, color, invocation.verbosity),
        Command::Requests { daemon, format, routes: false } => ask::requests(&daemon, format, color),
        Command::Requests { daemon, format, routes: true } => ask::routes(&daemon, format, color),
        Command::Tasks(tasks) => live::tasks(&tasks, color),
        Command::Blocking(question) => ask::blocking(&question, color),
        Command::Export(export) => ask::export(&export, streams),
        Command::Waits(waits) => ask::waits(&waits, color),
        Command::Curl(order) => curl::run(order, streams, color, invocation.verbosity),
        Command::Token(order) => token::run(&order),
        Command::Family(family) => ask::family(&family, color),
        Command::SystemInfo { format } => system_info::system_info(format),
        Command::Completions(shell) => {
            let mut script = Vec::new();
            manual::completions(shell, &mut script)?;
            print(&script)
        }
        Command::Man(page) => {
            let mut roff = Vec::new();
            manual::man(&page, &mut roff)?;
            print(&roff)
        }
        Command::Inspect { program, format } => inspect::run(&program, format, streams),
    };
    exit.map(ExitCode::from)
}

/// Writes to standard output.
fn print(bytes: &[u8]) -> Result<Exit> {
    Output::Stdout.open()?.write(bytes)?;
    Ok(Exit::Success)
}

/// The same of what is too much to be kept.
fn print_by(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<Exit> {
    Output::Stdout.open()?.write_by(write)?;
    Ok(Exit::Success)
}

/// Which time a stack is weighted with.
const fn metric(metric: form::Metric) -> Metric {
    match metric {
        form::Metric::Wall => Metric::Wall,
        form::Metric::Cpu => Metric::Cpu,
        form::Metric::Blocked => Metric::Blocked,
    }
}

/// What a result is written as.
const fn format(format: form::Format) -> Format {
    match format {
        form::Format::Flamegraph => Format::Flamegraph,
        form::Format::Folded => Format::Folded,
        form::Format::Json => Format::Json,
        form::Format::Pprof => Format::Pprof,
        form::Format::Speedscope => Format::Speedscope,
        form::Format::Firefox => Format::Firefox,
        form::Format::Perfetto => Format::Perfetto,
        form::Format::Callgraph => Format::CallgraphDot,
        form::Format::CallgraphSvg => Format::CallgraphSvg,
    }
}

/// Which requests a session is about.
fn choice(choice: &Choice) -> WantedRequests {
    let bytes = |ids: &[RequestId]| ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    WantedRequests {
        ids: bytes(&choice.ids),
        prefixes: bytes(&choice.prefixes),
        next: choice.next,
        one_in: choice.one_in,
        tokens: choice.marked,
        slower_than: choice.slower_than,
    }
}

/// How a session measures, as far as `run` and `record` say it alike.
fn manner(measuring: &Measuring, how: How) -> Manner {
    let mode = how.mode.map(|mode| match mode {
        ModeArg::Request => Mode::Request,
        ModeArg::Process => Mode::Process,
        ModeArg::Sample => Mode::Sample,
    });
    Manner {
        rate_hz: measuring.rate.map(Rate::hz),
        no_awaits: measuring.no_awaits,
        no_await_wakers: measuring.no_await_wakers,
        stats: measuring.stats,
        request_key: measuring.request_key.clone(),
        label_key: measuring.label_key.clone(),
        mode,
        follow_spawns: how.follow_spawns,
        room: Room { tasks: measuring.max_tasks, requests: measuring.max_requests },
        ..Manner::default()
    }
}

/// Checks what can be told of a target before anything is set up for it. What can be told without privileges is told before they are
/// asked for: a wrong pid is a wrong pid for everyone.
///
/// What comes later is about the process that is given back, and not about the number.
fn check_target(pid: u32) -> Result<Target> {
    KernelVersion::running()?.check()?;
    let target = Target::open(pid)?;
    Privileges::read()?.check()?;
    Ok(target)
}

/// The same where there is no target yet.
fn check_machine() -> Result<()> {
    KernelVersion::running()?.check()?;
    Privileges::read()?.check()?;
    Ok(())
}

/// Tells `progress` how far the reading of debug information is.
fn told_by(progress: &Progress) -> impl FnMut(Reading) {
    move |Reading { done, total }| progress.say(&format!("reading debug information, {} of {} MB", done >> 20, total >> 20))
}

/// Tells that the probes are in, and what is missing: `attached` is what scripts wait for.
fn say_attached(session: &Session) {
    let plan = session.plan();
    eprintln!("attached to process {}: {} probe sites", session.target().pid(), plan.sites.len() + plan.scopes.len());
    let target = session.target();
    if target.is_object() {
        eprintln!("profiled is {}, a shared object of the process", visible(&target.profiled().display().to_string()));
    }
    for other in target.beside_object() {
        eprintln!("not profiled: {}, which has a Tokio of its own; --object names it", visible(&other.display().to_string()));
    }
    for missing in &plan.missing {
        eprintln!("missing: {}: {}", missing.what, missing.why);
    }
    if session.mode() == Mode::Request {
        if session.mode_sentence().is_none() {
            eprintln!("only wanted requests reach a probe");
        }
        if session.awaits().source != AwaitSource::Layouts {
            eprintln!(
                "missing: children that Tokio's own spawns make are neither followed nor counted; --follow-spawns follows them"
            );
        }
    }
    if session.mode() == Mode::Times {
        eprintln!(
            "every request keeps its own times and reaches one probe, at its end: no stacks, no awaits, no tasks; --mode process has them"
        );
    }
    if session.mode() == Mode::Sample {
        eprintln!(
            "no probe is in the program: CPU time by samples, time off the CPU exactly; polls, wakes, scheduled, suspended and wall time are not known"
        );
        if let Some(why) = session.why_no_task_ids() {
            eprintln!("missing: task ids: {}", visible(why));
        }
    }
    if let Some(why) = session.mode_sentence() {
        eprintln!("note: {why}");
        if session.mode() == Mode::Process {
            eprintln!("note: it costs {}", plan.cost);
        }
    }
    if let Some(sentence) = session.naming_key() {
        eprintln!("{}", visible(sentence));
    }
    if let Some(foreign) = session.foreign() {
        say_foreign(foreign, !session.inspection().usdt.is_empty());
    }
    let awaits = session.awaits();
    if let Some(why) = &awaits.why {
        let instead = match awaits.source {
            AwaitSource::Wakers => "the stacks in which wakers are stored serve instead",
            AwaitSource::Layouts | AwaitSource::None => "where a task waits is not told",
        };
        eprintln!("missing: exact await stacks: {}; {instead}", visible(why));
    }
    for sentence in session.code_without_table().iter().chain(&awaits.notes) {
        eprintln!("missing: {}", visible(sentence));
    }
}

/// Tells which ids of other libraries are read. The slot of an executable that has our annotation is the annotation's own.
fn say_foreign(foreign: &ForeignSight, is_annotated: bool) {
    let own = |found: &FoundContext| is_annotated && found.model == Some(Model::LocalExec);
    let found: Vec<&FoundContext> = foreign.found.iter().filter(|found| !own(found)).collect();
    if found.is_empty() {
        return;
    }
    let mut names: Vec<&str> = found.iter().filter(|it| it.unread.is_none()).map(|it| it.context.symbol()).collect();
    names.dedup();
    if !names.is_empty() {
        eprintln!("ids of other libraries are read: {}", names.join(", "));
    }
    for sentence in found.iter().filter_map(|it| it.unread.as_ref()).chain(&foreign.notes) {
        eprintln!("missing: ids of other libraries: {}", visible(sentence));
    }
}

/// With `-v`, what the kernel side said.
fn tell_kernel_said(lines: &[String], verbosity: u8) {
    if verbosity > 0 {
        for line in lines {
            eprintln!("kernel side: {}", visible(line));
        }
    }
}

/// What became of the tokens of marked requests. Those of a target that has ended cannot be read any more.
fn tell_tokens(tokens: Option<Tokens>) {
    if let Some(Tokens { good, wrong, expired, malformed }) = tokens {
        eprintln!("tokens: {good} good, {wrong} wrong, {expired} expired, {malformed} malformed");
    }
}

/// What the user should know of a result.
fn tell_notes(notes: &[String]) {
    for note in notes {
        eprintln!("note: {}", visible(note));
    }
}

const fn executor_frames(names: &Names) -> ExecutorFrames {
    if names.raw_frames { ExecutorFrames::Raw } else { ExecutorFrames::Folded }
}

/// Requests that a summary shows one by one.
const SHOWN: usize = 10;

/// Tells every counter of losses that is not zero.
fn tell_losses(told: &Report, color: Color) {
    let meaning = |name: &str| Loss::ALL.iter().find(|loss| loss.name() == name).map(|loss| loss.meaning());
    eprint!("{}", table::losses(&told.lost, &meaning, colours(color)));
    let is_lost = |loss: Loss| told.lost.get(loss.name()).is_some_and(|count| *count > 0);
    for (loss, remedy) in
        [(Loss::TaskMapFull, "--max-tasks"), (Loss::ScopeMapFull, "--max-requests"), (Loss::RequestDropped, "--max-requests")]
    {
        if is_lost(loss) {
            eprintln!("note: {remedy} N makes room for more");
        }
    }
}

/// Probe sites that are wrong, or that something else reached too.
fn tell_refused_sites(told: &Report) {
    for site in &told.refused_sites {
        eprintln!("{}: {}", if site.taken_out { "missing" } else { "note" }, site.sentence());
    }
}

/// What the kernel side's programs took, where that was asked for.
fn tell_cost(told: &Report, color: Color) {
    eprint!("{}", table::cost(told.cost.as_ref(), colours(color)));
}

const fn colours(color: Color) -> Colours {
    colours_if(color.stderr)
}

const fn colours_if(coloured: bool) -> Colours {
    if coloured { Colours::On } else { Colours::Off }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
