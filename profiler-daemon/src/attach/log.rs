//! The kernel side's own words, which it says at start-up and where something rare goes wrong.

use std::sync::mpsc::{Receiver, Sender, channel};

use aya::Ebpf;
use aya_log::EbpfLogger;

/// Hands every message on as a line.
struct Lines(Sender<String>);

impl log::Log for Lines {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Nobody listens any more only when the session is being dropped.
        let _ = self.0.send(format!("{}: {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

/// What the kernel side says.
pub(super) struct KernelLog {
    logger: EbpfLogger<Lines>,
    lines: Receiver<String>,
}

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelLog").finish_non_exhaustive()
    }
}

impl KernelLog {
    /// Takes the log's map. `None` if the object has none: an object built without messages is as good.
    pub(super) fn of(ebpf: &mut Ebpf) -> Option<Self> {
        let (to, lines) = channel();
        let logger = EbpfLogger::init_with_logger(ebpf, Lines(to)).ok()?;
        Some(Self { logger, lines })
    }

    /// What was said since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        self.logger.flush();
        self.lines.try_iter().collect()
    }
}
