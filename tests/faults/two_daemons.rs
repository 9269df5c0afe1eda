//! Two profilers on one target: whoever measures every poll measures beside the other; whoever asks the program for requests is alone, and a second
//! one is told so.

use std::time::Duration;

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::report::{Report, Request};
use profiler_tests::serial::turn;
use profiler_tests::victim::Victim;
use profiler_tests::{Failure, Result, needs_root};

use crate::said::{EVERY_POLL, OWN_TIMES, SOME_REQUESTS, code, held_by, sentence, the_next_one_works};

/// Both see every request, and each takes away its own probes only.
#[test]
fn two_that_measure_every_poll_do_not_mind_each_other() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(1)?;
    let first = Daemon::attach(victim.pid(), EVERY_POLL)?;
    let second = Daemon::attach(victim.pid(), EVERY_POLL)?;
    let objects = [held_by(first.pid())?, held_by(second.pid())?];
    std::thread::sleep(Duration::from_millis(600));
    let [seen, also] = [first.report()?, second.report()?];
    let known = |id: &str| seen.requests.iter().any(|row| row.id == id && row.complete);
    // What both saw begin and end while the first looked on.
    let both =
        |row: &&Request| row.complete && row.start_seen && row.start_ns + row.times.wall_ns < seen.window.end_ns - 100_000_000;
    let ended: Vec<&Request> = also.requests.iter().filter(both).collect();
    let unknown: Vec<&Request> = ended.iter().copied().filter(|row| !known(&row.id)).collect();
    assert!(!ended.is_empty() && unknown.is_empty(), "of {}: {unknown:?}", ended.len());
    assert_eq!(first.end(libc::SIGINT)?.code(), 0);
    objects[0].are_gone()?;
    // The other one's are all still in.
    assert!(!profiler_tests::text::changed_bytes(victim.pid())?.is_empty());
    let count = |report: &Report| report.finished("child_step").map_or(0, |row| row.count);
    let before = count(&also);
    victim.goes_on()?;
    assert!(count(&second.report()?) > before, "it counts on");
    assert_eq!(second.end(libc::SIGINT)?.code(), 0);
    objects[1].are_gone()?;
    victim.is_asked_nothing()?;
    the_next_one_works(&mut victim)?;
    victim.end()
}

/// One that asks the program, and one that measures every poll: the kernel keeps one semaphore for a place of a file, and they want different ones.
/// The second is told, in words, and the first does not mind. That holds for another process of the same program too.
#[test]
fn two_of_different_modes_do_not_go_together_and_that_is_said() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let mut twin = Victim::start_by(2, |_| std::process::Command::new(&victim.program))?;
    for (first, second) in [(SOME_REQUESTS, EVERY_POLL), (EVERY_POLL, SOME_REQUESTS)] {
        let daemon = Daemon::attach(victim.pid(), first)?;
        for target in [victim.pid(), twin.pid()] {
            let Err(Failure::Ended { seen, .. }) = Daemon::attach(target, second) else { panic!("{second:?} beside {first:?}") };
            assert!(sentence(&seen).contains("in another mode"), "{seen}");
        }
        victim.goes_on()?;
        assert!(!daemon.report()?.requests.is_empty());
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        for target in [&mut victim, &mut twin] {
            target.is_asked_nothing()?;
            target.goes_on()?;
        }
    }
    the_next_one_works(&mut twin)?;
    twin.end()?;
    victim.end()
}

/// Requests that keep their own times reach another probe than those whose every poll is measured.
#[test]
fn own_times_and_every_poll_go_together() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let daemons = [Daemon::attach(victim.pid(), EVERY_POLL)?, Daemon::attach(victim.pid(), OWN_TIMES)?];
    victim.goes_on()?;
    for daemon in daemons {
        assert!(!daemon.report()?.requests.is_empty());
        assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
        victim.goes_on()?;
    }
    victim.is_asked_nothing()?;
    victim.end()
}

#[test]
fn a_second_one_that_asks_the_program_is_told_of_the_first() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut victim = Victim::start(4)?;
    let first = Daemon::attach(victim.pid(), SOME_REQUESTS)?;
    for arguments in [&["--request", "load-1-7"][..], &["--next", "1"]] {
        let (ended, _folder) = Recording::start(victim.pid(), arguments)?.ended()?;
        assert_eq!(ended.code(), code::TABLE_TAKEN, "{}", ended.stderr);
        assert!(
            sentence(&ended.stderr).contains(&format!("profiler-daemon {} measures requests", first.pid())),
            "{}",
            ended.stderr
        );
    }
    victim.goes_on()?;
    assert!(first.report()?.requests.iter().all(|row| row.id.starts_with("load-0-")));
    assert_eq!(first.end(libc::SIGINT)?.code(), 0);
    victim.is_asked_nothing()?;
    victim.end()
}
