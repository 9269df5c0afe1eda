//! A process's machine code, compared with the file it came from: nothing of ours may stay in it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use crate::{Failure, Result};

/// An executable mapping of the program itself.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
}

/// `Ok` where the process's code is the file's, byte for byte; `when` goes into the failure.
pub fn untouched(pid: u32, when: &str) -> Result<()> {
    let changed = changed_bytes(pid)?;
    if changed.is_empty() {
        return Ok(());
    }
    Err(Failure::Wrong(vec![format!("{when}: the code differs from the program's file at offsets {changed:x?}")]))
}

/// Offsets in the program's file at which the process's code differs from the file; at most the first 16.
pub fn changed_bytes(pid: u32) -> Result<Vec<u64>> {
    let exe = format!("/proc/{pid}/exe");
    let path = fs::read_link(&exe).map_err(Failure::io(exe.clone()))?;
    let maps = format!("/proc/{pid}/maps");
    let maps = fs::read_to_string(&maps).map_err(Failure::io(maps.clone()))?;
    let mappings = executable(&maps, &path.to_string_lossy());
    if mappings.is_empty() {
        return Err(Failure::Wrong(vec![format!("no executable mapping of {} in process {pid}", path.display())]));
    }
    let memory = format!("/proc/{pid}/mem");
    let file = File::open(&exe).map_err(Failure::io(exe))?;
    let memory = File::open(&memory).map_err(Failure::io(memory.clone()))?;
    let mut changed = Vec::new();
    for mapping in mappings {
        let length = usize::try_from(mapping.end - mapping.start)
            .map_err(|_| Failure::Wrong(vec![format!("a mapping of 2^64 bytes: {mapping:?}")]))?;
        let mut now = vec![0; length];
        memory.read_exact_at(&mut now, mapping.start).map_err(Failure::io("reading the process's code"))?;
        // The last page of a mapping may reach over the end of the file; what lies there is zero.
        let mut original = vec![0; length];
        let mut filled = 0;
        while let Some(rest) = original.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = mapping.offset + filled as u64;
            match file.read_at(rest, at).map_err(Failure::io("reading the program"))? {
                0 => break,
                count => filled += count,
            }
        }
        let differs = now.iter().zip(&original).zip(mapping.offset..).filter(|((now, then), _)| now != then);
        changed.extend(differs.map(|(_, offset)| offset).take(16));
    }
    changed.truncate(16);
    Ok(changed)
}

/// The executable mappings of `path` in the text of `/proc/PID/maps` (proc(5)).
fn executable(maps: &str, path: &str) -> Vec<Mapping> {
    maps.lines().filter(|line| line.ends_with(path)).filter_map(mapping).collect()
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let executable = fields.next()?.contains('x');
    let offset = fields.next()?;
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    let mapping = Mapping { start: hex(start)?, end: hex(end)?, offset: hex(offset)? };
    executable.then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::{Mapping, executable};

    #[test]
    fn only_the_programs_own_code() {
        let maps = "\
55d0-55d4 r--p 00000000 fe:00 17 /srv/app
55d4-55e8 r-xp 00004000 fe:00 17 /srv/app
7f10-7f20 r-xp 00001000 fe:00 18 /lib/libc.so.6
7ffc-7ffe r-xp 00000000 00:00 0 [vdso]
7fff-8000 --xp 00000000 00:00 0 [uprobes]";
        let expected = Mapping { start: 0x55d4, end: 0x55e8, offset: 0x4000 };
        assert_eq!(executable(maps, "/srv/app"), [expected]);
    }
}
