//! The signals that ask us to leave.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Done at the first SIGINT or SIGTERM. Catching begins with the call, not with the first poll.
pub(super) fn interrupt() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
