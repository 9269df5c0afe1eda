//! A service of the kind that is there already: its requests are named by task-local keys of its own, and nothing in it is the profiler's.
//!
//! Each `go` on its input runs one round: requests in tasks of their own, several in turn in one task as on a connection, two keys of one
//! type around one another, and keys of every type that can name a request. Each `together` runs two requests side by side in one task.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use key_fixture::{Event, Part, Request};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

/// Sixteen bytes, as the `uuid` crate has them.
#[derive(Clone, Copy, Debug)]
pub struct Uid(pub [u8; 16]);

/// A name of a type of its own.
#[derive(Clone, Debug)]
pub struct Tenant(pub String);

tokio::task_local! {
    static REQUEST_ID: String;
    static TRACE_ID: String;
    static NUMBER: u64;
    static SIGNED: i32;
    static UID: Uid;
    static SHARED: Arc<str>;
    static STATIC_NAME: &'static str;
    static TENANT: Tenant;
    static STATE: Vec<u32>;
}

fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; the clock exists on every Linux.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) } != 0;
    assert!(!failed, "no CLOCK_MONOTONIC");
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn say(event: &Event) {
    let line = serde_json::to_string(event).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    // Whoever reads has left: there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn spin(time: Duration) {
    let end = now_ns() + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    while now_ns() < end {
        std::hint::spin_loop();
    }
}

async fn query(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// What every request does: some work before its first await, three waits, some work behind them.
async fn handle(key: &str, id: impl Display, own_task: bool) -> Vec<Request> {
    let begin_ns = now_ns();
    spin(Duration::from_millis(2));
    query(12).await;
    spin(Duration::from_micros(300));
    query(7).await;
    tokio::task::yield_now().await;
    query(5).await;
    spin(Duration::from_millis(1));
    vec![Request { key: key.to_owned(), id: id.to_string(), begin_ns, end_ns: now_ns(), own_task }]
}

/// One task that serves one request after the other, with a wait between two.
async fn connection(number: u32) -> Vec<Request> {
    let mut served = Vec::new();
    for turn in 0..4 {
        query(6).await;
        let id = format!("conn-{number}-{turn}");
        served.extend(REQUEST_ID.scope(id.clone(), handle("REQUEST_ID", id, false)).await);
    }
    query(6).await;
    served
}

/// A request that hands its name on to a task that it spawns.
async fn parent(id: String) -> Vec<Request> {
    let begin_ns = now_ns();
    let child = REQUEST_ID.scope(id.clone(), async {
        query(9).await;
        spin(Duration::from_millis(1));
        query(9).await;
    });
    query(2).await;
    let _ = tokio::spawn(child).await;
    vec![Request { key: "REQUEST_ID".to_owned(), id, begin_ns, end_ns: now_ns(), own_task: true }]
}

/// A request of one key inside one of another key of the same type.
async fn traced(trace: String, id: String) -> Vec<Request> {
    let begin_ns = now_ns();
    let mut served = REQUEST_ID.scope(id.clone(), handle("REQUEST_ID", id, true)).await;
    served.push(Request { key: "TRACE_ID".to_owned(), id: trace, begin_ns, end_ns: now_ns(), own_task: true });
    served
}

/// A request that blocks its thread three times for so long, and works a while: in the polls of whoever awaits it.
async fn part(id: String, milliseconds: u64) -> Part {
    let mut blocked_ns = 0;
    for _ in 0..3 {
        let begin_ns = now_ns();
        std::thread::sleep(Duration::from_millis(milliseconds));
        blocked_ns += now_ns() - begin_ns;
        spin(Duration::from_millis(12));
        tokio::task::yield_now().await;
    }
    query(2).await;
    Part { id, blocked_ns }
}

/// Two requests in one task, which are polled one behind the other in each of its polls.
async fn together() -> [Part; 2] {
    let (one, other) = ("part-one".to_owned(), "part-other".to_owned());
    let one = REQUEST_ID.scope(one.clone(), part(one, 4));
    let other = REQUEST_ID.scope(other.clone(), part(other, 16));
    let (one, other) = tokio::join!(one, other);
    [one, other]
}

async fn round() {
    let mut tasks = JoinSet::new();
    for number in 0..3 {
        let id = format!("own-{number}");
        tasks.spawn(REQUEST_ID.scope(id.clone(), handle("REQUEST_ID", id, true)));
        // Its first poll makes the future that carries the name.
        let id = format!("late-{number}");
        tasks.spawn(async move { REQUEST_ID.scope(id.clone(), handle("REQUEST_ID", id, true)).await });
        let (trace, id) = (format!("trace-{number}"), format!("traced-{number}"));
        tasks.spawn(TRACE_ID.scope(trace.clone(), traced(trace, id)));
        tasks.spawn(NUMBER.scope(u64::from(number) + 40, handle("NUMBER", u64::from(number) + 40, true)));
        tasks.spawn(connection(number));
    }
    tasks.spawn(SIGNED.scope(-5, handle("SIGNED", -5, true)));
    let uid = Uid([0x67, 0xe5, 0x50, 0x44, 0x10, 0xb1, 0x42, 0x6f, 0x92, 0x47, 0xbb, 0x68, 0x0e, 0x5f, 0xe0, 0xc8]);
    tasks.spawn(UID.scope(uid, handle("UID", "67e55044-10b1-426f-9247-bb680e5fe0c8", true)));
    tasks.spawn(SHARED.scope(Arc::from("shared-name"), handle("SHARED", "shared-name", true)));
    tasks.spawn(STATIC_NAME.scope("static-name", handle("STATIC_NAME", "static-name", true)));
    tasks.spawn(TENANT.scope(Tenant("tenant-name".to_owned()), handle("TENANT", "tenant-name", true)));
    tasks.spawn(STATE.scope(vec![1], handle("STATE", "none", true)));
    tasks.spawn(REQUEST_ID.scope("parent".to_owned(), parent("parent".to_owned())));
    tasks.spawn(REQUEST_ID.scope("x".repeat(65), async {
        query(5).await;
        Vec::new()
    }));
    // Nobody writes before the last has ended: what the pipe costs is no request's.
    let served: Vec<Request> = tasks.join_all().await.into_iter().flatten().collect();
    for request in served {
        say(&Event::Request(request));
    }
}

#[tokio::main]
async fn main() {
    say(&Event::Ready);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim() == "go" {
            // In a task, so that nothing of it runs in `block_on`.
            let _ = tokio::spawn(round()).await;
            say(&Event::Done);
        }
        if line.trim() == "together" {
            for part in tokio::spawn(together()).await.into_iter().flatten() {
                say(&Event::Part(part));
            }
            say(&Event::Done);
        }
    }
}
