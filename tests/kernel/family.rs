//! Tasks that become a request's children, and those that do not.

use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::clock::{MS, sleep};
use crate::player::poll::{pending, queue, ready, spawn, wake};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::requests::wanting;

/// Check that a task that a `LocalSet` queues is a child if it is new, and that a wake of an old one, which passes there too, makes it nobody's.
#[test]
fn what_a_local_set_queues_is_spawned_if_its_id_is_new() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wanting(&[b"order-42"]);
    let record = Record::new(b"order-42");
    let scope = Scope::new(&record, 1);
    let task = |id| Task::new(Kind::First, id);
    let (parent, unknown, old, new, later) = (task(10), task(11), task(9), task(12), task(13));
    pending(&parent, || {
        scope.polled(|| {
            // Nothing tells yet which ids are new.
            queue(&unknown);
        });
    });
    session.attached.first_id(12).unwrap();
    wake(&parent);
    pending(&parent, || {
        scope.polled(|| {
            queue(&old);
            queue(&new);
            // The same task again, by a wake.
            queue(&new);
        });
    });
    for polled in [&unknown, &old, &new] {
        pending(polled, || ());
    }
    pending(&new, || queue(&later));
    let view = session.collect();
    let rows = [&unknown, &old, &new, &later].map(|task| view.task(task));
    assert_eq!(rows.map(|row| (row.request, row.parent)), [(0, 0), (0, 0), (1, 10), (1, 12)]);
    assert!(rows[2].states.scheduled_ns > 0 && rows[0].first_ns > rows[2].first_ns, "{rows:?}");
    Ok(())
}

/// Check that a task spawned inside a request is its child, as are the tasks that the child spawns, and that each child's end comes
/// with its whole row.
#[test]
fn spawns_inside_a_request_are_its_children() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = wanting(&[b"order-42", b"inner"]);
    let records = [&b"order-42"[..], b"inner", b"unwanted"].map(Record::new);
    let (outer, inner, unwanted) = (Scope::new(&records[0], 1), Scope::new(&records[1], 2), Scope::new(&records[2], 3));
    let task = |id| Task::new(Kind::First, id);
    let (parent, before, child, of_inner, of_unwanted, grandchild) = (task(1), task(2), task(3), task(4), task(5), task(6));
    pending(&parent, || {
        spawn(&before);
        outer.polled(|| {
            spawn(&child);
            inner.polled(|| _ = spawn(&of_inner));
            unwanted.polled(|| _ = spawn(&of_unwanted));
        });
    });
    let first = pending(&child, || _ = spawn(&grandchild));
    let view = session.collect();
    let all = [&parent, &before, &child, &of_inner, &of_unwanted, &grandchild].map(|task| view.task(task));
    assert_eq!(all.map(|row| row.request), [0, 0, 1, 2, 0, 1]);
    assert_eq!(all.map(|row| row.parent), [0, 1, 1, 1, 1, 3], "the task that was polled where it was spawned");

    wake(&child);
    let last = ready(&child, || sleep(2));
    ready(&grandchild, || ());
    ready(&before, || ());
    let view = session.collect();
    let mut ended: Vec<_> = view.0.ended_children.iter().map(|row| (row.id, row.request, row.polls)).collect();
    ended.sort_unstable();
    assert_eq!(ended, [(3, 1, 2), (6, 1, 1)]);
    let row = view.0.ended_children.iter().find(|row| row.id == 3).unwrap();
    assert!(row.first_ns < first.start.before && last.end.holds(row.last_ns));
    assert!(row.states.blocked_ns >= MS && row.states.scheduled_ns > 0, "{row:?}");
    view.lost(&[]);
    Ok(())
}
