//! Whatever debug information there is, the functions of a chain have their names.

use profiler_daemon::control::Format;
use profiler_daemon::model::{Metric, RequestId, Selection};
use profiler_daemon::session::{ExecutorFrames, Subject, render};
use profiler_tests::cells::{Cell, DEBUGS, Profile};
use profiler_tests::chained::{Chained, Profiled, profiled};
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};
use stack_fixture::truth::Phase;

const PHASE_MS: u32 = 60;
const RATE_HZ: u32 = 997;

/// Check that the folded stacks of a request name its whole chain in order, with a symbol table alone, with line tables, with full debug
/// information, and with debug information in a file of its own.
#[test]
fn chains_have_names() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut wrong = Vec::new();
    for debug in DEBUGS {
        let cell = Cell { profile: Profile::Release, debug };
        let mut fixture = Chained::start(cell, PHASE_MS)?;
        let seen = profiled(&mut fixture, &Subject::AllTasks, RATE_HZ, 1)?;
        fixture.end()?;
        for phase in seen.phases.iter().filter(|phase| ["three-spin", "twelve-spin", "three-plugin"].contains(&&*phase.name)) {
            let folded = folded(&seen, phase)?;
            if !folded.lines().any(|line| has_in_order(line, phase)) {
                wrong.push(format!("{cell}: {}: no line names the chain:\n{folded}", phase.name));
            }
        }
    }
    all_right(wrong)
}

fn folded(seen: &Profiled, phase: &Phase) -> Result<String> {
    let id = phase.request.as_deref().unwrap_or_default();
    let selection = Selection::Request { id: RequestId::new(id.as_bytes()) };
    let wrong = |why: &dyn std::error::Error| Failure::Wrong(vec![profiler_tests::failure::chain(why)]);
    let mut symbols = seen.naming.lock(&[]);
    let bytes = render(&seen.capture, &selection, Metric::Cpu, Format::Folded, ExecutorFrames::Folded, &mut *symbols)
        .map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|error| wrong(&error))
}

/// Whether a line of folded stacks (outermost first) names every function of the chain in order.
fn has_in_order(line: &str, phase: &Phase) -> bool {
    let mut frames = line.split(';');
    phase.chain.iter().all(|function| frames.any(|frame| frame.contains(&*function.name)))
}
