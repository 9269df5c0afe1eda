//! Names of task types from DWARF: the template parameters `T` and `S` of `raw::poll::<T, S>`.
//!
//! Source: rustc's `debuginfo/metadata.rs`: a generic function's subprogram has a `DW_TAG_template_type_parameter` per
//! parameter, and types lie in a `DW_TAG_namespace` per module. Only the units that cover a poll are walked.

use std::collections::{HashMap, HashSet};

use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, Unit, UnitOffset, constants};

use super::names::TypePair;
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
    let mut found: HashMap<u64, Vec<TypePair>> = HashMap::new();
    let mut budget = MAX_ENTRIES;
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        // One unit that does not parse does not spoil the others.
        let Ok(unit) = dwarf.unit(header) else {
            continue;
        };
        if covers(&dwarf, &unit, polls) {
            for (poll, pair) in pairs_in(&dwarf, &unit, polls, &mut budget)? {
                found.entry(poll).or_default().push(pair);
            }
        }
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

/// The parameters of each poll in the unit, still as references.
fn pairs_in(
    dwarf: &Dwarf<Slice<'_>>,
    unit: &Unit<Slice<'_>>,
    polls: &HashSet<u64>,
    budget: &mut usize,
) -> gimli::Result<Vec<(u64, TypePair)>> {
    let mut references: Vec<(u64, Vec<UnitOffset>)> = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            break;
        }
        if entry.tag() != constants::DW_TAG_subprogram {
            continue;
        }
        if let Some(poll) = low_pc(dwarf, unit, entry).filter(|address| polls.contains(address)) {
            references.push((poll, parameters(unit, entry.offset())?));
        }
    }
    let wanted: HashSet<UnitOffset> = references.iter().flat_map(|(_, types)| types.iter().copied()).collect();
    let names = qualified_names(dwarf, unit, &wanted, budget)?;
    let pairs = references.into_iter().filter_map(|(poll, types)| {
        let mut types = types.iter().map(|offset| names.get(offset).cloned());
        let future = types.next()??;
        let scheduler = types.next().flatten().unwrap_or_default();
        Some((poll, TypePair { future, scheduler }))
    });
    Ok(pairs.collect())
}

fn low_pc(dwarf: &Dwarf<Slice<'_>>, unit: &Unit<Slice<'_>>, entry: &DebuggingInformationEntry<Slice<'_>>) -> Option<u64> {
    match entry.attr_value(constants::DW_AT_low_pc)? {
        AttributeValue::Addr(address) => Some(address),
        AttributeValue::DebugAddrIndex(index) => dwarf.address(unit, index).ok(),
        _ => None,
    }
}

/// The types of the template parameters of the subprogram at `offset`, or of the one it is an instance of.
fn parameters(unit: &Unit<Slice<'_>>, offset: UnitOffset) -> gimli::Result<Vec<UnitOffset>> {
    let mut at = offset;
    for _ in 0..MAX_ORIGINS {
        let mut tree = unit.entries_tree(Some(at))?;
        let root = tree.root()?;
        let origin = [constants::DW_AT_abstract_origin, constants::DW_AT_specification]
            .iter()
            .find_map(|name| reference(root.entry().attr_value(*name)));
        let mut types = Vec::new();
        let mut children = root.children();
        while let Some(child) = children.next()? {
            if child.entry().tag() == constants::DW_TAG_template_type_parameter {
                types.extend(reference(child.entry().attr_value(constants::DW_AT_type)));
            }
        }
        match origin {
            Some(origin) if types.is_empty() => at = origin,
            _ => return Ok(types),
        }
    }
    Ok(Vec::new())
}

fn reference(value: Option<AttributeValue<Slice<'_>>>) -> Option<UnitOffset> {
    match value? {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}

/// `module::path::Type` for each wanted entry.
fn qualified_names(
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
