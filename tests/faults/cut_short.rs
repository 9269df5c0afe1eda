//! A debug file is cut short during a session. A program that runs cannot be (ETXTBSY), its debug file can; cut while it is read, it would end whoever has it
//! mapped, which is tested where it is read (`profiler-daemon/src/model/symbols/tests/cut_short.rs`).

use std::fs::{self, File};
use std::process::Command;

use profiler_tests::daemon::Daemon;
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, cells, needs_root};

use crate::said::{held_by, the_next_one_works};

#[test]
fn a_debug_file_is_cut_short_during_a_session() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start_by(4, |program| {
        let folder = program.parent().unwrap_or(program);
        cells::split(folder, "victim", "victim.debug").unwrap_or_else(|error| panic!("{error}"));
        Command::new(program)
    })?;
    let debug = victim.program.with_extension("debug");
    let length = fs::metadata(&debug).map_err(Failure::io("the debug file"))?.len();
    let daemon = Daemon::attach(victim.pid(), &["--all-requests", "--mode", "process", "--rate", "997"])?;
    let objects = held_by(daemon.pid())?;
    victim.goes_on()?;
    let out = debug.with_extension("folded");
    daemon.export(&out, &["--all", "--format", "folded"])?;
    // The same file, which the daemon has open by now.
    for part in [2, 16, 1000, u64::MAX] {
        let cut = File::options().write(true).open(&debug).and_then(|file| file.set_len(length / part));
        cut.map_err(Failure::io("the debug file"))?;
        victim.goes_on()?;
        daemon.export(&out, &["--all", "--format", "folded"])?;
        assert!(fs::metadata(&out).is_ok_and(|file| file.len() > 0));
    }
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    objects.are_gone()?;
    victim.is_asked_nothing()?;
    the_next_one_works(&mut victim)?;
    victim.end()
}
