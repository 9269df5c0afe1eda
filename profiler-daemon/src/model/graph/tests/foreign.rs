//! Graphs of an id of another library: what was seen, and no more.

use super::*;

fn traced() -> Selection {
    Selection::Request { id: fixture::TRACE.into() }
}

/// Check that a CPU graph is what its samples stand for, in every task that it was seen in, and unscaled.
#[test]
fn cpu_time_is_what_samples_stand_for() {
    let graph = drawn(&fixture::foreign(), &traced(), Metric::Cpu, false);
    let root = format!("request {}", fixture::TRACE);
    let stack = "orders::handle / orders::load";
    let expected = [
        (format!("{root} / task orders::audit / {stack}"), 1_000_000),
        (format!("{root} / task orders::handle / {stack}"), 2_000_000),
    ];
    assert_eq!(text(&graph).into_iter().collect::<Vec<_>>(), expected);
    assert_eq!((graph.samples, graph.scale(), graph.wall_ns), (3, Some(1.0), 48_000_000));
    assert_eq!(graph.title, format!("request {}, as far as it was seen on workers", fixture::TRACE));
}

/// Check that blocked time is exact, and that a wall graph has nothing of the time between polls.
#[test]
fn time_between_polls_is_not_made_up() {
    let graph = drawn(&fixture::foreign(), &traced(), Metric::Blocked, false);
    assert_eq!((graph.total_ns(), graph.stretches), (20_000_000, 1));
    let graph = drawn(&fixture::foreign(), &traced(), Metric::Wall, false);
    assert_eq!(graph.total_ns(), 24_000_000);
    assert!(graph.lines.iter().all(|line| !matches!(line.state, State::Scheduled | State::Suspended)), "{:?}", graph.lines);
}

/// Check that an id that was not seen is refused, and told what was.
#[test]
fn another_id_is_told_what_there_is() {
    let other = Selection::Request { id: "another".into() };
    let error = other.check(&fixture::foreign()).unwrap_err();
    assert!(error.to_string().ends_with(&format!("there is 1 request: {}", fixture::TRACE)), "{error}");
}
