//! Events that no Tokio would send: in any order, on any thread, at any stack pointer, with clocks that stand still or run backwards
//! and snapshots that belong to nothing. The identity holds, nothing panics (tests are built with overflow checks), stacks of
//! frames stay bounded, and what is wrong is reported.

use proptest::prelude::*;

use profiler_common::clock::{OffCpu, Snapshot};
use profiler_common::frame::FrameKind;
use profiler_common::limits::FRAME_DEPTH;
use profiler_common::loss::Loss;
use profiler_common::task::POLLED;

use crate::kernel::Kernel;
use crate::rules::{Machine, Real};

const THREADS: u8 = 3;
const HEADERS: u8 = 4;

/// One event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    what: u8,
    tid: u8,
    which: u8,
    sp: u8,
    word: u8,
    /// How far the clock moves (ns), also backwards.
    step: i16,
    /// What the snapshot claims the thread's clocks to be; `None` for what they are.
    claim: Option<(u16, u16, u16)>,
}

/// Any events.
pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = prop_oneof![4 => 0..200i16, 1 => Just(0), 1 => -300..0i16];
    let claim = prop_oneof![3 => Just(None), 1 => any::<(u16, u16, u16)>().prop_map(Some)];
    let event = (any::<u8>(), 0..THREADS, any::<u8>(), any::<u8>(), any::<u8>(), step, claim);
    let event = event.prop_map(|(what, tid, which, sp, word, step, claim)| Event { what, tid, which, sp, word, step, claim });
    prop::collection::vec(event, 1..300)
}

/// What must be reported of an event at `now_ns`, told before it happens.
fn due<M: Machine>(kernel: &Kernel<M>, what: u8, tid: usize, key: u64, now_ns: u64) -> Vec<Loss> {
    let task = kernel.tasks.get(&key);
    let older = match what {
        0..=3 | 9 => task.is_some_and(|row| now_ns < row.last_ns),
        11 | 12 | 14 => kernel.scopes.get(&key).is_some_and(|row| now_ns < row.last_ns),
        13 => {
            let frames = &kernel.threads[tid].frames;
            let mut open = frames.frames.iter().take(frames.depth as usize);
            let inside = open.any(|frame| frame.kind == FrameKind::Scope as u32 && frame.key == key);
            inside && kernel.scopes.get(&key).is_some_and(|row| now_ns < row.last_ns)
        }
        _ => false,
    };
    let mut due = Vec::new();
    due.extend(older.then_some(Loss::ClockBackwards));
    due.extend((what <= 3 && task.is_some_and(|row| row.flags & POLLED != 0)).then_some(Loss::PollEndUnseen));
    due.extend((matches!(what, 4 | 5) && task.is_none()).then_some(Loss::EndWithoutStart));
    due
}

/// Plays `events` and says what went wrong.
pub(crate) fn riot<M: Machine>(events: &[Event]) -> Result<(), String> {
    let mut kernel = Kernel::<M>::new(usize::from(THREADS));
    let mut now_ns = 1_000_000_u64;
    for (place, event) in events.iter().enumerate() {
        now_ns = now_ns.saturating_add_signed(i64::from(event.step)).max(1);
        let tid = usize::from(event.tid);
        let off = event.claim.map_or(kernel.threads[tid].off, |(preempted, blocked, stopped)| OffCpu {
            preempted_ns: preempted.into(),
            blocked_ns: blocked.into(),
            stopped_ns: stopped.into(),
        });
        let snapshot = Snapshot { now_ns, off, torn: event.claim.is_some() };
        let header = u64::from(event.which % HEADERS) + 1;
        let id = u64::from(event.which >> 6);
        let sp = 0x1000 + u64::from(event.sp % 32) * 0x10;
        let word = u64::from(event.word);
        let what = event.what % 20;

        // An address used anew has no past.
        let anew = what <= 3 && kernel.tasks.get(&header).is_some_and(|row| row.id != id);
        if anew {
            kernel.task_row(header, id, now_ns);
        }
        let before = Loss::ALL.iter().map(|loss| kernel.lost(*loss)).collect::<Vec<_>>();
        let mut due = due(&kernel, what, tid, header, now_ns);
        match what {
            0..=3 => {
                if kernel.start_arrive(tid, header, sp, event.word & 1 != 0) {
                    kernel.task_row(header, id, now_ns);
                    let wake_ns = kernel.start_take(header);
                    kernel.start_open(tid, header, sp, &snapshot, wake_ns);
                } else {
                    due.clear();
                }
            }
            4 | 5 => {
                kernel.idle(tid, header, sp, word, &snapshot, event.sp & 32 != 0);
                if word & 0b10_0000 != 0 {
                    due.clear();
                }
            }
            6 => kernel.returned(tid, &snapshot),
            7 => kernel.spawn(tid, header, id, now_ns),
            8 => kernel.wake_note(header, now_ns.saturating_add_signed(i64::from(event.word) - 128).max(1)),
            9 => kernel.complete(tid, header, sp, &snapshot),
            10 => kernel.defer(header),
            11 | 12 => kernel.enter(tid, header, &snapshot),
            13 => kernel.exit(tid, header, &snapshot),
            14 => kernel.scope_end(tid, header, &snapshot),
            15 | 16 => M::switch_out(&mut kernel.threads[tid], now_ns, M::reason(event.word & 1 != 0, word >> 1)),
            17 => kernel.threads[tid].on_wakeup(now_ns),
            _ => M::switch_in(&mut kernel.threads[tid], now_ns),
        }
        let fail = |why: String| format!("at event {place}, {event:?}: {why}");
        for loss in due {
            if kernel.lost(loss) == before[loss as usize] {
                return Err(fail(format!("{} was not reported", loss.name())));
            }
        }
        for at_ns in [now_ns, 0, now_ns.saturating_add(77), now_ns.saturating_sub(77)] {
            kernel.identity(at_ns).map_err(fail)?;
        }
    }
    Ok(())
}

/// Check the above.
#[test]
fn riot_breaks_nothing() {
    let result = crate::runner(1000, 4096).run(&events(), |events| riot::<Real>(&events).map_err(TestCaseError::fail));
    crate::said(result);
}

/// Check that a full stack of frames is reported and stays whole.
#[test]
fn too_deep_is_reported() {
    let mut kernel = Kernel::<Real>::new(1);
    for level in 0..FRAME_DEPTH as u64 + 3 {
        let snapshot = Snapshot { now_ns: 100 + level, ..Snapshot::default() };
        assert!(kernel.start_arrive(0, level + 1, 0x9000 - level * 0x10, false));
        kernel.task_row(level + 1, 1, snapshot.now_ns);
        kernel.start_open(0, level + 1, 0x9000 - level * 0x10, &snapshot, 0);
    }
    assert_eq!(kernel.losses(), vec![(Loss::FrameStackFull.name(), 3)]);
    assert_eq!(kernel.threads[0].frames.depth as usize, FRAME_DEPTH);
    assert_eq!(kernel.identity(500), Ok(()));
}
