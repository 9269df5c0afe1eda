//! Which functions and futures only carry others: what lies between two functions of a service when one awaits the other.
//!
//! More than the executor that is folded in a stack: on the way from a handler to what it awaits lie `Timeout`, `Instrumented`, the
//! layers of a server. In an await stack, and in a stack of code drawn together with one, they are left out.

use super::Executor;
use crate::model::names::crate_of;

/// Crates whose coroutines and futures carry those of others.
const CRATES: [&str; 18] = [
    "std",
    "core",
    "alloc",
    "tokio",
    "futures",
    "hyper",
    "tower",
    "axum",
    "tonic",
    "http",
    "h2",
    "tracing",
    "profiler_annotate",
    "async_stream",
    "async_trait",
    "either",
    "mio",
    "reqwest",
];

/// Beginnings of names of crates that belong to them.
const FAMILIES: [&str; 11] = [
    "tokio_util",
    "tokio_stream",
    "futures_",
    "hyper_",
    "tower_",
    "axum_",
    "http_body",
    "tracing_",
    "pin_project",
    "pin_utils",
    "opentelemetry",
];

/// Whether a function, or a future's type, is one of those; by its name, or by the text of a folded run of frames.
#[must_use]
pub fn is_plumbing(name: &str) -> bool {
    Executor::of_shown(name).is_some()
        || crate_of(name).is_some_and(|of| CRATES.contains(&of) || FAMILIES.iter().any(|begin| of.starts_with(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_and_what_is_carried() {
        for name in [
            "[tokio]",
            "[std]",
            "tokio::sync::batch_semaphore::Acquire",
            "tokio::time::timeout::Timeout<orders::load>",
            "<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll",
            "<&mut F as core::future::future::Future>::poll",
            "futures_util::stream::futures_unordered::FuturesUnordered<orders::load>",
            "hyper::proto::h1::dispatch::Dispatcher<D,Bs,I,T>::poll_loop",
            "http_body_util::combinators::collect::Collect<T>",
            "profiler_annotate::scope::Scope<T>",
        ] {
            assert!(is_plumbing(name), "{name}");
        }
        for name in [
            "orders::load",
            "<orders::Load as core::future::future::Future>::poll",
            "sqlx_core::pool::Pool<DB>::acquire",
            "tokio_postgres::query::query",
            "towerblock::f",
            "__GI___clock_nanosleep",
            "[unknown 0x7f00]",
            "",
        ] {
            assert!(!is_plumbing(name), "{name}");
        }
    }
}
