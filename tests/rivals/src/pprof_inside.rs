//! pprof-rs at 99 Hz.

use std::io;
use std::path::Path;

use bench_service::{routes, serve};

pub(crate) fn served(_folder: &Path) -> io::Result<()> {
    let blocklist = ["libc", "libgcc", "pthread", "vdso"];
    let _guard = pprof::ProfilerGuardBuilder::default().frequency(99).blocklist(&blocklist).build().map_err(io::Error::other)?;
    super::runtime()?.block_on(serve::serve(routes::app(), |served| drop(tokio::spawn(served))))
}
