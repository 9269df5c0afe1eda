//! The functions of stacks, looked up once for a whole timeline.

use std::collections::HashMap;

use crate::model::stacks::{call_sites, cut};
use crate::model::symbols::{Frame, by_address};
use crate::model::text::printable;
use crate::model::{Stack, Symbolize};

/// Functions by address.
pub(in crate::export) struct Stacks {
    names: HashMap<u64, Vec<String>>,
}

impl Stacks {
    /// Looks up every address of `stacks`.
    pub(in crate::export) fn of<'s>(stacks: impl Iterator<Item = &'s Stack>, symbols: &mut dyn Symbolize) -> Self {
        let found = by_address(stacks.flat_map(|stack| call_sites(&stack.frames)), symbols).into_iter();
        // Outermost first, as everything here is read.
        let names = |inlined: Vec<Frame>| inlined.iter().rev().map(|frame| printable(frame.function.as_bytes())).collect();
        Self { names: found.map(|(address, inlined)| (address, names(inlined))).collect() }
    }

    /// A stack's functions, root first.
    pub(in crate::export) fn functions(&self, stack: &Stack) -> Vec<String> {
        let addresses = call_sites(&stack.frames);
        let cut = cut(&addresses, !stack.end.is_whole()).map(|name| name.text);
        let functions = addresses.iter().rev().filter_map(|address| self.names.get(address)).flatten().cloned();
        cut.into_iter().chain(functions).collect()
    }
}
