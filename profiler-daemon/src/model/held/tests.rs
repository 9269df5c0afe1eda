//! The sweep against a count by hand, and against one that looks at every nanosecond.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::capture::{TaskKind, TaskType};
use crate::model::fixture;

const SCOPE: ScopeSeq = ScopeSeq(7);

fn poll(tid: u32, task_type: u32, from: u64, to: u64) -> PollSpan {
    PollSpan { tid, task_type: Some(TypeIndex(task_type)), start_ns: from, end_ns: to, ..PollSpan::default() }
}

/// A stay of the request on thread 1.
fn stay(ready: Option<u64>, from: u64, to: u64) -> PollSpan {
    PollSpan { scope: Some(SCOPE), ready_ns: ready, ..poll(1, 0, from, to) }
}

fn capture(polls: Vec<PollSpan>) -> Capture {
    let kinds = [TaskKind::Spawned, TaskKind::Spawned, TaskKind::Local, TaskKind::Blocking];
    let mut row = fixture::capture().requests.into_iter().find(|row| row.scope == SCOPE).unwrap();
    row.start_ns = 0;
    Capture {
        types: kinds.into_iter().map(|kind| TaskType { name: kind.name().to_owned(), kind }).collect(),
        requests: vec![row],
        polls,
        ..Capture::default()
    }
}

fn held_by(polls: Vec<PollSpan>) -> Held {
    let capture = capture(polls);
    held(&capture, &[&capture.requests[0]]).remove(&SCOPE).unwrap_or_default()
}

/// Type, its part, polls, and the longest.
fn parts(held: &Held) -> Vec<(u32, u64, u64, u64)> {
    held.behind.iter().map(|part| (part.task_type.unwrap().0, part.ns, part.polls, part.longest_ns)).collect()
}

#[test]
fn two_workers_share_an_instant() {
    // It waits from 100 to 200; type 1 covers 50..150 on one worker, type 2 covers 120..180 on the other.
    let held = held_by(vec![stay(None, 0, 40), stay(Some(100), 200, 210), poll(2, 1, 50, 150), poll(3, 2, 120, 180)]);
    assert_eq!(parts(&held), [(2, 45, 1, 60), (1, 35, 1, 100)]);
    assert_eq!((held.unrecorded_ns, held.ns()), (20, 100));
}

#[test]
fn ends_that_touch_are_not_in_the_way() {
    let held = held_by(vec![stay(Some(100), 200, 210), poll(2, 1, 50, 100), poll(3, 2, 200, 300), poll(3, 2, 150, 150)]);
    assert_eq!((parts(&held), held.unrecorded_ns), (vec![], 100));
}

#[test]
fn its_own_poll_and_the_blocking_pool_are_not_in_the_way() {
    // Its own poll starts at 190 and enters the scope at 200.
    let held = held_by(vec![stay(Some(100), 200, 210), poll(1, 0, 190, 220), poll(4, 3, 0, 1000), poll(2, 1, 100, 130)]);
    assert_eq!((parts(&held), held.unrecorded_ns), (vec![(1, 30, 1, 30)], 60));
}

#[test]
fn a_wait_begins_after_the_stay_before_and_not_inside_one_poll() {
    // Woken at 20 during its first stay; the third stay is of the same poll as the second.
    let stays = [stay(None, 0, 40), stay(Some(20), 60, 70), stay(Some(20), 80, 90)];
    let held = held_by(stays.into_iter().chain([poll(2, 1, 0, 100)]).collect());
    assert_eq!(parts(&held), [(1, 20, 1, 100)]);
}

#[test]
fn the_longest_names_its_task_and_request() {
    let other = PollSpan { scope: Some(ScopeSeq(9)), ..poll(2, 1, 115, 150) };
    let long = PollSpan { task_id: Some(33), parent_request: Some(ScopeSeq(8)), ..poll(2, 1, 110, 180) };
    let child = PollSpan { parent_request: Some(ScopeSeq(8)), ..poll(3, 2, 110, 120) };
    let held = held_by(vec![stay(Some(100), 200, 210), other, long, child]);
    let named: Vec<_> = held.behind.iter().map(|part| (part.longest_task, part.longest_request)).collect();
    assert_eq!(named, [(Some(33), Some(ScopeSeq(9))), (None, Some(ScopeSeq(8)))]);
}

#[test]
fn parts_are_cut_to_what_the_row_says() {
    let held = held_by(vec![stay(Some(100), 200, 210), poll(2, 1, 100, 160)]).within(10);
    assert_eq!((parts(&held), held.unrecorded_ns), (vec![(1, 6, 1, 60)], 4));
}

/// Looks at every nanosecond of every wait. Times in units, so that it is exact.
fn by_the_nanosecond(polls: &[PollSpan], gaps: &[gaps::Gap]) -> (u64, BTreeMap<u32, (u128, u64, u64)>) {
    let mut covered = 0;
    let mut parts: BTreeMap<u32, (u128, u64, u64)> = BTreeMap::new();
    for gap in gaps {
        for at in gap.start_ns..gap.end_ns {
            let running: Vec<_> = polls.iter().filter(|poll| (poll.start_ns..poll.end_ns).contains(&at)).collect();
            covered += u64::from(!running.is_empty());
            for poll in &running {
                parts.entry(poll.task_type.unwrap().0).or_default().0 += sweep::UNITS / running.len() as u128;
            }
        }
        for poll in polls.iter().filter(|poll| poll.start_ns < poll.end_ns) {
            if poll.start_ns < gap.end_ns && poll.end_ns > gap.start_ns {
                let part = parts.entry(poll.task_type.unwrap().0).or_default();
                part.1 += 1;
                part.2 = part.2.max(length(poll));
            }
        }
    }
    (covered, parts)
}

proptest! {
    /// Whatever ran and whenever it waited: parts, counts and longest are those of the naive count.
    #[test]
    fn the_sweep_is_the_naive_count(
        polls in prop::collection::vec((2_u32..6, 0_u32..3, 0_u64..60, 0_u64..30), 0..14),
        waits in prop::collection::vec((0_u64..80, 1_u64..20), 1..6),
    ) {
        let polls: Vec<PollSpan> = polls.iter().map(|&(tid, kind, from, long)| poll(tid, kind, from, from + long)).collect();
        let gaps: Vec<gaps::Gap> = waits.iter()
            .map(|&(from, long)| gaps::Gap { scope: SCOPE, start_ns: from, end_ns: from + long }).collect();
        let spans: Vec<&PollSpan> = polls.iter().collect();
        let sum = sweep(&spans, &gaps).remove(&SCOPE).unwrap();
        let (covered, naive) = by_the_nanosecond(&polls, &gaps);
        prop_assert_eq!(sum.covered_ns, covered);
        prop_assert_eq!(sum.waited_ns, waits.iter().map(|wait| wait.1).sum::<u64>());
        let found: BTreeMap<u32, (u128, u64, u64)> = sum.lanes.iter().filter(|(_, lane)| lane.polls > 0)
            .map(|(kind, lane)| (kind.unwrap().0, (lane.units, lane.polls, lane.longest.map_or(0, length)))).collect();
        prop_assert_eq!(found, naive);
        let held = told(sum, &ByThread::of(std::iter::empty()));
        prop_assert_eq!(held.ns(), waits.iter().map(|wait| wait.1).sum::<u64>());
    }
}
