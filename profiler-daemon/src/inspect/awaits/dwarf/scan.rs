//! One pass over a unit: what in it may matter to await layouts, found by name or address. Runs once over everything, so it keeps places
//! and hashes, no text.
//!
//! Source: rustc's `debuginfo/metadata.rs` and `debuginfo/namespace.rs`: a module is a `DW_TAG_namespace`, a type lies in the namespace of
//! the item that defines it, a vtable is a variable of the unit with a structure that names its type as `DW_AT_containing_type`.

use std::collections::HashSet;

use gimli::constants::{self, DwTag};
use gimli::{Abbreviation, AttributeValue, EntriesRaw, Unit};

use super::source::{Die, Slice, Source, reference, start};

/// A namespace: where its entries begin and end, and what its path hashes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inspect::awaits) struct Namespace {
    pub(in crate::inspect::awaits) start: Die,
    pub(in crate::inspect::awaits) end: Die,
    /// The place of the one around it; `None` for an outermost.
    pub(in crate::inspect::awaits) around: Option<u32>,
    pub(in crate::inspect::awaits) hash: u64,
}

/// A function that may be the poll of a future, by its name: to be checked by the types of its result and its first parameter.
#[derive(Clone, Copy, Debug)]
pub(in crate::inspect::awaits) struct Candidate {
    pub(in crate::inspect::awaits) result: Die,
    pub(in crate::inspect::awaits) parameter: Die,
}

/// Code of a function.
#[derive(Clone, Copy, Debug)]
pub(in crate::inspect::awaits) struct Instance {
    /// The entry that describes it: its own, or the one that it is an instance of.
    pub(in crate::inspect::awaits) of: Die,
    /// Its own entry.
    pub(in crate::inspect::awaits) own: Die,
    pub(in crate::inspect::awaits) address: u64,
}

/// A vtable.
#[derive(Clone, Copy, Debug)]
pub(in crate::inspect::awaits) struct VtableFound {
    pub(in crate::inspect::awaits) address: u64,
    /// Its structure.
    pub(in crate::inspect::awaits) structure: Die,
    /// Hash of the path of the type that it is the vtable of.
    pub(in crate::inspect::awaits) of: u64,
    /// It is one of `Future` or `Stream`.
    pub(in crate::inspect::awaits) awaited: bool,
}

/// A static in a module.
#[derive(Clone, Copy, Debug)]
pub(in crate::inspect::awaits) struct Static {
    pub(in crate::inspect::awaits) own: Die,
    /// Its type.
    pub(in crate::inspect::awaits) of: Die,
    pub(in crate::inspect::awaits) address: u64,
}

/// What one unit has.
#[derive(Debug, Default)]
pub(in crate::inspect::awaits) struct UnitScan {
    pub(in crate::inspect::awaits) namespaces: Vec<Namespace>,
    pub(in crate::inspect::awaits) candidates: Vec<(Die, Candidate)>,
    /// Of candidates.
    pub(in crate::inspect::awaits) instances: Vec<Instance>,
    /// Functions at the addresses that were asked for.
    pub(in crate::inspect::awaits) wanted: Vec<Instance>,
    pub(in crate::inspect::awaits) vtables: Vec<VtableFound>,
    /// `tokio::runtime::task::core::Cell<T, S>`, by the hash of what stands between its brackets.
    pub(in crate::inspect::awaits) cells: Vec<(u64, Die)>,
    /// `profiler_annotate::scope::Scope<F>`: the hash of `F`'s path.
    pub(in crate::inspect::awaits) scopes: Vec<u64>,
    /// `tokio::task::task_local::LocalKey<T>`.
    pub(in crate::inspect::awaits) local_keys: Vec<Die>,
    pub(in crate::inspect::awaits) statics: Vec<Static>,
    /// Structures, of whatever kind.
    pub(in crate::inspect::awaits) structures: u64,
    pub(in crate::inspect::awaits) producer: Option<String>,
    /// The unit is a skeleton: the rest is in another file.
    pub(in crate::inspect::awaits) split: bool,
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash of a path's begin and its next part (FNV-1a). `0`: nothing before.
pub(in crate::inspect::awaits) fn joined(before: u64, part: &str) -> u64 {
    let mut hash = if before == 0 { BASIS } else { part_end(before) };
    for byte in part.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash
}

/// As if `::` had been hashed.
fn part_end(hash: u64) -> u64 {
    let one = (hash ^ u64::from(b':')).wrapping_mul(0x100_0000_01b3);
    (one ^ u64::from(b':')).wrapping_mul(0x100_0000_01b3)
}

/// A subprogram whose first parameter is still to come.
struct Open {
    die: Die,
    depth: isize,
    result: Die,
}

struct Scan<'a, 's> {
    source: &'a Source<'s>,
    unit: &'a Unit<Slice<'s>>,
    wanted: &'a HashSet<u64>,
    out: UnitScan,
    /// Namespaces around the current entry: depth, and place in `out.namespaces`.
    path: Vec<(isize, usize)>,
    open: Option<Open>,
    /// Instances of functions described elsewhere.
    instances: Vec<Instance>,
    core: u64,
    annotated: u64,
    task_local: u64,
}

/// Reads all entries of a unit.
pub(in crate::inspect::awaits) fn scan<'s>(
    source: &Source<'s>,
    unit: &Unit<Slice<'s>>,
    wanted: &HashSet<u64>,
) -> Result<UnitScan, gimli::Error> {
    let mut scan = Scan {
        source,
        unit,
        wanted,
        out: UnitScan::default(),
        path: Vec::new(),
        open: None,
        instances: Vec::new(),
        core: joined(0, "tokio::runtime::task::core"),
        annotated: joined(0, "profiler_annotate::scope"),
        task_local: joined(0, "tokio::task::task_local"),
    };
    let mut entries = unit.entries_raw(None)?;
    while !entries.is_empty() {
        let (offset, depth) = (entries.next_offset(), entries.next_depth());
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        let die = Die::try_from(start(&unit.header) + offset.0).unwrap_or(Die::MAX);
        scan.entry(die, depth, abbreviation, &mut entries)?;
    }
    let end = Die::try_from(start(&unit.header) + unit.header.length_including_self()).unwrap_or(Die::MAX);
    scan.leave(isize::MIN, end);
    Ok(scan.finish())
}

/// What of an entry's attributes is asked for.
#[derive(Default)]
struct Attributes<'s> {
    name: Option<AttributeValue<Slice<'s>>>,
    of: Option<Die>,
    origin: Option<Die>,
    address: Option<AttributeValue<Slice<'s>>>,
    location: Option<AttributeValue<Slice<'s>>>,
    producer: Option<AttributeValue<Slice<'s>>>,
    split: bool,
}

impl<'s> Scan<'_, 's> {
    fn entry(
        &mut self,
        die: Die,
        depth: isize,
        abbreviation: &Abbreviation,
        entries: &mut EntriesRaw<'_, Slice<'s>>,
    ) -> Result<(), gimli::Error> {
        self.leave(depth, die);
        if self.open.as_ref().is_some_and(|open| open.depth >= depth) {
            self.open = None;
        }
        let tag = abbreviation.tag();
        let is_asked = match tag {
            constants::DW_TAG_namespace
            | constants::DW_TAG_subprogram
            | constants::DW_TAG_compile_unit
            | constants::DW_TAG_skeleton_unit => true,
            constants::DW_TAG_structure_type => {
                self.out.structures += 1;
                let around = self.around();
                around == self.core || around == self.annotated || around == self.task_local
            }
            // Vtables are variables of the unit itself, statics those of a module.
            constants::DW_TAG_variable => depth == 1 || self.path.last().is_some_and(|(around, _)| around + 1 == depth),
            constants::DW_TAG_formal_parameter => self.open.as_ref().is_some_and(|open| open.depth + 1 == depth),
            _ => false,
        };
        if !is_asked {
            return entries.skip_attributes(abbreviation.attributes());
        }
        let attributes = self.attributes(abbreviation, entries)?;
        self.asked(tag, die, depth, &attributes);
        Ok(())
    }

    fn attributes(
        &self,
        abbreviation: &Abbreviation,
        entries: &mut EntriesRaw<'_, Slice<'s>>,
    ) -> Result<Attributes<'s>, gimli::Error> {
        let header = &self.unit.header;
        let mut found = Attributes::default();
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            match attribute.name() {
                constants::DW_AT_name => found.name = Some(attribute.value()),
                constants::DW_AT_type => found.of = reference(header, attribute.value()),
                constants::DW_AT_abstract_origin | constants::DW_AT_specification => {
                    found.origin = reference(header, attribute.value());
                }
                constants::DW_AT_low_pc => found.address = Some(attribute.value()),
                constants::DW_AT_location => found.location = Some(attribute.value()),
                constants::DW_AT_producer => found.producer = Some(attribute.value()),
                constants::DW_AT_GNU_dwo_name | constants::DW_AT_dwo_name => found.split = true,
                _ => {}
            }
        }
        Ok(found)
    }

    fn asked(&mut self, tag: DwTag, die: Die, depth: isize, attributes: &Attributes<'s>) {
        let name = attributes.name.map(|name| self.source.text(self.unit, name)).unwrap_or_default();
        match tag {
            constants::DW_TAG_namespace => {
                let hash = joined(self.around(), name);
                let around = self.path.last().and_then(|(_, place)| u32::try_from(*place).ok());
                self.path.push((depth, self.out.namespaces.len()));
                self.out.namespaces.push(Namespace { start: die, end: die, around, hash });
            }
            constants::DW_TAG_subprogram => self.subprogram(die, depth, name, attributes),
            constants::DW_TAG_formal_parameter => {
                if let (Some(open), Some(parameter)) = (self.open.take(), attributes.of) {
                    self.out.candidates.push((open.die, Candidate { result: open.result, parameter }));
                }
            }
            constants::DW_TAG_structure_type => self.structure(die, name),
            constants::DW_TAG_variable if depth == 1 => self.vtable(name, attributes),
            constants::DW_TAG_variable => self.static_variable(die, attributes),
            _ => {
                self.out.split |= attributes.split;
                self.out.producer = attributes.producer.map(|value| self.source.text(self.unit, value).to_owned());
            }
        }
    }

    fn subprogram(&mut self, die: Die, depth: isize, name: &str, attributes: &Attributes<'s>) {
        let address = attributes.address.and_then(|value| self.source.dwarf.attr_address(self.unit, value).ok().flatten());
        let instance = address.map(|address| Instance { of: attributes.origin.unwrap_or(die), own: die, address });
        if let Some(instance) = instance {
            if self.wanted.contains(&instance.address) {
                self.out.wanted.push(instance);
            }
            self.instances.push(instance);
        }
        if let Some(result) = attributes.of
            && is_poll(name)
        {
            self.open = Some(Open { die, depth, result });
        }
    }

    fn structure(&mut self, die: Die, name: &str) {
        if self.around() == self.core {
            if let Some(arguments) = name.strip_prefix("Cell<") {
                self.out.cells.push((joined(0, arguments), die));
            }
        } else if self.around() == self.task_local {
            if name.starts_with("LocalKey<") {
                self.out.local_keys.push(die);
            }
        } else if let Some(of) = name.strip_prefix("Scope<").and_then(|rest| rest.strip_suffix('>')) {
            self.out.scopes.push(joined(0, of));
        }
    }

    fn vtable(&mut self, name: &str, attributes: &Attributes<'s>) {
        // `<T as path::Trait<..>>::{vtable}`.
        let Some(inside) = name.strip_prefix('<').and_then(|rest| rest.strip_suffix(">::{vtable}")) else { return };
        let Some((of, which)) = split_as(inside) else { return };
        let (Some(structure), Some(address)) = (attributes.of, self.place_of(attributes)) else { return };
        let awaited = is_awaited_trait(which);
        self.out.vtables.push(VtableFound { address, structure, of: joined(0, of), awaited });
    }

    fn static_variable(&mut self, own: Die, attributes: &Attributes<'s>) {
        // An address of 0 is that of what the linker dropped.
        if let (Some(of), Some(address @ 1..)) = (attributes.of, self.place_of(attributes)) {
            self.out.statics.push(Static { own, of, address });
        }
    }

    /// The address of a variable.
    fn place_of(&self, attributes: &Attributes<'s>) -> Option<u64> {
        let Some(AttributeValue::Exprloc(location)) = attributes.location else { return None };
        let mut operations = location.operations(self.unit.encoding());
        match operations.next() {
            Ok(Some(gimli::Operation::Address { address })) => Some(address),
            Ok(Some(gimli::Operation::AddressIndex { index })) => self.source.dwarf.address(self.unit, index).ok(),
            _ => None,
        }
    }

    /// The hash of the path of the namespaces around.
    fn around(&self) -> u64 {
        self.path.last().and_then(|(_, place)| self.out.namespaces.get(*place)).map_or(0, |namespace| namespace.hash)
    }

    /// An entry at `depth` begins: what is not around it has ended.
    fn leave(&mut self, depth: isize, at: Die) {
        while let Some((_, place)) = self.path.pop_if(|(outer, _)| *outer >= depth) {
            if let Some(namespace) = self.out.namespaces.get_mut(place) {
                namespace.end = at;
            }
        }
    }

    fn finish(mut self) -> UnitScan {
        let local: HashSet<Die> = self.out.candidates.iter().map(|(die, _)| *die).collect();
        let begin = start(&self.unit.header);
        let end = begin + self.unit.header.length_including_self();
        let is_local = |die: Die| (begin..end).contains(&(die as usize));
        // An address of 0 is that of code which the linker dropped.
        self.instances.retain(|instance| instance.address != 0 && (local.contains(&instance.of) || !is_local(instance.of)));
        self.out.instances = self.instances;
        self.out
    }
}

/// Whether a function of this name may be the poll of a future or stream. A coroutine's is called as its body.
fn is_poll(name: &str) -> bool {
    let base = name.split('<').next().unwrap_or_default();
    matches!(base, "poll" | "poll_next") || ["{async", "{gen", "{coroutine"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether what implements this trait can be awaited.
pub(in crate::inspect::awaits) fn is_awaited_trait(name: &str) -> bool {
    ["core::future::future::Future", "futures_core::stream::Stream", "futures_core::future::Future"]
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('<')))
}

/// Splits `T as Trait` at the `as` that lies in no bracket.
fn split_as(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut before = b' ';
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if before == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(" as ")) => {
                return Some((text.get(..at)?, text.get(at + 4..)?));
            }
            _ => {}
        }
        before = byte;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a path hashes the same in one piece and in parts.
    #[test]
    fn a_path_is_its_parts() {
        let parts = joined(joined(joined(0, "tokio"), "runtime"), "Cell<a::b, c>");
        assert_eq!(parts, joined(0, "tokio::runtime::Cell<a::b, c>"));
    }

    /// Check that the type and the trait of a vtable are told apart where the type has an `as` of its own.
    #[test]
    fn a_vtables_name_has_two_parts() {
        assert_eq!(split_as("a::B<<c as d>::E> as f::G<h as i>"), Some(("a::B<<c as d>::E>", "f::G<h as i>")));
        assert_eq!(split_as("fn(u8) -> u8 as a::B"), Some(("fn(u8) -> u8", "a::B")));
        assert_eq!(split_as("a::B"), None);
    }

    /// Check the names of polls.
    #[test]
    fn polls_are_known_by_name() {
        assert!(is_poll("poll") && is_poll("poll<u8, a::B<c>>") && is_poll("poll_next<a>") && is_poll("{async_fn#0}"));
        assert!(!is_poll("poll_read") && !is_poll("{closure#0}") && !is_poll("poll_ready<a>"));
        assert!(is_awaited_trait("core::future::future::Future<Output=u8>") && is_awaited_trait("futures_core::stream::Stream"));
        assert!(!is_awaited_trait("core::future::future::FutureExt"));
    }
}
