//! The annotation's table in the target: what a program says of itself there, and what is asked of it. The one place of the target's memory
//! that is ever written, and only after its magic, version and size were checked.
//!
//! The layout is that of `profiler-annotate/ABI.md`, version 2.

mod asked;
#[cfg(test)]
mod hostile;
mod memory;
mod owner;

use std::io;
use std::time::Duration;

pub(super) use asked::{Asked, MAX_RULES, Rule};

use super::SessionError;
use crate::target::Target;
use crate::target::maps::Mapping;
use memory::{ProcessMemory, TableMemory};
use owner::Owner;

const MAGIC: &[u8; 8] = b"PRFANNOT";
const VERSION: u32 = 2;
const SIZE: usize = 2624;

/// Offsets of fields (bytes).
const TIMES_OFFSET: usize = 32;
const GENERATION: usize = 64;
const ASKED: usize = 68;
const NEXT_LEFT: usize = 128;
const TOKENS: usize = 136;
const OWNER: usize = 192;
/// The last generation that was in force: scopes may remember it longer than a daemon lives.
const LAST_GENERATION: usize = 208;
const RULES: usize = 256;
const SCOPES: usize = 2560;

/// The table of a running program.
#[derive(Debug)]
pub(super) struct Table {
    memory: Box<dyn TableMemory>,
    /// Where it is.
    address: u64,
    pid: u32,
    /// Rules of ours stand in it.
    armed: bool,
}

/// How many tokens the program has met since the rules were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of these, requests are wanted.
    pub good: u64,
    /// Not signed with the shared key.
    pub wrong: u64,
    /// Good once.
    pub expired: u64,
    /// No token at all.
    pub malformed: u64,
}

impl Table {
    /// The table at `address`, if one of our version stands there.
    pub(super) fn find(target: &Target, address: u64) -> io::Result<Option<Self>> {
        Self::in_memory(Box::new(ProcessMemory::of(target)?), target.pid(), address)
    }

    fn in_memory(memory: Box<dyn TableMemory>, pid: u32, address: u64) -> io::Result<Option<Self>> {
        let table = Self { memory, address, pid, armed: false };
        if address.checked_add(SIZE as u64).is_none() {
            return Ok(None);
        }
        let mut head = [0; 16];
        table.read(0, &mut head)?;
        Ok(is_ours(&head).then_some(table))
    }

    /// How many scopes the program has numbered so far.
    pub(super) fn scopes_numbered(&self) -> Option<u64> {
        self.word(SCOPES).ok()
    }

    /// Where each thread says which scope keeps its times, from the thread pointer (bytes, wrapping). `None` where the program does not know
    /// before its first scope.
    pub(super) fn times_offset(&self) -> Option<u64> {
        self.word(TIMES_OFFSET).ok().filter(|offset| *offset != 0)
    }

    /// Takes out what a daemon has left that was killed, unless another one is there.
    pub(super) fn clean_if_free(&mut self) -> Result<(), SessionError> {
        if self.is_taken() {
            return Ok(());
        }
        match self.lock() {
            Ok(()) => {
                let cleaned = self.clean();
                self.unlock();
                cleaned
            }
            // One that is about to write.
            Err(SessionError::TableTaken { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps other daemons from the table. Who reads the owner and then writes may be overtaken in between: of two that begin at the same
    /// moment the later would win and the earlier not be told. So the write is behind a lock, and the lock is on the one file that both have
    /// open anyway, the target's memory: an open file pins the entry of `/proc`, so both have the same inode (fs/proc/base.c,
    /// `pid_revalidate`), the lock is this process's and no later one's with its pid, dies with its holder, and leaves no file. Who may
    /// not trace the target cannot take it. A daemon that sees another mount of `/proc` has another inode; it is told by the owner's name alone.
    fn lock(&self) -> Result<(), SessionError> {
        match self.memory.try_lock() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.taken()),
            Err(source) => Err(SessionError::Table { pid: self.pid, source }),
        }
    }

    /// As [`Self::lock`], for one who is not to be sent away by somebody who only cleans up.
    fn lock_soon(&self) -> Result<(), SessionError> {
        const TRIES: u32 = 20;
        const PAUSE: Duration = Duration::from_millis(5);
        for _ in 1..TRIES {
            match self.lock() {
                Err(SessionError::TableTaken { .. }) if !self.is_taken() => std::thread::sleep(PAUSE),
                other => return other,
            }
        }
        self.lock()
    }

    fn unlock(&self) {
        self.memory.unlock();
    }

    fn taken(&self) -> SessionError {
        let owner = self.owner().ok().filter(|owner| owner.is_another(self.pid));
        SessionError::TableTaken { pid: self.pid, daemon: owner.map(|owner| owner.pid) }
    }

    /// Takes out what a daemon has left that was killed. Under the lock. Where the table cannot be written it stays: scopes that are wanted by it
    /// call empty functions.
    fn clean(&self) -> Result<(), SessionError> {
        if self.memory.closed().is_some() {
            return Ok(());
        }
        let failed = |source| SessionError::Table { pid: self.pid, source };
        let generation = self.half(GENERATION).map_err(failed)?;
        if generation == 0 {
            return Ok(());
        }
        if self.owner().map_err(failed)?.is_another(self.pid) {
            return Err(self.taken());
        }
        self.clear(generation).map_err(failed)
    }

    /// Whether a daemon that lives, and is not this one, has written it.
    fn is_taken(&self) -> bool {
        self.half(GENERATION).is_ok_and(|generation| generation != 0)
            && self.owner().is_ok_and(|owner| owner.is_another(self.pid))
    }

    /// Asks for these requests, and no others. Other daemons are kept out until it is disarmed.
    pub(super) fn arm(&mut self, asked: &Asked) -> Result<(), SessionError> {
        if let Some(closed) = self.memory.closed() {
            return Err(SessionError::TableClosed { pid: self.pid, scope: closed.scope, lacks: closed.lacks });
        }
        self.lock_soon()?;
        if let Err(error) = self.clean() {
            self.unlock();
            return Err(error);
        }
        self.armed = true;
        self.write_asked(asked).map_err(|source| SessionError::Table { pid: self.pid, source })
    }

    fn write_asked(&self, asked: &Asked) -> io::Result<()> {
        self.write(RULES, &asked.rules())?;
        self.write(NEXT_LEFT, &asked.next.to_ne_bytes())?;
        self.write(TOKENS, &[0; 32])?;
        self.write(OWNER, &Owner::us(self.pid).bytes())?;
        self.write(ASKED, &asked.head())?;
        // Last: whoever sees it sees what was written before.
        let generation = next_generation(self.half(LAST_GENERATION)?);
        self.write(LAST_GENERATION, &generation.to_ne_bytes())?;
        self.write(GENERATION, &generation.to_ne_bytes())
    }

    /// Asks for nothing any more. A target that has gone needs nothing.
    pub(super) fn disarm(&mut self) {
        if !std::mem::take(&mut self.armed) {
            return;
        }
        if self.owner().is_ok_and(|owner| owner == Owner::us(self.pid))
            && let Ok(generation) = self.half(GENERATION)
        {
            let _ = self.clear(generation);
        }
        self.unlock();
    }

    /// Writes zeros wherever a daemon writes, and remembers the generation.
    fn clear(&self, generation: u32) -> io::Result<()> {
        self.write(ASKED, &[0; NEXT_LEFT - ASKED])?;
        self.write(NEXT_LEFT, &[0; 8])?;
        self.write(GENERATION, &[0; 4])?;
        self.write(RULES, &[0; SCOPES - RULES])?;
        self.write(OWNER, &[0; 16])?;
        self.write(LAST_GENERATION, &generation.max(self.half(LAST_GENERATION)?).to_ne_bytes())
    }

    /// Tokens met so far; `None` of a program that has ended.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let count = |place: usize| self.word(TOKENS + place * 8).ok();
        Some(Tokens { good: count(0)?, wrong: count(1)?, expired: count(2)?, malformed: count(3)? })
    }

    fn owner(&self) -> io::Result<Owner> {
        let mut bytes = [0; 16];
        self.read(OWNER, &mut bytes)?;
        Ok(Owner::of(&bytes))
    }

    fn half(&self, at: usize) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn word(&self, at: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn read(&self, at: usize, bytes: &mut [u8]) -> io::Result<()> {
        self.memory.read(self.address.wrapping_add(at as u64), bytes)
    }

    fn write(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.memory.write(self.address.wrapping_add(at as u64), bytes)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Whether a table at `address` lies whole in memory that the program itself can write. The address comes from the program's file, and
/// `/proc/PID/mem` writes to code and constants too: those of a program that lies about its table are left alone.
pub(super) fn lies_in_data(mappings: &[Mapping], address: u64) -> bool {
    let Some(end) = address.checked_add(SIZE as u64) else { return false };
    let mut at = address;
    // They are in address order; the table may lie in two that touch.
    for mapping in mappings.iter().filter(|mapping| mapping.writable && !mapping.executable) {
        if mapping.start <= at && at < mapping.end {
            at = mapping.end;
        }
    }
    at >= end
}

fn is_ours(head: &[u8; 16]) -> bool {
    let [magic @ .., v0, v1, v2, v3, s0, s1, s2, s3] = *head;
    let (version, size) = (u32::from_ne_bytes([v0, v1, v2, v3]), u32::from_ne_bytes([s0, s1, s2, s3]));
    magic == *MAGIC && version == VERSION && size as usize == SIZE
}

/// Never 0, which stands for nobody.
const fn next_generation(last: u32) -> u32 {
    match last.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only a table of this version and size is written to.
    #[test]
    fn knows_its_own_version_only() {
        let head = |version: u32, size: u32| {
            let mut head = [0; 16];
            head[..8].copy_from_slice(MAGIC);
            head[8..12].copy_from_slice(&version.to_ne_bytes());
            head[12..].copy_from_slice(&size.to_ne_bytes());
            head
        };
        assert!(is_ours(&head(2, 2624)));
        assert!(!is_ours(&head(1, 384)) && !is_ours(&head(2, 2623)) && !is_ours(&[0; 16]));
    }

    /// Check that a table in code, in constants, in a hole or at the end of memory is none.
    #[test]
    fn only_what_the_program_can_write_is_a_table() {
        use crate::target::maps::Backing;
        let mapping = |start, end, writable, executable| Mapping {
            start,
            end,
            readable: true,
            writable,
            executable,
            offset: 0,
            device: (0, 1),
            inode: 1,
            backing: Backing::Anonymous,
        };
        let mappings = [
            mapping(0x1000, 0x3000, false, true),
            mapping(0x3000, 0x4000, false, false),
            mapping(0x4000, 0x5000, true, false),
            mapping(0x5000, 0x7000, true, false),
            mapping(0x9000, 0xb000, true, true),
            mapping(u64::MAX - 0xfff, u64::MAX, true, false),
        ];
        for inside in [0x4000, 0x4800, 0x5000, 0x7000 - SIZE as u64] {
            assert!(lies_in_data(&mappings, inside), "{inside:#x}");
        }
        for outside in [0, 0x1000, 0x3000, 0x3fff, 0x7001 - SIZE as u64, 0x8000, 0x9000, u64::MAX - 0xfff + 0x800, u64::MAX] {
            assert!(!lies_in_data(&mappings, outside), "{outside:#x}");
        }
    }

    #[test]
    fn generations_pass_over_nobody() {
        assert_eq!((next_generation(0), next_generation(7), next_generation(u32::MAX)), (1, 8, 1));
    }
}
