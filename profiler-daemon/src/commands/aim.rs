//! Whom a session is about: a process that is there, or a service that is started for it and that we end with.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use profiler_daemon::{
    cli::{
        Exit, Streams,
        launch::{Program, Whom},
        visible,
    },
    launch::{Caller, Launched, Signals, code_of},
    target::{Target, privileges::Later},
};

use super::{reduced::kept_for, signals};

/// How long a service that was asked to end may take over it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often its end is looked for meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// The process, and the service where it is one of ours.
pub(super) struct Aim {
    /// The process.
    pub(super) pid: u32,
    /// As it was when it was first looked at; a service is looked at when it has been started.
    target: Option<Target>,
    service: Option<Launched>,
}

impl Aim {
    /// Takes aim. A program is started, and stands before its first instruction. To be called before there is any thread.
    pub(super) fn take(whom: &Whom) -> Result<Self> {
        match whom {
            Whom::Pid(pid) => Ok(Self { pid: *pid, target: Some(super::check_target(*pid)?), service: None }),
            Whom::Object(pid, path) => {
                let target = super::check_target(*pid)?.with_object(Some(path.clone()));
                Ok(Self { pid: *pid, target: Some(target), service: None })
            }
            Whom::Program(program) => start(program),
        }
    }

    /// Whether there is a service of ours, which signals are sent to.
    pub(super) const fn has_service(&self) -> bool {
        self.service.is_some()
    }

    /// Done when the user wants us to leave. Signals that come for a service are the service's: it decides.
    pub(super) fn interrupt(&self) -> Result<impl Future<Output = ()> + use<>> {
        let interrupt = self.service.is_none().then(signals::interrupt).transpose()?;
        Ok(async {
            match interrupt {
                Some(interrupt) => interrupt.await,
                None => std::future::pending().await,
            }
        })
    }

    /// The process to attach to. To be asked once.
    pub(super) fn target(&mut self) -> Result<Target> {
        // A child of ours keeps its number until we have waited for it.
        Ok(self.target.take().map_or_else(|| Target::open(self.pid), Ok)?)
    }

    /// Lets a started service run.
    pub(super) fn go(&mut self) -> Result<()> {
        Ok(self.service.as_mut().map_or(Ok(()), Launched::go)?)
    }

    /// The streams as far as they are ours: a started service may draw on the terminal.
    pub(super) const fn streams(&self, streams: Streams) -> Streams {
        Streams { stderr_is_terminal: streams.stderr_is_terminal && self.service.is_none(), ..streams }
    }

    /// Waits for a started service, and ends as it did; a failure of ours comes first.
    pub(super) fn follow(mut self, outcome: Result<Exit>) -> Result<ExitCode> {
        let Some(service) = &mut self.service else { return outcome.map(ExitCode::from) };
        if !service.runs() {
            // Dropped with us: it has not begun.
            return outcome.map(ExitCode::from);
        }
        if outcome.is_err() && service.ended()?.is_none() {
            eprintln!("the profiler has failed, and the service goes on without it");
        }
        let status = service.wait()?;
        outcome.map(|_| ExitCode::from(code_of(status)))
    }

    /// Ends a started service when the recording is over, and ends as the service did if it had ended before.
    pub(super) fn end(mut self, outcome: Result<Exit>) -> Result<ExitCode> {
        let Some(service) = self.service.as_mut().filter(|service| service.runs()) else { return outcome.map(ExitCode::from) };
        if let Some(status) = service.ended()? {
            return outcome.map(|_| ExitCode::from(code_of(status)));
        }
        eprintln!("the recording is over: asking the service to end (SIGTERM)");
        service.ask_to_end()?;
        let asked = Instant::now();
        while service.ended()?.is_none() {
            if asked.elapsed() > PATIENCE {
                eprintln!("the service did not end within {}: killing it", super::seconds(PATIENCE));
                service.kill()?;
                service.wait()?;
                break;
            }
            thread::sleep(LOOK);
        }
        outcome.map(ExitCode::from)
    }
}

fn start(program: &Program) -> Result<Aim> {
    // What can be told without starting anything comes first.
    super::check_machine()?;
    let caller = if program.as_root { None } else { Caller::of_sudo()? };
    let signals = Signals::catch()?;
    let service = Launched::start(&program.name, &program.arguments, caller.as_ref())?;
    let kept = kept_for(&Later { signals_a_service: true, ..Later::default() })?;
    let give_up = move || {
        // As in `reduced::runtime`: it is looked at later.
        let _ = kept.reduce_thread();
    };
    signals.hand_on(&service, give_up)?;
    let whose = caller.map_or_else(String::new, |caller| format!(" as {}, who called sudo (--as-root: as root)", caller.name()));
    eprintln!("started {} as process {}{}", visible(&program.name.to_string_lossy()), service.pid(), visible(&whose));
    Ok(Aim { pid: service.pid(), target: None, service: Some(service) })
}
