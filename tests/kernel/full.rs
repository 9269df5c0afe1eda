//! The ring buffer when nobody drains it: what ends then is not lost.

use profiler_common::limits::RING_BYTES;
use profiler_common::loss::Loss;
use profiler_common::record::{PollRecord, RequestRecord};
use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::player::poll::{ready, spawn};
use crate::player::scope::{Record, Scope};
use crate::player::task::{Kind, Task};
use crate::session::Session;

/// Bytes before each record of a ring buffer (kernel/bpf/ringbuf.c, `BPF_RINGBUF_HDR_SZ`).
const RECORD_HEAD: usize = 8;

/// How many requests the ring buffer holds, each with the record of its one poll and that of its end.
fn fits() -> u64 {
    (RING_BYTES as usize / (size_of::<PollRecord>() + size_of::<RequestRecord>() + 2 * RECORD_HEAD)) as u64
}

/// The most finished requests that a collector keeps.
const KEPT: u64 = 20_000;
/// Requests that end behind the last that fits.
const MORE: u64 = 100;
/// Requests whose place may be taken by polls' records, and by those of switches inside polls: there are more of them on a busy machine.
const SWITCHED: u64 = 500;

/// Check that requests that end while the ring buffer is full keep their rows in the map, and are handed over like the others, once; that
/// a child that ends then is only in its type's sums; and that everything goes on as before once it is drained.
#[test]
fn a_full_ring_keeps_ended_requests() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut session = Session::open_for_requests();
    let record = Record::new(b"order-42");
    let played = |sequence| {
        let scope = Scope::new(&record, sequence);
        scope.polled(|| ());
        scope.end();
    };
    // As many as are kept, drained in time: of those that come now each takes the place of one.
    for sequence in 1..=KEPT {
        played(sequence);
        if sequence % (fits() / 2) == 0 {
            let _ = session.collect();
        }
    }
    let _ = session.collect();
    let behind = KEPT + fits();
    (KEPT + 1..=behind + MORE).for_each(played);
    let (child, parent) = (Task::new(Kind::First, 7), Scope::new(&record, 1 << 40));
    parent.polled(|| _ = spawn(&child));
    ready(&child, || ());

    let view = session.collect();
    // Polls of the requests that no longer fit take the last of the room, which costs a few of those that would; a child's record is shorter
    // than a request's and may find room behind the last of them.
    let count = |wanted| view.0.losses.iter().find(|(loss, _)| *loss == wanted).map_or(0, |(_, count)| *count);
    let kept_in_map = count(Loss::RingFullRequest);
    assert!((MORE..=MORE + SWITCHED).contains(&kept_in_map), "{kept_in_map}");
    let children = view.0.ended_children.len();
    assert!(children <= 1);
    let mut losses = vec![(Loss::RingFullRequest, kept_in_map)];
    losses.extend((children == 0).then_some((Loss::RingFullChild, 1)));
    losses.push((Loss::RequestDropped, fits() + MORE));
    // On a busy machine some poll is interrupted then.
    let off_cpu = count(Loss::RingFullOffCpu);
    losses.extend((off_cpu != 0).then_some((Loss::RingFullOffCpu, off_cpu)));
    // A poll's record is shorter still: some find room behind the last request. The parent and its child were polled too.
    let polls = count(Loss::RingFullPoll);
    assert!((MORE - 50..=MORE + 2 + SWITCHED).contains(&polls), "{polls}");
    losses.push((Loss::RingFullPoll, polls));
    assert_eq!(view.0.ended_requests.len() as u64, KEPT);
    (behind + 1..=behind + MORE).for_each(|sequence| assert_eq!(view.ended(&Scope::new(&record, sequence)).polls, 1));
    assert_eq!((view.totals(Kind::First).count, view.0.live_requests.len()), (1, 1));
    view.lost(&losses);

    // The rows have left the map: their places are free for others, and a second look finds each once.
    let view = session.collect();
    assert_eq!(view.0.ended_requests.len() as u64, KEPT);
    view.lost(&losses);
    parent.end();
    let view = session.collect();
    assert_eq!(view.ended(&parent).polls, 1);
    assert_eq!(session.take_ended_ids().len() as u64, behind + MORE + 1);
    Ok(())
}
