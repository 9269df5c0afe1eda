//! Polls of the chain fixture in short slices: without the profiler, and with it, by turns with the walk and without.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chain_fixture::shapes::{ALL, Shape};
use chain_fixture::truth::{Beaten, Event};
use profiler_daemon::attach::AwaitsOf;
use profiler_daemon::inspect::awaits::LoadedTable;
use profiler_daemon::model::AwaitWalks;
use profiler_daemon::session::{Detail, Manner, Session, SessionError, Subject};
use profiler_tests::process::Process;
use profiler_tests::recipe::Recipe;
use profiler_tests::{Failure, Result, binaries};

use crate::report;
use crate::{stored, user};
use profiler_tests::rig::quartiles::{Quartiles, each};

/// Longer than a slice takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Slices of each kind.
pub(crate) const ROUNDS: usize = 24;
const QUICK_ROUNDS: usize = 4;
/// Polls in one: some 20 ms.
const SLICE_POLLS: u64 = 4000;
/// Slices that are run first and not counted.
const WARM_UP: usize = 2;

/// What was measured, and how much of it.
pub(crate) struct Polls {
    pub(crate) rounds: usize,
    pub(crate) in_slice: u64,
    pub(crate) shapes: Vec<report::Shape>,
    pub(crate) stored: Vec<report::Stored>,
}

/// The fixture, in release mode with full debug information; built where it is not.
pub(crate) fn program() -> Result<PathBuf> {
    built("chain-fixture", "full")
}

/// The fixture with so much debug information, in a folder of its own.
pub(crate) fn built(folder: &str, debug: &'static str) -> Result<PathBuf> {
    let recipe = Recipe {
        packages: &["chain-fixture"],
        files: &["chain-fixture"],
        sources: &["tests/chain-fixture", "tests/fixture-service/src"],
        folder: binaries::target().join("await-costs").join(folder),
        is_release: true,
        settings: vec![
            ("CARGO_PROFILE_RELEASE_DEBUG", debug),
            ("CARGO_PROFILE_RELEASE_STRIP", "none"),
            ("CARGO_PROFILE_RELEASE_LTO", "false"),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3"),
        ],
    };
    recipe.program(|_| Ok(()))
}

pub(crate) fn all(quick: bool) -> Result<Polls> {
    let rounds = if quick { QUICK_ROUNDS } else { ROUNDS };
    let mut fixture = Fixture::start(program()?)?;
    let mut bare = Vec::new();
    for shape in &ALL {
        let mut slices = Vec::new();
        for round in 0..WARM_UP + rounds {
            let beaten = fixture.beat(shape)?;
            slices.extend((round >= WARM_UP).then(|| each(beaten.cpu_ns, beaten.polls)));
        }
        bare.push(Quartiles::of(slices));
    }
    let manner = Manner::default();
    let mut session = Session::start(fixture.process.pid(), &Subject::AllTasks, &manner, &[], &mut |_| ()).map_err(wrong)?;
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
    fixture: &mut Fixture,
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
            let beaten = fixture.beat(shape)?;
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
        user: user::walk(fixture.process.pid(), table, header, words)?,
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

/// The running fixture.
pub(crate) struct Fixture {
    process: Process,
}

impl Fixture {
    pub(crate) fn start(program: PathBuf) -> Result<Self> {
        let mut process = Process::start(&mut Command::new(program))?;
        process.stdout.wait("`ready` of the chain fixture", LIMIT, |line| {
            matches!(serde_json::from_str(line), Ok(Event::Ready { .. })).then_some(())
        })?;
        Ok(Self { process })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// One slice.
    pub(crate) fn beat(&mut self, shape: &Shape) -> Result<Beaten> {
        self.process.tell(&format!("beat {} {SLICE_POLLS}", shape.name))?;
        self.process.stdout.wait("`beaten` of the chain fixture", LIMIT, |line| match serde_json::from_str(line) {
            Ok(Event::Beaten(beaten)) => Some(beaten),
            _ => None,
        })
    }

    pub(crate) fn end(mut self) -> Result<()> {
        let status = self.process.end(LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let stderr = self.process.stderr.to_end(LIMIT)?;
        Err(Failure::Wrong(vec![format!("the chain fixture ended with {}: {stderr}", profiler_tests::process::describe(status))]))
    }
}
