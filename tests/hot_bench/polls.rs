//! Polls in short slices: bare, with empty programs, and with the product's, by turns.

use chain_fixture::shapes::Shape;
use profiler_daemon::attach::Handlers;
use profiler_daemon::session::{Manner, Session, SessionError, Subject};
use profiler_tests::beating::Beating;
use profiler_tests::failure::chain;
use profiler_tests::rig::quartiles::{Quartiles, each};
use profiler_tests::{Failure, Result};

use crate::report::{Kind, Polls};

/// Polls in one slice: some 10 ms.
pub(crate) const SLICE_POLLS: u64 = 4000;
/// Slices of one attach that count, behind one that does not.
const SLICES: usize = 4;
const ROUNDS: usize = 20;
const QUICK_ROUNDS: usize = 4;

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Nothing.
    Bare,
    /// Nothing again: what the rig says where nothing differs.
    BareAgain,
    /// Empty programs on the sites of `exact`.
    Floor,
    /// The product, but for awaits.
    Exact,
    /// The product as it is.
    Awaits,
}

impl What {
    const ALL: [Self; 5] = [Self::Bare, Self::BareAgain, Self::Floor, Self::Exact, Self::Awaits];

    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareAgain => "bare_again",
            Self::Floor => "floor",
            Self::Exact => "exact",
            Self::Awaits => "exact_awaits",
        }
    }

    /// Attaches it to `pid`. `None` of nothing.
    pub(crate) fn attach(self, pid: u32) -> Result<Option<Session>> {
        if matches!(self, Self::Bare | Self::BareAgain) {
            return Ok(None);
        }
        let handlers = if self == Self::Floor { Handlers::Empty } else { Handlers::Accounting };
        let manner = Manner { no_awaits: self != Self::Awaits, handlers, ..Manner::default() };
        Session::start(pid, &Subject::AllTasks, &manner, &[], &mut |_| ()).map_err(wrong).map(Some)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
pub(crate) fn wrong(error: SessionError) -> Failure {
    Failure::Wrong(vec![chain(&error)])
}

/// Every kind, each round in another order.
pub(crate) fn by_turns(fixture: &mut Beating, shape: &Shape, quick: bool) -> Result<Polls> {
    let rounds = if quick { QUICK_ROUNDS } else { ROUNDS };
    let mut polls = vec![Vec::new(); What::ALL.len()];
    for round in 0..rounds {
        for turn in 0..What::ALL.len() {
            let kind = (round + turn) % What::ALL.len();
            if let (Some(what), Some(row)) = (What::ALL.get(kind), polls.get_mut(kind)) {
                row.push(once(fixture, shape, *what)?);
            }
        }
    }
    let kinds = What::ALL.iter().zip(&polls).map(|(what, row)| kind(*what, row, &polls)).collect();
    Ok(Polls { rounds, in_slice: SLICE_POLLS, slices: SLICES, kinds })
}

/// The middle of the slices of one attach (ps a poll).
fn once(fixture: &mut Beating, shape: &Shape, what: What) -> Result<i64> {
    let mut session = what.attach(fixture.pid())?;
    let mut slices = Vec::new();
    for slice in 0..=SLICES {
        let beaten = fixture.beat(shape, SLICE_POLLS)?;
        slices.extend((slice > 0).then(|| each(beaten.cpu_ns, beaten.polls)));
        session.iter_mut().try_for_each(Session::tick).map_err(wrong)?;
    }
    session.iter_mut().try_for_each(Session::finish).map_err(wrong)?;
    Ok(Quartiles::of(slices).median)
}

fn kind(what: What, row: &[i64], all: &[Vec<i64>]) -> Kind {
    let of = |what: What| What::ALL.iter().position(|other| *other == what).and_then(|place| all.get(place));
    let bare = of(What::Bare).map_or(&[][..], Vec::as_slice);
    let floor = of(What::Floor).map_or(&[][..], Vec::as_slice);
    let added = |row: &[i64]| row.iter().zip(bare).map(|(polls, bare)| polls - bare).collect::<Vec<i64>>();
    let (mine, floors) = (added(row), added(floor));
    let ratios = mine.iter().zip(&floors).filter_map(|(mine, floor)| (mine * 1000).checked_div(*floor));
    Kind {
        name: what.name(),
        poll: Quartiles::of(row.iter().copied()),
        added: Quartiles::of(mine.iter().copied()),
        of_floor: Quartiles::of(ratios),
    }
}
