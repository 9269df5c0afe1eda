//! The futures, by what is special about them.
//!
//! Each case begins with a function of its own name, which is the request's future; one that needs others around it (a holder of the
//! lock that it waits for, a peer) is begun by a `start_` function, outside of the request.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use profiler_annotate::{RequestId, scope};
use tokio::task::JoinHandle;

use crate::trail::Trail;

pub mod boxed;
pub mod branches;
pub mod channels;
pub mod database;
pub mod leaves;
pub mod locks;
pub mod nesting;
pub mod sockets;
pub mod streams;
pub mod tasks;
pub mod time;
pub mod web;

/// What a case comes to.
pub type Outcome = io::Result<()>;
/// A case's task, once it has been started.
pub type Started = io::Result<JoinHandle<Outcome>>;

/// What starts it.
pub type Starting = Pin<Box<dyn Future<Output = Started> + Send>>;

/// A case.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Whether it can be kept waiting for as long as one likes.
    pub parks: bool,
    /// Starts its task.
    pub start: fn(Trail, RequestId) -> Starting,
}

/// A case whose request needs nothing around it.
macro_rules! alone {
    ($name:literal, $future:path) => {
        Case { name: $name, parks: true, start: |trail, id| Box::pin(async move { Ok(spawned(id, $future(trail))) }) }
    };
}

/// A case that is begun by a function of its own.
macro_rules! prepared {
    ($name:literal, $start:path) => {
        Case { name: $name, parks: true, start: |trail, id| Box::pin($start(trail, id)) }
    };
}

/// Every case, in the order in which they run.
pub const ALL: &[Case] = &[
    alone!("nested", nesting::nested),
    alone!("loop", nesting::looped),
    alone!("recursion", nesting::recursion),
    alone!("generic", nesting::generic),
    alone!("async-block", nesting::async_block),
    alone!("async-closure", nesting::async_closure),
    alone!("arms", nesting::arms),
    alone!("by-reference", boxed::by_reference),
    alone!("dyn", boxed::dynamic),
    alone!("async-trait", boxed::async_trait),
    alone!("select", branches::select),
    alone!("select-loop", branches::select_loop),
    alone!("select-function", branches::select_function),
    alone!("join", branches::join),
    alone!("try-join", branches::try_join),
    alone!("join-all", branches::join_all),
    alone!("futures-unordered", streams::futures_unordered),
    alone!("buffer-unordered", streams::buffer_unordered),
    alone!("stream-next", streams::stream_next),
    alone!("timeout", time::timeout),
    alone!("timer-interval", time::timer_interval),
    alone!("pinned-sleep", time::pinned_sleep),
    prepared!("mutex", locks::start_mutex),
    prepared!("semaphore", locks::start_semaphore),
    prepared!("rwlock", locks::start_rwlock),
    prepared!("notify", locks::start_notify),
    prepared!("barrier", locks::start_barrier),
    prepared!("mpsc", channels::start_mpsc),
    prepared!("mpsc-full", channels::start_mpsc_full),
    prepared!("oneshot", channels::start_oneshot),
    prepared!("watch", channels::start_watch),
    prepared!("broadcast", channels::start_broadcast),
    prepared!("socket-read", sockets::start_read),
    prepared!("socket-accept", sockets::start_accept),
    alone!("join-handle", tasks::join_handle),
    alone!("join-set", tasks::join_set),
    alone!("spawn-blocking", tasks::spawn_blocking),
    Case { parks: false, ..prepared!("yield-now", tasks::start_yield_now) },
    alone!("poll-fn", leaves::poll_fn),
    alone!("hand-written", leaves::hand_written),
    alone!("combinators", leaves::combinators),
    alone!("instrumented", leaves::instrumented),
    alone!("task-local", leaves::task_local),
    alone!("tower-stack", web::tower_stack),
    alone!("axum", web::axum),
    prepared!("hyper-server", web::start_hyper_server),
    prepared!("hyper-client", web::start_hyper_client),
    prepared!("sqlx", database::start_sqlx),
];

/// Whether waits are for ever.
static PARKED: AtomicBool = AtomicBool::new(false);

/// From now on every wait lasts longer than anybody looks.
pub fn park() {
    PARKED.store(true, Ordering::Relaxed);
}

/// The length of a wait.
fn length(milliseconds: u64) -> Duration {
    if PARKED.load(Ordering::Relaxed) { Duration::from_hours(1) } else { Duration::from_millis(milliseconds) }
}

/// The request of a case, in a task of its own.
fn spawned(id: RequestId, future: impl Future<Output = Outcome> + Send + 'static) -> JoinHandle<Outcome> {
    tokio::spawn(scope(id, future))
}

/// Does something later, in a task that belongs to no request.
fn later(milliseconds: u64, act: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(length(milliseconds)).await;
        act();
    });
}

/// The wait that most cases come to.
async fn doze(trail: Trail, milliseconds: u64) {
    crate::wait!(trail, "Sleep", tokio::time::sleep(length(milliseconds)).await);
}
