//! What the passes over all units found, together: which types are futures, and what stands at which address.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::scan::{Candidate, Instance, Namespace, Static, UnitScan, VtableFound, scan};
use super::source::{Die, Source};
use crate::inspect::awaits::Progress;
use crate::inspect::awaits::error::AwaitError;

/// Units that one piece of work takes: small ones cost less to read than to hand over.
const BATCH: usize = 8;

/// What was found.
#[derive(Debug, Default)]
pub(in crate::inspect::awaits) struct Index {
    /// By number of the unit, in the order of their begins.
    namespaces: Vec<Vec<Namespace>>,
    /// Functions that may be polls, by place.
    pub(in crate::inspect::awaits) candidates: HashMap<Die, Candidate>,
    /// Where their code is.
    pub(in crate::inspect::awaits) instances: Vec<Instance>,
    pub(in crate::inspect::awaits) wanted: Vec<Instance>,
    pub(in crate::inspect::awaits) vtables: Vec<VtableFound>,
    pub(in crate::inspect::awaits) cells: HashMap<u64, Vec<Die>>,
    pub(in crate::inspect::awaits) scopes: HashSet<u64>,
    pub(in crate::inspect::awaits) local_keys: HashSet<Die>,
    pub(in crate::inspect::awaits) statics: Vec<Static>,
    /// The compiler of the first unit that it made.
    pub(in crate::inspect::awaits) producer: Option<(usize, String)>,
    pub(in crate::inspect::awaits) structures: u64,
    /// Units that do not parse, and what gimli says of the first.
    pub(in crate::inspect::awaits) skipped: (u64, Option<gimli::Error>),
    pub(in crate::inspect::awaits) split: bool,
}

impl Index {
    /// Reads every unit, on all processors. `wanted`: addresses of functions to find.
    pub(in crate::inspect::awaits) fn build(
        source: &Source<'_>,
        wanted: &HashSet<u64>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, AwaitError> {
        let count = source.headers.len();
        let mut index = Self { namespaces: vec![Vec::new(); count], ..Self::default() };
        let next = AtomicUsize::new(0);
        let threads =
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(count.div_ceil(BATCH)).clamp(1, 16);
        let (sender, receiver) = mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let first = next.fetch_add(BATCH, Ordering::Relaxed);
                        if first >= count {
                            return;
                        }
                        for number in first..count.min(first + BATCH) {
                            let scanned = source.unit(number).and_then(|unit| scan(source, &unit, wanted));
                            if sender.send((number, scanned)).is_err() {
                                return;
                            }
                        }
                    }
                });
            }
            drop(sender);
            let mut done = 0;
            for (number, scanned) in receiver {
                done += source.headers.get(number).map_or(0, |header| header.length_including_self() as u64);
                index.add(number, scanned);
                progress(Progress { done, total: source.bytes });
            }
        });
        if index.split && index.structures == 0 {
            return Err(AwaitError::Split);
        }
        // Threads end in any order; what is made of this must not depend on it.
        index.instances.sort_unstable_by_key(|instance| (instance.address, instance.own));
        index.wanted.sort_unstable_by_key(|instance| (instance.address, instance.own));
        index.vtables.sort_unstable_by_key(|vtable| (vtable.address, vtable.structure));
        // Units that were linked together share their types.
        let Self { statics, local_keys, .. } = &mut index;
        statics.retain(|found| local_keys.contains(&found.of));
        statics.sort_unstable_by_key(|found| (found.address, found.own));
        index.cells.values_mut().for_each(|cells| cells.sort_unstable());
        Ok(index)
    }

    fn add(&mut self, number: usize, scanned: Result<UnitScan, gimli::Error>) {
        let unit = match scanned {
            Ok(unit) => unit,
            Err(why) => {
                self.skipped.0 += 1;
                self.skipped.1.get_or_insert(why);
                return;
            }
        };
        if let Some(namespaces) = self.namespaces.get_mut(number) {
            *namespaces = unit.namespaces;
            namespaces.shrink_to_fit();
        }
        self.candidates.extend(unit.candidates);
        self.instances.extend(unit.instances);
        self.wanted.extend(unit.wanted);
        self.vtables.extend(unit.vtables);
        self.scopes.extend(unit.scopes);
        self.local_keys.extend(unit.local_keys);
        self.statics.extend(unit.statics);
        for (arguments, cell) in unit.cells {
            self.cells.entry(arguments).or_default().push(cell);
        }
        self.structures += unit.structures;
        self.split |= unit.split;
        if let Some(producer) = unit.producer
            && producer.contains("rustc")
            && self.producer.as_ref().is_none_or(|(first, _)| number < *first)
        {
            self.producer = Some((number, producer));
        }
    }

    /// The innermost namespace around an entry of a unit.
    pub(in crate::inspect::awaits) fn namespace(&self, unit: usize, die: Die) -> Option<Namespace> {
        let all = self.namespaces.get(unit)?;
        // The last one that began before is either around it, or ended before it inside of the one that is.
        let mut place = all.partition_point(|namespace| namespace.start < die).checked_sub(1)?;
        loop {
            let namespace = all.get(place)?;
            if namespace.end > die {
                return Some(*namespace);
            }
            place = namespace.around? as usize;
        }
    }

    /// The namespaces around an entry of a unit, outermost first.
    pub(in crate::inspect::awaits) fn namespaces_around(&self, unit: usize, die: Die) -> Vec<Namespace> {
        let all = self.namespaces.get(unit).map(Vec::as_slice).unwrap_or_default();
        let mut around = Vec::new();
        let mut next = self.namespace(unit, die);
        while let Some(namespace) = next {
            around.push(namespace);
            next = namespace.around.and_then(|place| all.get(place as usize).copied());
        }
        around.reverse();
        around
    }
}
