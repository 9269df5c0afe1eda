//! What the kernel side says of its probe sites, and taking out those that are wrong.
//!
//! A link of one site goes by itself. A link of many is closed and made anew without the wrong ones, for which the kernel asks only for the program's descriptor
//! and a path (kernel/trace/bpf_trace.c, `bpf_uprobe_multi_link_attach`): the capability to load programs is given up by then. In between, a matter of
//! milliseconds, that program sees nothing, and what it would have seen is counted as such events are.

use std::path::PathBuf;

use aya::maps::HashMap;
use profiler_common::hits::SiteHits;

use super::uprobes::Uprobes;
use super::{AttachError, Attached, keys, typed};

const HITS: &str = "SITE_HITS";

impl Attached {
    /// First hits of the sites that were reached, by the address of the probed instruction.
    pub fn site_hits(&mut self) -> Result<Vec<(u64, SiteHits)>, AttachError> {
        let addresses: Vec<u64> = keys::<u64, SiteHits>(&self.ebpf, HITS)?;
        let map: HashMap<_, u64, SiteHits> = typed(&mut self.ebpf, HITS)?;
        let row = |address| map.get(&address, 0).map(|hits| (address, hits));
        addresses.into_iter().map(row).collect::<Result<_, _>>().map_err(|source| AttachError::Map { map: HITS, source })
    }

    /// Takes the probes at these places of the file out of the target and leaves the others. Returns how many that were.
    pub fn take_out(&mut self, offsets: &[u64]) -> Result<usize, AttachError> {
        let taken = self.uprobes.as_mut().map_or(Ok(0), |uprobes| uprobes.take_out_at(offsets))?;
        self.taken_out += taken as u64;
        Ok(taken)
    }

    /// How many wrong sites were taken out so far.
    #[must_use]
    pub const fn sites_taken_out(&self) -> u64 {
        self.taken_out
    }
}

impl Uprobes {
    /// The program's file by the descriptor that was opened at the attach: by its path it might be another's by now.
    pub(super) fn held_file(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd as _;
        self.file.as_ref().map(|file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
    }
}
