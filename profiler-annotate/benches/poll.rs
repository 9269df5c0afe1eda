//! What a scope adds to a poll while nobody listens: the difference between polling a future bare and inside a scope.
//!
//! Prints nanoseconds per poll, the median of many short slices that alternate between the two, since a shared machine's speed
//! drifts. `cargo bench -p profiler-annotate`.

use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use profiler_annotate::{request_id, scope};

const POLLS: u32 = 100_000;
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

fn slice(mut future: Pin<&mut impl Future>) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for _ in 0..POLLS {
        assert!(black_box(future.as_mut()).poll(&mut cx).is_pending());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(POLLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let mut bare = pin!(Never(0));
    let mut scoped = pin!(scope(request_id!("bench"), Never(0)));
    let mut nested = pin!(scope(request_id!("outer"), scope(request_id!("inner"), Never(0))));
    let (mut bares, mut ones, mut twos) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SLICES {
        bares.push(slice(bare.as_mut()));
        ones.push(slice(scoped.as_mut()));
        twos.push(slice(nested.as_mut()));
    }
    let (bare, one, two) = (median(bares), median(ones), median(twos));
    println!("bare poll                    {bare:6.2} ns");
    println!("in a scope                   {one:6.2} ns   adds {:.2} ns", one - bare);
    println!("in a scope in a scope        {two:6.2} ns   adds {:.2} ns", two - bare);

    let mut made = Vec::new();
    for _ in 0..SLICES {
        let start = Instant::now();
        for number in 0..POLLS {
            drop(black_box(scope(black_box(u64::from(number)), Never(0))));
        }
        made.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(POLLS));
    }
    println!("making and dropping a scope  {:6.2} ns", median(made));
}
