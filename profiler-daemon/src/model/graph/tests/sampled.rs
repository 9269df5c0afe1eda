//! Graphs of a target without probes.

use super::*;

/// Check that CPU time is what samples stand for, by type, and that threads outside of tasks stand apart.
#[test]
fn outside_of_tasks_is_a_root_of_its_own() {
    let graph = drawn(&fixture::sampled(), &Selection::All, Metric::Cpu, false);
    let lines = text(&graph).into_iter().collect::<Vec<_>>();
    let stack = "orders::handle / orders::load";
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].0.starts_with("[outside of tasks] / ") && lines[0].1 == 1_000_000, "{lines:?}");
    assert_eq!(lines[1], (format!("task orders::audit / {stack}"), 2_000_000));
    assert_eq!(lines[2], (format!("task orders::handle / {stack}"), 2_000_000));
}

/// Check that waiting for work is no blocked time, and that a task is drawn by its id.
#[test]
fn blocked_time_is_that_of_tasks() {
    let graph = drawn(&fixture::sampled(), &Selection::All, Metric::Blocked, false);
    assert_eq!((graph.total_ns(), graph.stretches), (20_000_000, 1));
    let graph = drawn(&fixture::sampled(), &Selection::Task { id: 12 }, Metric::Wall, false);
    assert_eq!(graph.total_ns(), 23_000_000);
    assert!(text(&graph).keys().all(|line| line.starts_with("task 12, orders::handle / ")), "{:?}", text(&graph));
    assert!(Selection::Task { id: 15 }.check(&fixture::sampled()).is_err());
}
