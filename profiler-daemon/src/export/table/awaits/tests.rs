//! The dump, as it is read.

use super::*;
use crate::model::report::RequestName;
use crate::model::{AwaitSource, AwaitedTasks, SnapshotStack, SnapshotType, TaskKind};

const MS: u64 = 1_000_000;

fn frame(depth: u32, name: &str, kind: &str, place: Option<(&str, u32)>) -> SnapshotFrame {
    let (file, line) = place.unzip();
    SnapshotFrame { depth, name: name.to_owned(), kind: kind.to_owned(), file: file.map(str::to_owned), line }
}

fn task(id: u64, state: State, age_ns: Option<u64>, stack: Option<u32>) -> SnapshotTask {
    SnapshotTask {
        id: Some(id),
        task_type: 0,
        state,
        since_ns: age_ns.map(|age_ns| 10_000 * MS - age_ns),
        request: None,
        spawn_seen: true,
        stack,
        awaited: AwaitedTasks::default(),
        note: None,
    }
}

fn snapshot(tasks: Vec<SnapshotTask>) -> Snapshot {
    let of = |name: &str, kind| SnapshotType { name: name.to_owned(), kind };
    let load = vec![
        frame(0, "orders::handle", "async_fn", Some(("/srv/shop/src/orders.rs", 31))),
        frame(1, "orders::load", "async_fn", Some(("/srv/shop/src/orders.rs", 41))),
        frame(2, "tokio::sync::semaphore::{impl#3}::acquire", "async_fn", None),
    ];
    let join = vec![
        frame(0, "orders::audit", "async_fn", Some(("src/audit.rs", 7))),
        frame(1, "tokio::join!", "join", None),
        frame(2, "orders::child", TASK_FRAME, None),
        frame(2, "no_layout", "cut", None),
    ];
    Snapshot {
        at_ns: 10_000 * MS,
        source: AwaitSource::Layouts,
        types: vec![of("orders::handle", TaskKind::Spawned), of("orders::audit", TaskKind::Local)],
        stacks: vec![
            SnapshotStack { frames: load, cut: None },
            SnapshotStack { frames: join, cut: Some("no_layout".to_owned()) },
            SnapshotStack { frames: Vec::new(), cut: Some("not_pending".to_owned()) },
        ],
        tasks,
        notes: vec!["1 runtime seen".to_owned()],
    }
}

#[test]
fn tasks_that_wait_alike_are_one_group_the_longest_waiting_first() {
    let request = RequestName { id: "order\u{1b}42".to_owned(), id_hex: None, instance: 1 };
    let mut tasks = vec![
        task(1, State::Suspended, Some(2 * MS), Some(0)),
        SnapshotTask { request: Some(request), ..task(2, State::Suspended, Some(9 * MS), Some(0)) },
        task(3, State::Scheduled, Some(MS), Some(0)),
        task(4, State::Running, Some(5 * MS), None),
        SnapshotTask { note: Some(NoStack::Changing), ..task(5, State::Suspended, Some(3 * MS), None) },
        task(6, State::Suspended, None, Some(2)),
    ];
    assert_eq!(
        awaits(&snapshot(tasks.clone()), None, Colours::Off),
        "\
6 tasks: 1 running, 1 scheduled, 4 suspended

1 task orders::handle (spawned): suspended, since before the attach
  task 6
  [not_pending]

3 tasks orders::handle (spawned): 1 scheduled, 2 suspended, the longest for 9.000 ms
  tasks 2 of request order\\x1b42, 1, 3
  orders::handle                       src/orders.rs:31
    orders::load                       src/orders.rs:41
      tokio::sync::semaphore::acquire

1 task orders::handle (spawned): running, for 5.000 ms
  task 4

1 task orders::handle (spawned): suspended, for 3.000 ms
  task 5
  [it was polled again at every try to read its stack]

1 runtime seen
"
    );
    tasks.extend((10..20).map(|id| task(id, State::Suspended, Some(8 * MS), Some(0))));
    let short = awaits(&snapshot(tasks), Some(1), Colours::Off);
    assert!(short.contains("\n... and 3 groups more, of 15 tasks\n"), "{short}");
    let many = awaits(&snapshot((1..=6).map(|id| task(id, State::Suspended, Some(id), Some(0))).collect()), None, Colours::Off);
    assert!(many.contains("\n  tasks 6, 5, 4, 3, 2, ...\n"), "{many}");
}

fn only(id: u64) -> AwaitedTasks {
    AwaitedTasks { ids: vec![id], more: 0 }
}

/// Check that the tasks of a set stand at the frame of their type, those that wait alike together, and that all are counted.
#[test]
fn the_tasks_of_a_set_follow_by_how_they_wait() {
    let waits = |id, stack| task(id, State::Suspended, Some(MS), Some(stack));
    let awaited = AwaitedTasks { ids: vec![2, 3, 4], more: 5 };
    let set = SnapshotTask { awaited, task_type: 1, ..waits(1, 1) };
    let tasks = vec![set, SnapshotTask { task_type: 1, ..waits(2, 0) }, SnapshotTask { task_type: 1, ..waits(3, 2) }];
    let tasks = [tasks, vec![SnapshotTask { task_type: 1, ..waits(4, 0) }]].concat();
    let dump = awaits(&snapshot(tasks), None, Colours::Off);
    let (first, second) = (dump.find("task orders::child (tasks 2, 4)\n"), dump.find("task orders::child (task 3)\n"));
    assert!(first.is_some() && first < second, "{dump}");
    assert!(dump.contains("  [it waits for 5 tasks more]\n"), "{dump}");
}

#[test]
fn a_task_that_is_waited_for_follows_with_its_own_stack() {
    let mut audit = SnapshotTask { task_type: 1, awaited: only(2), ..task(1, State::Suspended, Some(2 * MS), Some(1)) };
    let dump = awaits(&snapshot(vec![audit.clone(), task(2, State::Suspended, Some(MS), Some(0))]), Some(1), Colours::Off);
    assert!(
        dump.contains(
            "\
  task 1
  orders::audit           src/audit.rs:7
    tokio::join!
      task orders::child (task 2)
        orders::handle                       src/orders.rs:31
          orders::load                       src/orders.rs:41
            tokio::sync::semaphore::acquire
      [no_layout]
"
        ),
        "{dump}"
    );
    // One that waits for itself, one that is not there, and one that runs.
    audit.awaited = only(1);
    assert!(awaits(&snapshot(vec![audit.clone()]), None, Colours::Off).contains("(task 1)\n        [and so on]\n"));
    audit.awaited = only(9);
    assert!(awaits(&snapshot(vec![audit.clone()]), None, Colours::Off).contains("        [it has ended, or is not listed]\n"));
    let running = awaits(&snapshot(vec![audit, task(9, State::Blocked, Some(MS), None)]), None, Colours::Off);
    assert!(running.contains("(task 9)\n        [blocked]\n"), "{running}");
}

#[test]
fn colours_and_nothing_at_all() {
    let coloured = awaits(&snapshot(vec![task(1, State::Suspended, Some(MS), Some(0))]), None, Colours::On);
    assert!(coloured.contains("\x1b[1m1 task orders::handle (spawned)\x1b[0m: suspended"), "{coloured}");
    assert_eq!(awaits(&Snapshot::default(), None, Colours::Off), "0 tasks\n");
}
