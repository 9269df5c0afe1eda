//! Tokio's counter of task ids: which ids are new, and how many it gives out while a wanted request is polled.

use super::SessionError;
use crate::attach::Attached;
use crate::target::Target;
use crate::target::memory::{Spans as _, TargetMemory};

/// Tells the kernel side the next id that the target will give out, read from the counter at `address`; after the window has opened, so that no
/// task that is older than it can have that id. Where there is none to read, spawns that are seen tell.
pub(super) fn tell(attached: &mut Attached, target: &Target, address: Option<u64>) -> Result<(), SessionError> {
    let mut next = [0; 8];
    let read = address
        .zip(TargetMemory::of(target).ok())
        .is_some_and(|(address, memory)| memory.read(address, &mut next) && !memory.is_gone());
    match u64::from_ne_bytes(next) {
        id if read && id != 0 => Ok(attached.first_id(id)?),
        _ => Ok(()),
    }
}
