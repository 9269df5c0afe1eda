//! The process's files with thread-locals of other libraries, and what their loader made of them.

use std::collections::HashMap;
use std::path::Path;

use profiler_common::foreign::ForeignSlot;

use super::{ForeignSight, FoundContext, slot};
use crate::inspect::foreign::{
    Access, Context, ForeignModule, LABELS_VERSION, Libc, Machine, Model, TlsSymbol, at_fixed_offset, foreign_module,
};
use crate::session::SessionError;
use crate::target::code::{Behind, stretches};
use crate::target::memory::{Span, Spans, TargetMemory};
use crate::target::program::{Program, Segment};

/// A file that has one, or the program.
#[derive(Debug)]
struct File {
    path: String,
    module: ForeignModule,
    segments: Vec<Segment>,
}

/// Where a file is loaded.
struct Loaded<'m> {
    file: &'m File,
    bias: u64,
    is_program: bool,
}

/// The files that were read.
#[derive(Debug)]
pub(super) struct Modules {
    program: Option<File>,
    program_bias: u64,
    /// `None`: there is nothing in it.
    files: HashMap<Behind, Option<File>>,
    /// Files that could not be read, a sentence each.
    unreadable: Vec<String>,
}

impl Modules {
    pub(super) fn of_program(program: &Program, bias: u64) -> Self {
        let file = read(program);
        let unreadable = file.as_ref().err().cloned().into_iter().collect();
        Self { program: file.ok(), program_bias: bias, files: HashMap::new(), unreadable }
    }

    /// Where the thread-locals lie now, in the order in which they are to be read; `sight` is told of each.
    pub(super) fn slots(&mut self, memory: &TargetMemory, sight: &mut ForeignSight) -> Result<Vec<ForeignSlot>, SessionError> {
        let biases = self.read_new(memory.pid())?;
        let mut loaded: Vec<Loaded<'_>> = Vec::new();
        if let Some(file) = &self.program {
            loaded.push(Loaded { file, bias: self.program_bias, is_program: true });
        }
        for (behind, bias) in &biases {
            if let Some(Some(file)) = self.files.get(behind) {
                loaded.push(Loaded { file, bias: *bias, is_program: false });
            }
        }
        sight.notes.extend(self.unreadable.iter().cloned());
        let libc = Libc::of_loader(self.program.as_ref().and_then(|file| file.module.interpreter.as_deref()));
        let mut slots = Vec::new();
        for context in Context::ALL {
            let refused = if context == Context::CustomLabels { labels_refused(&loaded, memory) } else { None };
            for one in &loaded {
                for symbol in one.file.module.symbols.iter().filter(|symbol| symbol.context == context) {
                    for (model, access) in ways(one, symbol, memory) {
                        let unread = access.is_none().then(|| unresolved(model)).or_else(|| refused.clone());
                        if unread.is_none()
                            && let Some(access) = access
                        {
                            slots.push(slot(context, access, one.file.module.machine, libc));
                        }
                        sight.found.push(FoundContext {
                            context,
                            file: one.file.path.clone(),
                            model,
                            exported: symbol.value.map(|_| symbol.exported),
                            place: access.map(place),
                            unread,
                        });
                    }
                }
            }
        }
        sight.found.dedup();
        let mut seen = std::collections::HashSet::new();
        slots.retain(|slot| seen.insert(*slot));
        Ok(slots)
    }

    /// Reads files that were not seen yet. Returns which files are loaded where, the program left out.
    fn read_new(&mut self, pid: u32) -> Result<Vec<(Behind, u64)>, SessionError> {
        let mut biases = Vec::new();
        for stretch in stretches(pid)? {
            let behind = stretch.behind();
            if !matches!(behind, Behind::File(..)) || biases.iter().any(|(known, _)| *known == behind) {
                continue;
            }
            // The program is large and has been read.
            let program = self.program.as_ref().and_then(|file| stretch.load_bias(&file.segments));
            if program == Some(self.program_bias) && self.is_program(&stretch.name()) {
                continue;
            }
            if !self.files.contains_key(&behind) {
                let file = stretch
                    .bytes()
                    .map_err(|error| error.to_string())
                    .and_then(|bytes| Program::parse(Path::new(&stretch.name()), bytes).map_err(|error| error.to_string()))
                    .and_then(|program| read(&program));
                let file = match file {
                    Ok(file) => (!file.module.symbols.is_empty()).then_some(file),
                    Err(error) => {
                        self.unreadable.push(format!("no thread-locals of {}: {error}", stretch.name()));
                        None
                    }
                };
                self.files.insert(behind.clone(), file);
            }
            let bias = self.files.get(&behind).and_then(Option::as_ref).and_then(|file| stretch.load_bias(&file.segments));
            if let Some(bias) = bias {
                biases.push((behind, bias));
            }
        }
        Ok(biases)
    }

    fn is_program(&self, name: &str) -> bool {
        self.program.as_ref().is_some_and(|file| file.path == name)
    }
}

fn read(program: &Program) -> Result<File, String> {
    let module = foreign_module(program.bytes()).map_err(|error| error.to_string())?;
    Ok(File { path: program.path().display().to_string(), module, segments: program.segments().to_vec() })
}

/// Every way from this file to the thread-local, resolved where it can be.
fn ways(loaded: &Loaded<'_>, symbol: &TlsSymbol, memory: &TargetMemory) -> Vec<(Option<Model>, Option<Access>)> {
    let module = &loaded.file.module;
    if loaded.is_program
        && let Some(value) = symbol.value
    {
        let access = module.tls.as_ref().and_then(|segment| at_fixed_offset(module.machine, segment, value));
        return vec![(Some(Model::LocalExec), access)];
    }
    let words = |address: u64| pair(memory, address);
    let mut ways: Vec<(Option<Model>, Option<Access>)> = symbol
        .reaches
        .iter()
        .map(|reach| {
            let got = loaded.bias.wrapping_add(reach.got);
            (Some(reach.model), Access::behind(module.machine, reach.model, got, symbol.value, &words))
        })
        .collect();
    // One pair of words that is another thread-local's is no news where there is one that is ours.
    if ways.iter().any(|(_, access)| access.is_some()) {
        ways.retain(|(_, access)| access.is_some());
    }
    ways.sort_by_key(|(model, _)| *model);
    ways.dedup();
    if ways.is_empty() && symbol.value.is_some() {
        ways.push((None, None));
    }
    ways
}

fn pair(memory: &TargetMemory, address: u64) -> Option<[u64; 2]> {
    let mut bytes = [0; 16];
    let spans = [Span { address, length: 8 }, Span { address: address.wrapping_add(8), length: 8 }];
    let read = memory.read_spans(&spans, &mut bytes);
    let word = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    // Of one word the second may lie behind the last page.
    (read.first() == Some(&true)).then_some(())?;
    Some([word(0)?, if read.get(1) == Some(&true) { word(8)? } else { 0 }])
}

fn unresolved(model: Option<Model>) -> String {
    match model {
        Some(model) => format!("its {} words in the GOT are not resolved", model.name()),
        None => "the file defines it and no code refers to it in a way that is known".to_owned(),
    }
}

/// Why labels are not read, by the version that the process has in memory.
fn labels_refused(loaded: &[Loaded<'_>], memory: &TargetMemory) -> Option<String> {
    let address = loaded.iter().find_map(|one| Some(one.file.module.labels_version?.wrapping_add(one.bias)));
    let Some(address) = address else {
        return Some("there is no custom_labels_abi_version beside it".to_owned());
    };
    let mut version = [0; 4];
    if !memory.read(address, &mut version) {
        return Some("its version cannot be read".to_owned());
    }
    let version = u32::from_ne_bytes(version);
    (version != LABELS_VERSION).then(|| format!("its version is {version}, and only {LABELS_VERSION} is read"))
}

fn place(access: Access) -> String {
    match access {
        Access::Static { offset } if offset < 0 => format!("thread pointer - {}", offset.unsigned_abs()),
        Access::Static { offset } => format!("thread pointer + {offset}"),
        Access::Dtv { module, offset } => format!("module {module} + {offset}"),
    }
}

/// What a file that does not run says of itself.
pub(super) fn in_file(path: &str, module: &ForeignModule) -> Vec<FoundContext> {
    let of = |symbol: &TlsSymbol, model, access: Option<Access>, unread| FoundContext {
        context: symbol.context,
        file: path.to_owned(),
        model,
        exported: symbol.value.map(|_| symbol.exported),
        place: access.map(place),
        unread,
    };
    let version = module.labels_version_in_file.filter(|version| *version != LABELS_VERSION);
    let refused = version.map(|version| format!("its version is {version}, and only {LABELS_VERSION} is read"));
    let mut found = Vec::new();
    for symbol in &module.symbols {
        let refused = refused.clone().filter(|_| symbol.context == Context::CustomLabels);
        let mut models: Vec<Model> = symbol.reaches.iter().map(|reach| reach.model).collect();
        models.sort();
        models.dedup();
        let is_fixed = models.is_empty() && module.machine == Machine::X86_64;
        if let Some(value) = symbol.value.filter(|_| is_fixed) {
            // An executable's: a library whose own code does not reach it is none that works.
            let access = module.tls.as_ref().and_then(|segment| at_fixed_offset(module.machine, segment, value));
            found.push(of(symbol, Some(Model::LocalExec), access, refused));
        } else {
            found.extend(models.into_iter().map(|model| of(symbol, Some(model), None, refused.clone())));
        }
    }
    found
}
