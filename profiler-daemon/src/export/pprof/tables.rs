//! What samples of a pprof profile point into: strings, functions, locations and mappings, each once.

use std::collections::HashMap;

use super::proto::{Function, Line, Location, Mapping};
use crate::model::graph::weighted::Function as Drawn;
use crate::model::symbols::{Frame, MappedFile, Symbolize, by_address};
use crate::model::text::printable;

/// A number as the schema wants it. Times above 292 years are cut to that.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The string table. Index 0 is the empty string.
pub(super) struct Strings {
    texts: Vec<String>,
    indices: HashMap<String, i64>,
}

impl Strings {
    pub(super) fn new() -> Self {
        Self { texts: vec![String::new()], indices: HashMap::from([(String::new(), 0)]) }
    }

    /// The index of a text that is printable already.
    pub(super) fn index(&mut self, text: &str) -> i64 {
        if let Some(&index) = self.indices.get(text) {
            return index;
        }
        let index = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.push(text.to_owned());
        self.indices.insert(text.to_owned(), index);
        index
    }

    /// The index of a text from the target.
    pub(super) fn untrusted(&mut self, text: &str) -> i64 {
        self.index(&printable(text.as_bytes()))
    }

    pub(super) fn into_table(self) -> Vec<String> {
        self.texts
    }
}

/// Code of the target by address, and places that are no code by name.
pub(super) struct Places {
    pub(super) mappings: Vec<Mapping>,
    pub(super) locations: Vec<Location>,
    pub(super) functions: Vec<Function>,
    function_ids: HashMap<(i64, i64, i64), u64>,
    by_address: HashMap<u64, u64>,
    by_name: HashMap<String, u64>,
    /// Locations that have not all functions of their address, or have them under other names.
    parts: HashMap<(u64, Vec<Drawn>), u64>,
}

impl Places {
    /// Looks up every address, each once.
    pub(super) fn of(addresses: impl Iterator<Item = u64>, symbols: &mut dyn Symbolize, strings: &mut Strings) -> Self {
        let named = by_address(addresses, symbols);
        let mut places = Self {
            mappings: mappings(&symbols.modules(), strings),
            locations: Vec::new(),
            functions: Vec::new(),
            function_ids: HashMap::new(),
            by_address: HashMap::new(),
            by_name: HashMap::new(),
            parts: HashMap::new(),
        };
        for (address, functions) in named {
            places.add(address, &functions, strings);
        }
        places
    }

    fn add(&mut self, address: u64, functions: &[Frame], strings: &mut Strings) {
        let mapping_id = self.mapping_of(address);
        let line = functions.iter().map(|frame| {
            let file = frame.file.as_deref().map_or(0, |file| strings.untrusted(file));
            let function_id = self.function(strings.untrusted(&frame.function), strings.untrusted(&frame.full), file);
            Line { function_id, line: frame.line.map_or(0, i64::from) }
        });
        let line = line.collect();
        let id = self.next_location();
        self.locations.push(Location { id, mapping_id, address, line });
        self.by_address.insert(address, id);
    }

    /// The mapping that an address lies in. 0: in none.
    fn mapping_of(&self, address: u64) -> u64 {
        let holds = |mapping: &&Mapping| (mapping.memory_start..mapping.memory_limit).contains(&address);
        self.mappings.iter().find(holds).map_or(0, |mapping| mapping.id)
    }

    fn function(&mut self, name: i64, system_name: i64, filename: i64) -> u64 {
        let next = count(self.functions.len());
        let id = *self.function_ids.entry((name, system_name, filename)).or_insert(next);
        if id == next {
            self.functions.push(Function { id, name, system_name, filename });
        }
        id
    }

    const fn next_location(&self) -> u64 {
        count(self.locations.len())
    }

    /// The location of an address.
    pub(super) fn at(&self, address: u64) -> Option<u64> {
        self.by_address.get(&address).copied()
    }

    /// The location of an address with only these of its functions.
    pub(super) fn part_of(&mut self, address: u64, drawn: &[Drawn], strings: &mut Strings) -> Option<u64> {
        if let Some(&id) = self.parts.get(&(address, drawn.to_vec())) {
            return Some(id);
        }
        let whole = usize::try_from(self.at(address)?).ok().and_then(|id| self.locations.get(id.checked_sub(1)?)).cloned()?;
        let mut line = Vec::new();
        for Drawn { place, name } in drawn {
            let Some(found) = whole.line.get(*place) else { continue };
            let function_id = match name {
                None => found.function_id,
                Some(name) => self.renamed(found.function_id, strings.untrusted(name)),
            };
            line.push(Line { function_id, line: found.line });
        }
        let id = self.next_location();
        self.locations.push(Location { id, line, ..whole });
        self.parts.insert((address, drawn.to_vec()), id);
        Some(id)
    }

    /// The same function under another name; its own is still its system name.
    fn renamed(&mut self, function_id: u64, name: i64) -> u64 {
        let known = usize::try_from(function_id).ok().and_then(|id| self.functions.get(id.checked_sub(1)?));
        match known.map(|function| (function.system_name, function.filename)) {
            Some((system_name, filename)) => self.function(name, system_name, filename),
            None => function_id,
        }
    }

    /// The location of something that is no code: a state, or what was not seen.
    pub(super) fn named(&mut self, text: &str, strings: &mut Strings) -> u64 {
        if let Some(&id) = self.by_name.get(text) {
            return id;
        }
        let name = strings.index(text);
        let function_id = self.function(name, name, 0);
        let id = self.next_location();
        self.locations.push(Location { id, mapping_id: 0, address: 0, line: vec![Line { function_id, line: 0 }] });
        self.by_name.insert(text.to_owned(), id);
        id
    }
}

/// The id of the next of `len` things: ids begin with 1, 0 is "none".
const fn count(len: usize) -> u64 {
    // usize has at most 64 bits on every platform that Linux runs on.
    (len as u64).saturating_add(1)
}

/// The mapped files. That names, lines and inlined functions are there tells readers not to look them up again.
fn mappings(files: &[MappedFile], strings: &mut Strings) -> Vec<Mapping> {
    let mappings = files.iter().zip(1..).map(|(file, id)| Mapping {
        id,
        memory_start: file.start,
        memory_limit: file.end,
        file_offset: file.file_offset,
        filename: strings.untrusted(&file.path),
        build_id: file.build_id.as_deref().map_or(0, |build_id| strings.untrusted(build_id)),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    });
    mappings.collect()
}
