//! The commands that ask a running daemon once.

use anyhow::{Context as _, Result};
use profiler_daemon::{
    cli::{
        self, Exit, Streams,
        color::Color,
        command::{Daemon, Export},
        form::Listing,
        progress::Progress,
    },
    control::{Client, DaemonAddress, Names, Request, Selection, address},
    export::table,
    model::{Blocking, Family, Report, Waits},
};

use super::{colours_if, print};
use crate::failure::Failure;

/// Connects to the daemon that is meant.
pub(super) fn connect(daemon: &Daemon) -> Result<Client> {
    let address = match daemon {
        Daemon::Only => DaemonAddress::Only,
        Daemon::OfPid(pid) => DaemonAddress::OfPid(*pid),
        Daemon::At(path) => DaemonAddress::At(path.clone()),
    };
    Ok(Client::connect(&address::find(&address)?)?)
}

/// `requests`.
pub(super) fn requests(daemon: &Daemon, format: Listing, color: Color) -> Result<Exit> {
    let mut client = connect(daemon)?;
    match format {
        // A report has each await stack once; a list of requests has them in each row, and may be longer than a client takes.
        Listing::Json => print_line(serde_json::to_vec(&report(&mut client)?.into_rows())?),
        Listing::Table => print(table::requests(&report(&mut client)?, colours_if(color.stdout)).as_bytes()),
    }
}

/// `requests --routes`.
pub(super) fn routes(daemon: &Daemon, format: Listing, color: Color) -> Result<Exit> {
    let routes = report(&mut connect(daemon)?)?.routes;
    match format {
        Listing::Json => print_line(serde_json::to_vec(&routes)?),
        Listing::Table if routes.is_empty() => print(b"no request was folded by route: that takes run --all-requests\n"),
        Listing::Table => print(table::routes(&routes, colours_if(color.stdout)).as_bytes()),
    }
}

/// The daemon's whole report, for a table.
pub(super) fn report(client: &mut Client) -> Result<Report> {
    let answer = client.ask(&Request::Report)?;
    Report::read(&answer).context(Failure::new(Exit::DaemonFailed, "the daemon's report is of another version"))
}

/// `blocking`.
pub(super) fn blocking(question: &cli::command::Blocking, color: Color) -> Result<Exit> {
    let mut client = connect(&question.daemon)?;
    let threshold_ns = u64::try_from(question.threshold.as_nanos()).unwrap_or(u64::MAX);
    let answer = client.ask_with_notes(&Request::Blocking { threshold_ns, top: question.top })?;
    super::tell_notes(&answer.notes);
    match question.format {
        Listing::Json => print_line(answer.payload),
        Listing::Table => {
            let told: Blocking = serde_json::from_slice(&answer.payload)
                .context(Failure::new(Exit::DaemonFailed, "the daemon's answer is of another version"))?;
            print(table::blocking(&told, question.stacks, colours_if(color.stdout)).as_bytes())
        }
    }
}

/// `waits`.
pub(super) fn waits(waits: &cli::command::Waits, color: Color) -> Result<Exit> {
    let mut client = connect(&waits.daemon)?;
    let answer = client.ask_with_notes(&Request::Waits { select: selection(&waits.selection), names: names(&waits.names) })?;
    super::tell_notes(&answer.notes);
    let mut told: Vec<Waits> = serde_json::from_slice(&answer.payload)
        .context(Failure::new(Exit::DaemonFailed, "the daemon's answer is of another version"))?;
    let top = usize::try_from(waits.top).unwrap_or(usize::MAX);
    match waits.format {
        Listing::Json => {
            for told in &mut told {
                told.waits.truncate(top);
            }
            print_line(serde_json::to_vec(&told)?)
        }
        Listing::Table => print(table::waits(&told, top, colours_if(color.stdout)).as_bytes()),
    }
}

/// `family`.
pub(super) fn family(family: &cli::command::Family, color: Color) -> Result<Exit> {
    let mut client = connect(&family.daemon)?;
    let select = Selection::Request(family.request.to_string());
    let answer = client.ask_with_notes(&Request::Family { select, names: names(&family.names) })?;
    super::tell_notes(&answer.notes);
    match family.format {
        Listing::Json => print_line(answer.payload),
        Listing::Table => {
            let told: Vec<Family> = serde_json::from_slice(&answer.payload)
                .context(Failure::new(Exit::DaemonFailed, "the daemon's answer is of another version"))?;
            let top = usize::try_from(family.top).unwrap_or(usize::MAX);
            print(table::families(&told, top, family.steps, colours_if(color.stdout)).as_bytes())
        }
    }
}

/// `export`.
pub(super) fn export(export: &Export, streams: Streams) -> Result<Exit> {
    let output = export.shape.output.open()?;
    let mut client = connect(&export.daemon)?;
    let progress = Progress::spinner("waiting for the daemon's export", streams);
    let answer = client.ask_with_notes(&Request::Export {
        select: selection(&export.selection),
        metric: super::metric(export.shape.metric),
        format: super::format(export.shape.format),
        names: names(&export.names),
    })?;
    drop(progress);
    output.write(&answer.payload)?;
    super::tell_notes(&answer.notes);
    Ok(Exit::Success)
}

/// JSON from the daemon, on a line of its own.
pub(super) fn print_line(mut json: Vec<u8>) -> Result<Exit> {
    if json.last() != Some(&b'\n') {
        json.push(b'\n');
    }
    print(&json)
}

fn names(names: &cli::command::Names) -> Names {
    Names { raw_frames: names.raw_frames, debug_dirs: names.debug_dirs.clone() }
}

fn selection(selection: &cli::command::Selection) -> Selection {
    match selection {
        cli::command::Selection::All => Selection::All,
        cli::command::Selection::Request(id) => Selection::Request(id.to_string()),
        cli::command::Selection::Task(id) => Selection::Task(*id),
    }
}
