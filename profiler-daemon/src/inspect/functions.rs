//! Where functions begin and end, and how deep their frames are: `.eh_frame`, which stripping keeps.

use std::borrow::Cow;

use gimli::{BaseAddresses, CfaRule, EhFrame, LittleEndian, UnwindContext, UnwindSection, X86_64};

use super::edges::Returning;
use super::image::Image;
use super::inspection::Register;
use super::symbols::Symbols;

/// More functions than any program has.
const MAX_FUNCTIONS: usize = 8 << 20;
/// No function is decoded further than this many bytes.
pub(crate) const MAX_FUNCTION_BYTES: u64 = 1 << 20;

/// One function's extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Offset of its frame description in `.eh_frame`, where it has one.
    frame: Option<usize>,
}

/// All functions of the file.
pub(crate) struct Functions<'d> {
    eh_frame: Cow<'d, [u8]>,
    bases: BaseAddresses,
    /// Sorted by start, one per start.
    extents: Vec<Extent>,
    /// The list was cut at its limit.
    pub(crate) truncated: bool,
    /// Those that never return, as far as they were asked for.
    pub(crate) returning: Returning,
}

impl<'d> Functions<'d> {
    pub(crate) fn read(image: &Image<'d>, symbols: &Symbols<'d>) -> Self {
        let eh_frame = image.section_data(".eh_frame");
        let address_of = |name: &str| image.sections.iter().find(|section| section.name == name).map(|s| s.vaddr);
        let mut bases = BaseAddresses::default();
        if let Some(address) = address_of(".eh_frame") {
            bases = bases.set_eh_frame(address);
        }
        if let Some(address) = address_of(".text") {
            bases = bases.set_text(address);
        }
        let mut extents = frames(&eh_frame, &bases);
        extents.extend(symbols.functions().map(|(start, size)| Extent {
            start,
            end: start.saturating_add(size.clamp(1, MAX_FUNCTION_BYTES)),
            frame: None,
        }));
        // The frame description comes first among equals: it knows more.
        extents.sort_by_key(|extent| (extent.start, extent.frame.is_none(), extent.end));
        extents.dedup_by_key(|extent| extent.start);
        let truncated = extents.len() > MAX_FUNCTIONS;
        extents.truncate(MAX_FUNCTIONS);
        Self { eh_frame, bases, extents, truncated, returning: Returning::default() }
    }

    /// The function that begins at `start`.
    pub(crate) fn starting_at(&self, start: u64) -> Option<Extent> {
        let index = self.extents.binary_search_by_key(&start, |extent| extent.start).ok()?;
        self.extents.get(index).copied()
    }

    /// Where every function begins, in order.
    pub(crate) fn starts(&self) -> impl Iterator<Item = u64> + '_ {
        self.extents.iter().map(|extent| extent.start)
    }

    /// Where the stack pointer at the entry of `function` is, seen from `address`, from the unwind row: where the
    /// canonical frame address is `register + n`, the return address, and with it the entry's stack pointer, is at `register + n - 8`.
    pub(crate) fn entry_stack(&self, function: Extent, address: u64) -> Option<(Register, u32)> {
        let section = EhFrame::new(&self.eh_frame, LittleEndian);
        let offset = gimli::EhFrameOffset(function.frame?);
        let frame = section.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        let mut context = UnwindContext::new();
        let row = frame.unwind_info_for_address(&section, &self.bases, &mut context, address).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
            return None;
        };
        let base = match *register {
            X86_64::RSP => Register::Rsp,
            X86_64::RBP => Register::Rbp,
            _ => return None,
        };
        Some((base, u32::try_from(offset.checked_sub(8)?).ok()?))
    }
}

fn frames(eh_frame: &[u8], bases: &BaseAddresses) -> Vec<Extent> {
    let section = EhFrame::new(eh_frame, LittleEndian);
    let mut entries = section.entries(bases);
    let mut extents = Vec::new();
    // An entry that does not parse ends the walk: its length cannot be trusted to find the next one.
    while let Ok(Some(entry)) = entries.next() {
        let gimli::CieOrFde::Fde(partial) = entry else {
            continue;
        };
        let Ok(frame) = partial.parse(EhFrame::cie_from_offset) else {
            continue;
        };
        let length = frame.len().min(MAX_FUNCTION_BYTES);
        if frame.initial_address() != 0 && length != 0 {
            extents.push(Extent {
                start: frame.initial_address(),
                end: frame.initial_address().saturating_add(length),
                frame: Some(frame.offset()),
            });
        }
        if extents.len() >= MAX_FUNCTIONS {
            break;
        }
    }
    extents
}
