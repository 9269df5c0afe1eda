//! What a scope adds to a poll: the difference between polling a future bare and inside a scope, while nobody listens and while every
//! scope keeps its own times.
//!
//! Prints nanoseconds per poll, the median of many short slices that alternate between the kinds, since a shared machine's speed
//! drifts. `cargo bench -p profiler-annotate`.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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

/// Asks every scope for its times, as a profiler does from outside, or for nothing again.
fn ask_for_times(asked: bool) {
    /// The beginning of the annotation's table, as `ABI.md` has it.
    #[repr(C, align(64))]
    struct Table {
        _head: [u8; 64],
        generation: AtomicU32,
        modes: AtomicU32,
        _rules: [u8; 16],
        times_since_ns: AtomicU64,
    }

    // SAFETY: defined by the annotation, with this layout.
    unsafe extern "C" {
        safe static profiler_annotate_table_v2: Table;
    }

    let table = &profiler_annotate_table_v2;
    table.times_since_ns.store(u64::from(asked), Ordering::Relaxed);
    table.modes.store(if asked { 4 } else { 0 }, Ordering::Relaxed);
    table.generation.fetch_add(1, Ordering::Release);
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

    let mut woken = pin!(Woken(0));
    let (mut kept, mut kept_woken) = (pin!(scope(1_u64, Never(0))), pin!(scope(2_u64, Woken(0))));
    ask_for_times(true);
    let [clocks, bare_ns, one, self_woken, one_woken, made_kept] = medians(&mut [
        &mut two_clocks,
        &mut || slice(bare.as_mut()),
        &mut || slice(kept.as_mut()),
        &mut || slice(woken.as_mut()),
        &mut || slice(kept_woken.as_mut()),
        &mut requests,
    ]);
    ask_for_times(false);
    let (added, added_woken) = (one - bare_ns, one_woken - self_woken);
    println!("\nwhile every scope keeps its own times");
    println!("two readings of the clock               {clocks:6.2} ns");
    println!("in a scope                              {one:6.2} ns   adds {added:.2} ns, {:.2} beyond the clock", added - clocks);
    println!(
        "in a scope, with a wake                 {one_woken:6.2} ns   adds {added_woken:.2} ns, with a third reading of the clock"
    );
    let more = made_kept - made;
    println!("a request: made, polled, dropped        {made_kept:6.2} ns   adds {more:.2} ns, without the trap at its end");
}
