//! dial9 with Tokio's events, written to files.

use std::io;
use std::path::Path;

use bench_service::{routes, serve};
use dial9::{Dial9HandleTokioExt as _, DiskBuffer, TokioAttachOptions};

pub(crate) fn served(folder: &Path) -> io::Result<()> {
    let writer = DiskBuffer::builder().base_path(folder.join("dial9")).max_file_size(16 << 20).max_total_size(64 << 20).build();
    let recorder = dial9::recorder(writer?).build();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    let options = TokioAttachOptions::builder().task_tracking_enabled(true).build();
    let runtime = recorder.handle().attach_tokio_runtime(builder, options)?;
    // By its own spawn, which sees wakes too.
    runtime.block_on(serve::serve(routes::app(), |served| drop(dial9::spawn(served))))
}
