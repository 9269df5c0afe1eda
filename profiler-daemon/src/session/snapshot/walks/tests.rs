//! Stacks of tasks that hold still, that are polled while they are read, and that are none.

use profiler_common::awaits::word::{WordKind, word};
use profiler_common::limits::AWAIT_STACKS;

use super::*;
use crate::session::snapshot::fake::{Crowd, Fake, VTABLE, put};

const AT: u64 = 0x100_0000;
/// The stack of a task of [`Crowd`] that waits in its state 3.
const WAITS: [u64; 2] = [word(WordKind::Frame, 0, 0, 3), word(WordKind::Frame, 1, 1, 0)];

fn read_all(fake: &Fake, wanted: &[Wanted]) -> (Vec<Result<Reading, NotRead>>, Vec<AwaitStack>) {
    let (shapes, table) = (Crowd::shapes(), Crowd::table());
    let mut stacks = Stacks::default();
    let readings = Reader { memory: fake, shapes: &shapes, table: Some(&table) }.read(wanted, &mut stacks);
    (readings, stacks.into_all())
}

fn read(fake: &Fake, wanted: Wanted) -> (Result<Reading, NotRead>, Vec<AwaitStack>) {
    let (readings, stacks) = read_all(fake, &[wanted]);
    (readings[0], stacks)
}

const ROW: Wanted = Wanted { header: AT, vtable: VTABLE, has_row: true, id: 1 };
const OLDER: Wanted = Wanted { header: AT, vtable: VTABLE, has_row: false, id: 0 };

/// Check that tasks with and without rows are read, and that equal stacks are one.
#[test]
fn a_task_that_waits_is_read() {
    let crowd = Crowd::new(1, 3);
    let of = |nth: usize, like: Wanted, id| Wanted { header: crowd.lists[0][nth], id, ..like };
    let (readings, stacks) = read_all(&crowd.fake, &[of(0, ROW, 1), of(1, OLDER, 0), of(2, ROW, 3)]);
    for (id, reading) in (1..).zip(readings) {
        let seen = Seen::Waiting { stack: Some(0), awaited: Met::default() };
        assert_eq!(reading, Ok(Reading { task_type: 0, id: Some(id), state: 0b1100_0000, seen }));
    }
    assert_eq!(stacks.len(), 1);
    assert_eq!((stacks[0].words(), stacks[0].end), (&WAITS[..], AwaitEnd::Whole as u32));
}

/// Check that the id of a task that is waited for is told.
#[test]
fn a_task_that_is_waited_for_is_named() {
    let mut crowd = Crowd::new(1, 2);
    crowd.fake.word(AT + 48, 4);
    crowd.fake.word(AT + 56, crowd.lists[0][1]);
    let (reading, stacks) = read(&crowd.fake, ROW);
    assert_eq!(reading.unwrap().seen, Seen::Waiting { stack: Some(0), awaited: Met::from(&[2][..]) });
    assert_eq!(stacks[0].words()[1], word(WordKind::Task, 1, 2, 0));
    // One that is no task has no id.
    crowd.fake.word(AT + 56, 0xbad0);
    let (reading, _) = read(&crowd.fake, ROW);
    let unnamed = Met::from(&[1][..]).by(|_| None);
    assert_eq!(reading.unwrap().seen, Seen::Waiting { stack: Some(0), awaited: unnamed });
}

/// Check that a running task has no stack.
#[test]
fn a_running_task_has_no_stack() {
    let mut crowd = Crowd::new(1, 1);
    crowd.fake.word(AT, 0b1100_0001);
    for wanted in [ROW, OLDER] {
        let (reading, stacks) = read(&crowd.fake, wanted);
        assert_eq!((reading.unwrap().seen, stacks.len()), (Seen::Running, 0));
    }
}

/// Check that what is polled while it is read never counts, at whichever read it begins.
#[test]
fn a_poll_meanwhile_is_seen() {
    for wanted in [ROW, OLDER] {
        let undisturbed = Crowd::new(1, 1).fake;
        assert_ne!(read(&undisturbed, wanted).0.unwrap().seen, Seen::Changed);
        let all = undisturbed.reads();
        for begins in 1..all {
            let mut crowd = Crowd::new(1, 1);
            crowd.fake.meanwhile(move |reads, memory| {
                if reads == begins {
                    put(memory, AT, &[0b1100_0001]);
                    put(memory, AT + 48, &[0]);
                }
            });
            let seen = read(&crowd.fake, wanted).0.unwrap().seen;
            assert_eq!(seen, Seen::Changed, "from read {begins} of {all} on, {wanted:?}");
        }
    }
}

/// Check that a whole poll between two reads is seen in a task without a row by its stack or its state word. (With a row, by the row.)
#[test]
fn a_whole_poll_meanwhile_is_seen_without_a_row() {
    for (at, byte) in [(AT + 48, 0_u8), (AT, 0b1100_0100), (AT, 0b1000_0000)] {
        let mut crowd = Crowd::new(1, 1);
        crowd.fake.meanwhile(move |reads, memory| {
            if reads == 1 {
                put(memory, at, &[byte]);
            }
        });
        assert_eq!(read(&crowd.fake, OLDER).0.unwrap().seen, Seen::Changed, "{at:#x}");
    }
}

/// Check that ended tasks, others at the same address, and memory without a task are told apart from those that changed.
#[test]
fn what_is_no_task_is_gone() {
    let spoil = |at: u64, with: u64| {
        let mut crowd = Crowd::new(1, 1);
        crowd.fake.word(at, with);
        [read(&crowd.fake, ROW).0, read(&crowd.fake, OLDER).0].map(Result::err)
    };
    assert_eq!(spoil(AT, 0b1100_0010), [Some(NotRead::Gone); 2], "complete");
    assert_eq!(spoil(AT + 16, 0x77), [Some(NotRead::Gone); 2], "no vtable of a task");
    assert_eq!(spoil(AT + 40, 99), [Some(NotRead::Gone), None], "another id");
    let nowhere = [ROW, OLDER].map(|wanted| read(&Fake::default(), wanted).0);
    assert_eq!(nowhere, [Err(NotRead::Unreadable); 2]);
}

/// Check that a future in a state that its layout does not have is cut, and that one without layouts says so.
#[test]
fn what_is_not_understood_is_cut() {
    let mut crowd = Crowd::new(1, 1);
    crowd.fake.word(AT + 48, 200);
    let (reading, stacks) = read(&crowd.fake, ROW);
    assert_eq!(reading.unwrap().seen, Seen::Waiting { stack: Some(0), awaited: Met::default() });
    assert_eq!(stacks[0].end, AwaitEnd::BadTag as u32);
    let mut stacks = Stacks::default();
    let shapes = Crowd::shapes();
    let reading = Reader { memory: &crowd.fake, shapes: &shapes, table: None }.read(&[ROW], &mut stacks);
    assert_eq!(reading[0].unwrap().seen, Seen::Waiting { stack: Some(0), awaited: Met::default() });
    assert_eq!(stacks.into_all()[0].end, AwaitEnd::NoLayout as u32);
}

/// Check that different stacks are bounded, and that those that are known are still found.
#[test]
fn stacks_are_bounded() {
    let mut stacks = Stacks::default();
    let mut walk = AwaitWalk::NEW;
    walk.kept.len = 1;
    let mut place = |word: u64| {
        walk.kept.words[0] = word;
        stacks.place(&walk)
    };
    for word in 0..AWAIT_STACKS {
        assert_eq!(place(u64::from(word)), Some(word));
    }
    assert_eq!(place(u64::from(AWAIT_STACKS)), None);
    assert_eq!(place(5), Some(5));
}
