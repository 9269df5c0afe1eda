//! `record`: attach, wait, write one result, leave.

use std::process::ExitCode;

use anyhow::Result;
use profiler_common::loss::Loss;
use profiler_daemon::{
    cli::{Exit, Streams, color::Color, command, launch::Whom, output::PendingOutput, progress::Progress},
    export::table,
    model::{Capture, Filter, Question, RequestId, Selection, name_waits, report},
    session::{Lost, Manner, Recorded, Session, Subject, holders, record, render},
};

use super::{aim::Aim, reduced};
use crate::failure::Failure;

/// `record`.
pub(super) fn run(order: &command::Record, streams: Streams, color: Color, verbosity: u8) -> Result<ExitCode> {
    // Before anything touches the target: a path that cannot be written is known at once.
    let output = order.shape.output.open()?;
    let mut aim = Aim::take(&order.target)?;
    let outcome = profile(order, &mut aim, output, streams, color, verbosity);
    aim.end(outcome)
}

fn profile(
    order: &command::Record,
    aim: &mut Aim,
    output: PendingOutput,
    streams: Streams,
    color: Color,
    verbosity: u8,
) -> Result<Exit> {
    let subject = match &order.subject {
        command::Subject::AllTasks => Subject::AllTasks,
        command::Subject::Requests(choice) => Subject::Requests(super::choice(choice)),
    };
    let kept = reduced::kept(aim, output.removed_from())?;
    let runtime = reduced::own_thread(kept)?;
    let recorded = runtime.block_on(async {
        let interrupt = aim.interrupt()?;
        let progress = Progress::spinner("reading the program and attaching", streams);
        let manner =
            Manner { timeline: super::format(order.shape.format).wants_timeline(), ..super::manner(&order.measuring, order.how) };
        let target = aim.target()?;
        let session = Session::start_at(target, &subject, &manner, &order.names.debug_dirs, &mut super::told_by(&progress))?;
        drop(progress);
        kept.reduce_process()?;
        super::say_attached(&session);
        aim.go()?;
        let words = format!("recording process {}", aim.pid);
        let progress = Progress::countdown(&words, order.duration, aim.streams(streams));
        let recorded = record(session, order.duration, interrupt).await?;
        drop(progress);
        anyhow::Ok(recorded)
    })?;
    super::tell_kernel_said(recorded.session.kernel_said(), verbosity);
    finish(order, recorded, output, streams, color)
}

/// Requests that were measured and dropped.
fn too_fast(capture: &Capture) -> u64 {
    let name = Loss::RequestTooFast.name();
    capture.losses.iter().filter(|loss| loss.name == name).map(|loss| loss.count).sum()
}

/// Blocking places that a recording ends with.
const WORST: usize = 3;

/// Writes the result and tells of it.
pub(super) fn finish(
    order: &command::Record,
    recorded: Recorded,
    output: PendingOutput,
    streams: Streams,
    color: Color,
) -> Result<Exit> {
    let Recorded { mut session, capture, target_lost, interrupted } = recorded;
    if matches!(&order.subject, command::Subject::Requests(choice) if choice.marked) && target_lost.is_none() {
        super::tell_tokens(session.tokens());
    }
    let selection = match &order.subject {
        command::Subject::AllTasks => Selection::All,
        command::Subject::Requests(choice) => match choice.ids.as_slice() {
            [id] if choice.prefixes.is_empty() && choice.next == 0 && choice.one_in == 0 && !choice.marked => {
                Selection::Request { id: RequestId::new(session.shown(id.as_bytes())) }
            }
            _ => Selection::Requests,
        },
    };
    let is_seen = !selection.requests(&capture).is_empty() || !selection.foreign(&capture).is_empty();
    if selection != Selection::All && !is_seen {
        let what = match &selection {
            Selection::Request { id } => format!("request {id}"),
            _ => "any of the wanted requests".to_owned(),
        };
        let sentence = if let Some(lost) = target_lost {
            format!("the process {lost} before {what} came")
        } else if interrupted {
            format!("interrupted before {what} came")
        } else {
            let waited = super::seconds(order.duration);
            match (&selection, too_fast(&capture)) {
                (_, 1..) => format!("of {what}, all that came within {waited} were faster than --slower-than asks for"),
                (Selection::Request { id }, 0) => format!("request {id} did not come within {waited}"),
                (_, 0) => format!("none of the wanted requests came within {waited}"),
            }
        };
        // It may have come and been lost.
        super::tell_losses(&report(&capture, &Filter::All), color);
        let exit = if target_lost.is_some() { Exit::TargetLost } else { Exit::RequestNeverCame };
        return Err(Failure::new(exit, sentence).into());
    }
    let progress = Progress::spinner("naming functions", streams);
    let naming = session.naming();
    let mut symbols = naming.lock(&[]);
    let executor = super::executor_frames(&order.names);
    let bytes = render(
        &capture,
        &selection,
        super::metric(order.shape.metric),
        super::format(order.shape.format),
        executor,
        &mut *symbols,
    )?;
    drop(progress);
    output.write(&bytes)?;
    super::tell_notes(&symbols.warnings());
    if !matches!(selection, Selection::Request { .. }) {
        let missing = session.not_ended();
        super::tell_notes(
            &missing.iter().map(|id| format!("request {} did not end", RequestId::new(id.clone()))).collect::<Vec<_>>(),
        );
        if let command::Subject::Requests(choice) = &order.subject
            && choice.next > 0
        {
            eprintln!("note: {} of the next {} requests were seen", capture.requests.len(), choice.next);
        }
    }
    let mut told = report(&capture, &Filter::from(&selection));
    name_waits(&mut told, &capture, &mut *symbols);
    for row in told.requests.iter().take(super::SHOWN) {
        eprint!("{}", table::request(row, super::colours(color)));
    }
    for row in told.foreign.iter().take(super::SHOWN) {
        eprint!("{}", table::foreign(row, super::colours(color)));
    }
    if selection == Selection::All {
        let worst = holders(&capture, Question::default(), executor, &mut *symbols);
        eprint!("{}", table::worst_places(&worst, WORST, super::colours(color)));
    }
    super::tell_losses(&told, color);
    super::tell_refused_sites(&told);
    super::tell_cost(&told, color);
    if let Some(lost) = target_lost.filter(|lost| *lost == Lost::Exec || !matches!(order.target, Whom::Program(_))) {
        let sentence = format!("the process {lost} before the recording was over; what was seen is written");
        return Err(Failure::new(Exit::TargetLost, sentence).into());
    }
    Ok(Exit::Success)
}
