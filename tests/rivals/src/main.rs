//! Serves what `bench-service` serves, with the profiler inside that the build's feature names, as its documentation has it. Without any it is that
//! service again. The first argument is a folder for what the profiler writes.

use std::path::PathBuf;
use std::{env, io};

#[cfg(feature = "console")]
mod console;
#[cfg(feature = "dial9")]
mod dial9_inside;
#[cfg(feature = "flame")]
mod flame;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "pprof")]
mod pprof_inside;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map_or_else(env::temp_dir, PathBuf::from);
    served(&folder)
}

#[cfg(feature = "console")]
use console::served;
#[cfg(feature = "dial9")]
use dial9_inside::served;
#[cfg(feature = "flame")]
use flame::served;
#[cfg(feature = "metrics")]
use metrics::served;
#[cfg(feature = "pprof")]
use pprof_inside::served;

#[cfg(not(any(feature = "console", feature = "dial9", feature = "flame", feature = "metrics", feature = "pprof")))]
fn served(_folder: &std::path::Path) -> io::Result<()> {
    runtime()?.block_on(bench_service::serve::serve(bench_service::routes::app(), |served| drop(tokio::spawn(served))))
}

/// The runtime of `bench-service`.
#[cfg(not(feature = "dial9"))]
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
