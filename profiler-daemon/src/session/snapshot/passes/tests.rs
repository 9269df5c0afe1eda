//! Which readings count, by rows that move.

use std::time::Duration;

use profiler_common::task::TaskRow;

use super::*;
use crate::session::snapshot::fake::{Crowd, VTABLE};

const LATER: Duration = Duration::from_hours(1);

fn live(header: u64, id: u64, generation: u32, doing: Doing) -> LiveTask {
    let row = TaskRow { id, vtable: VTABLE, generation, ..TaskRow::default() };
    LiveTask { header, row, doing, since_ns: u64::from(generation) }
}

/// Reads a crowd of one list, the first `with_rows` of which have rows. `rows` gives a task's row at the so-manieth look.
fn read(crowd: &Crowd, with_rows: usize, within: Duration, mut rows: impl FnMut(u32, u64) -> Option<LiveTask>) -> All {
    let (shapes, table) = (Crowd::shapes(), Crowd::table());
    let (rowed, without) = crowd.lists[0].split_at(with_rows);
    let without: Vec<(u64, u64)> = without.iter().map(|header| (*header, VTABLE)).collect();
    let mut looks = 0;
    let first: Vec<LiveTask> = (1..).zip(rowed).map(|(id, header)| live(*header, id, 1, Doing::Suspended)).collect();
    let mut look = |headers: &[u64]| {
        looks += 1;
        Ok(headers.iter().map(|header| rows(looks, *header).map_or(LiveRow::Gone, LiveRow::Live)).collect())
    };
    let mut stacks = Stacks::default();
    let passes = Passes {
        reader: Reader { memory: &crowd.fake, shapes: &shapes, table: Some(&table) },
        rows: &mut look,
        stacks: &mut stacks,
        deadline: Instant::now() + within,
        all: All::default(),
    };
    passes.read(&first, &without).unwrap()
}

fn id_of(crowd: &Crowd, header: u64) -> u64 {
    crowd.lists[0].iter().position(|at| *at == header).unwrap() as u64 + 1
}

fn is_stack(told: &Told) -> bool {
    matches!(told.outcome, Outcome::Read(Reading { seen: Seen::Waiting { stack: Some(_), .. }, .. }))
}

/// Check that tasks whose rows hold still are read once, and those without rows as well.
#[test]
fn what_holds_still_is_read_once() {
    let crowd = Crowd::new(1, 5);
    let all = read(&crowd, 3, LATER, |_, header| {
        let id = id_of(&crowd, header);
        (id <= 3).then(|| live(header, id, 1, Doing::Scheduled))
    });
    assert_eq!((all.tasks.len(), all.gone, all.again), (5, 0, 0));
    assert!(all.tasks.iter().all(is_stack));
    // What it does is of the later look.
    assert!(all.tasks.iter().filter_map(|task| task.row).all(|row| row.doing == Doing::Scheduled));
    assert_eq!(all.tasks.iter().filter(|task| task.row.is_some()).count(), 3);
}

/// Check that a task that was polled is read again, and its stack is that of the reading between two equal rows.
#[test]
fn what_was_polled_is_read_again() {
    let crowd = Crowd::new(1, 1);
    let all = read(&crowd, 1, LATER, |looks, header| Some(live(header, 1, looks.min(3) + 1, Doing::Suspended)));
    assert!(is_stack(&all.tasks[0]));
    assert_eq!((all.tasks[0].row.unwrap().row.generation, all.again), (4, 2));
}

/// Check that one that is polled between all looks is said to change, and has no stack.
#[test]
fn what_never_holds_still_is_changing() {
    let crowd = Crowd::new(1, 1);
    let all = read(&crowd, 1, LATER, |looks, header| Some(live(header, 1, looks + 1, Doing::Suspended)));
    assert_eq!(all.tasks.iter().map(|task| task.outcome).collect::<Vec<_>>(), [Outcome::Changing]);
}

/// Check that a task that gets its first row while it is read is read again, with the row.
#[test]
fn a_first_poll_meanwhile_is_seen() {
    let crowd = Crowd::new(1, 1);
    let all = read(&crowd, 0, LATER, |_, header| Some(live(header, 1, 1, Doing::Suspended)));
    assert!(is_stack(&all.tasks[0]) && all.tasks[0].row.is_some());
    assert_eq!(all.again, 1);
}

/// Check that polled tasks are not read, and that one that is found so later has no stack.
#[test]
fn polled_tasks_are_not_read() {
    let crowd = Crowd::new(1, 1);
    let all = read(&crowd, 1, LATER, |_, header| Some(live(header, 1, 2, Doing::Blocked)));
    assert_eq!(all.tasks[0].outcome, Outcome::Polled);
    assert_eq!(all.tasks[0].row.unwrap().doing, Doing::Blocked);
}

/// Check that tasks that ended are counted and not told.
#[test]
fn ended_tasks_are_gone() {
    let crowd = Crowd::new(1, 2);
    let all = read(&crowd, 2, LATER, |_, _| None);
    assert_eq!((all.tasks.len(), all.gone), (0, 2));
}

/// Check that what there is no time for is told without a stack.
#[test]
fn what_is_too_late_is_told() {
    let crowd = Crowd::new(1, 3);
    std::thread::sleep(Duration::from_millis(2));
    let all = read(&crowd, 1, Duration::ZERO, |_, header| {
        let id = id_of(&crowd, header);
        (id == 1).then(|| live(header, 1, 1, Doing::Suspended))
    });
    assert_eq!(all.tasks.iter().map(|task| task.outcome).collect::<Vec<_>>(), [Outcome::Late; 3]);
}

/// Check that a task whose row is being written at every look is not taken for one that has ended.
#[test]
fn a_row_that_is_written_all_the_time_is_no_end() {
    let crowd = Crowd::new(1, 1);
    let (shapes, table) = (Crowd::shapes(), Crowd::table());
    let mut look = |headers: &[u64]| Ok(vec![LiveRow::Torn; headers.len()]);
    let passes = Passes {
        reader: Reader { memory: &crowd.fake, shapes: &shapes, table: Some(&table) },
        rows: &mut look,
        stacks: &mut Stacks::default(),
        deadline: Instant::now() + LATER,
        all: All::default(),
    };
    let all = passes.read(&[live(crowd.lists[0][0], 1, 1, Doing::Suspended)], &[]).unwrap();
    assert_eq!((all.tasks.len(), all.tasks[0].outcome, all.gone), (1, Outcome::Changing, 0));
}
