//! Fills the maps by which the kernel side walks awaits.

use aya::Ebpf;
use aya::maps::{Array, HashMap};
use profiler_common::awaits::{Edge, Node, RequestKey};
use profiler_common::gate::{AWAITS_ALL, AWAITS_OFF, AWAITS_WANTED};
use profiler_common::limits::AWAIT_ENTRIES;

use super::{AttachError, typed};

/// Whose awaits are walked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AwaitsOf {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of wanted requests and of the tasks they spawned.
    Wanted,
    /// Every task's.
    All,
}

impl AwaitsOf {
    /// As the gate says it.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Nobody => AWAITS_OFF,
            Self::Wanted => AWAITS_WANTED,
            Self::All => AWAITS_ALL,
        }
    }
}

/// The layout table of a target's futures.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwaitTables<'a> {
    /// Its nodes.
    pub nodes: &'a [Node],
    /// Its edges.
    pub edges: &'a [Edge],
    /// Nodes by runtime address: of a `dyn` future's vtable, of the poll function of a scope's future.
    pub entries: &'a [(u64, u32)],
}

impl AwaitTables<'_> {
    /// Map sizes: an array has at least one element.
    pub(super) fn sizes(&self) -> (u32, u32) {
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).max(1);
        (size(self.nodes.len()), size(self.edges.len()))
    }

    /// How many entries have no place. They read as unknown, which a walk says.
    #[must_use]
    pub fn entries_left_out(&self) -> usize {
        self.entries.len().saturating_sub(AWAIT_ENTRIES as usize)
    }

    /// Writes them. The maps are as large as [`Self::sizes`] says.
    pub(super) fn fill(&self, ebpf: &mut Ebpf) -> Result<(), AttachError> {
        let mut nodes: Array<_, Node> = typed(ebpf, "AWAIT_NODES")?;
        for (place, node) in (0_u32..).zip(self.nodes) {
            nodes.set(place, node, 0).map_err(|source| AttachError::Map { map: "AWAIT_NODES", source })?;
        }
        let mut edges: Array<_, Edge> = typed(ebpf, "AWAIT_EDGES")?;
        for (place, edge) in (0_u32..).zip(self.edges) {
            edges.set(place, edge, 0).map_err(|source| AttachError::Map { map: "AWAIT_EDGES", source })?;
        }
        let mut entries: HashMap<_, u64, u32> = typed(ebpf, "AWAIT_ENTRIES")?;
        for (address, node) in self.entries.iter().take(AWAIT_ENTRIES as usize) {
            entries.insert(address, node, 0).map_err(|source| AttachError::Map { map: "AWAIT_ENTRIES", source })?;
        }
        Ok(())
    }
}

/// Says which key names requests.
pub(super) fn set_key(ebpf: &mut Ebpf, key: RequestKey) -> Result<(), AttachError> {
    let mut map: Array<_, RequestKey> = typed(ebpf, "REQUEST_KEY")?;
    map.set(0, key, 0).map_err(|source| AttachError::Map { map: "REQUEST_KEY", source })
}
