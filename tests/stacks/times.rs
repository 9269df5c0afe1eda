//! A stretch off the CPU has its exact time, and the system call that it slept in.

use profiler_daemon::session::Subject;
use profiler_tests::cells::{Cell, Debug, Profile};
use profiler_tests::chained::{Chained, Profiled, profiled};
use profiler_tests::expect::Attempts;
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};
use stack_fixture::truth::{Kind, Phase};

const PHASE_MS: u32 = 60;
const RATE_HZ: u32 = 99;
const ATTEMPTS: usize = 4;
/// Between the fixture's reads of its clocks and the switches lie a system call and our own program.
const NEARBY_NS: u64 = 1_000_000;

/// Check that what the profiler saw of each sleep adds up to the sleep, within 1 % and 1 ms, and that it lay in the right system call.
#[test]
fn sleeps_have_their_time_and_their_call() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Chained::start(Cell { profile: Profile::Release, debug: Debug::None }, PHASE_MS)?;
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let seen = profiled(&mut fixture, &Subject::AllTasks, RATE_HZ, 1)?;
        attempts.note(seen.phases.iter().filter_map(|phase| Some((phase.name.clone(), compare(&seen, phase)?))).collect());
    }
    fixture.end()?;
    attempts.verdict()
}

/// What is wrong with a phase that slept; `None` for one that did not.
fn compare(seen: &Profiled, phase: &Phase) -> Option<Vec<String>> {
    let Kind::Blocked { syscall, slept_ns } = phase.kind else { return None };
    let mut wrong = Vec::new();
    let (mut in_call, mut elsewhere) = (0, Vec::new());
    for off in seen.off_cpu(phase).filter(|off| off.blocked_ns > 0) {
        if off.syscall.is_some_and(|number| i64::from(number) == syscall) {
            in_call += off.blocked_ns;
        } else {
            elsewhere.push((off.syscall, off.blocked_ns));
        }
    }
    let allowed = slept_ns / 100 + NEARBY_NS;
    if in_call.abs_diff(slept_ns) > allowed {
        wrong.push(format!("{}: asleep for {in_call} ns in call {syscall}, the fixture measured {slept_ns}", phase.name));
    }
    if !elsewhere.is_empty() {
        wrong.push(format!("{}: asleep elsewhere too (call, ns): {elsewhere:?}", phase.name));
    }
    Some(wrong)
}
