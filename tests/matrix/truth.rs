//! What the symbols of a build say, read without any of the profiler's own code.

use std::collections::BTreeSet;

use object::{Object as _, ObjectSymbol as _};

/// Addresses of functions by the end of their demangled path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// `tokio::runtime::task::raw::poll`.
    pub(crate) polls: BTreeSet<u64>,
    /// `State::transition_to_idle`.
    pub(crate) idles: BTreeSet<u64>,
    /// `State::transition_to_complete`.
    pub(crate) completes: BTreeSet<u64>,
    /// `State::transition_to_terminal`, by which tasks complete before 1.10.
    pub(crate) terminals: BTreeSet<u64>,
    /// `waker::wake_by_val`.
    pub(crate) wakes_by_val: BTreeSet<u64>,
    /// `waker::wake_by_ref`.
    pub(crate) wakes_by_ref: BTreeSet<u64>,
    /// `OwnedTasks::bind_inner`.
    pub(crate) binds: BTreeSet<u64>,
    /// `Spawner::spawn_task`.
    pub(crate) blocking_spawns: BTreeSet<u64>,
}

impl Truth {
    /// Reads the symbols of an ELF file.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let file = object::File::parse(bytes).expect("an ELF file");
        let mut truth = Self::default();
        for symbol in file.symbols() {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().expect("a name")));
            let path = without_generics(&name);
            let set = match path.strip_prefix("tokio::runtime::").unwrap_or_default() {
                "task::raw::poll" => &mut truth.polls,
                "task::state::State::transition_to_idle" => &mut truth.idles,
                "task::state::State::transition_to_complete" => &mut truth.completes,
                "task::state::State::transition_to_terminal" => &mut truth.terminals,
                "task::waker::wake_by_val" => &mut truth.wakes_by_val,
                "task::waker::wake_by_ref" => &mut truth.wakes_by_ref,
                "task::list::OwnedTasks::bind_inner" => &mut truth.binds,
                "blocking::pool::Spawner::spawn_task" => &mut truth.blocking_spawns,
                _ => continue,
            };
            set.insert(symbol.address());
        }
        truth
    }
}

/// `<a::B<C>>::d::<E>` of v0 mangling and `a::B<C>::d` of the legacy one as `a::B::d`.
fn without_generics(name: &str) -> String {
    let mut depth = 0;
    let mut path = String::new();
    for character in name.strip_prefix('<').unwrap_or(name).chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = (depth - 1).max(0),
            _ if depth == 0 => path.push(character),
            _ => {}
        }
    }
    path.trim_end_matches(':').to_owned()
}
