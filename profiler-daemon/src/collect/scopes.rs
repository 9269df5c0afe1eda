//! The rows of requests, which lie in slots of an array and in a map by hash (`profiler-ebpf/src/slots.rs`).

use std::collections::HashSet;

use aya::maps::{Array, HashMap};
use profiler_common::limits::SCOPE_SLOTS;
use profiler_common::scope::{ENDED, ScopeRow, ScopeSlot};

use super::rows::{self, Read};
use crate::attach::{AttachError, Attached, keys, typed};

/// What the slots and the map hold, each row with its number or as what else its reading came to.
pub(super) fn all(attached: &mut Attached) -> Result<Vec<Read<(u64, ScopeRow)>>, AttachError> {
    // The slots first: rows only ever go from there into the map.
    let mut found = in_slots(attached)?;
    let scopes: Vec<u64> = keys::<_, ScopeRow>(attached.ebpf(), "SCOPES")?;
    let went: HashSet<u64> = scopes.iter().copied().collect();
    found.retain(|read| !matches!(read, Read::Whole((scope, _)) if went.contains(scope)));
    let map: HashMap<_, u64, ScopeRow> = typed(attached.ebpf(), "SCOPES")?;
    found
        .extend(scopes.into_iter().map(|scope| rows::whole(|| Some((scope, map.get(&scope, 0).ok()?)), |(_, row)| row.sequence)));
    Ok(found)
}

fn in_slots(attached: &mut Attached) -> Result<Vec<Read<(u64, ScopeRow)>>, AttachError> {
    let slots: Array<_, ScopeSlot> = typed(attached.ebpf(), "SCOPE_SLOTS")?;
    let mut found = Vec::new();
    for place in 0..SCOPE_SLOTS {
        // An array has all its places; nobody's is none.
        let taken = || slots.get(&place, 0).ok().filter(|slot| slot.scope != 0);
        match rows::whole(taken, |slot| slot.row.sequence) {
            // It has not been entered yet.
            Read::Whole(slot) if slot.row.polls == 0 => {}
            Read::Whole(slot) => found.push(Read::Whole((slot.scope, slot.row))),
            Read::Torn => found.push(Read::Torn),
            Read::Gone => {}
        }
    }
    Ok(found)
}

/// Whether the request of this number has a row and has not ended.
pub(super) fn goes_on(attached: &mut Attached, scope: u64) -> Result<bool, AttachError> {
    let slots: Array<_, ScopeSlot> = typed(attached.ebpf(), "SCOPE_SLOTS")?;
    if let Ok(slot) = slots.get(&ScopeSlot::place(scope), 0)
        && slot.scope == scope
    {
        return Ok(slot.row.flags & ENDED == 0);
    }
    let map: HashMap<_, u64, ScopeRow> = typed(attached.ebpf(), "SCOPES")?;
    Ok(map.get(&scope, 0).is_ok_and(|row| row.flags & ENDED == 0))
}
