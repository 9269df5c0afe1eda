//! Lines that a child prints, gathered by a thread, awaited with a limit.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::{Failure, Result};

/// The lines of one stream.
pub struct Lines {
    incoming: mpsc::Receiver<String>,
    seen: Vec<String>,
    /// The first line of `seen` that no wait has looked at yet.
    next: usize,
}

impl Lines {
    /// Reads `stream` to its end in a thread of its own, so that the child never waits for a full pipe.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, incoming) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // An error on a pipe is its end; a test that is over no longer listens.
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { incoming, seen: Vec::new(), next: 0 }
    }

    /// The first line after the last wait for which `pick` has an answer.
    pub fn wait<T>(&mut self, what: &str, within: Duration, mut pick: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            while let Some(line) = self.seen.get(self.next) {
                self.next += 1;
                if let Some(picked) = pick(line) {
                    return Ok(picked);
                }
            }
            match self.incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::Timeout { what: what.to_owned(), within, seen: self.text() });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::Ended { what: what.to_owned(), seen: self.text() });
                }
            }
        }
    }

    /// Everything up to the end of the stream, which must come within the limit.
    pub fn to_end(&mut self, within: Duration) -> Result<String> {
        match self.wait("the end", within, |_| None::<()>) {
            Err(Failure::Ended { seen, .. }) => Ok(seen),
            Err(other) => Err(other),
            Ok(()) => Ok(self.text()),
        }
    }

    /// Everything so far.
    #[must_use]
    pub fn text(&self) -> String {
        self.seen.join("\n")
    }
}
