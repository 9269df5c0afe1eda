//! The worst places first, each with whose it is; and no place that harms nobody.

use super::*;
use crate::model::capture::{Capture, PollSpan, TypeIndex};
use crate::model::fixture::{self, Names};

fn asked(capture: &Capture, question: Question) -> Blocking {
    blocking(capture, question, &mut Names)
}

fn functions(stack: &[Code]) -> Vec<&str> {
    stack.iter().map(|code| code.function.as_str()).collect()
}

#[test]
fn places_are_named_and_sorted_and_the_pool_is_apart() {
    let answer = asked(&fixture::blocked(), Question::default());
    let [worst, sleep] = &answer.places[..] else { panic!("{answer:#?}") };
    assert_eq!((worst.total_ns, worst.longest_ns, worst.count, worst.stopped_ns), (8_000_000, 3_000_000, 40, 500_000));
    assert_eq!((&worst.own, worst.whole, &worst.request), (&None, false, &None));
    assert_eq!(worst.syscall.as_deref(), Some("futex"));
    assert_eq!(functions(&sleep.stack), ["__GI___clock_nanosleep", "std::thread::sleep", "orders::load", "orders::handle"]);
    assert_eq!(sleep.own.as_ref().map(|code| code.function.as_str()), Some("orders::load"));
    assert_eq!(sleep.type_name.as_deref(), Some("orders::handle"));
    let request = sleep.request.as_ref().map(|name| (name.id.as_str(), name.instance));
    assert_eq!(request, Some(("order-42", 1)));
    assert_eq!(answer.blocking_pool, PoolTotals { count: 5, total_ns: 70_000_000 });
}

/// Two addresses of one function are one place; its longest is the longest of both.
#[test]
fn places_that_read_the_same_are_one() {
    let mut capture = fixture::blocked();
    let mut again = capture.blocking[0].clone();
    again.frames[3] = 0x2002;
    (again.longest_ns, again.request) = (700_000, None);
    capture.blocking.push(again.clone());
    // As the leaf of a call at 0x2001 it has no name of its own in the fixture, so it stays apart.
    assert_eq!(asked(&capture, Question::default()).places_known, 3);
    again.frames[3] = 0x2001;
    *capture.blocking.last_mut().unwrap() = again;
    let answer = asked(&capture, Question::default());
    assert_eq!(answer.places_known, 2);
    let sleep = &answer.places[1];
    assert_eq!((sleep.count, sleep.total_ns, sleep.longest_ns, &sleep.request), (4, 1_800_000, 700_000, &None));
}

#[test]
fn long_polls_ran_on_the_cpu_and_have_the_stacks_of_their_samples() {
    let mut capture = fixture::blocked();
    capture.samples = fixture::samples_in_the_long_poll();
    let answer = asked(&capture, Question::default());
    let [long] = &answer.long_polls[..] else { panic!("{answer:#?}") };
    // 5 ms of which it was blocked for one; the poll of the blocking pool took 9.
    assert_eq!((long.count, long.total_ns, long.longest_ns), (1, 4_000_000, 4_000_000));
    assert_eq!(long.type_name.as_deref(), Some("orders::audit"));
    assert_eq!(long.request.as_ref().map(|name| name.instance), Some(2));
    let stacks: Vec<_> = long.stacks.iter().map(|row| (row.samples, row.sampled_ns, functions(&row.stack))).collect();
    let own = long.own.as_ref().map(|code| code.function.as_str());
    assert_eq!((long.samples, own, long.own_samples), (3, Some("orders::tax"), 2));
    let serialize = vec!["<[u8; 8] as serde::Serialize>::serialize", "orders::load"];
    assert_eq!(stacks, [(2, 2_000_000, vec!["orders::tax", "orders::price"]), (1, 1_000_000, serialize)]);
}

#[test]
fn a_higher_threshold_finds_fewer_and_a_sleep_is_no_run() {
    let capture = fixture::blocked();
    let above = Question { threshold_ns: 4_000_001, ..Question::default() };
    assert_eq!(asked(&capture, above).long_polls, []);
    let at = Question { threshold_ns: 4_000_000, ..Question::default() };
    let answer = asked(&capture, at);
    assert_eq!((answer.long_polls.len(), answer.long_polls[0].samples, &answer.long_polls[0].stacks), (1, 0, &vec![]));
}

#[test]
fn what_is_left_off_is_counted() {
    let mut capture = fixture::blocked();
    let other = PollSpan { tid: 90, task_type: Some(TypeIndex(0)), start_ns: 0, end_ns: 9_000_000, ..PollSpan::default() };
    capture.polls.push(other);
    let answer = asked(&capture, Question { top: 1, ..Question::default() });
    assert_eq!((answer.places.len(), answer.places_known), (1, 2));
    assert_eq!((answer.long_polls.len(), answer.long_polls_known), (1, 2));
    assert_eq!(answer.long_polls[0].total_ns, 9_000_000);
    assert!(answer.every_poll);
}
