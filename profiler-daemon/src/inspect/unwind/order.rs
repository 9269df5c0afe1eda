//! The entries (FDEs) of a file in the order of their code.
//!
//! The linker's list is sorted already, so it is taken as it is; a file without one is walked and sorted.

use gimli::{CieOrFde, EhFrameOffset, Pointer, UnwindSection};

use super::Coverage;
use super::entries::Cies;
use super::source::Source;

/// One entry: where its code begins and where it stands in `.eh_frame`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) offset: usize,
}

/// All entries with code at different addresses, sorted.
pub(super) fn places(source: &Source<'_>, coverage: &mut Coverage) -> Vec<Place> {
    let mut places = listed(source, coverage).unwrap_or_else(|| walked(source, coverage));
    if !places.is_sorted_by_key(|place| place.start) {
        places.sort_by_key(|place| place.start);
    }
    let all = places.len();
    places.dedup_by_key(|place| place.start);
    coverage.overlapping += (all - places.len()) as u64;
    places
}

/// By the list in `.eh_frame_hdr`. `None`: there is none.
fn listed(source: &Source<'_>, coverage: &mut Coverage) -> Option<Vec<Place>> {
    let table = source.header.as_ref()?.table()?;
    let mut entries = table.iter(&source.bases);
    let mut places = Vec::new();
    loop {
        match entries.next() {
            Ok(Some((Pointer::Direct(start), Pointer::Direct(entry)))) => {
                match entry.checked_sub(source.address).and_then(|offset| usize::try_from(offset).ok()) {
                    Some(offset) => places.push(Place { start, offset }),
                    None => coverage.broken += 1,
                }
            }
            Ok(Some(_)) => coverage.broken += 1,
            Ok(None) => break,
            // The list says that it is longer than its bytes.
            Err(_) => {
                coverage.broken += 1;
                break;
            }
        }
    }
    places.shrink_to_fit();
    Some(places)
}

/// By one entry after the other.
fn walked(source: &Source<'_>, coverage: &mut Coverage) -> Vec<Place> {
    let mut cies = Cies::default();
    let mut entries = source.eh_frame.entries(&source.bases);
    let mut places = Vec::new();
    loop {
        match entries.next() {
            Ok(Some(CieOrFde::Cie(_))) => {}
            Ok(Some(CieOrFde::Fde(entry))) => {
                let offset = entry.offset();
                match entry.parse(|section, bases, cie: EhFrameOffset| cies.get(section, bases, cie)) {
                    Ok(entry) => places.push(Place { start: entry.initial_address(), offset }),
                    Err(_) => coverage.broken += 1,
                }
            }
            Ok(None) => break,
            // Where the next one would begin is not known.
            Err(_) => {
                coverage.broken += 1;
                break;
            }
        }
    }
    places.shrink_to_fit();
    places
}
