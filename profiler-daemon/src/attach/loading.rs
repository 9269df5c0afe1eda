//! Loading the uprobe programs several at a time. The verifier takes longer over them than all else takes at an attach, and goes through several at
//! once: its lock is for callers without CAP_BPF alone (kernel/bpf/verifier.c, `bpf_check`).

use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use super::AttachError;
use super::programs::Programs;

/// Threads at most: one program is a third of all the work, so more would have nothing to do.
const THREADS: usize = 3;

/// A program to load: the name by which it is known here, and the one in the object.
pub(super) type Wanted = (&'static str, &'static str);

/// Programs that are loaded, each by the name by which it is known here.
pub(super) struct Loaded(Vec<(&'static str, OwnedFd)>);

impl Loaded {
    /// Takes one out.
    pub(super) fn take(&mut self, name: &'static str) -> Result<OwnedFd, AttachError> {
        let place = self.0.iter().position(|(known, _)| *known == name).ok_or(AttachError::NoProgram { program: name })?;
        Ok(self.0.swap_remove(place).1)
    }
}

/// Loads programs for links of `attach_type`, and does something else `meanwhile`.
pub(super) fn load(
    parsed: &Programs,
    mut wanted: Vec<Wanted>,
    attach_type: u32,
    meanwhile: impl FnOnce() -> Result<(), AttachError>,
) -> Result<Loaded, AttachError> {
    // The longest goes first, so that none is left alone with it at the end.
    wanted.sort_by_key(|(_, name)| parsed.instructions(name));
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS).min(wanted.len().max(1));
    let queue = Mutex::new(wanted);
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || -> Result<Vec<(&'static str, OwnedFd)>, AttachError> {
        let mut loaded = Vec::new();
        while let Some((known, name)) = next() {
            loaded.push((known, parsed.load(name, attach_type)?));
        }
        Ok(loaded)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = meanwhile().and_then(|()| work());
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let all: Result<Vec<Vec<_>>, AttachError> = std::iter::once(own).chain(others).collect();
        Ok(Loaded(all?.into_iter().flatten().collect()))
    })
}
