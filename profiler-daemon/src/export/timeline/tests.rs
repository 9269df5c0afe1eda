//! What a timeline takes from a capture.

use super::*;
use crate::model::fixture::{self, blocked};

/// `order-42`'s task is woken by a poll of another, which leads to its second poll.
fn woken() -> Capture {
    let wake = |at_ns, task_id| Wake { at_ns, tid: 77, by_task: Some(14), task_type: None, task_id };
    Capture { wakes: vec![wake(2_005_000_000, Some(12)), wake(2_005_010_000, None), wake(9_000_000_000, Some(12))], ..blocked() }
}

/// Check that a wake is tied to the poll after it, and one without a poll to none.
#[test]
fn wakes_lead_to_the_next_poll() {
    let capture = woken();
    let timeline = Timeline::of(&capture, &Selection::All).unwrap();
    let led = timeline.led_to();
    assert_eq!(led.len(), 1);
    let poll = capture.polls.iter().find(|poll| poll.start_ns == 2_005_050_000).unwrap();
    assert_eq!(led.get(&PollKey::of(poll)), Some(&vec![1]));
}

/// Check that a wake inside a poll of the same task leads to the next, and one whose own poll was not recorded does not.
#[test]
fn wakes_lead_to_no_other_poll() {
    let led_to = |at_ns, ready_ns| {
        let mut capture = woken();
        capture.wakes.truncate(1);
        capture.wakes[0].at_ns = at_ns;
        let poll = capture.polls.iter_mut().find(|poll| poll.start_ns == 2_005_050_000).unwrap();
        poll.ready_ns = Some(ready_ns);
        Timeline::of(&capture, &Selection::All).unwrap().led_to().len()
    };
    assert_eq!(led_to(2_001_400_000, 2_001_500_000), 1);
    assert_eq!(led_to(2_002_000_000, 2_005_000_000), 0);
}

/// Check that a request's timeline holds its time and what ran in it, and nothing after it.
#[test]
fn a_selection_is_a_stretch_of_time() {
    let mut capture = woken();
    capture.polls.push(PollSpan { tid: 80, start_ns: 9_500_000_000, end_ns: 9_600_000_000, ..PollSpan::default() });
    let all = Timeline::of(&capture, &Selection::All).unwrap();
    assert!(all.threads().contains_key(&80));
    let one = Timeline::of(&capture, &Selection::Request { id: "order-42".into() }).unwrap();
    let tids: Vec<u32> = one.threads().into_keys().collect();
    assert_eq!(tids, [77, 78, 79]);
    let error = Timeline::of(&capture, &Selection::Task { id: 4711 }).err().unwrap();
    let every = "`record --format perfetto` or `firefox` has every poll";
    assert_eq!(
        error.to_string(),
        format!("task 4711: no poll of 0.050 ms or longer and no sample to draw in this window; {every}")
    );
    capture.poll_record_ns = 0;
    let error = Timeline::of(&capture, &Selection::Task { id: 4711 }).err().unwrap();
    assert_eq!(error.to_string(), "task 4711 has no wall time to draw in this window");
}

/// Check that a stretch that slept and then waited for its CPU is two spans.
#[test]
fn a_sleep_and_its_wait_are_told_apart() {
    let capture = blocked();
    let threads = Timeline::of(&capture, &Selection::All).unwrap().threads();
    let off: Vec<_> =
        threads[&77].iter().filter(|span| matches!(span.what, What::Off(off, _) if off.start_ns == 2_001_000_000)).collect();
    let times: Vec<_> = off.iter().map(|span| (span.start_ns, span.end_ns)).collect();
    assert_eq!(times, [(2_001_000_000, 2_001_300_000), (2_001_300_000, 2_001_350_000)]);
}

/// Check that a wait is a span of the task that waits, with what it awaits as its text.
#[test]
fn waits_stand_on_the_task_that_waits() {
    let capture = fixture::awaits();
    let timeline = Timeline::of(&capture, &Selection::All).unwrap();
    let texts = AwaitTexts::of(&capture, &mut fixture::Names);
    let tasks = timeline.tasks();
    let waits = |id| {
        let spans = tasks[&Whose::Task(id)].1.iter();
        let waits = spans.filter_map(|span| match span.what {
            What::Suspended(wait) => Some((span.start_ns, span.end_ns, texts.text(wait))),
            _ => None,
        });
        waits.collect::<Vec<_>>()
    };
    assert_eq!(waits(13), [(2_013_000_000, 2_019_000_000, "[await] tokio::time::sleep::Sleep (orders.rs:60)")]);
    assert_eq!(waits(12)[2], (2_012_000_000, 2_016_000_000, "[await] tokio::join! of load, price (orders.rs:14)"));
    assert_eq!(waits(12).len(), 6, "of both instances");
    assert_eq!(texts.text(&AwaitSpan { stack: None, ..capture.awaits[0] }), "suspended");
    let wakers = fixture::wakers();
    let texts = AwaitTexts::of(&wakers, &mut fixture::Names);
    assert_eq!(texts.text(&wakers.awaits[0]), "[await] std::thread::sleep, by the last waker stored");
}
