//! What holds a worker, in three requests: a call that sleeps inside a poll, a long computation, and a wait behind another task.
//!
//! Ids, with a number from 0 where `--repeat` makes several rounds of them: `sleeper-N`, `cruncher-N`, `waiter-N`. One worker runs them
//! in turn, so that nothing else is in the way. The functions that sleep and compute have names and frames of their own.

#![expect(clippy::unused_async, reason = "a step is an `async fn` so that it has a future type of its own")]

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{multi_thread, requests};
use crate::args::Args;
use crate::measured::Recorder;
use crate::{clock, control};

/// How long the sleeper's three calls sleep, ms.
pub const SLEPT_MS: [u64; 3] = [5, 10, 20];
/// How long the cruncher computes, ms of CPU time.
pub const CRUNCHED_MS: u64 = 250;
/// How long the waiter is ready while the hog keeps the worker, ms of CPU time.
pub const HOGGED_MS: u64 = 20;

/// See the module.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = multi_thread(1)?;
    let recorder = Recorder::default();
    let repeat = args.number("repeat", 1);
    control::serve(&runtime, &recorder, || {
        runtime.block_on(async {
            for number in 0..repeat {
                spawn(&recorder, "sleeper", number, sleeper_step()).await?;
                spawn(&recorder, "cruncher", number, cruncher_step()).await?;
                wait_behind_hog(&recorder, number).await?;
            }
            Ok(())
        })
    })
}

fn spawn<F>(recorder: &Recorder, name: &str, number: u64, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (request, step) = (format!("{name}-{number}"), format!("{name}_step"));
    let scope = requests::scoped(&request, recorder.scope(&step, &request, future));
    tokio::spawn(recorder.child(&step, &request, scope))
}

async fn wait_behind_hog(recorder: &Recorder, number: u64) -> io::Result<()> {
    let notify = Arc::new(Notify::new());
    let waiter = spawn(recorder, "waiter", number, waiter_step(Arc::clone(&notify)));
    // Its first poll is over by then: the worker has nothing else to do.
    tokio::time::sleep(Duration::from_millis(2)).await;
    tokio::spawn(recorder.task("hog_step", hog_step(notify))).await?;
    Ok(waiter.await?)
}

/// Some computing, then the three sleeps in one poll, then an await.
async fn sleeper_step() {
    clock::spin(Duration::from_millis(2));
    for millis in SLEPT_MS {
        clock::asleep(|| read_settings(Duration::from_millis(millis)));
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
}

/// The call that has no business in a poll. It computes its result after the sleep, so that the sleep is no tail call and this frame
/// is on the stack.
#[inline(never)]
fn read_settings(time: Duration) -> u64 {
    let before = clock::monotonic();
    std::thread::sleep(time);
    clock::monotonic() - before
}

async fn cruncher_step() {
    let sum = crunch_numbers(Duration::from_millis(CRUNCHED_MS));
    std::hint::black_box(sum);
}

/// Computes in one piece for `time` of the thread's CPU clock, and looks at that clock seldom: samples fall here, and not into the
/// kernel's clock.
#[inline(never)]
fn crunch_numbers(time: Duration) -> u64 {
    let end = clock::thread_cpu() + clock::nanoseconds(time);
    let mut sum = 0_u64;
    while clock::thread_cpu() < end {
        for number in 0..20_000_u64 {
            sum = std::hint::black_box(sum.rotate_left(5) ^ number);
        }
    }
    sum
}

/// Ready while the hog computes.
async fn waiter_step(notify: Arc<Notify>) {
    notify.notified().await;
}

/// Makes the waiter ready, and keeps the only worker.
async fn hog_step(notify: Arc<Notify>) {
    notify.notify_one();
    clock::spin(Duration::from_millis(HOGGED_MS));
}
