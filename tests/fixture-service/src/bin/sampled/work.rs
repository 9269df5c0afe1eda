//! Tasks that do known things and print what each did by its own clocks, with Tokio's own id of each.
//!
//! Each `go` has some threads that end at once, and then runs two tasks that are busy and one that sleeps in the kernel, with a worker of the kernel's
//! (io_uring) waiting in a read meanwhile. Between the rounds the workers wait for work.

use std::io::{self, BufRead as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::atomic::AtomicU8;
use std::task::{Context, Poll};
use std::time::Duration;

use fixture_service::clock::{block, slept, spin, thread_cpu};
use io_uring::IoUring;
use io_uring::opcode::Read;
use io_uring::squeue::Flags;
use io_uring::types::Fd;

/// One turn of a busy task: CPU time, then an await.
const SPIN: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_millis(1);
/// One call that sleeps on the worker.
const SLEEP: Duration = Duration::from_millis(100);

/// Threads that end as they begin, in each round: nobody waits in them any more.
const THREADS: usize = 20;

/// What is read from a pipe that is empty until its end: nothing, ever.
static NOWHERE: AtomicU8 = AtomicU8::new(0);

/// What a task does.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Its name; a request's id where the program has the annotation.
    pub(crate) name: &'static str,
    turns: u32,
    sleeps: u32,
}

/// One is busy for twice as long as the other; the third is never busy.
const LOADS: [Load; 3] = [
    Load { name: "sampled-a", turns: 40, sleeps: 0 },
    Load { name: "sampled-b", turns: 20, sleeps: 1 },
    Load { name: "sampled-c", turns: 0, sleeps: 5 },
];

/// What a task does, as a future.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a task's polls took by the clocks of their threads.
struct Clocked<F> {
    inner: Pin<Box<F>>,
    cpu_ns: u64,
    slept_ns: u64,
}

impl<F: Future<Output = ()>> Future for Clocked<F> {
    type Output = (u64, u64);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(u64, u64)> {
        let (cpu, before) = (thread_cpu(), slept());
        let polled = self.inner.as_mut().poll(cx);
        self.cpu_ns += thread_cpu() - cpu;
        self.slept_ns += slept() - before;
        polled.map(|()| (self.cpu_ns, self.slept_ns))
    }
}

/// The profiler is to find this function.
#[inline(never)]
fn crunch() {
    spin(SPIN);
}

/// And this one.
#[inline(never)]
fn call_that_sleeps() {
    block(SLEEP);
}

/// Has the kernel read from a pipe into which nobody writes until it is dropped. The worker that it makes for that waits in the read. It is a thread of this process
/// and has the thread pointer of the thread that asks, so it looks as if it were in that one's task.
fn kernel_worker_that_waits() -> io::Result<(io::PipeWriter, io::PipeReader, IoUring)> {
    let (reader, writer) = io::pipe()?;
    let mut ring = IoUring::new(2)?;
    let read = Read::new(Fd(reader.as_raw_fd()), NOWHERE.as_ptr(), 1).build().flags(Flags::ASYNC);
    // SAFETY: the file lives as long as the ring, and the byte for ever.
    unsafe { ring.submission().push(&read) }.map_err(io::Error::other)?;
    ring.submit()?;
    Ok((writer, reader, ring))
}

async fn handle(load: Load) {
    for _ in 0..load.turns {
        crunch();
        tokio::time::sleep(WAIT).await;
    }
    for _ in 0..load.sleeps {
        // Where the kernel has no io_uring, or forbids it, there is nothing to be told apart.
        let waiting = kernel_worker_that_waits().ok();
        call_that_sleeps();
        drop(waiting);
        tokio::time::sleep(WAIT).await;
    }
}

fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Whoever reads has left: there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Serves until the standard input ends; `run` puts a task's work into whatever names its request.
pub(crate) fn serve(run: fn(Load, Work) -> Work) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return say(r#"{"event":"failed"}"#) };
    say(&format!(r#"{{"event":"ready","pid":{}}}"#, std::process::id()));
    for line in io::stdin().lock().lines() {
        if line.is_err() {
            return;
        }
        for thread in [(); THREADS].map(|()| std::thread::spawn(|| ())) {
            let _ = thread.join();
        }
        let tasks = LOADS.map(|load| {
            runtime.spawn(async move {
                let work = run(load, Box::pin(handle(load)));
                let (cpu_ns, slept_ns) = Clocked { inner: Box::pin(work), cpu_ns: 0, slept_ns: 0 }.await;
                (load.name, tokio::task::id().to_string(), cpu_ns, slept_ns)
            })
        });
        for task in tasks {
            if let Ok((name, id, cpu_ns, slept_ns)) = runtime.block_on(task) {
                say(&format!(r#"{{"event":"task","name":"{name}","id":{id},"cpu_ns":{cpu_ns},"slept_ns":{slept_ns}}}"#));
            }
        }
        say(r#"{"event":"done"}"#);
    }
}
