//! Structures of one unit of DWARF, found by what their members are called: where Tokio's own fields lie in this very build.
//!
//! Source: rustc's `debuginfo/metadata.rs`: a structure is a `DW_TAG_structure_type` in the namespaces of its modules, a field a
//! `DW_TAG_member` with a constant `DW_AT_data_member_location`.

use std::collections::HashMap;

use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, EndianSlice, LittleEndian, Unit, UnitOffset, constants};

type Slice<'s> = EndianSlice<'s, LittleEndian>;

/// Structures that lie inside one another, at most, between a scheduler's handle and its lists. 1.54: nine.
const MAX_DEPTH: usize = 16;
/// Structures looked into for one of them.
const MAX_LOOKED_INTO: usize = 10_000;

/// A field.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Bytes from the start of its structure.
    pub(crate) offset: u64,
    pub(crate) type_of: UnitOffset,
}

/// The types of one unit.
pub(crate) struct Shapes<'u, 's> {
    dwarf: &'u Dwarf<Slice<'s>>,
    unit: &'u Unit<Slice<'s>>,
}

impl<'u, 's> Shapes<'u, 's> {
    pub(crate) const fn of(dwarf: &'u Dwarf<Slice<'s>>, unit: &'u Unit<Slice<'s>>) -> Self {
        Self { dwarf, unit }
    }

    /// The structures of this unit whose qualified names begin so (`tokio::runtime::task::core::Trailer`), in the order they stand in.
    pub(crate) fn named(&self, wanted: &[&str], budget: &mut usize) -> gimli::Result<HashMap<String, UnitOffset>> {
        let mut found = HashMap::new();
        let mut path: Vec<(isize, String)> = Vec::new();
        let mut entries = self.unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                break;
            }
            let depth = entry.depth();
            while path.last().is_some_and(|(outer, _)| *outer >= depth) {
                path.pop();
            }
            let is_structure = entry.tag() == constants::DW_TAG_structure_type;
            if !is_structure && entry.tag() != constants::DW_TAG_namespace {
                continue;
            }
            let name = self.entry_name(entry)?;
            if is_structure {
                let parts: Vec<&str> = path.iter().map(|(_, part)| part.as_str()).chain([name.as_str()]).collect();
                let qualified = parts.join("::");
                if wanted.iter().any(|wanted| qualified.starts_with(wanted)) {
                    found.entry(qualified).or_insert_with(|| entry.offset());
                }
            } else {
                path.push((depth, name));
            }
        }
        Ok(found)
    }

    fn entry_name(&self, entry: &DebuggingInformationEntry<Slice<'s>>) -> gimli::Result<String> {
        match entry.attr_value(constants::DW_AT_name) {
            Some(value) => Ok(self.dwarf.attr_string(self.unit, value)?.to_string_lossy().into_owned()),
            None => Ok(String::new()),
        }
    }

    /// The name of a type, without the modules it lies in.
    pub(crate) fn name(&self, of: UnitOffset) -> gimli::Result<String> {
        self.entry_name(&self.unit.entry(of)?)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self, of: UnitOffset) -> gimli::Result<Option<u64>> {
        Ok(number(self.unit.entry(of)?.attr_value(constants::DW_AT_byte_size)))
    }

    /// What a pointer points to; `None` where it is no pointer.
    pub(crate) fn pointee(&self, of: UnitOffset) -> gimli::Result<Option<UnitOffset>> {
        let entry = self.unit.entry(of)?;
        let is_pointer = entry.tag() == constants::DW_TAG_pointer_type;
        Ok(reference(entry.attr_value(constants::DW_AT_type)).filter(|_| is_pointer))
    }

    /// The fields of a structure. Those of an enum's variants are not among them: which one is there is not known.
    pub(crate) fn members(&self, of: UnitOffset) -> gimli::Result<Vec<Member>> {
        let mut tree = self.unit.entries_tree(Some(of))?;
        let mut children = tree.root()?.children();
        let mut members = Vec::new();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() != constants::DW_TAG_member {
                continue;
            }
            let offset = number(entry.attr_value(constants::DW_AT_data_member_location));
            if let (Some(offset), Some(type_of)) = (offset, reference(entry.attr_value(constants::DW_AT_type))) {
                members.push(Member { name: self.entry_name(entry)?, offset, type_of });
            }
        }
        Ok(members)
    }

    /// The field of this name.
    pub(crate) fn member(&self, of: UnitOffset, name: &str) -> gimli::Result<Option<Member>> {
        Ok(self.members(of)?.into_iter().find(|member| member.name == name))
    }

    /// The type of the generic parameter `name`.
    pub(crate) fn parameter(&self, of: UnitOffset, name: &str) -> gimli::Result<Option<UnitOffset>> {
        let mut tree = self.unit.entries_tree(Some(of))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == constants::DW_TAG_template_type_parameter && self.entry_name(entry)? == name {
                return Ok(reference(entry.attr_value(constants::DW_AT_type)));
            }
        }
        Ok(None)
    }

    /// The first thing inside a structure (itself included, through any number of structures, not through pointers) that `is_it`: bytes
    /// from the structure's start, and its type.
    pub(crate) fn inside(
        &self,
        of: UnitOffset,
        is_it: &dyn Fn(&Self, UnitOffset) -> gimli::Result<bool>,
    ) -> gimli::Result<Option<(u64, UnitOffset)>> {
        let mut budget = MAX_LOOKED_INTO;
        self.inside_at(of, 0, MAX_DEPTH, &mut budget, is_it)
    }

    fn inside_at(
        &self,
        of: UnitOffset,
        at: u64,
        depth: usize,
        budget: &mut usize,
        is_it: &dyn Fn(&Self, UnitOffset) -> gimli::Result<bool>,
    ) -> gimli::Result<Option<(u64, UnitOffset)>> {
        if is_it(self, of)? {
            return Ok(Some((at, of)));
        }
        *budget = budget.saturating_sub(1);
        if depth == 0 || *budget == 0 || self.unit.entry(of)?.tag() != constants::DW_TAG_structure_type {
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
    pub(crate) fn inside_named(&self, of: UnitOffset, name: &str) -> gimli::Result<Option<(u64, UnitOffset)>> {
        self.inside(of, &|shapes, of| Ok(shapes.name(of)?.starts_with(name)))
    }
}

fn number(value: Option<AttributeValue<Slice<'_>>>) -> Option<u64> {
    value?.udata_value()
}

fn reference(value: Option<AttributeValue<Slice<'_>>>) -> Option<UnitOffset> {
    match value? {
        AttributeValue::UnitRef(offset) => Some(offset),
        _ => None,
    }
}
