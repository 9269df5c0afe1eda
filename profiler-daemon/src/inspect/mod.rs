//! What can be learnt of a target from its ELF file: bytes in, plain data out.
//!
//! Reads untrusted bytes: everything is bounded and checked, an error says what is wrong, nothing panics.
//!
//! | module | knows |
//! | --- | --- |
//! | `image`, `functions`, `symbols` | ELF: bytes and relocated words by address, function extents, names |
//! | `code`, `edges`, `class` | x86-64: decoded functions, what uprobes emulate |
//! | `flow`, `proof`, `placement` | all ways through a function, why a site may sit where it does, where it may |
//! | `value`, `machine`, `interpreter` | what a stretch of code stores for a given state word |
//! | `tokio/` | Tokio's vtables, transitions, wakers and spawns |
//! | `usdt` | the annotation's probes |
//! | `unwind/` | `.eh_frame` as rows for the kernel side |
//! | `foreign/` | thread-locals of other libraries that name requests |

pub mod awaits;
mod class;
mod code;
mod edges;
mod error;
mod flow;
pub mod foreign;
mod functions;
mod image;
mod inspection;
mod interpreter;
mod machine;
mod note;
mod placement;
mod proof;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod specimen;
mod symbols;
mod tokio;
pub mod unwind;
mod usdt;
mod value;
#[cfg(test)]
mod walks;

use std::fmt::Write as _;

use object::Object;

pub use self::class::class_of;
pub use self::error::InspectError;
pub use self::inspection::{
    HeaderLayout, Inspection, InstructionClass, NameSource, Placement, Register, Role, Segment, Site, Spot, TaskKind, TaskType,
    TokioVersion,
};
pub use self::note::Note;
pub use self::proof::{Between, Held, Passes, Proof, StackFrom, Times};
pub use self::tokio::current_task::{CurrentTask, CurrentTaskError, FoundBy};
pub use self::tokio::owned::{ListPlace, OwnedLists, OwnedListsError, SchedulerLists};
pub use self::usdt::{Argument, Operand, UsdtProbe};

use self::functions::Functions;
use self::image::Image;
use self::symbols::Symbols;
use self::tokio::{sites, types, version, vtables};

/// Inspects an ELF executable.
///
/// # Errors
/// [`InspectError`] says whether `bytes` are no ELF file, for another machine, without Tokio, or without a task.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    inspect_with(bytes, || None)
}

/// The same with the symbols of its debug file, which is asked for where the executable has none. That it is this executable's is for the
/// caller to know.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_with(bytes: &[u8], debug_file: impl FnOnce() -> Option<Vec<u8>>) -> Result<Inspection, InspectError> {
    let image = Image::parse(bytes)?;
    let own = Symbols::read(&image);
    let debug = if own.is_empty() { debug_file() } else { None };
    let described = debug.as_deref().and_then(|bytes| Image::parse(bytes).ok());
    let symbols = debug.as_deref().and_then(Symbols::of_debug_file).unwrap_or(own);
    let functions = Functions::read(&image, &symbols);
    let version = version::find(&image);
    let found = vtables::search(&image, &functions, &symbols);
    if found.vtables.is_empty() {
        return Err(match version {
            Some(version) => InspectError::NoTaskVtable { version: version.to_string() },
            None if symbols.mentions_tokio() => InspectError::NoTaskVtable { version: "of unknown version".to_owned() },
            None => InspectError::NotTokio,
        });
    }
    let mut notes = found.notes;
    let (task_types, type_notes) =
        types::name(&image, described.as_ref().unwrap_or(&image), &functions, &symbols, &found.vtables);
    notes.extend(type_notes);
    let (sites, site_notes) = sites::collect(&image, &functions, &symbols, version, &task_types);
    notes.extend(site_notes);
    let (usdt, usdt_notes) = usdt::read(&image);
    notes.extend(usdt_notes);
    if functions.truncated {
        notes.push(Note::LimitReached { what: "functions".to_owned() });
    }
    let has_offsets = found.vtables.iter().any(|vtable| vtable.offsets.is_some());
    Ok(Inspection {
        build_id: build_id(&image),
        pie: image.pie,
        shared_object: image.is_shared_object(),
        tokio: version,
        has_symbols: image.has_section(".symtab"),
        has_debug_info: image.has_section(".debug_info"),
        segments: image.segments.clone(),
        header: vtables::header_layout(version, has_offsets),
        task_types,
        sites,
        usdt,
        annotation_table: image.sections.iter().find(|section| section.name == ".profiler_annotate").map(|section| section.vaddr),
        next_task_id: symbols::next_task_id(&image),
        notes,
    })
}

/// Whether a file names a version of Tokio: a quick look, to choose among many files.
#[must_use]
pub fn holds_tokio(bytes: &[u8]) -> bool {
    Image::parse(bytes).is_ok_and(|image| version::find(&image).is_some())
}

/// Where the runtimes keep their tasks, by the same file and what [`inspect`] found in it.
///
/// # Errors
/// [`OwnedListsError`] says why that is not known.
pub fn owned_lists(bytes: &[u8], inspection: &Inspection) -> Result<OwnedLists, OwnedListsError> {
    let image = Image::parse(bytes).map_err(|error| OwnedListsError::Malformed(error.to_string()))?;
    tokio::owned::find(&image, &inspection.task_types)
}

/// The annotation's probes of a file, whatever else is in it, and what is wrong with their notes.
///
/// # Errors
/// [`InspectError`] where the file cannot be read.
pub fn usdt_probes(bytes: &[u8]) -> Result<(Vec<UsdtProbe>, Vec<Note>), InspectError> {
    Ok(usdt::read(&Image::parse(bytes)?))
}

/// Where a thread keeps the id of the task that it polls, by the same file and what [`inspect`] found in it.
///
/// # Errors
/// [`CurrentTaskError`] says why that is not known.
pub fn current_task(bytes: &[u8], inspection: &Inspection) -> Result<CurrentTask, CurrentTaskError> {
    let image = Image::parse(bytes).map_err(|error| CurrentTaskError::Malformed(error.to_string()))?;
    let symbols = Symbols::read(&image);
    let functions = Functions::read(&image, &symbols);
    tokio::current_task::find(&image, &functions, &symbols, inspection.tokio, &inspection.task_types)
}

fn build_id(image: &Image<'_>) -> Option<String> {
    let id = image.file.build_id().ok().flatten()?;
    let mut hex = String::with_capacity(2 * id.len());
    for byte in id {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Some(hex)
}
