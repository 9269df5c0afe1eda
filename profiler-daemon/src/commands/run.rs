//! `run`: stay attached and serve, until told to leave.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use profiler_daemon::{
    cli::{Exit, Streams, color::Color, command, progress::Progress},
    control::ControlListener,
    export::table,
    model::{AwaitSource, Filter, Report, report},
    session::{Lost, Manner, Session, Subject, run as serve},
};

use super::{aim::Aim, reduced};

/// `run`.
pub(super) fn run(order: &command::Run, streams: Streams, color: Color, verbosity: u8) -> Result<ExitCode> {
    let mut aim = Aim::take(&order.target)?;
    let outcome = profile(order, &mut aim, streams, color, verbosity);
    aim.follow(outcome)
}

fn profile(order: &command::Run, aim: &mut Aim, streams: Streams, color: Color, verbosity: u8) -> Result<Exit> {
    let subject = match &order.wanted {
        command::Wanted::Everything => Subject::AllTasks,
        command::Wanted::AllRequests => Subject::AllRequests,
        command::Wanted::Only(choice) => Subject::Requests(super::choice(choice)),
    };
    let kept = reduced::kept(aim, socket_folder(order.socket.as_deref()))?;
    let runtime = reduced::runtime(kept)?;
    let ended = runtime.block_on(async {
        let interrupt = aim.interrupt()?;
        // Before anything touches the target: two daemons on one target would each pay, and answer half.
        let listener = match &order.socket {
            Some(path) => ControlListener::bind(path)?,
            None => ControlListener::bind_default(aim.pid)?,
        };
        let progress = Progress::spinner("reading the program and attaching", streams);
        let manner = Manner {
            routes: order.routes.iter().map(|prefix| prefix.as_bytes().to_vec()).collect(),
            is_daemon: true,
            ..super::manner(&order.measuring, order.how)
        };
        let target = aim.target()?;
        let session = Session::start_at(target, &subject, &manner, &order.names.debug_dirs, &mut super::told_by(&progress))?;
        drop(progress);
        kept.reduce_process()?;
        super::say_attached(&session);
        eprintln!("listening on {}", listener.path().display());
        aim.go()?;
        anyhow::Ok(serve(session, listener, super::executor_frames(&order.names), interrupt).await?)
    })?;
    // A client may still wait for names. Its connection is closed by now, and the end waits for no look-up.
    runtime.shutdown_background();
    super::tell_kernel_said(&ended.kernel_said, verbosity);
    let mut told = report(&ended.capture, &Filter::All);
    if told.awaits.source == AwaitSource::Wakers {
        // They are addresses until somebody looks them up.
        told.requests.iter_mut().for_each(|row| row.waits.clear());
    }
    eprint!("{}", summary(&told, color));
    if matches!(&order.wanted, command::Wanted::Only(choice) if choice.marked) && ended.target_lost.is_none() {
        super::tell_tokens(ended.tokens);
    }
    super::tell_losses(&told, color);
    super::tell_refused_sites(&told);
    super::tell_cost(&told, color);
    // A daemon has no window that the target's end could cut short: it is one of the ways it ends.
    match ended.target_lost {
        Some(Lost::Ended) => eprintln!("process {} has ended", aim.pid),
        Some(lost) => eprintln!("process {} {lost}", aim.pid),
        None => eprintln!("detached from process {}", aim.pid),
    }
    Ok(Exit::Success)
}

/// The folder of the socket, which is removed at the end.
fn socket_folder(path: Option<&Path>) -> Option<PathBuf> {
    // The default one is made by us, or refused: it is ours.
    path?.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.to_owned())
}

/// What the daemon saw: every request in full, or of many the longest.
fn summary(told: &Report, color: Color) -> String {
    let colours = super::colours(color);
    let mut longest = told.clone();
    longest.foreign.sort_by_key(|row| std::cmp::Reverse(row.sampled_ns.saturating_add(row.blocked_ns)));
    longest.foreign.truncate(super::SHOWN);
    if told.requests.len() <= super::SHOWN {
        let own = told.requests.iter().map(|row| table::request(row, colours) + "\n");
        return own.chain(longest.foreign.iter().map(|row| table::foreign(row, colours) + "\n")).collect();
    }
    longest.requests.sort_by_key(|row| std::cmp::Reverse(row.times.wall_ns));
    longest.requests.truncate(super::SHOWN);
    format!("{} requests, the {} longest of them:\n{}", told.requests.len(), super::SHOWN, table::requests(&longest, colours))
}
