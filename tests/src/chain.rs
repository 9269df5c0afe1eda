//! A stack, held against the chain of functions that must stand on it.

use std::fs;
use std::path::Path;

use object::{Object as _, ObjectSegment as _, ObjectSymbol as _, SegmentFlags, SymbolKind};
use profiler_daemon::target::maps;
use stack_fixture::truth::Function;

use crate::{Failure, Result};

/// The functions of a process: where each begins and ends.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    /// First address and the one after the last, sorted.
    ranges: Vec<(u64, u64)>,
}

impl Functions {
    /// Those of the fixture and of the library beside it, as the process has them mapped. `symbols` has the program's symbol table.
    pub fn of(pid: u32, program: &Path, symbols: &Path) -> Result<Self> {
        let mut functions = Self::default();
        functions.add(pid, program, symbols)?;
        let plugin = program.with_file_name("libstack_plugin.so");
        functions.add(pid, &plugin, &plugin)?;
        functions.ranges.sort_unstable();
        functions.ranges.dedup();
        Ok(functions)
    }

    fn add(&mut self, pid: u32, file: &Path, symbols: &Path) -> Result<()> {
        let Some(bias) = bias(pid, file)? else { return Ok(()) };
        let form = |why: object::Error| Failure::Form { path: symbols.to_owned(), why: why.to_string() };
        let bytes = fs::read(symbols).map_err(Failure::io(symbols.display().to_string()))?;
        let object = object::File::parse(&*bytes).map_err(form)?;
        let code = object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
        self.ranges.extend(code.map(|symbol| {
            let start = symbol.address().wrapping_add(bias);
            (start, start + symbol.size())
        }));
        Ok(())
    }

    /// Whether the function that begins at `start` holds `address`.
    #[must_use]
    pub fn holds(&self, start: u64, address: u64) -> bool {
        let first = self.ranges.partition_point(|(begin, _)| *begin < start);
        let alike = self.ranges.iter().skip(first).take_while(|(begin, _)| *begin == start);
        alike.map(|(_, end)| *end).max().is_some_and(|end| (start..end).contains(&address))
    }

    /// What is wrong with a stack (leaf first) on which `chain` (outermost first) must stand; `None`: nothing.
    #[must_use]
    pub fn against(&self, frames: &[u64], chain: &[Function]) -> Option<String> {
        // Return addresses point behind their call, which can be the function's last instruction.
        let mut frames =
            frames.iter().enumerate().rev().map(|(place, address)| if place == 0 { *address } else { address.wrapping_sub(1) });
        let mut found: Vec<&str> = Vec::new();
        for (place, function) in chain.iter().enumerate() {
            let stands = if place == 0 || function.through_others {
                frames.any(|address| self.holds(function.address, address))
            } else {
                frames.next().is_some_and(|address| self.holds(function.address, address))
            };
            if !stands {
                let last = found.last().copied().unwrap_or("the task");
                return Some(format!(
                    "{} is not where it should be above {last}, {} of {}",
                    function.name,
                    place + 1,
                    chain.len()
                ));
            }
            found.push(&function.name);
        }
        None
    }
}

/// What to add to an address of `file` to get the process's. `None`: it is not mapped.
fn bias(pid: u32, file: &Path) -> Result<Option<u64>> {
    let path = format!("/proc/{pid}/maps");
    let mappings = maps::parse_lines(&fs::read(&path).map_err(Failure::io(path))?).0;
    let bytes = fs::read(file).map_err(Failure::io(file.display().to_string()))?;
    let object = object::File::parse(&*bytes).map_err(|error| Failure::Form { path: file.to_owned(), why: error.to_string() })?;
    let mut of_file = mappings.iter().filter(|mapping| mapping.executable && mapping.is_of(file, false));
    Ok(of_file.find_map(|mapping| {
        // Two segments can share a page of the file; this mapping is of the one with code.
        let segment = object.segments().filter(|segment| is_code(segment.flags())).find(|segment| {
            let (offset, size) = segment.file_range();
            (mapping.offset..mapping.offset + (mapping.end - mapping.start)).contains(&offset) && size > 0
        })?;
        let (offset, _) = segment.file_range();
        Some(mapping.start.wrapping_sub(mapping.offset).wrapping_add(offset).wrapping_sub(segment.address()))
    }))
}

/// `PF_X` (elf(5)).
fn is_code(flags: SegmentFlags) -> bool {
    matches!(flags, SegmentFlags::Elf { p_flags } if p_flags & object::elf::PF_X != 0)
}

#[cfg(test)]
mod tests {
    use stack_fixture::truth::Function;

    use super::Functions;

    fn chain(functions: &[(u64, bool)]) -> Vec<Function> {
        let made = functions.iter().map(|(address, through_others)| Function {
            name: format!("f{address}"),
            address: *address,
            through_others: *through_others,
        });
        made.collect()
    }

    /// Check that a chain must be whole, in order, and without others where it says so.
    #[test]
    fn chains() {
        let functions = Functions { ranges: vec![(100, 120), (200, 220), (300, 320)] };
        let direct = chain(&[(100, false), (200, false), (300, false)]);
        // The root's frame stands outside the chain, and a callee below the leaf.
        let whole = [999, 310, 220, 110, 5000];
        assert_eq!(functions.against(&whole, &direct), None);
        assert_eq!(functions.against(&[300, 220, 120], &direct), None, "a return address can be the end of its function");
        assert!(functions.against(&[310, 999, 210, 110], &direct).is_some(), "another's frame");
        assert!(functions.against(&[310, 110], &direct).is_some(), "a missing frame");
        assert!(functions.against(&[310, 210], &direct).is_some(), "a cut stack");
        let through = chain(&[(100, false), (300, true)]);
        assert_eq!(functions.against(&[310, 999, 998, 110], &through), None);
        assert!(functions.against(&[999, 998, 110], &through).is_some());
    }
}
