//! What it costs a poll that the stack is told in which a waker is stored, where there are no layouts.
//!
//! The fixture's leaf stores its waker at each poll, which is the most that a future can do. Its program has line tables and no types.

use std::path::PathBuf;

use chain_fixture::shapes::{STORING, Shape};
use profiler_daemon::attach::AwaitsOf;
use profiler_daemon::session::{Manner, Session, Subject};
use profiler_tests::Result;
use profiler_tests::beating::{Beating, built};
use profiler_tests::spread::{Spread, each};

use crate::polls::{SLICE_POLLS, wrong};
use crate::report;

/// Slices that are run first and not counted.
const WARM_UP: usize = 2;

/// The fixture, in release mode with line tables only; built where it is not.
pub(crate) fn program() -> Result<PathBuf> {
    built("chain-fixture-lines", "line-tables-only")
}

pub(crate) fn all(rounds: usize) -> Result<Vec<report::Stored>> {
    let mut fixture = Beating::start(program()?)?;
    let bare = each_shape(&mut fixture, rounds)?;
    let left_out = Manner { no_await_wakers: true, ..Manner::default() };
    let mut session = Session::start(fixture.pid(), &Subject::AllTasks, &left_out, &[], &mut |_| ()).map_err(wrong)?;
    let attached = each_shape(&mut fixture, rounds)?;
    session.finish().map_err(wrong)?;
    let mut session = Session::start(fixture.pid(), &Subject::AllTasks, &Manner::default(), &[], &mut |_| ()).map_err(wrong)?;
    let mut stored = Vec::new();
    for (shape, (bare, attached)) in STORING.iter().zip(bare.into_iter().zip(attached)) {
        eprintln!("{}", shape.what);
        let (probed, told) = by_turns(&mut fixture, &mut session, shape, rounds)?;
        let difference = Spread::of(told.iter().zip(&probed).map(|(told, probed)| told - probed));
        let (probed, told) = (Spread::of(probed), Spread::of(told));
        stored.push(report::Stored { what: shape.what.to_owned(), bare, attached, probed, told, difference });
    }
    session.finish().map_err(wrong)?;
    fixture.end()?;
    Ok(stored)
}

/// Polls of each shape, as the process is.
fn each_shape(fixture: &mut Beating, rounds: usize) -> Result<Vec<Spread>> {
    let mut spreads = Vec::new();
    for shape in &STORING {
        let mut slices = Vec::new();
        for round in 0..WARM_UP + rounds {
            let beaten = fixture.beat(shape, SLICE_POLLS)?;
            slices.extend((round >= WARM_UP).then(|| each(beaten.cpu_ns, beaten.polls)));
        }
        spreads.push(Spread::of(slices));
    }
    Ok(spreads)
}

/// Polls in which the probe is hit and nothing is told, and polls with the stack, by turns.
fn by_turns(fixture: &mut Beating, session: &mut Session, shape: &Shape, rounds: usize) -> Result<(Vec<i64>, Vec<i64>)> {
    let (mut probed, mut told) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + rounds {
        for of in [AwaitsOf::Nobody, AwaitsOf::All] {
            session.walk_awaits(of).map_err(wrong)?;
            let beaten = fixture.beat(shape, SLICE_POLLS)?;
            session.tick().map_err(wrong)?;
            if round < WARM_UP {
                continue;
            }
            let slices = if of == AwaitsOf::All { &mut told } else { &mut probed };
            slices.push(each(beaten.cpu_ns, beaten.polls));
        }
    }
    Ok((probed, told))
}
