//! Property tests of the accounting machine: Tokio, a scheduler and a reader played against it.
//!
//! * `world` does what random operations ask for, as far as Tokio's and the scheduler's rules allow it then: spawns, polls, nested polls,
//!   wakes from anywhere, yields, aborts, shutdowns, scopes in tasks and outside, reused addresses, preemption, sleep, stops. It tells
//!   `kernel`, the kernel side's handlers over ordinary maps, and keeps the truth apart in `truth`, by the definitions of the five states.
//! * With whole handlers every row, projected to now, equals the truth to the nanosecond after every operation.
//! * With handlers in parts, others get in between any two parts, and switches between any two reads of a snapshot. The identity holds
//!   always; the moment a task became ready lies between the stamp and Tokio's own exchange of a wake that was under way; everything else
//!   is exact unless a snapshot was torn, and then the sum of the polled states is.
//! * With events lost (`world`) or made up (`hostile`) the identity holds, nothing panics, and what is wrong is reported.
//! * `mutants` lists machines with one thing wrong each, and shows that the properties find every one.
//! * `replay` plays the stories of `tests/replay`.
//!
//! # What is not exact, and known
//!
//! * A poll that is cancelled between the read of its state word at the idle site and Tokio's exchange goes on to complete; what it runs
//!   after the read counts as suspended. The world does not abort there.
//! * Between the moment a poll's start takes the wake and the moment it starts the poll, a reader sees a ready task as suspended. The world
//!   does not look there.
//! * At a start site that one poll can reach again, a second poll of one task at one depth is taken for the first if the end between them
//!   was lost. The lossy world has no such sites.
//! * An end seen only after the release (`late-end.txt`) has two writers if the next start comes at the same moment. Handlers here run one
//!   function of the machine at a time, which does not show it.
#![expect(clippy::cast_possible_truncation, reason = "thread numbers are small")]

mod hostile;
mod kernel;
mod mutants;
mod replay;
mod rules;
mod truth;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use profiler_common::loss::Loss;

use rules::{Machine, Real};
use world::{Handlers, Op, World};

/// Runs `ops` in a world of machine `M`.
fn play<M: Machine>(handlers: Handlers, ops: &[Op]) -> Result<World<M>, String> {
    let mut world = World::<M>::new(handlers);
    for (place, op) in ops.iter().enumerate() {
        world.apply(*op).map_err(|why| format!("at operation {place}: {why}"))?;
    }
    Ok(world)
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = (any::<u8>(), any::<u8>(), any::<u8>(), 0..500u16);
    prop::collection::vec(op.prop_map(|(what, who, which, wait)| Op { what, who, which, wait }), 1..250)
}

/// The same cases at every run.
fn runner(cases: u32, max_shrink_iters: u32) -> TestRunner {
    let config = Config { cases, max_shrink_iters, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Fails with the reason and the shortest operations that show it, on few lines.
fn said<Case: Debug>(result: Result<(), TestError<Case>>) {
    let why = match result {
        Ok(()) => String::new(),
        Err(TestError::Fail(why, ops)) => format!("{why}\nby {ops:?}"),
        Err(TestError::Abort(why)) => why.to_string(),
    };
    assert!(why.is_empty(), "{why}");
}

/// Check that with whole handlers and no lost events every bucket equals the truth to the nanosecond, after every step.
#[test]
fn whole_handlers_count_the_truth() {
    let seen = Cell::new((0, 0, 0));
    let result = runner(400, 4096).run(&ops(), |ops| {
        let world = play::<Real>(Handlers::Whole, &ops).map_err(TestCaseError::fail)?;
        prop_assert_eq!(world.kernel.losses(), vec![]);
        let ((polls, scopes, finished), size) = (seen.get(), world.size());
        seen.set((polls + size.0, scopes + size.1, finished + size.2));
        Ok(())
    });
    said(result);
    let (polls, scopes, finished) = seen.get();
    assert!(polls > 1000 && scopes > 500 && finished > 200, "the worlds were too empty to mean anything: {seen:?}");
}

/// Check that with handlers in parts the identity holds after every part and every bucket lies within what the parts allow.
#[test]
fn handlers_in_parts_count_the_truth() {
    let torn = Cell::new(0);
    let result = runner(400, 4096).run(&ops(), |ops| {
        let world = play::<Real>(Handlers::InParts, &ops).map_err(TestCaseError::fail)?;
        torn.set(torn.get() + world.torn());
        Ok(())
    });
    said(result);
    assert!(torn.get() > 100, "only {torn:?} snapshots were torn");
}

/// Check that with one event in eight lost, whatever it is, the identity holds after every part, and that the losses are reported.
#[test]
fn lost_events_are_reported() {
    let reported = RefCell::new(BTreeMap::new());
    let result = runner(400, 4096).run(&ops(), |ops| {
        let world = play::<Real>(Handlers::Lossy, &ops).map_err(TestCaseError::fail)?;
        for (name, many) in world.kernel.losses() {
            *reported.borrow_mut().entry(name).or_insert(0) += many;
        }
        Ok(())
    });
    said(result);
    for loss in [Loss::PollEndUnseen, Loss::EndWithoutStart, Loss::StaleFrame, Loss::ScopeExitUnmatched, Loss::AddressReused] {
        assert!(reported.borrow().contains_key(loss.name()), "{}: {reported:?}", loss.name());
    }
}
