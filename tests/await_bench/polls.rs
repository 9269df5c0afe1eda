//! Polls of the chain fixture in short slices: without the profiler, and with it, by turns with the walk and without.

use chain_fixture::shapes::{ALL, Shape};
use profiler_daemon::attach::AwaitsOf;
use profiler_daemon::inspect::awaits::LoadedTable;
use profiler_daemon::model::AwaitWalks;
use profiler_daemon::session::{Detail, Manner, Session, SessionError, Subject};
use profiler_tests::beating::{Beating, program};
use profiler_tests::rig::quartiles::{Quartiles, each};
use profiler_tests::{Failure, Result};

use crate::report;
use crate::{stored, user};

/// Slices of each kind.
pub(crate) const ROUNDS: usize = 24;
const QUICK_ROUNDS: usize = 4;
/// Polls in one: some 20 ms.
pub(crate) const SLICE_POLLS: u64 = 4000;
/// Slices that are run first and not counted.
const WARM_UP: usize = 2;

/// What was measured, and how much of it.
pub(crate) struct Polls {
    pub(crate) rounds: usize,
    pub(crate) in_slice: u64,
    pub(crate) shapes: Vec<report::Shape>,
    pub(crate) stored: Vec<report::Stored>,
}

pub(crate) fn all(quick: bool) -> Result<Polls> {
    let rounds = if quick { QUICK_ROUNDS } else { ROUNDS };
    let mut fixture = Beating::start(program()?)?;
    let mut bare = Vec::new();
    for shape in &ALL {
        let mut slices = Vec::new();
        for round in 0..WARM_UP + rounds {
            let beaten = fixture.beat(shape, SLICE_POLLS)?;
            slices.extend((round >= WARM_UP).then(|| each(beaten.cpu_ns, beaten.polls)));
        }
        bare.push(Quartiles::of(slices));
    }
    let manner = Manner::default();
    let mut session = Session::start(fixture.pid(), &Subject::AllTasks, &manner, &[], &mut |_| ()).map_err(wrong)?;
    let table = user::table(&session)?;
    let mut shapes = Vec::new();
    for (shape, bare) in ALL.iter().zip(bare) {
        eprintln!("{}", shape.what);
        shapes.push(by_turns(&mut fixture, &mut session, &table, shape, bare, rounds)?);
    }
    session.finish().map_err(wrong)?;
    fixture.end()?;
    let stored = stored::all(rounds)?;
    Ok(Polls { rounds, in_slice: SLICE_POLLS, shapes, stored })
}

/// The kinds of slices. The second without a walk shows what the first and the second differ by, where nothing does.
#[derive(Clone, Copy)]
enum Kind {
    Off,
    On,
    OffAgain,
}

/// One shape, by turns with the walk and without.
fn by_turns(
    fixture: &mut Beating,
    session: &mut Session,
    table: &LoadedTable,
    shape: &Shape,
    bare: Quartiles<i64>,
    rounds: usize,
) -> Result<report::Shape> {
    let (mut off, mut on, mut again, mut kernel) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut total = AwaitWalks::default();
    let mut header = 0;
    for round in 0..WARM_UP + rounds {
        // Each kind comes first, second and last equally often.
        let mut order = [Kind::Off, Kind::On, Kind::OffAgain];
        order.rotate_left(round % 3);
        for kind in order {
            let walking = if matches!(kind, Kind::On) { AwaitsOf::All } else { AwaitsOf::Nobody };
            session.walk_awaits(walking).map_err(wrong)?;
            let before = walks(session)?;
            let beaten = fixture.beat(shape, SLICE_POLLS)?;
            session.tick().map_err(wrong)?;
            let seen = less(&walks(session)?, &before);
            header = beaten.header;
            if round < WARM_UP {
                continue;
            }
            let poll = each(beaten.cpu_ns, beaten.polls);
            match kind {
                Kind::Off => off.push(poll),
                Kind::OffAgain => again.push(poll),
                Kind::On => {
                    on.push(poll);
                    kernel.push(each(seen.walk_ns, seen.walks));
                    total = plus(&total, &seen);
                }
            }
            is_as_expected(shape, kind, &seen, beaten.polls)?;
        }
    }
    let differences = |more: &[i64]| Quartiles::of(more.iter().zip(&off).map(|(more, off)| more - off));
    // Rounded: the sums may have been read in the midst of a walk.
    let words = (total.words + total.walks / 2).checked_div(total.walks).unwrap_or_default();
    Ok(report::Shape {
        what: shape.what.to_owned(),
        walks: total.walks,
        steps: total.steps,
        words: total.words,
        cut: total.ends.keys().find(|end| *end != "whole").cloned(),
        kernel: Quartiles::of(kernel),
        user: user::walk(fixture.pid(), table, header, words)?,
        bare,
        difference: differences(&on),
        error: differences(&again),
        off: Quartiles::of(off),
        on: Quartiles::of(on),
    })
}

/// Every poll was walked, or none, and what was found is what the task waits at.
fn is_as_expected(shape: &Shape, kind: Kind, seen: &AwaitWalks, polls: u64) -> Result<()> {
    let walks = if matches!(kind, Kind::On) { polls + 1 } else { 0 };
    let frames = shape.frames + u64::from(shape.is_too_long);
    // The poll that goes on as the slice begins may be another's: the runtime's own end of the task before.
    if seen.walks.abs_diff(walks) > 2 || seen.words.abs_diff(seen.walks * frames) > 2 * frames {
        return Err(Failure::Wrong(vec![format!("{}: not {walks} walks with {frames} words each: {seen:?}", shape.what)]));
    }
    Ok(())
}

fn walks(session: &mut Session) -> Result<AwaitWalks> {
    Ok(session.capture(Detail::NoStacks).map_err(wrong)?.await_walks)
}

fn less(now: &AwaitWalks, before: &AwaitWalks) -> AwaitWalks {
    let ended = |end: &String| before.ends.get(end).copied().unwrap_or_default();
    AwaitWalks {
        walks: now.walks - before.walks,
        unchanged: now.unchanged - before.unchanged,
        steps: now.steps - before.steps,
        words: now.words - before.words,
        walk_ns: now.walk_ns - before.walk_ns,
        ends: now.ends.iter().map(|(end, count)| (end.clone(), count - ended(end))).filter(|(_, count)| *count > 0).collect(),
    }
}

fn plus(sum: &AwaitWalks, more: &AwaitWalks) -> AwaitWalks {
    let mut ends = sum.ends.clone();
    for (end, count) in &more.ends {
        *ends.entry(end.clone()).or_default() += count;
    }
    AwaitWalks {
        walks: sum.walks + more.walks,
        unchanged: sum.unchanged + more.unchanged,
        steps: sum.steps + more.steps,
        words: sum.words + more.words,
        walk_ns: sum.walk_ns + more.walk_ns,
        ends,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
pub(crate) fn wrong(error: SessionError) -> Failure {
    Failure::Wrong(vec![profiler_tests::failure::chain(&error)])
}
