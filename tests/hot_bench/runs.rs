//! Runs of each program as the kernel counts them. Apart from the polls, because counting has a price.

use std::collections::BTreeMap;

use chain_fixture::shapes::Shape;
use profiler_daemon::attach::{ProgramRuns, RunStatistics};
use profiler_tests::beating::Beating;
use profiler_tests::spread::{Spread, each};
use profiler_tests::{Failure, Result};

use crate::polls::{SLICE_POLLS, What, wrong};
use crate::report::{Program, Runs};

const ROUNDS: usize = 12;
const QUICK_ROUNDS: usize = 3;
/// Slices of one attach.
const SLICES: usize = 4;

/// What was seen of one program.
#[derive(Default)]
struct Seen {
    runs: u64,
    run: Vec<i64>,
    empty: Vec<i64>,
    with_awaits: Vec<i64>,
    recursion_misses: u64,
}

/// Counts runs of the empty programs and of the product's, by turns.
pub(crate) fn counted(fixture: &mut Beating, shape: &Shape, quick: bool) -> Result<Runs> {
    let statistics = RunStatistics::enable().map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
    let mut seen: BTreeMap<&'static str, Seen> = BTreeMap::new();
    for _ in 0..if quick { QUICK_ROUNDS } else { ROUNDS } {
        for what in [What::Floor, What::Exact, What::Awaits] {
            for program in once(fixture, shape, what)?.iter().filter(|program| program.runs > 0) {
                let row = seen.entry(program.name).or_default();
                let run = each(program.total_ns, program.runs);
                match what {
                    What::Floor => row.empty.push(run),
                    What::Awaits => row.with_awaits.push(run),
                    _ => {
                        row.run.push(run);
                        row.runs += program.runs;
                        row.recursion_misses += program.recursion_misses;
                    }
                }
            }
        }
    }
    let programs = seen.into_iter().map(|(name, seen)| Program {
        name,
        runs: seen.runs,
        run: Spread::of(seen.run),
        empty: Spread::of(seen.empty),
        with_awaits: Spread::of(seen.with_awaits),
        recursion_misses: seen.recursion_misses,
    });
    Ok(Runs { clock_ns: statistics.clock_ns(), programs: programs.collect() })
}

/// The programs' runs in one attach.
fn once(fixture: &mut Beating, shape: &Shape, what: What) -> Result<Vec<ProgramRuns>> {
    let Some(mut session) = what.attach(fixture.pid())? else { return Ok(Vec::new()) };
    for _ in 0..SLICES {
        fixture.beat(shape, SLICE_POLLS)?;
        session.tick().map_err(wrong)?;
    }
    session.finish().map_err(wrong)?;
    Ok(session.runs())
}
