//! tokio-metrics: one monitor for all connections, read twice a second.

use std::io;
use std::path::Path;
use std::time::Duration;

use bench_service::{routes, serve};
use tokio_metrics::TaskMonitor;

pub(crate) fn served(_folder: &Path) -> io::Result<()> {
    let monitor = TaskMonitor::new();
    super::runtime()?.block_on(async {
        let reader = monitor.clone();
        tokio::spawn(async move {
            for metrics in reader.intervals() {
                std::hint::black_box(metrics);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        serve::serve(routes::app(), |served| drop(tokio::spawn(monitor.instrument(served)))).await
    })
}
