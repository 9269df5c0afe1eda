//! The sections and units of a file's debug information.

use std::borrow::Cow;

use gimli::{
    AttributeValue, DebugInfoOffset, Dwarf, DwarfSections, EndianSlice, LittleEndian, Section as _, SectionId, Unit, UnitHeader,
    UnitOffset,
};

use crate::inspect::awaits::error::AwaitError;
use crate::inspect::image::Image;

/// Bytes of a section.
pub(in crate::inspect::awaits) type Slice<'s> = EndianSlice<'s, LittleEndian>;

/// The place of an entry: its offset in `.debug_info`. Units refer to each other's entries after link-time optimisation.
pub(in crate::inspect::awaits) type Die = u32;

/// Larger debug information would need 64-bit DWARF.
const MAX_BYTES: u64 = u32::MAX as u64;

/// The sections, decompressed where they are compressed.
pub(in crate::inspect::awaits) struct Sections<'d>(DwarfSections<Cow<'d, [u8]>>);

impl<'d> Sections<'d> {
    /// Those of the file.
    pub(in crate::inspect::awaits) fn load(image: &Image<'d>) -> Result<Self, AwaitError> {
        // Where values live in the course of a function is no matter here, and those sections are large.
        let needed = |id| {
            !matches!(id, SectionId::DebugLoc | SectionId::DebugLocLists | SectionId::DebugRanges | SectionId::DebugRngLists)
        };
        let load =
            |id: SectionId| Ok::<_, AwaitError>(if needed(id) { image.section_data(id.name()) } else { Cow::Borrowed(&[][..]) });
        Ok(Self(DwarfSections::load(load)?))
    }

    /// Reads where the units are.
    pub(in crate::inspect::awaits) fn source(&self) -> Result<Source<'_>, AwaitError> {
        let dwarf = self.0.borrow(|section| EndianSlice::new(section, LittleEndian));
        let bytes = dwarf.debug_info.reader().len() as u64;
        if bytes == 0 {
            return Err(AwaitError::NoDebugInfo);
        }
        if bytes >= MAX_BYTES {
            return Err(AwaitError::TooLarge { bytes, limit: MAX_BYTES });
        }
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        loop {
            match units.next() {
                Ok(Some(header)) => headers.push(header),
                Ok(None) => break,
                // Behind a header that does not parse nobody knows where the next one is. What stands before it is good.
                Err(_) if !headers.is_empty() => break,
                Err(why) => return Err(AwaitError::Dwarf { what: "the first unit", offset: 0, why }),
            }
        }
        Ok(Source { dwarf, headers, bytes })
    }
}

/// The debug information of one file.
pub(in crate::inspect::awaits) struct Source<'s> {
    pub(in crate::inspect::awaits) dwarf: Dwarf<Slice<'s>>,
    /// Ordered by their place.
    pub(in crate::inspect::awaits) headers: Vec<UnitHeader<Slice<'s>>>,
    /// Size of `.debug_info`.
    pub(in crate::inspect::awaits) bytes: u64,
}

impl<'s> Source<'s> {
    /// The number of the unit that an entry lies in, and the entry's offset in it.
    pub(in crate::inspect::awaits) fn place(&self, die: Die) -> Option<(usize, UnitOffset)> {
        let number = self.headers.partition_point(|header| start(header) <= die as usize).checked_sub(1)?;
        let header = self.headers.get(number)?;
        let offset = DebugInfoOffset(die as usize).to_unit_offset(header)?;
        Some((number, offset))
    }

    /// A unit with its abbreviations.
    pub(in crate::inspect::awaits) fn unit(&self, number: usize) -> Result<Unit<Slice<'s>>, gimli::Error> {
        let header = self.headers.get(number).copied().ok_or(gimli::Error::NoEntryAtGivenOffset(0))?;
        self.dwarf.unit(header)
    }

    /// A string, as far as it is one. Names of Rust are UTF-8.
    pub(in crate::inspect::awaits) fn text(&self, unit: &Unit<Slice<'s>>, value: AttributeValue<Slice<'s>>) -> &'s str {
        let bytes = self.dwarf.attr_string(unit, value).map(|text| text.slice()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Where a unit begins in `.debug_info`.
pub(in crate::inspect::awaits) fn start(header: &UnitHeader<Slice<'_>>) -> usize {
    header.debug_info_offset().map_or(0, |offset| offset.0)
}

/// The entry that an attribute of the unit refers to.
pub(in crate::inspect::awaits) fn reference(header: &UnitHeader<Slice<'_>>, value: AttributeValue<Slice<'_>>) -> Option<Die> {
    match value {
        AttributeValue::UnitRef(offset) => Die::try_from(start(header).checked_add(offset.0)?).ok(),
        AttributeValue::DebugInfoRef(offset) => Die::try_from(offset.0).ok(),
        _ => None,
    }
}
