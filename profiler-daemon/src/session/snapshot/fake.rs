//! Memory for tests: some ranges of bytes, and a way to change them while they are read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::target::memory::{Span, Spans};

/// What happens before a read: it may change the memory.
type Meanwhile = Box<dyn FnMut(usize, &mut BTreeMap<u64, u8>)>;

/// Memory that is only where something was put.
#[derive(Default)]
pub(super) struct Fake {
    bytes: RefCell<BTreeMap<u64, u8>>,
    reads: Cell<usize>,
    meanwhile: RefCell<Option<Meanwhile>>,
}

impl Fake {
    pub(super) fn bytes(&mut self, at: u64, bytes: &[u8]) {
        put(self.bytes.get_mut(), at, bytes);
    }

    pub(super) fn word(&mut self, at: u64, word: u64) {
        self.bytes(at, &word.to_le_bytes());
    }

    /// Calls `change` before every read, with the number of reads before it.
    pub(super) fn meanwhile(&mut self, change: impl FnMut(usize, &mut BTreeMap<u64, u8>) + 'static) {
        *self.meanwhile.get_mut() = Some(Box::new(change));
    }

    /// How many spans have been read.
    pub(super) fn reads(&self) -> usize {
        self.reads.get()
    }
}

/// Writes bytes.
pub(super) fn put(memory: &mut BTreeMap<u64, u8>, at: u64, bytes: &[u8]) {
    memory.extend((at..).zip(bytes.iter().copied()));
}

impl Spans for Fake {
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
        let mut rest = bytes;
        let mut whole = Vec::new();
        for span in spans {
            if let Some(change) = self.meanwhile.borrow_mut().as_mut() {
                change(self.reads.get(), &mut self.bytes.borrow_mut());
            }
            self.reads.set(self.reads.get() + 1);
            let (here, after) = rest.split_at_mut(span.length);
            let memory = self.bytes.borrow();
            let read = here.iter_mut().zip(0..).all(|(byte, into)| {
                let found = span.address.checked_add(into).and_then(|address| memory.get(&address));
                found.map(|found| *byte = *found).is_some()
            });
            whole.push(read);
            rest = after;
        }
        whole
    }
}
