//! What a command holds while it profiles: less than it began with. See [`Kept`] for why this is done thread by thread.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use profiler_daemon::target::privileges::{Kept, Later, Privileges};
use tokio::runtime::{Builder, Runtime};

use super::aim::Aim;

/// What is kept, where `folders` are those that a file of ours will be removed from.
pub(super) fn kept(aim: &Aim, folders: impl IntoIterator<Item = PathBuf>) -> Result<Kept> {
    kept_for(&Later { signals_a_service: aim.has_service(), folders: folders.into_iter().collect(), ..Later::default() })
}

/// The same for what is still to be done.
pub(super) fn kept_for(later: &Later) -> Result<Kept> {
    Ok(Privileges::read()?.kept(later))
}

/// The daemon's own runtime: one thread for its loop, others for what blocks. They attach nothing, and hold no more than what is kept from
/// their start on.
pub(super) fn runtime(kept: Kept) -> Result<Runtime> {
    built(Builder::new_multi_thread().worker_threads(2), kept)
}

/// The runtime of one recording: nobody asks it anything meanwhile, and a thread that waits for another's word wakes twice.
pub(super) fn own_thread(kept: Kept) -> Result<Runtime> {
    built(&mut Builder::new_current_thread(), kept)
}

fn built(builder: &mut Builder, kept: Kept) -> Result<Runtime> {
    let give_up = move || {
        // A thread that could not is found by `Kept::reduce_process`, which is told of.
        let _ = kept.reduce_thread();
    };
    builder.enable_all().on_thread_start(give_up).build().context("cannot start the runtime")
}
