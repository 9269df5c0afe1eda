//! The target's program is replaced on disk while it runs, as every deployment does, or deleted: what runs is the old file.

use std::fs;
use std::path::Path;

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, binaries, needs_root};

use crate::said::{MODES, held_by, interrupted, the_next_one_works};

/// Puts another program at the path, the way package managers do: by a rename.
fn replace(program: &Path) -> Result<()> {
    let next = program.with_extension("next");
    fs::copy(binaries::fixture("fixture-plain")?, &next).map_err(Failure::io("the next version"))?;
    fs::rename(&next, program).map_err(Failure::io("the next version"))
}

fn delete(program: &Path) -> Result<()> {
    fs::remove_file(program).map_err(Failure::io("the program"))
}

#[test]
fn before_the_attach() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for change in [replace, delete] {
        let mut victim = Victim::start(4)?;
        change(&victim.program)?;
        let recording = Recording::attach(victim.pid(), &["--all", "--duration", "60s"])?;
        victim.goes_on()?;
        let report = interrupted(recording)?;
        assert!(report.finished("child_step").is_some_and(|row| row.count > 0), "{:?}", report.lost);
        victim.is_asked_nothing()?;
        the_next_one_works(&mut victim)?;
        victim.end()?;
    }
    Ok(())
}

/// The probes hang on the file that runs, whatever stands at its path.
#[test]
fn while_it_is_profiled() -> Result<()> {
    needs_root!();
    let _turn = turn();
    for (change, arguments) in [replace as fn(&Path) -> Result<()>, delete].into_iter().zip(MODES) {
        let mut victim = Victim::start(4)?;
        let daemon = Daemon::attach(victim.pid(), arguments)?;
        let objects = held_by(daemon.pid())?;
        change(&victim.program)?;
        victim.goes_on()?;
        let report = daemon.report()?;
        assert!(!report.requests.is_empty());
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        objects.are_gone()?;
        victim.is_asked_nothing()?;
        the_next_one_works(&mut victim)?;
        victim.end()?;
    }
    Ok(())
}
