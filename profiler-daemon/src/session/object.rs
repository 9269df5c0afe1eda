//! Which file of a process its Tokio is in: the program's as a rule, or a shared object that a program without Tokio has loaded (a module of an
//! interpreter, a plugin).

use std::path::{Path, PathBuf};

use super::unwind::Known;
use super::{SessionError, heap};
use crate::inspect::{InspectError, Inspection, holds_tokio, inspect_with};
use crate::target::code::behind_program;
use crate::target::maps::Mapping;
use crate::target::program::Program;
use crate::target::{Target, TargetError};

/// What is profiled of a process, and what is in it.
pub(super) struct Profiled {
    pub(super) program: Program,
    pub(super) inspection: Inspection,
}

/// Finds it as [`find`] does, and does something else beside it, on a thread of its own, for which the program has been read if that is what is to be
/// profiled.
pub(super) fn find_beside<T: Send>(
    target: &mut Target,
    debug_file: impl Fn(&Target) -> Option<Vec<u8>>,
    beside: impl FnOnce(Option<Known>) -> T + Send,
) -> Result<(Profiled, T), SessionError> {
    let exe = target.wanted_object().is_none().then(|| target.exe_program()).transpose()?;
    let known = exe.as_ref().and_then(|program| Some(Known::of(program, behind_program(target)?)));
    std::thread::scope(|scope| {
        // A thread that begins before the attach is over has the capabilities that reading other people's files takes.
        let other = scope.spawn(move || beside(known));
        let profiled = find_in(target, exe, debug_file);
        // What panicked there would have panicked here.
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What both took for a moment is the most that a daemon ever has, if the attach takes more on top of it.
        heap::give_back();
        Ok((profiled?, other))
    })
}

/// Finds it, and tells `target`. The program goes first, whatever else is there; an object that was asked for goes before it. `debug_file` is asked for
/// the debug file of whatever the target profiles by then.
pub(super) fn find(target: &mut Target, debug_file: impl Fn(&Target) -> Option<Vec<u8>>) -> Result<Profiled, SessionError> {
    find_in(target, None, debug_file)
}

/// The same where the program has been read, if it has: `exe`.
fn find_in(
    target: &mut Target,
    exe: Option<Program>,
    debug_file: impl Fn(&Target) -> Option<Vec<u8>>,
) -> Result<Profiled, SessionError> {
    if let Some(wanted) = target.wanted_object().map(Path::to_owned) {
        let mapping = wanted_among(target.objects()?, &wanted);
        let mapping = mapping.ok_or(TargetError::NoSuchObject { pid: target.pid(), path: wanted })?;
        let (object, program) = target.read_object(&mapping)?;
        target.profile(object);
        return looked_into(target, program, debug_file);
    }
    let program = exe.map_or_else(|| target.exe_program(), Ok)?;
    let none = match inspect_with(program.bytes(), || debug_file(target)) {
        Ok(inspection) => return Ok(Profiled { program, inspection }),
        Err(none @ (InspectError::NotTokio | InspectError::NoTaskVtable { .. })) => none,
        Err(error) => return Err(error.into()),
    };
    let mut found = None;
    let mut others: Vec<PathBuf> = Vec::new();
    for mapping in target.objects()? {
        // Files that cannot be read are not where Tokio is looked for: the error of the program's stands for them.
        let Ok((object, program)) = target.read_object(&mapping) else { continue };
        if holds_tokio(program.bytes()) {
            match found {
                None => found = Some((object, program)),
                Some(_) => others.push(program.path().to_owned()),
            }
        }
    }
    let Some((object, program)) = found else { return Err(none.into()) };
    target.profile(object.beside(others));
    looked_into(target, program, debug_file)
}

fn looked_into(
    target: &Target,
    program: Program,
    debug_file: impl Fn(&Target) -> Option<Vec<u8>>,
) -> Result<Profiled, SessionError> {
    let inspection = inspect_with(program.bytes(), || debug_file(target))?;
    Ok(Profiled { program, inspection })
}

/// By its whole path as the process has it, or by an end of it.
fn wanted_among(mut objects: Vec<Mapping>, wanted: &Path) -> Option<Mapping> {
    let is =
        |mapping: &Mapping| matches!(&mapping.backing, crate::target::maps::Backing::File { path, .. } if path.ends_with(wanted));
    let place = objects.iter().position(is)?;
    Some(objects.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::maps::parse;

    /// Check that an object goes by its path or by whole names at its end, and by nothing else.
    #[test]
    fn objects_go_by_ends_of_their_paths() {
        let maps = b"1000-2000 r-xp 00000000 08:01 7 /srv/libshop.so\n3000-4000 r-xp 00000000 08:01 8 /srv/old/libshop.so\n";
        let found = |wanted: &str| wanted_among(parse(maps).unwrap(), Path::new(wanted)).map(|mapping| mapping.inode);
        assert_eq!((found("/srv/libshop.so"), found("libshop.so"), found("old/libshop.so")), (Some(7), Some(7), Some(8)));
        assert_eq!((found("shop.so"), found("/libshop.so"), found("lib")), (None, None, None));
    }
}
