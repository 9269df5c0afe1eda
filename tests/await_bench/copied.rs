//! Memory of a process, copied once, and read from the copy.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use profiler_common::unwind::Memory;
use profiler_tests::{Failure, Result};

const PAGE: usize = 4096;

/// The memory itself. Remembers the pages that were read.
#[derive(Debug)]
pub(crate) struct Live {
    file: File,
    pages: RefCell<BTreeMap<u64, Vec<u8>>>,
}

impl Live {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/mem");
        let file = File::open(&path).map_err(Failure::io(path))?;
        Ok(Self { file, pages: RefCell::default() })
    }

    /// What was read so far.
    pub(crate) fn copied(self) -> Copied {
        Copied { pages: self.pages.into_inner().into_iter().collect() }
    }
}

impl Memory for Live {
    fn word(&self, address: u64) -> Option<u64> {
        let start = address & !(PAGE as u64 - 1);
        let mut pages = self.pages.borrow_mut();
        let page = match pages.entry(start) {
            Entry::Occupied(page) => page.into_mut(),
            Entry::Vacant(place) => {
                let mut page = vec![0; PAGE];
                self.file.read_exact_at(&mut page, start).ok()?;
                place.insert(page)
            }
        };
        word_in(page, address)
    }
}

/// The copy: pages by their address, in order.
#[derive(Debug)]
pub(crate) struct Copied {
    pages: Vec<(u64, Vec<u8>)>,
}

impl Memory for Copied {
    fn word(&self, address: u64) -> Option<u64> {
        let start = address & !(PAGE as u64 - 1);
        let place = self.pages.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        word_in(&self.pages.get(place)?.1, address)
    }
}

/// The word at the address, which lies in this page. Words of futures are aligned, so none lies in two.
fn word_in(page: &[u8], address: u64) -> Option<u64> {
    let place = usize::try_from(address & (PAGE as u64 - 1)).ok()?;
    Some(u64::from_le_bytes(*page.get(place..)?.first_chunk()?))
}
