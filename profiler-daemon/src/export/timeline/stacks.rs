//! The functions of stacks, looked up once for a whole timeline.

use std::collections::{BTreeSet, HashMap};

use crate::model::stacks::{call_sites, cut};
use crate::model::text::printable;
use crate::model::{Stack, Symbolize};

/// Functions by address.
pub(in crate::export) struct Stacks {
    names: HashMap<u64, Vec<String>>,
}

impl Stacks {
    /// Looks up every address of `stacks`.
    pub(in crate::export) fn of<'s>(stacks: impl Iterator<Item = &'s Stack>, symbols: &mut dyn Symbolize) -> Self {
        let addresses: BTreeSet<u64> = stacks.flat_map(|stack| call_sites(&stack.frames)).collect();
        let addresses: Vec<u64> = addresses.into_iter().collect();
        let frames = symbols.symbolize(&addresses).into_iter();
        // Outermost first, as everything here is read.
        let names = frames.map(|inlined| inlined.iter().rev().map(|frame| printable(frame.function.as_bytes())).collect());
        Self { names: addresses.into_iter().zip(names).collect() }
    }

    /// A stack's functions, root first.
    pub(in crate::export) fn functions(&self, stack: &Stack) -> Vec<String> {
        let addresses = call_sites(&stack.frames);
        let cut = cut(&addresses, !stack.end.is_whole()).map(|name| name.text);
        let functions = addresses.iter().rev().filter_map(|address| self.names.get(address)).flatten().cloned();
        cut.into_iter().chain(functions).collect()
    }
}
