//! A type as its entry describes it: its members, its variants, what it points to.
//!
//! Source: rustc's `debuginfo/metadata.rs` and `enums/native.rs`: an enum is a structure with one `DW_TAG_variant_part`, whose first member
//! is the discriminant (artificial; none where there is one variant only), and a `DW_TAG_variant` for each variant, with its discriminant's
//! value (none: every value that no other variant has) and one member, the structure of its fields.

use gimli::constants::{self, DwTag};
use gimli::{Abbreviation, AttributeValue, EntriesRaw, Unit, UnitOffset};

use super::source::{Die, Slice, Source, reference};

/// More members or variants than any type has that is worth a look.
const MAX_PARTS: usize = 1 << 16;

/// A type.
#[derive(Debug, Clone, Default)]
pub(in crate::inspect::awaits) struct Shape<'s> {
    pub(in crate::inspect::awaits) kind: Kind,
    /// Without its path.
    pub(in crate::inspect::awaits) name: &'s str,
    pub(in crate::inspect::awaits) size: Option<u64>,
    /// What a pointer points to, or an array is of.
    pub(in crate::inspect::awaits) to: Option<Die>,
    pub(in crate::inspect::awaits) members: Vec<Member<'s>>,
    /// Types it is generic over.
    pub(in crate::inspect::awaits) parameters: Vec<(&'s str, Die)>,
    pub(in crate::inspect::awaits) variants: Option<Variants<'s>>,
    /// Of an array how many.
    pub(in crate::inspect::awaits) count: Option<u64>,
    /// Of a vtable whose.
    pub(in crate::inspect::awaits) containing: Option<Die>,
    /// Of a function: its symbol, and the entry that it is an instance or the definition of.
    pub(in crate::inspect::awaits) symbol: &'s str,
    pub(in crate::inspect::awaits) origin: Option<Die>,
}

/// What sort of type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::inspect::awaits) enum Kind {
    Structure,
    Union,
    Pointer,
    Array,
    /// Numbers, functions, and whatever holds no other type.
    #[default]
    Plain,
}

/// A field.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::inspect::awaits) struct Member<'s> {
    pub(in crate::inspect::awaits) name: &'s str,
    pub(in crate::inspect::awaits) of: Option<Die>,
    /// `None`: at no constant offset.
    pub(in crate::inspect::awaits) offset: Option<u64>,
    pub(in crate::inspect::awaits) file: Option<u64>,
    pub(in crate::inspect::awaits) line: u32,
}

/// The variants of an enum or a coroutine.
#[derive(Debug, Clone, Default)]
pub(in crate::inspect::awaits) struct Variants<'s> {
    /// The discriminant; `None` where there is one variant only.
    pub(in crate::inspect::awaits) tag: Option<Member<'s>>,
    pub(in crate::inspect::awaits) list: Vec<Variant<'s>>,
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(in crate::inspect::awaits) struct Variant<'s> {
    pub(in crate::inspect::awaits) value: Value,
    pub(in crate::inspect::awaits) member: Option<Member<'s>>,
}

/// Which values of the discriminant are a variant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspect::awaits) enum Value {
    /// Those that no other variant has.
    Others,
    /// This one.
    Is(u64),
    /// One that is not understood: wider than 8 bytes, or a list.
    Strange,
}

/// Reads the type at `offset` of the unit.
pub(in crate::inspect::awaits) fn shape<'s>(
    source: &Source<'s>,
    unit: &Unit<Slice<'s>>,
    offset: UnitOffset,
) -> Result<Shape<'s>, gimli::Error> {
    let mut entries = unit.entries_raw(Some(offset))?;
    let mut reader = Reader { source, unit, shape: Shape::default(), in_part: false };
    let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(reader.shape) };
    reader.itself(abbreviation, &mut entries)?;
    if abbreviation.has_children() {
        while entries.next_depth() > 0 && !entries.is_empty() {
            let depth = entries.next_depth();
            if let Some(abbreviation) = entries.read_abbreviation()? {
                reader.child(depth, abbreviation, &mut entries)?;
            }
        }
    }
    Ok(reader.shape)
}

struct Reader<'a, 's> {
    source: &'a Source<'s>,
    unit: &'a Unit<Slice<'s>>,
    shape: Shape<'s>,
    /// The last entry at depth 1 is a variant part.
    in_part: bool,
}

impl<'s> Reader<'_, 's> {
    fn itself(&mut self, abbreviation: &Abbreviation, entries: &mut EntriesRaw<'_, Slice<'s>>) -> Result<(), gimli::Error> {
        self.shape.kind = kind(abbreviation.tag());
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            match attribute.name() {
                constants::DW_AT_name => self.shape.name = self.source.text(self.unit, attribute.value()),
                constants::DW_AT_byte_size => self.shape.size = attribute.udata_value(),
                constants::DW_AT_type => self.shape.to = reference(&self.unit.header, attribute.value()),
                constants::DW_AT_linkage_name => self.shape.symbol = self.source.text(self.unit, attribute.value()),
                constants::DW_AT_abstract_origin | constants::DW_AT_specification => {
                    self.shape.origin = reference(&self.unit.header, attribute.value());
                }
                constants::DW_AT_containing_type => self.shape.containing = reference(&self.unit.header, attribute.value()),
                _ => {}
            }
        }
        Ok(())
    }

    fn child(
        &mut self,
        depth: isize,
        abbreviation: &Abbreviation,
        entries: &mut EntriesRaw<'_, Slice<'s>>,
    ) -> Result<(), gimli::Error> {
        let tag = abbreviation.tag();
        if depth == 1 {
            self.in_part = tag == constants::DW_TAG_variant_part;
        }
        let shape = &mut self.shape;
        let full = shape.members.len().max(shape.parameters.len()) >= MAX_PARTS
            || shape.variants.as_ref().is_some_and(|variants| variants.list.len() >= MAX_PARTS);
        match (depth, tag) {
            _ if full => entries.skip_attributes(abbreviation.attributes())?,
            (1, constants::DW_TAG_member) => {
                let member = self.member(abbreviation, entries)?.0;
                self.shape.members.push(member);
            }
            (1, constants::DW_TAG_template_type_parameter) => {
                let member = self.member(abbreviation, entries)?.0;
                self.shape.parameters.extend(member.of.map(|of| (member.name, of)));
            }
            (1, constants::DW_TAG_variant_part) => {
                shape.variants = Some(Variants::default());
                entries.skip_attributes(abbreviation.attributes())?;
            }
            (1, constants::DW_TAG_subrange_type) => self.shape.count = self.member(abbreviation, entries)?.2,
            (2, constants::DW_TAG_member) if self.in_part => {
                let member = self.member(abbreviation, entries)?.0;
                if let Some(variants) = &mut self.shape.variants {
                    variants.tag = Some(member);
                }
            }
            (2, constants::DW_TAG_variant) if self.in_part => {
                let value = self.member(abbreviation, entries)?.1;
                if let Some(variants) = &mut self.shape.variants {
                    variants.list.push(Variant { value, member: None });
                }
            }
            (3, constants::DW_TAG_member) if self.in_part => {
                let member = self.member(abbreviation, entries)?.0;
                if let Some(variant) = self.shape.variants.as_mut().and_then(|variants| variants.list.last_mut()) {
                    variant.member = Some(member);
                }
            }
            _ => entries.skip_attributes(abbreviation.attributes())?,
        }
        Ok(())
    }

    /// A member; the discriminant's value where it is a variant; the count where it is a subrange.
    fn member(
        &mut self,
        abbreviation: &Abbreviation,
        entries: &mut EntriesRaw<'_, Slice<'s>>,
    ) -> Result<(Member<'s>, Value, Option<u64>), gimli::Error> {
        let (mut member, mut value, mut count) = (Member::default(), Value::Others, None);
        for specification in abbreviation.attributes() {
            let attribute = entries.read_attribute(*specification)?;
            match attribute.name() {
                constants::DW_AT_name => member.name = self.source.text(self.unit, attribute.value()),
                constants::DW_AT_type => member.of = reference(&self.unit.header, attribute.value()),
                constants::DW_AT_data_member_location => member.offset = attribute.udata_value(),
                constants::DW_AT_decl_file => member.file = file(attribute.value()),
                constants::DW_AT_decl_line => {
                    member.line = attribute.udata_value().and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
                }
                constants::DW_AT_discr_value => value = discriminant(attribute.raw_value()),
                constants::DW_AT_discr_list => value = Value::Strange,
                constants::DW_AT_count => count = attribute.udata_value(),
                constants::DW_AT_upper_bound => count = attribute.udata_value().and_then(|last| last.checked_add(1)),
                _ => {}
            }
        }
        Ok((member, value, count))
    }
}

fn kind(tag: DwTag) -> Kind {
    match tag {
        constants::DW_TAG_structure_type => Kind::Structure,
        constants::DW_TAG_union_type => Kind::Union,
        constants::DW_TAG_pointer_type => Kind::Pointer,
        constants::DW_TAG_array_type => Kind::Array,
        _ => Kind::Plain,
    }
}

fn file(value: AttributeValue<Slice<'_>>) -> Option<u64> {
    match value {
        AttributeValue::FileIndex(index) => Some(index),
        other => other.udata_value(),
    }
}

fn discriminant(value: AttributeValue<Slice<'_>>) -> Value {
    match value {
        AttributeValue::Data1(value) => Value::Is(u64::from(value)),
        AttributeValue::Data2(value) => Value::Is(u64::from(value)),
        AttributeValue::Data4(value) => Value::Is(u64::from(value)),
        AttributeValue::Data8(value) | AttributeValue::Udata(value) => Value::Is(value),
        // Whoever compares cuts it to the discriminant's width.
        AttributeValue::Sdata(value) => Value::Is(value.cast_unsigned()),
        _ => Value::Strange,
    }
}
