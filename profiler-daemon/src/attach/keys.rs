//! The keys of a hash map that others change meanwhile.
//!
//! Going from key to key (`BPF_MAP_GET_NEXT_KEY`) starts over where a key has gone meanwhile (kernel/bpf/hashtab.c,
//! `htab_map_get_next_key`): keys come twice, and in a map whose entries come and go fast it need not come to an end.
//! `BPF_MAP_LOOKUP_BATCH` (5.6) goes from bucket to bucket, each read whole, and always forward.

use std::io;
use std::os::fd::AsFd as _;

use aya::{Ebpf, Pod};

use super::programs::map_fd;
use super::{AttachError, sys};

/// Entries asked for at once; a bucket must fit.
const AT_ONCE: usize = 1024;

/// Every key of the hash map `name`, each once, whose values are `V`.
pub(crate) fn keys<K: Pod + Default, V: Pod>(ebpf: &Ebpf, name: &'static str) -> Result<Vec<K>, AttachError> {
    let map = ebpf.map(name).and_then(map_fd).ok_or(AttachError::NoMap { map: name })?;
    let failed = |source| AttachError::Keys { map: name, source };
    let (mut found, mut place, mut room) = (Vec::new(), None, AT_ONCE);
    loop {
        let mut keys = vec![K::default(); room];
        let mut values = vec![0_u8; room * size_of::<V>()];
        match sys::lookup_batch(map.as_fd(), place, &mut keys, &mut values) {
            Ok(batch) => {
                found.extend(keys.into_iter().take(batch.count));
                if batch.is_last {
                    return Ok(found);
                }
                place = Some(batch.place);
            }
            // A bucket has more entries than that.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                room = room.checked_mul(2).ok_or_else(|| failed(io::Error::from(io::ErrorKind::OutOfMemory)))?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}
