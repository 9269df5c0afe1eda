//! Structures in DWARF, found by what their members are called: where Tokio's own fields lie in this very build.
//!
//! Source: rustc's `debuginfo/metadata.rs`: a structure is a `DW_TAG_structure_type` in the namespaces of its modules, a field a
//! `DW_TAG_member` with a constant `DW_AT_data_member_location`. Where units were optimised together (`lto`, and the codegen units of one
//! crate in any release build) LLVM's `IRMover` keeps one description of a type for all of them, and the others refer to it across the
//! border of their unit by `DW_FORM_ref_addr`: so types are known here by their place in the whole of `.debug_info`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, Unit, UnitHeader, UnitOffset,
    constants,
};

type Slice<'s> = EndianSlice<'s, LittleEndian>;

/// The place of a type's entry in `.debug_info`.
pub(crate) type TypeAt = DebugInfoOffset;

/// Structures that lie inside one another, at most, between a scheduler's handle and its lists. 1.54: nine.
const MAX_DEPTH: usize = 16;
/// Structures looked into for one of them.
const MAX_LOOKED_INTO: usize = 10_000;
/// Units kept at hand.
const UNITS: usize = 64;

/// A field.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Bytes from the start of its structure.
    pub(crate) offset: u64,
    pub(crate) type_of: TypeAt,
}

/// A structure to look for: the modules it is in, and its name, or the begin of it where that ends in `<`.
pub(crate) type Wanted = (&'static str, &'static str);

/// The types of a file.
pub(crate) struct Shapes<'d, 's> {
    dwarf: &'d Dwarf<Slice<'s>>,
    /// Ordered by their place.
    headers: Vec<UnitHeader<Slice<'s>>>,
    units: RefCell<HashMap<usize, Rc<Unit<Slice<'s>>>>>,
}

impl<'d, 's> Shapes<'d, 's> {
    pub(crate) fn of(dwarf: &'d Dwarf<Slice<'s>>) -> gimli::Result<Self> {
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        loop {
            match units.next() {
                Ok(Some(header)) => headers.push(header),
                Ok(None) => break,
                // Behind a header that does not parse nobody knows where the next one is. What stands before it is good.
                Err(_) if !headers.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self { dwarf, headers, units: RefCell::default() })
    }

    /// How many units there are.
    pub(crate) const fn count(&self) -> usize {
        self.headers.len()
    }

    /// One of them, by its number.
    pub(crate) fn unit(&self, number: usize) -> gimli::Result<Rc<Unit<Slice<'s>>>> {
        if let Some(unit) = self.units.borrow().get(&number) {
            return Ok(Rc::clone(unit));
        }
        let header = self.headers.get(number).copied().ok_or(gimli::Error::NoEntryAtGivenOffset(0))?;
        let unit = Rc::new(self.dwarf.unit(header)?);
        let mut units = self.units.borrow_mut();
        if units.len() >= UNITS {
            units.clear();
        }
        units.insert(number, Rc::clone(&unit));
        Ok(unit)
    }

    /// The number of the unit that a type is in, and its place there.
    pub(crate) fn place(&self, of: TypeAt) -> gimli::Result<(usize, UnitOffset)> {
        let nothing = gimli::Error::NoEntryAtGivenOffset(of.0 as u64);
        let behind = self.headers.partition_point(|header| header.debug_info_offset().is_none_or(|start| start.0 <= of.0));
        let number = behind.checked_sub(1).ok_or(nothing)?;
        let header = self.headers.get(number).ok_or(nothing)?;
        Ok((number, of.to_unit_offset(header).ok_or(nothing)?))
    }

    fn entry(&self, of: TypeAt) -> gimli::Result<(Rc<Unit<Slice<'s>>>, DebuggingInformationEntry<Slice<'s>>)> {
        let (place, offset) = self.place(of)?;
        let unit = self.unit(place)?;
        let entry = unit.entry(offset)?;
        Ok((unit, entry))
    }

    /// The structures that a unit describes, of those that are wanted: which, and where. In the order they stand in.
    pub(crate) fn named(&self, number: usize, wanted: &[Wanted], budget: &mut usize) -> gimli::Result<Vec<(Wanted, TypeAt)>> {
        let unit = self.unit(number)?;
        let mut found = Vec::new();
        let mut path: Vec<(isize, Cow<'s, str>)> = Vec::new();
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                break;
            }
            let is_structure = entry.tag() == constants::DW_TAG_structure_type;
            if !is_structure && entry.tag() != constants::DW_TAG_namespace {
                continue;
            }
            let depth = entry.depth();
            while path.last().is_some_and(|(outer, _)| *outer >= depth) {
                path.pop();
            }
            let name = self.entry_name(&unit, entry)?;
            if !is_structure {
                path.push((depth, name));
                continue;
            }
            let is_it = |wanted: &str| name == wanted || wanted.ends_with('<') && name.starts_with(wanted);
            if !wanted.iter().any(|(_, wanted)| is_it(wanted)) || entry.attr_value(constants::DW_AT_declaration).is_some() {
                continue;
            }
            let modules = path.iter().map(|(_, part)| part.as_ref()).collect::<Vec<_>>().join("::");
            if let Some(wanted) = wanted.iter().find(|wanted| wanted.0 == modules && is_it(wanted.1)) {
                found.extend(entry.offset().to_debug_info_offset(&unit.header).map(|at| (*wanted, at)));
            }
        }
        Ok(found)
    }

    fn entry_name(&self, unit: &Unit<Slice<'s>>, entry: &DebuggingInformationEntry<Slice<'s>>) -> gimli::Result<Cow<'s, str>> {
        match entry.attr_value(constants::DW_AT_name) {
            Some(value) => Ok(self.dwarf.attr_string(unit, value)?.to_string_lossy()),
            None => Ok(Cow::Borrowed("")),
        }
    }

    /// The name of a type, without the modules it lies in.
    pub(crate) fn name(&self, of: TypeAt) -> gimli::Result<Cow<'s, str>> {
        let (unit, entry) = self.entry(of)?;
        self.entry_name(&unit, &entry)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self, of: TypeAt) -> gimli::Result<Option<u64>> {
        Ok(number(self.entry(of)?.1.attr_value(constants::DW_AT_byte_size)))
    }

    /// What a pointer points to; `None` where it is no pointer.
    pub(crate) fn pointee(&self, of: TypeAt) -> gimli::Result<Option<TypeAt>> {
        let (unit, entry) = self.entry(of)?;
        let is_pointer = entry.tag() == constants::DW_TAG_pointer_type;
        Ok(reference(&unit, entry.attr_value(constants::DW_AT_type)).filter(|_| is_pointer))
    }

    /// The fields of a structure. Those of an enum's variants are not among them: which one is there is not known.
    pub(crate) fn members(&self, of: TypeAt) -> gimli::Result<Vec<Member>> {
        let (place, offset) = self.place(of)?;
        let unit = self.unit(place)?;
        let mut tree = unit.entries_tree(Some(offset))?;
        let mut children = tree.root()?.children();
        let mut members = Vec::new();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() != constants::DW_TAG_member {
                continue;
            }
            let offset = number(entry.attr_value(constants::DW_AT_data_member_location));
            if let (Some(offset), Some(type_of)) = (offset, reference(&unit, entry.attr_value(constants::DW_AT_type))) {
                members.push(Member { name: self.entry_name(&unit, entry)?.into_owned(), offset, type_of });
            }
        }
        Ok(members)
    }

    /// The field of this name.
    pub(crate) fn member(&self, of: TypeAt, name: &str) -> gimli::Result<Option<Member>> {
        Ok(self.members(of)?.into_iter().find(|member| member.name == name))
    }

    /// The type of the generic parameter `name`.
    pub(crate) fn parameter(&self, of: TypeAt, name: &str) -> gimli::Result<Option<TypeAt>> {
        Ok(self.named_parameters(of)?.into_iter().find(|(found, _)| found == name).and_then(|(_, type_of)| type_of))
    }

    /// The types of all generic parameters of a structure or function, in order.
    pub(crate) fn parameters(&self, of: TypeAt) -> gimli::Result<Vec<TypeAt>> {
        Ok(self.named_parameters(of)?.into_iter().filter_map(|(_, type_of)| type_of).collect())
    }

    fn named_parameters(&self, of: TypeAt) -> gimli::Result<Vec<(Cow<'s, str>, Option<TypeAt>)>> {
        let (place, offset) = self.place(of)?;
        let unit = self.unit(place)?;
        let mut tree = unit.entries_tree(Some(offset))?;
        let mut children = tree.root()?.children();
        let mut parameters = Vec::new();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == constants::DW_TAG_template_type_parameter {
                let type_of = reference(&unit, entry.attr_value(constants::DW_AT_type));
                parameters.push((self.entry_name(&unit, entry)?, type_of));
            }
        }
        Ok(parameters)
    }

    /// What a function is an instance of.
    pub(crate) fn origin(&self, of: TypeAt) -> gimli::Result<Option<TypeAt>> {
        let (unit, entry) = self.entry(of)?;
        let mut names = [constants::DW_AT_abstract_origin, constants::DW_AT_specification].into_iter();
        Ok(names.find_map(|name| reference(&unit, entry.attr_value(name))))
    }

    /// The first thing inside a structure (itself included, through any number of structures, not through pointers) that `is_it`: bytes
    /// from the structure's start, and its type.
    pub(crate) fn inside(
        &self,
        of: TypeAt,
        is_it: &dyn Fn(&Self, TypeAt) -> gimli::Result<bool>,
    ) -> gimli::Result<Option<(u64, TypeAt)>> {
        let mut budget = MAX_LOOKED_INTO;
        self.inside_at(of, 0, MAX_DEPTH, &mut budget, is_it)
    }

    fn inside_at(
        &self,
        of: TypeAt,
        at: u64,
        depth: usize,
        budget: &mut usize,
        is_it: &dyn Fn(&Self, TypeAt) -> gimli::Result<bool>,
    ) -> gimli::Result<Option<(u64, TypeAt)>> {
        if is_it(self, of)? {
            return Ok(Some((at, of)));
        }
        *budget = budget.saturating_sub(1);
        if depth == 0 || *budget == 0 || self.entry(of)?.1.tag() != constants::DW_TAG_structure_type {
            return Ok(None);
        }
        for member in self.members(of)? {
            let found = self.inside_at(member.type_of, at.saturating_add(member.offset), depth - 1, budget, is_it)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// [`Self::inside`] by the begin of the type's name.
    pub(crate) fn inside_named(&self, of: TypeAt, name: &str) -> gimli::Result<Option<(u64, TypeAt)>> {
        self.inside(of, &|shapes, of| Ok(shapes.name(of)?.starts_with(name)))
    }
}

fn number(value: Option<AttributeValue<Slice<'_>>>) -> Option<u64> {
    value?.udata_value()
}

fn reference(unit: &Unit<Slice<'_>>, value: Option<AttributeValue<Slice<'_>>>) -> Option<TypeAt> {
    match value? {
        AttributeValue::UnitRef(offset) => offset.to_debug_info_offset(&unit.header),
        AttributeValue::DebugInfoRef(place) => Some(place),
        _ => None,
    }
}
