//! A program that lies: whatever stands in its memory, nothing is written but the table, and nothing is written that is not a table.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::collection::vec;
use proptest::prelude::*;

use super::memory::{Closed, TableMemory};
use super::{Asked, GENERATION, MAGIC, OWNER, Rule, SCOPES, SIZE, Table, VERSION};

/// Memory that notes where it is written, and may change under the reader's eyes.
#[derive(Debug)]
struct Memory {
    start: u64,
    bytes: Mutex<Vec<u8>>,
    writes: Mutex<Vec<(u64, usize)>>,
    /// What stands at this place (from the start) after so many reads.
    change: (usize, usize, Vec<u8>),
    reads: Mutex<usize>,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TableMemory for Arc<Memory> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut memory = held(&self.bytes);
        let mut reads = held(&self.reads);
        *reads += 1;
        let (at, after, new) = &self.change;
        if *reads == *after
            && let Some(place) = memory.get_mut(*at..).and_then(|rest| rest.get_mut(..new.len()))
        {
            place.copy_from_slice(new);
        }
        let at = address.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let found = at.and_then(|at| memory.get(at..at.checked_add(bytes.len())?));
        bytes.copy_from_slice(found.ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))?);
        Ok(())
    }

    fn write(&self, address: u64, bytes: &[u8]) -> io::Result<()> {
        held(&self.writes).push((address, bytes.len()));
        let mut memory = held(&self.bytes);
        let at = address.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| memory.get_mut(at..at.checked_add(bytes.len())?));
        place.ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))?.copy_from_slice(bytes);
        Ok(())
    }

    fn closed(&self) -> Option<Closed> {
        None
    }
}

/// A head as it is, and any other.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let ours = [&MAGIC[..], &VERSION.to_ne_bytes(), &2624_u32.to_ne_bytes()].concat();
    prop_oneof![4 => Just(ours), 1 => vec(any::<u8>(), 16), 1 => Just(MAGIC.to_vec())]
}

fn asked() -> impl Strategy<Value = Asked> {
    let rule = prop_oneof![
        vec(any::<u8>(), 0..80).prop_map(Rule::Id),
        vec(any::<u8>(), 0..80).prop_map(Rule::Prefix),
        any::<[u8; 16]>().prop_map(Rule::Trace),
    ];
    (vec(rule, 0..40), any::<i64>(), any::<u64>(), any::<[bool; 2]>(), any::<u64>()).prop_map(
        |(rules, next, sample_below, [tokens, children], times_since_ns)| Asked {
            rules,
            next,
            sample_below,
            tokens,
            children,
            times_since_ns,
        },
    )
}

proptest! {
    /// Check that all writes lie within the table, that a table of another version gets none, and that what is the program's own stays.
    #[test]
    fn nothing_is_written_but_the_table(
        start in prop_oneof![Just(0x1000_u64), Just(u64::MAX - 0x4000), Just(u64::MAX - 2623), any::<u64>()],
        at in 0_usize..0x800,
        head in head(),
        body in vec(any::<u8>(), SIZE..SIZE + 600),
        change in (0_usize..0x1200, 0_usize..12, vec(any::<u8>(), 0..300)),
        (first, second) in (asked(), asked()),
    ) {
        let mut bytes = vec![0xa5; at];
        bytes.extend_from_slice(&body);
        bytes[at..at + head.len()].copy_from_slice(&head);
        let is_table = head.len() == 16 && head[..8] == *MAGIC && head[8..12] == VERSION.to_ne_bytes() && head[12..16] == 2624_u32.to_ne_bytes();
        let before = bytes.clone();
        let memory = Arc::new(Memory {
            start, bytes: Mutex::new(bytes), writes: Mutex::default(), change, reads: Mutex::default(),
        });
        let address = start.wrapping_add(at as u64);
        if let Ok(Some(mut table)) = Table::in_memory(Box::new(Arc::clone(&memory)), 7, address) {
            let _ = table.clean();
            let _ = table.arm(&first);
            let _ = (table.tokens(), table.scopes_numbered(), table.times_offset(), table.is_taken());
            let _ = table.arm(&second);
            drop(table);
        } else {
            prop_assert!(!is_table || address.checked_add(SIZE as u64).is_none() || memory.change.1 == 1 || start > u64::MAX - 0x4000);
            prop_assert_eq!(held(&memory.writes).len(), 0);
        }
        for (written, length) in held(&memory.writes).iter() {
            let from = written.checked_sub(address);
            // Behind the head, and before the program's own counters.
            prop_assert!(from.is_some_and(|from| from >= GENERATION as u64 && from + *length as u64 <= SCOPES as u64), "{written:#x}");
        }
        if memory.change.2.is_empty() {
            let after = held(&memory.bytes);
            prop_assert_eq!(&after[..at + GENERATION], &before[..at + GENERATION]);
            prop_assert_eq!(&after[at + SCOPES..], &before[at + SCOPES..]);
        }
    }
}

/// Check that a table which claims to be a living daemon's is not written, and that one which lies about it only keeps us out.
#[test]
fn a_living_daemons_table_is_left_alone() {
    let mut bytes = vec![0; SIZE];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
    bytes[12..16].copy_from_slice(&2624_u32.to_ne_bytes());
    bytes[GENERATION] = 1;
    let init = procfs::process::Process::new(1).and_then(|init| init.stat()).unwrap();
    bytes[OWNER] = 1;
    bytes[OWNER + 4] = 7;
    bytes[OWNER + 8..OWNER + 16].copy_from_slice(&init.starttime.to_ne_bytes());
    let memory = Arc::new(Memory {
        start: 0x1000,
        bytes: Mutex::new(bytes),
        writes: Mutex::default(),
        change: (0, 0, Vec::new()),
        reads: Mutex::default(),
    });
    let mut table = Table::in_memory(Box::new(Arc::clone(&memory)), 7, 0x1000).unwrap().unwrap();
    assert!(table.arm(&Asked::default()).is_err());
    drop(table);
    assert_eq!(*held(&memory.writes), []);
}
