//! Names of task types from DWARF: the template parameters `T` and `S` of `raw::poll::<T, S>`.
//!
//! Source: rustc's `debuginfo/metadata.rs`: a generic function's subprogram has a `DW_TAG_template_type_parameter` per
//! parameter, and types lie in a `DW_TAG_namespace` per module. Only the units that cover a poll are walked, and those that they refer to.

use std::collections::{BTreeMap, HashMap, HashSet};

use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, Unit, UnitOffset, constants};

use super::names::TypePair;
use super::shapes::{Shapes, TypeAt};
use crate::inspect::image::Image;

type Slice<'s> = EndianSlice<'s, LittleEndian>;

/// Entries walked in all units together.
const MAX_ENTRIES: usize = 100_000_000;
/// References followed from a subprogram to the entry that has its parameters.
const MAX_ORIGINS: usize = 4;

/// The types by address of their poll function; several where the linker merged polls.
///
/// # Errors
/// What gimli says of debug information that does not parse.
pub(crate) fn names(image: &Image<'_>, polls: &HashSet<u64>) -> Result<HashMap<u64, Vec<TypePair>>, gimli::Error> {
    let sections = gimli::DwarfSections::load(|id| Ok::<_, gimli::Error>(image.section_data(id.name())))?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    in_debug_info(&dwarf, polls)
}

fn in_debug_info(dwarf: &Dwarf<Slice<'_>>, polls: &HashSet<u64>) -> Result<HashMap<u64, Vec<TypePair>>, gimli::Error> {
    let shapes = Shapes::of(dwarf)?;
    let mut budget = MAX_ENTRIES;
    let mut generic: Vec<(u64, Vec<TypeAt>)> = Vec::new();
    for number in 0..shapes.count() {
        // One unit that does not parse does not spoil the others.
        let Ok(unit) = shapes.unit(number) else { continue };
        if covers(dwarf, &unit, polls) {
            generic.extend(polls_in(dwarf, &shapes, &unit, polls, &mut budget)?);
        }
    }
    let names = qualified_names(dwarf, &shapes, generic.iter().flat_map(|(_, types)| types.iter().copied()), &mut budget)?;
    let mut found: HashMap<u64, Vec<TypePair>> = HashMap::new();
    for (poll, types) in generic {
        let mut types = types.iter().map(|at| names.get(at).cloned());
        let Some(Some(future)) = types.next() else { continue };
        let scheduler = types.next().flatten().unwrap_or_default();
        found.entry(poll).or_default().push(TypePair { future, scheduler });
    }
    for pairs in found.values_mut() {
        pairs.sort_unstable();
        pairs.dedup();
    }
    Ok(found)
}

/// Whether code of the unit lies at one of these addresses.
pub(crate) fn covers(dwarf: &Dwarf<Slice<'_>>, unit: &Unit<Slice<'_>>, polls: &HashSet<u64>) -> bool {
    let Ok(mut ranges) = dwarf.unit_ranges(unit) else {
        return false;
    };
    while let Ok(Some(range)) = ranges.next() {
        if polls.iter().any(|poll| range.begin <= *poll && *poll < range.end) {
            return true;
        }
    }
    false
}

/// Each poll in the unit with the types of its parameters.
fn polls_in(
    dwarf: &Dwarf<Slice<'_>>,
    shapes: &Shapes<'_, '_>,
    unit: &Unit<Slice<'_>>,
    polls: &HashSet<u64>,
    budget: &mut usize,
) -> gimli::Result<Vec<(u64, Vec<TypeAt>)>> {
    let mut found = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            break;
        }
        if entry.tag() != constants::DW_TAG_subprogram {
            continue;
        }
        let poll = low_pc(dwarf, unit, entry).filter(|address| polls.contains(address));
        if let (Some(poll), Some(at)) = (poll, entry.offset().to_debug_info_offset(&unit.header)) {
            found.push((poll, parameters(shapes, at)?));
        }
    }
    Ok(found)
}

fn low_pc(dwarf: &Dwarf<Slice<'_>>, unit: &Unit<Slice<'_>>, entry: &DebuggingInformationEntry<Slice<'_>>) -> Option<u64> {
    match entry.attr_value(constants::DW_AT_low_pc)? {
        AttributeValue::Addr(address) => Some(address),
        AttributeValue::DebugAddrIndex(index) => dwarf.address(unit, index).ok(),
        _ => None,
    }
}

/// The types of the template parameters of the subprogram at `at`, or of the one it is an instance of, which may stand in another unit.
fn parameters(shapes: &Shapes<'_, '_>, mut at: TypeAt) -> gimli::Result<Vec<TypeAt>> {
    for _ in 0..MAX_ORIGINS {
        let types = shapes.parameters(at)?;
        match shapes.origin(at)? {
            Some(origin) if types.is_empty() => at = origin,
            _ => return Ok(types),
        }
    }
    Ok(Vec::new())
}

/// `module::path::Type` for each wanted type.
fn qualified_names(
    dwarf: &Dwarf<Slice<'_>>,
    shapes: &Shapes<'_, '_>,
    wanted: impl Iterator<Item = TypeAt>,
    budget: &mut usize,
) -> gimli::Result<HashMap<TypeAt, String>> {
    let mut by_unit: BTreeMap<usize, HashSet<UnitOffset>> = BTreeMap::new();
    for at in wanted {
        let (number, offset) = shapes.place(at)?;
        by_unit.entry(number).or_default().insert(offset);
    }
    let mut names = HashMap::new();
    for (number, wanted) in by_unit {
        let unit = shapes.unit(number)?;
        let found = names_in(dwarf, &unit, &wanted, budget)?;
        names.extend(found.into_iter().filter_map(|(offset, name)| Some((offset.to_debug_info_offset(&unit.header)?, name))));
    }
    Ok(names)
}

/// The same within a unit.
fn names_in(
    dwarf: &Dwarf<Slice<'_>>,
    unit: &Unit<Slice<'_>>,
    wanted: &HashSet<UnitOffset>,
    budget: &mut usize,
) -> gimli::Result<HashMap<UnitOffset, String>> {
    let mut names = HashMap::new();
    // The names of the entries around the current one, by depth.
    let mut path: Vec<(isize, String)> = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        *budget = budget.saturating_sub(1);
        if *budget == 0 || names.len() == wanted.len() {
            break;
        }
        let depth = entry.depth();
        while path.last().is_some_and(|(outer, _)| *outer >= depth) {
            path.pop();
        }
        let is_wanted = wanted.contains(&entry.offset());
        let is_scope = matches!(
            entry.tag(),
            constants::DW_TAG_namespace | constants::DW_TAG_structure_type | constants::DW_TAG_enumeration_type
        );
        if !(is_wanted || is_scope && entry.has_children()) {
            continue;
        }
        let name = match entry.attr_value(constants::DW_AT_name) {
            Some(value) => dwarf.attr_string(unit, value)?.to_string_lossy().into_owned(),
            None => String::new(),
        };
        if is_wanted {
            let parts: Vec<&str> = path.iter().map(|(_, part)| part.as_str()).chain([name.as_str()]).collect();
            names.insert(entry.offset(), parts.join("::"));
        }
        path.push((depth, name));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use gimli::write::{
        Address, AttributeValue as Value, DebugInfoRef, Dwarf as Written, EndianVec, LineProgram, Sections, Unit as NewUnit,
        UnitEntryId, UnitId,
    };
    use gimli::{DwarfSections, Encoding, Format};

    use super::*;

    const POLL: u64 = 0x1000;

    /// Two units, of which the first has the code of a poll.
    fn two_units() -> (Written, [UnitId; 2]) {
        let mut dwarf = Written::new();
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let units = [(); 2].map(|()| dwarf.units.add(NewUnit::new(encoding, LineProgram::none())));
        for (unit, start) in units.into_iter().zip([POLL, POLL + 0x1000]) {
            let unit = dwarf.units.get_mut(unit);
            let root = unit.root();
            unit.get_mut(root).set(constants::DW_AT_low_pc, Value::Address(Address::Constant(start)));
            unit.get_mut(root).set(constants::DW_AT_high_pc, Value::Udata(0x1000));
        }
        (dwarf, units)
    }

    fn add(dwarf: &mut Written, (unit, parent): (UnitId, UnitEntryId), tag: gimli::DwTag, name: &str) -> (UnitId, UnitEntryId) {
        let unit_of = dwarf.units.get_mut(unit);
        let entry = unit_of.add(parent, tag);
        unit_of.get_mut(entry).set(constants::DW_AT_name, Value::String(name.into()));
        (unit, entry)
    }

    /// `outer::name` in the unit.
    fn structure(dwarf: &mut Written, unit: UnitId, outer: &str, name: &str) -> (UnitId, UnitEntryId) {
        let root = dwarf.units.get(unit).root();
        let space = add(dwarf, (unit, root), constants::DW_TAG_namespace, outer);
        add(dwarf, space, constants::DW_TAG_structure_type, name)
    }

    /// The names found where the poll's declaration and its two types stand in these units.
    fn found(declared: usize, future: usize, scheduler: usize) -> HashMap<u64, Vec<TypePair>> {
        let (mut dwarf, units) = two_units();
        let types = [
            structure(&mut dwarf, units[future], "orders", "Handle"),
            structure(&mut dwarf, units[scheduler], "tokio", "Scheduler"),
        ];
        let root = |dwarf: &Written, unit| (unit, dwarf.units.get(unit).root());
        let near_or_far = |(from, _): (UnitId, UnitEntryId), (unit, entry): (UnitId, UnitEntryId)| {
            if from == unit { Value::UnitRef(entry) } else { Value::DebugInfoRef(DebugInfoRef::Entry(unit, entry)) }
        };
        let outer = root(&dwarf, units[declared]);
        let declaration = add(&mut dwarf, outer, constants::DW_TAG_subprogram, "poll");
        for (name, of) in ["T", "S"].into_iter().zip(types) {
            let parameter = add(&mut dwarf, declaration, constants::DW_TAG_template_type_parameter, name);
            dwarf.units.get_mut(parameter.0).get_mut(parameter.1).set(constants::DW_AT_type, near_or_far(parameter, of));
        }
        let outer = root(&dwarf, units[0]);
        let (unit, instance) = add(&mut dwarf, outer, constants::DW_TAG_subprogram, "");
        let origin = near_or_far((unit, instance), declaration);
        let entry = dwarf.units.get_mut(unit).get_mut(instance);
        entry.set(constants::DW_AT_low_pc, Value::Address(Address::Constant(POLL + 0x10)));
        entry.set(constants::DW_AT_specification, origin);
        let mut sections = Sections::new(EndianVec::new(LittleEndian));
        dwarf.write(&mut sections).unwrap();
        let read = DwarfSections::load(|id| {
            Ok::<_, gimli::Error>(sections.get(id).map(|section| section.slice().to_vec()).unwrap_or_default())
        });
        let read = read.unwrap();
        let read = read.borrow(|section| EndianSlice::new(section, LittleEndian));
        in_debug_info(&read, &HashSet::from([POLL + 0x10])).unwrap()
    }

    /// Check that a poll's types are named whichever units they, and the poll's declaration, stand in: units that were optimised together
    /// refer to one another.
    #[test]
    fn types_of_other_units_are_named() {
        for (declared, future, scheduler) in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)] {
            let pair = TypePair { future: "orders::Handle".to_owned(), scheduler: "tokio::Scheduler".to_owned() };
            let found = found(declared, future, scheduler);
            assert_eq!(found, HashMap::from([(POLL + 0x10, vec![pair])]), "{declared} {future} {scheduler}");
        }
    }
}
