//! As `foreign-service` (`tests/fixture-service/src/bin/foreign-service`), with the real crate in place of what is written from its
//! specification: each `go` runs four requests in tasks of their own and prints what each did by its own clocks.

use std::io::{BufRead as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use custom_labels::asynchronous::Label as _;

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[inline(never)]
fn crunch(time: Duration) {
    let end = thread_cpu() + time;
    while thread_cpu() < end {
        for _ in 0..200 {
            std::hint::spin_loop();
        }
    }
}

/// The CPU time of a future's polls.
struct Measured<F>(Pin<Box<F>>, Duration);

impl<F: Future<Output = Duration>> Future for Measured<F> {
    type Output = (Duration, Duration);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let began = thread_cpu();
        let polled = self.0.as_mut().poll(cx);
        self.1 += thread_cpu() - began;
        polled.map(|blocked| (self.1, blocked))
    }
}

async fn handle() -> Duration {
    let mut blocked = Duration::ZERO;
    for _ in 0..12 {
        crunch(Duration::from_millis(12));
        let began = Instant::now();
        std::thread::sleep(Duration::from_millis(9));
        blocked += began.elapsed();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    blocked
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn round() {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..4 {
        let id = format!("order-{number}");
        let labels = [("tenant", "acme"), ("request.id", id.as_str())];
        let handled = Measured(Box::pin(handle()), Duration::ZERO).with_labels(labels);
        tasks.spawn(async move { (id, handled.await) });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((id, (cpu, blocked))) = done {
            let (cpu, blocked) = (cpu.as_nanos(), blocked.as_nanos());
            say(&format!(r#"{{"event":"id","id":"{id}","trace":"","cpu_ns":{cpu},"blocked_ns":{blocked}}}"#));
        }
    }
    say(r#"{"event":"done"}"#);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return };
    say(&format!(r#"{{"event":"ready","pid":{}}}"#, std::process::id()));
    for line in std::io::stdin().lock().lines() {
        match line.as_deref() {
            Ok("go") => runtime.block_on(async { drop(tokio::spawn(round()).await) }),
            _ => return,
        }
    }
}
