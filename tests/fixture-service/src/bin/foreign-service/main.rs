//! A service whose requests are named by another library's thread-local, and nothing in it is the profiler's.
//!
//! `foreign-service otel` has the slot in the executable; `otel LIB` and `labels LIB` in a library (`slot.c`) that is loaded when the first
//! round begins. Each `go` runs four requests in tasks of their own and one task without a name, and prints what each did by its own clocks.

mod context;
mod slot;

use std::io::{BufRead as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use context::Named;

/// One turn of a request: CPU time, a call that sleeps on the worker, an await.
const SPIN: Duration = Duration::from_millis(12);
const SLEEP: Duration = Duration::from_millis(9);
const WAIT: Duration = Duration::from_millis(3);
const TURNS: u32 = 12;

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; the clock exists on every Linux.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    assert!(!failed, "no CLOCK_THREAD_CPUTIME_ID");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Spins for as much CPU time; the profiler is to find this function.
#[inline(never)]
fn crunch(time: Duration) {
    let end = thread_cpu() + time;
    while thread_cpu() < end {
        for _ in 0..200 {
            std::hint::spin_loop();
        }
    }
}

#[inline(never)]
fn call_that_sleeps(time: Duration) -> Duration {
    let began = Instant::now();
    std::thread::sleep(time);
    began.elapsed()
}

/// What a request measured of itself.
#[derive(Default)]
struct Truth {
    cpu: Duration,
    blocked: Duration,
}

/// A future with a context: in the slot during its polls, and only then.
struct Marked<F> {
    inner: Pin<Box<F>>,
    named: Option<Named>,
    cpu: Duration,
}

impl<F: Future<Output = Duration>> Future for Marked<F> {
    type Output = Truth;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Truth> {
        let this = &mut *self;
        let old = this.named.as_ref().map(|named| slot::swap(named.pointer()));
        let began = thread_cpu();
        let polled = this.inner.as_mut().poll(cx);
        this.cpu += thread_cpu().saturating_sub(began);
        if let Some(old) = old {
            slot::swap(old);
        }
        polled.map(|blocked| Truth { cpu: this.cpu, blocked })
    }
}

async fn handle() -> Duration {
    let mut blocked = Duration::ZERO;
    for _ in 0..TURNS {
        crunch(SPIN);
        blocked += call_that_sleeps(SLEEP);
        tokio::time::sleep(WAIT).await;
    }
    blocked
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever reads has left: there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

async fn round() {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..5_u8 {
        let named = (number < 4).then(|| Named::new(number));
        let text = named.as_ref().map(|named| (named.id(), named.trace()));
        let marked = Marked { inner: Box::pin(handle()), named, cpu: Duration::ZERO };
        tasks.spawn(async move { (text, marked.await) });
    }
    while let Some(done) = tasks.join_next().await {
        if let Ok((Some((id, trace)), truth)) = done {
            say(&format!(
                r#"{{"event":"id","id":"{id}","trace":"{trace}","cpu_ns":{},"blocked_ns":{}}}"#,
                truth.cpu.as_nanos(),
                truth.blocked.as_nanos()
            ));
        }
    }
    say(r#"{"event":"done"}"#);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let labels = words.first().is_some_and(|word| word == "labels");
    context::use_labels(labels);
    if !labels {
        context::publish_names();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return say(r#"{"event":"failed"}"#) };
    say(&format!(r#"{{"event":"ready","pid":{}}}"#, std::process::id()));
    let mut loaded = words.get(1).is_none();
    for line in std::io::stdin().lock().lines() {
        match (line.as_deref(), words.get(1)) {
            (Ok("load"), Some(path)) => {
                slot::load(path);
                loaded = true;
                say(r#"{"event":"loaded"}"#);
            }
            (Ok("go"), _) if loaded => runtime.block_on(async { drop(tokio::spawn(round()).await) }),
            (Ok(_), _) => say(r#"{"event":"failed"}"#),
            (Err(_), _) => return,
        }
    }
}
