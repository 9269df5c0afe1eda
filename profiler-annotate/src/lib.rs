//! What an application links to name its requests.
//!
//! A profiler outside the process (`profiler-daemon`) sees tasks, polls and wakes by itself. What it cannot know is which of
//! them belong to *the* request: in an async service one thread serves hundreds in turn. So the application wraps the future
//! that handles a request, once:
//!
//! ```
//! use profiler_annotate::{request_id, scope};
//!
//! # async fn handle(order: u64) {}
//! # async fn f(order: u64) {
//! scope(order, handle(order)).await;                           // a number
//! scope(request_id!("nightly-report"), async { /* ... */ }).await; // a name
//! # }
//! ```
//!
//! or adds what its framework calls a layer, which takes the id from `x-request-id` or `traceparent`: `RequestIdLayer` with the
//! feature `tower` (axum, tonic, hyper), `RequestIdTransform` with the feature `actix` (actix-web).
//!
//! With the feature `profile-header`, a request can ask to be profiled by a signed token in its `x-profile` header
//! (`RequestIdLayer::profile_key`, or the module `profile_header` for anything else).
//!
//! # What it costs
//!
//! Nobody listening: a few nanoseconds a poll, no allocation, no lock, no system call. The profiler switches the probes on and
//! off from outside; the program is neither restarted nor changed.
//!
//! # What is visible from outside
//!
//! | what | where | for |
//! | --- | --- | --- |
//! | the current request's record, OTEP 4947 | thread-local `otel_thread_ctx_v1` | any reader of OpenTelemetry thread contexts |
//! | the attribute names, OTEP 4719 | mapping `OTEL_CTX` (feature `process-context`, on by default) | the same |
//! | probes `profiler_annotate:scope_enter`, `scope_exit`, `scope_end`; of wanted requests also `scope_wake`, `scope_spawn`, `scope_task` | notes `.note.stapsdt` | profiler-daemon, bpftrace, perf, GDB |
//! | the times of each request, while a profiler asks for them | a block on the heap, its address in a thread-local of its own and at the probe `scope_times` | profiler-daemon |
//! | a table: where the slot is, and which requests are wanted | section `.profiler_annotate` | profiler-daemon |
//!
//! All of it survives `strip`, fat LTO and static linking. [`layout`] describes it byte by byte.
//!
//! A library cannot put a symbol into an executable's dynamic symbol table. profiler-daemon does not need it there; for other
//! readers of `otel_thread_ctx_v1`, the application's `build.rs` needs one line:
//!
//! ```
//! println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");
//! ```
//!
//! # Platforms
//!
//! Linux on x86-64 and aarch64. Elsewhere it compiles, [`current_request_id`] works, and nothing is visible from outside.

mod abi;
#[cfg(feature = "actix")]
mod actix;
mod id;
#[doc = include_str!("../ABI.md")]
pub mod layout {}
#[cfg(any(feature = "actix", feature = "tower"))]
mod naming;
mod process_context;
#[cfg(feature = "profile-header")]
pub mod profile_header;
mod record;
mod scope;
#[cfg(feature = "tokio")]
mod spawn;
mod startup;
mod table;
mod times;
#[cfg(feature = "tower")]
mod tower;
mod waker;
mod wanted;

#[cfg(feature = "actix")]
pub use actix::{RequestIdMiddleware, RequestIdTransform};
pub use id::{InvalidRequestId, MAX_REQUEST_ID_LEN, RequestId};
pub use scope::{Scope, current_request_id, scope};
#[cfg(feature = "tokio")]
pub use spawn::{JoinSet, spawn, spawn_blocking, spawn_local};
#[cfg(feature = "tower")]
pub use tower::{RequestIdLayer, RequestIdService};
