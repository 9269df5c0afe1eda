//! Request ids of other libraries: which thread-locals the process has for them, where they lie in it now, and what names them.
//!
//! A file says how its code reaches a thread-local ([`crate::inspect::foreign`]); what the loader made of that stands in the process's
//! memory. Libraries come later, by `dlopen`, and the process context's map of keys grows: both are looked at again.

mod modules;
mod scopes;

use std::time::{Duration, Instant};

use profiler_common::awaits::key::KeyWords;
use profiler_common::foreign::{ACCESS_DTV, ACCESS_STATIC, ForeignSlot, ForeignSlots, NO_INDEX, SLOT_LABELS, SLOT_OTEL, SLOTS};
use profiler_common::limits::REQUEST_ID_BYTES;
use serde::Serialize;

use super::SessionError;
use crate::inspect::foreign::{Access, Context, Keys, Libc, Machine, Model, foreign_module, keys_of};
use crate::target::Target;
use crate::target::memory::TargetMemory;
use crate::target::process_context;
use crate::target::program::Program;
use modules::Modules;

/// The attribute or label that names a request where the user names none: what `profiler-annotate` writes.
pub const DEFAULT_LABEL_KEY: &str = "request.id";

/// How often mappings and process context are looked at again.
const REGULARLY: Duration = Duration::from_millis(500);

/// A thread-local of another library, as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundContext {
    /// Which.
    pub context: Context,
    /// The file whose code reaches it. Untrusted.
    pub file: String,
    /// How.
    pub model: Option<Model>,
    /// Whether other readers find it among that file's dynamic symbols. `None`: another file defines it.
    pub exported: Option<bool>,
    /// Where it lies: `thread pointer - 24`, `module 3 + 64`. `None`: not known, or of a file that does not run.
    pub place: Option<String>,
    /// Why it is not read.
    pub unread: Option<String>,
}

/// What a process, or a program, has of other libraries' contexts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForeignSight {
    /// Every way to one.
    pub found: Vec<FoundContext>,
    /// Names of attributes, by index, from the process context.
    pub keys: Vec<String>,
    /// What is amiss, a sentence each.
    pub notes: Vec<String>,
}

impl ForeignSight {
    /// What a file says of itself.
    pub(super) fn of_file(program: &Program) -> Self {
        let file = program.path().display().to_string();
        match foreign_module(program.bytes()) {
            Ok(module) => Self { found: modules::in_file(&file, &module), ..Self::default() },
            Err(error) => Self { notes: vec![error.to_string()], ..Self::default() },
        }
    }
}

/// The contexts of a process, kept up to date.
#[derive(Debug)]
pub(super) struct Foreign {
    label: KeyWords,
    label_len: u32,
    label_key: String,
    memory: TargetMemory,
    modules: Modules,
    keys: Keys,
    /// Where the process context lies, and when it was published.
    context: Option<(u64, u64)>,
    sight: ForeignSight,
    slots: ForeignSlots,
    /// Where the annotation's table is, if its slot is read too.
    scopes: Option<u64>,
    unknown_seen: u64,
    looked: Option<Instant>,
}

impl Foreign {
    /// Those of `target`, of which `program` is profiled, loaded `bias` beyond its file's addresses; `label_key` names requests.
    pub(super) fn of(target: &Target, program: &Program, bias: u64, label_key: Option<&str>) -> Result<Self, SessionError> {
        let label_key = label_key.unwrap_or(DEFAULT_LABEL_KEY);
        let (label, label_len) =
            words(label_key.as_bytes()).ok_or_else(|| SessionError::LabelKey { key: label_key.to_owned() })?;
        let memory = TargetMemory::of(target)
            .map_err(|source| SessionError::Runtime { what: "keep hold of the target's memory", source })?;
        let modules = if target.is_object() {
            // Fixed places are the program's alone. What is profiled is one of its libraries, and looked at with them.
            let program = target.exe_program()?;
            let bias = target.exe_bias(&program)?;
            Modules::of_program(&program, bias)
        } else {
            Modules::of_program(program, bias)
        };
        let mut foreign = Self {
            label,
            label_len,
            label_key: label_key.to_owned(),
            memory,
            modules,
            keys: Keys::default(),
            context: None,
            sight: ForeignSight::default(),
            slots: ForeignSlots::NONE,
            scopes: None,
            unknown_seen: 0,
            looked: None,
        };
        foreign.look()?;
        Ok(foreign)
    }

    /// The same with the slot of the annotation, whose table is at `table`.
    pub(super) fn with_scopes(mut self, table: u64) -> Result<Self, SessionError> {
        self.scopes = Some(table);
        self.look()?;
        Ok(self)
    }

    /// What there is, for people.
    pub(super) const fn sight(&self) -> &ForeignSight {
        &self.sight
    }

    /// What there is, for the kernel side.
    pub(super) const fn slots(&self) -> &ForeignSlots {
        &self.slots
    }

    /// Whether there is anything to read.
    pub(super) const fn is_empty(&self) -> bool {
        self.slots.count == 0
    }

    /// Looks again if it is time to, and at once where the kernel side has met `unknown` indices that it did not meet before. Whether there was
    /// anything new.
    pub(super) fn refresh_in_time(&mut self, unknown: u64) -> Result<bool, SessionError> {
        let passed = self.looked.map_or(Duration::MAX, |looked| looked.elapsed());
        if passed < REGULARLY && unknown == self.unknown_seen {
            return Ok(false);
        }
        self.unknown_seen = unknown;
        let before = self.slots;
        self.look()?;
        Ok(self.slots != before)
    }

    fn look(&mut self) -> Result<(), SessionError> {
        self.looked = Some(Instant::now());
        let mut sight = ForeignSight::default();
        let slots = self.modules.slots(&self.memory, &mut sight)?;
        if slots.iter().any(|slot| slot.kind == SLOT_OTEL) {
            if let Err(error) = self.read_context() {
                sight.notes.push(error);
            }
            if !self.keys.is_known_scheme() {
                let scheme = self.keys.scheme.clone().unwrap_or_default();
                sight.notes.push(format!(
                    "threads' records follow the scheme {scheme}, which is not known: they are read for trace ids only"
                ));
            }
        }
        if slots.len() > SLOTS {
            sight.notes.push(format!("of {} thread-locals only {SLOTS} are read", slots.len()));
        }
        sight.keys.clone_from(&self.keys.names);
        let known = if self.keys.is_known_scheme() { self.keys.index_of(&self.label_key) } else { None };
        self.slots = ForeignSlots {
            count: u32::try_from(slots.len().min(SLOTS)).unwrap_or(0),
            key_index: known.unwrap_or(NO_INDEX),
            keys_known: u32::try_from(self.keys.names.len()).unwrap_or(0),
            label_len: self.label_len,
            label: self.label,
            slots: std::array::from_fn(|place| slots.get(place).copied().unwrap_or(ForeignSlot::NONE)),
        };
        if let Some(table) = self.scopes {
            scopes::add(&mut self.slots, table, &self.memory);
        }
        self.sight = sight;
        Ok(())
    }

    /// Reads the process context, if it is there and another than the one that is known.
    fn read_context(&mut self) -> Result<(), String> {
        let path = format!("/proc/{}/maps", self.memory.pid());
        let maps =
            crate::target::read_bounded(std::path::Path::new(&path)).map_err(|error| format!("cannot read {path}: {error}"))?;
        let Some(address) = process_context::find(&maps) else {
            return Err("there is no process context, so attributes have no names: only trace ids are read".to_owned());
        };
        let published = process_context::read(&self.memory, address).map_err(|error| error.to_string())?;
        if self.context != Some((address, published.at_ns)) {
            self.keys = keys_of(&published.payload).ok_or("the process context's message cannot be read")?;
            self.context = Some((address, published.at_ns));
        }
        Ok(())
    }
}

/// A key as the kernel side compares it. `None`: of no bytes, or of too many.
fn words(key: &[u8]) -> Option<(KeyWords, u32)> {
    let mut bytes = [0; REQUEST_ID_BYTES];
    bytes.get_mut(..key.len())?.copy_from_slice(key);
    let mut words = KeyWords::default();
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().ok()?);
    }
    u32::try_from(key.len()).ok().filter(|length| *length > 0).map(|length| (words, length))
}

/// A place as the kernel side reads it.
fn slot(context: Context, access: Access, machine: Machine, libc: Libc) -> ForeignSlot {
    let kind = match context {
        Context::OpenTelemetry => SLOT_OTEL,
        Context::CustomLabels => SLOT_LABELS,
    };
    match access {
        Access::Static { offset } => {
            ForeignSlot { kind, access: ACCESS_STATIC, offset: offset.cast_unsigned(), ..ForeignSlot::NONE }
        }
        Access::Dtv { module, offset } => ForeignSlot {
            kind,
            access: ACCESS_DTV,
            offset,
            module,
            vector: libc.vector(machine).cast_unsigned(),
            entry_bytes: libc.entry_bytes(),
            padding: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that keys are words with zeros behind them, and that none and too long ones are refused.
    #[test]
    fn keys_are_words() {
        let (key, length) = words(b"request.id").unwrap();
        assert_eq!((key[0].to_ne_bytes(), length), (*b"request.", 10));
        assert_eq!((key[1].to_ne_bytes(), key[2]), (*b"id\0\0\0\0\0\0", 0));
        assert!(words(b"").is_none() && words(&[b'x'; 65]).is_none() && words(&[b'x'; 64]).is_some());
    }

    /// Check that a place in the vector has what its loader does.
    #[test]
    fn places_know_their_loader() {
        let access = Access::Dtv { module: 3, offset: 64 };
        let of = |libc| slot(Context::CustomLabels, access, Machine::X86_64, libc);
        assert_eq!((of(Libc::Glibc).entry_bytes, of(Libc::Musl).entry_bytes, of(Libc::Musl).vector), (16, 8, 8));
        assert_eq!(of(Libc::Glibc).kind, SLOT_LABELS);
    }
}
