//! What the annotation keeps in a running program: its table and its semaphores, read byte by byte as its ABI.md describes them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use object::{Object as _, ObjectSection as _};

use crate::{Failure, Result};

/// Bytes of the table.
const SIZE: usize = 2624;
/// What a daemon writes: from the generation to the program's own counts, and the rules. Between them stands the last generation, which stays.
const ASKED: std::ops::Range<usize> = 64..208;
const RULES: std::ops::Range<usize> = 256..2560;

/// The annotation in a process.
#[derive(Debug)]
pub struct Annotation {
    memory: File,
    table: u64,
    semaphores: (u64, usize),
}

impl Annotation {
    /// That of process `pid`.
    pub fn of(pid: u32) -> Result<Self> {
        let io = |what: &str| Failure::io(format!("/proc/{pid}/{what}"));
        let bytes = std::fs::read(format!("/proc/{pid}/exe")).map_err(io("exe"))?;
        let wrong = |why: String| Failure::Wrong(vec![why]);
        let elf = object::File::parse(&*bytes).map_err(|error| wrong(error.to_string()))?;
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(io("maps"))?;
        let exe = std::fs::read_link(format!("/proc/{pid}/exe")).map_err(io("exe"))?;
        let first = maps.lines().find(|line| line.ends_with(&*exe.to_string_lossy()));
        let start = first.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok());
        // The fixtures are position independent: their first segment begins at 0.
        let bias = start.ok_or_else(|| wrong(format!("{} is not mapped", exe.display())))?;
        let section = |name: &str| elf.section_by_name(name).ok_or_else(|| wrong(format!("no section {name}")));
        let (table, semaphores) = (section(".profiler_annotate")?, section(".probes")?);
        Ok(Self {
            memory: File::open(format!("/proc/{pid}/mem")).map_err(io("mem"))?,
            table: bias + table.address(),
            semaphores: (bias + semaphores.address(), usize::try_from(semaphores.size()).unwrap_or(0)),
        })
    }

    fn bytes(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.memory.read_exact_at(&mut bytes, at).map_err(Failure::io("the fixture's memory"))?;
        Ok(bytes)
    }

    /// Whether somebody asks for requests.
    pub fn is_armed(&self) -> Result<bool> {
        Ok(self.bytes(self.table + 64, 4)? != [0; 4])
    }

    /// Everything of a daemon's that is still there: empty after it has left.
    pub fn left_behind(&self) -> Result<Vec<String>> {
        let table = self.bytes(self.table, SIZE)?;
        let mut left = Vec::new();
        for range in [ASKED, RULES] {
            // What the program counts itself stays: tokens.
            let own = 136..168;
            let found: Vec<usize> =
                range.filter(|at| !own.contains(at) && table.get(*at).is_some_and(|byte| *byte != 0)).collect();
            if let (Some(first), Some(last)) = (found.first(), found.last()) {
                left.push(format!("bytes {first} to {last} of the table"));
            }
        }
        if self.semaphores()?.iter().any(|count| *count != 0) {
            left.push(format!("semaphores {:?}", self.semaphores()?));
        }
        Ok(left)
    }

    /// The semaphores: how many listen to every scope.
    pub fn semaphores(&self) -> Result<Vec<u16>> {
        let (at, len) = self.semaphores;
        Ok(self.bytes(at, len)?.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect())
    }
}
