//! What a scope adds to a poll: the difference between polling a future bare and inside a scope, while nobody listens and while every
//! scope keeps its own times.
//!
//! Prints nanoseconds per poll, the median of many short slices that alternate between the kinds, since a shared machine's speed
//! drifts. `cargo bench -p profiler-annotate`.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use profiler_annotate::{request_id, scope};

const POLLS: u32 = 50_000;
const SLICES: usize = 201;

/// Pending for ever; its poll is a call that the compiler cannot see through.
struct Never(u64);

impl Future for Never {
    type Output = ();

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.0 = black_box(self.0 + 1);
        Poll::Pending
    }
}

/// As [`Never`], and wakes itself each time.
struct Woken(u64);

impl Future for Woken {
    type Output = ();

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0 = black_box(self.0 + 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn per(count: u32, what: impl FnOnce()) -> f64 {
    let start = Instant::now();
    what();
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn slice(mut future: Pin<&mut impl Future>) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    per(POLLS, || {
        for _ in 0..POLLS {
            assert!(black_box(future.as_mut()).poll(&mut cx).is_pending());
        }
    })
}

/// Two readings of the clock, as every poll of a scope that keeps its times has them.
fn two_clocks() -> f64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    per(POLLS, || {
        for _ in 0..2 * POLLS {
            // SAFETY: a place for the answer.
            unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut at) };
            black_box(&at);
        }
    })
}

/// A request from its beginning to its end, with one poll that waits.
fn requests() -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    per(POLLS, || {
        for number in 0..POLLS {
            let mut request = pin!(scope(black_box(u64::from(number)), Never(0)));
            assert!(black_box(request.as_mut()).poll(&mut cx).is_pending());
        }
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of each row's slices, the rows in turn.
fn medians<const N: usize>(rows: &mut [&mut dyn FnMut() -> f64; N]) -> [f64; N] {
    let mut slices = [const { Vec::new() }; N];
    for _ in 0..SLICES {
        for (row, slices) in rows.iter_mut().zip(&mut slices) {
            slices.push(row());
        }
    }
    slices.map(median)
}

/// What a profiler asks for from outside, through the annotation's table.
mod asked {
    use super::{AtomicU8, AtomicU32, AtomicU64, Ordering};

    /// The annotation's table as far as a profiler asks, as `ABI.md` has it.
    #[repr(C, align(64))]
    struct Table {
        _head: [u8; 64],
        generation: AtomicU32,
        modes: AtomicU32,
        rules: AtomicU32,
        _children: AtomicU32,
        _sample_below: AtomicU64,
        times_since_ns: AtomicU64,
        _until_rules: [u8; 160],
        kind: AtomicU8,
        len: AtomicU8,
        _padding: [u8; 6],
        bytes: [AtomicU8; 64],
    }

    // SAFETY: defined by the annotation, with this layout.
    unsafe extern "C" {
        safe static profiler_annotate_table_v2: Table;
    }

    /// Every scope for its times.
    pub(super) fn times() {
        profiler_annotate_table_v2.times_since_ns.store(1, Ordering::Relaxed);
        begin(4);
    }

    /// Requests whose ids begin in a way that none does here.
    pub(super) fn a_prefix() {
        let table = &profiler_annotate_table_v2;
        let prefix = b"wanted";
        for (byte, to) in prefix.iter().zip(&table.bytes) {
            to.store(*byte, Ordering::Relaxed);
        }
        table.kind.store(2, Ordering::Relaxed);
        table.len.store(6, Ordering::Relaxed);
        table.rules.store(1, Ordering::Relaxed);
        begin(1);
    }

    fn begin(modes: u32) {
        let table = &profiler_annotate_table_v2;
        table.modes.store(modes, Ordering::Relaxed);
        table.generation.fetch_add(1, Ordering::Release);
    }

    /// Nothing.
    pub(super) fn nothing() {
        let table = &profiler_annotate_table_v2;
        table.generation.store(0, Ordering::Relaxed);
        table.modes.store(0, Ordering::Relaxed);
        table.rules.store(0, Ordering::Relaxed);
        table.times_since_ns.store(0, Ordering::Relaxed);
    }
}

fn main() {
    let mut bare = pin!(Never(0));
    let mut scoped = pin!(scope(request_id!("bench"), Never(0)));
    let mut nested = pin!(scope(request_id!("outer"), scope(request_id!("inner"), Never(0))));
    let [bare_ns, one, two, made] = medians(&mut [
        &mut || slice(bare.as_mut()),
        &mut || slice(scoped.as_mut()),
        &mut || slice(nested.as_mut()),
        &mut requests,
    ]);
    println!("bare poll                               {bare_ns:6.2} ns");
    println!("in a scope                              {one:6.2} ns   adds {:.2} ns", one - bare_ns);
    println!("in a scope in a scope                   {two:6.2} ns   adds {:.2} ns", two - bare_ns);
    println!("a request: made, polled, dropped        {made:6.2} ns");
    // By turns, slice by slice: the difference is small.
    let [unasked, unwanted] = medians(&mut [&mut requests, &mut || {
        asked::a_prefix();
        let judged = requests();
        asked::nothing();
        judged
    }]);
    println!("the same, while others are wanted       {unwanted:6.2} ns   adds {:.2} ns", unwanted - unasked);

    let mut woken = pin!(Woken(0));
    let (mut kept, mut kept_woken) = (pin!(scope(1_u64, Never(0))), pin!(scope(2_u64, Woken(0))));
    asked::times();
    let [clocks, bare_ns, one, self_woken, one_woken, made_kept] = medians(&mut [
        &mut two_clocks,
        &mut || slice(bare.as_mut()),
        &mut || slice(kept.as_mut()),
        &mut || slice(woken.as_mut()),
        &mut || slice(kept_woken.as_mut()),
        &mut requests,
    ]);
    asked::nothing();
    let (added, added_woken) = (one - bare_ns, one_woken - self_woken);
    println!("\nwhile every scope keeps its own times");
    println!("two readings of the clock               {clocks:6.2} ns");
    println!("in a scope                              {one:6.2} ns   adds {added:.2} ns, {:.2} beyond the clock", added - clocks);
    println!("in a scope, with a wake                 {one_woken:6.2} ns   adds {added_woken:.2} ns, itself inside of the poll");
    let more = made_kept - made;
    println!("a request: made, polled, dropped        {made_kept:6.2} ns   adds {more:.2} ns, without the trap at its end");
}
