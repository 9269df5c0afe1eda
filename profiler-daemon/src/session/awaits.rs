//! Where the target's futures can be seen to wait: by layouts from its debug information, by the stacks in which wakers are stored, or
//! not at all.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::await_cache::AwaitCache;
use crate::attach::AwaitsOf;
use crate::inspect::awaits::{AwaitError, AwaitLayouts, FrameKind, LoadedTable, Progress, TaskLocalKey, await_layouts};
use crate::inspect::{Inspection, Role};
use crate::model::awaits::{AwaitNames, NamedNode};
use crate::model::{AwaitFrameKind, AwaitSource, symbols};

/// The largest debug file that is read (bytes).
const DEBUG_FILE_MAX: u64 = 4 << 30;

/// What can be known of where a program's futures wait.
#[derive(Clone, Debug, Default)]
pub struct AwaitSight {
    /// The layouts, where the debug information has them.
    pub layouts: Option<Arc<AwaitLayouts>>,
    /// Where await stacks come from.
    pub source: AwaitSource,
    /// Why there are no layouts, and what would give them.
    pub why: Option<String>,
    /// What was left out, or not used, a sentence each.
    pub notes: Vec<String>,
}

/// The same in numbers, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AwaitSummary {
    /// Where await stacks come from.
    pub source: AwaitSource,
    /// The compiler of the debug information.
    pub compiler: Option<String>,
    /// Task types with a layout.
    pub task_types: usize,
    /// Vtables of boxed futures.
    pub dyn_futures: usize,
    /// Types of futures that the annotation's scopes wrap.
    pub scopes: usize,
    /// Nodes of the layout table.
    pub nodes: usize,
    /// The program's task-local keys.
    pub keys: Vec<KeySummary>,
    /// See [`AwaitSight::why`].
    pub why: Option<String>,
    /// See [`AwaitSight::notes`].
    pub notes: Vec<String>,
}

/// A task-local key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeySummary {
    /// Its path.
    pub name: String,
    /// The type of its values.
    pub type_name: String,
    /// Whether they can name requests.
    pub names_requests: bool,
}

impl KeySummary {
    fn of(key: &TaskLocalKey) -> Self {
        Self { name: key.name.clone(), type_name: key.type_name.clone(), names_requests: key.value.is_some() }
    }
}

impl AwaitSight {
    /// Looks into a program's bytes and, where those have no debug information, into those of its debug file.
    pub(super) fn of(
        program: &[u8],
        debug_file: impl FnOnce() -> (Option<Vec<u8>>, Vec<String>),
        inspection: &Inspection,
        progress: &mut dyn FnMut(Progress),
    ) -> Self {
        let cache = AwaitCache::open().zip(inspection.build_id.as_deref());
        if let Some(layouts) = cache.as_ref().and_then(|(cache, id)| cache.read(id)) {
            return Self::known(layouts);
        }
        let (found, refused) = match await_layouts(program, inspection, progress) {
            Err(AwaitError::NoDebugInfo) => {
                let (bytes, refused) = debug_file();
                (bytes.map_or(Err(AwaitError::NoDebugInfo), |bytes| await_layouts(&bytes, inspection, progress)), refused)
            }
            found => (found, Vec::new()),
        };
        match found {
            Ok(layouts) => {
                if let Some((cache, id)) = cache {
                    // Then it is read anew next time.
                    let _ = cache.keep(id, &layouts);
                }
                Self::known(layouts)
            }
            Err(error) => {
                let stored = inspection.sites_with(Role::CloneWaker).next().is_some();
                Self {
                    layouts: None,
                    source: if stored { AwaitSource::Wakers } else { AwaitSource::None },
                    why: Some(error.to_string()),
                    notes: refused,
                }
            }
        }
    }

    fn known(layouts: AwaitLayouts) -> Self {
        Self {
            source: AwaitSource::Layouts,
            why: None,
            notes: layouts.notes.iter().map(ToString::to_string).collect(),
            layouts: Some(Arc::new(layouts)),
        }
    }

    /// In numbers.
    #[must_use]
    pub fn summary(&self) -> AwaitSummary {
        let layouts = self.layouts.as_deref();
        let count = |of: fn(&AwaitLayouts) -> usize| layouts.map_or(0, of);
        AwaitSummary {
            source: self.source,
            compiler: layouts.and_then(|layouts| layouts.producer.clone()),
            task_types: count(|layouts| layouts.tasks.len()),
            dyn_futures: count(|layouts| layouts.dynamic.len()),
            scopes: count(|layouts| layouts.scopes.len()),
            nodes: count(|layouts| layouts.nodes.len()),
            keys: layouts.map(|layouts| layouts.keys.iter().map(KeySummary::of).collect()).unwrap_or_default(),
            why: self.why.clone(),
            notes: self.notes.clone(),
        }
    }

    /// The layouts where the program is loaded.
    pub(super) fn table(&self, bias: u64, inspection: &Inspection) -> Option<Arc<LoadedTable>> {
        let layouts = Arc::clone(self.layouts.as_ref()?);
        Some(Arc::new(LoadedTable::new(layouts, bias, inspection.header, &inspection.task_types)))
    }

    /// What await stacks are named by.
    pub(super) fn names(&self) -> AwaitNames {
        let Some(layouts) = &self.layouts else {
            return AwaitNames { source: self.source, ..AwaitNames::default() };
        };
        let named = layouts.frames.iter().map(|frame| {
            frame.as_ref().map(|frame| NamedNode {
                name: frame.name.clone(),
                kind: kind(frame.kind),
                points: frame.points.iter().map(|point| (point.state, point.file, point.line)).collect(),
            })
        });
        AwaitNames { source: self.source, nodes: named.collect(), files: layouts.files.iter().cloned().collect() }
    }
}

const fn kind(of: FrameKind) -> AwaitFrameKind {
    match of {
        FrameKind::AsyncFn => AwaitFrameKind::AsyncFn,
        FrameKind::AsyncBlock => AwaitFrameKind::AsyncBlock,
        FrameKind::AsyncClosure => AwaitFrameKind::AsyncClosure,
        FrameKind::Future => AwaitFrameKind::Future,
        FrameKind::Join => AwaitFrameKind::Join,
        FrameKind::Select => AwaitFrameKind::Select,
        FrameKind::Task => AwaitFrameKind::Task(None),
    }
}

/// Whose awaits a session walks, where `every_task` is measured or only requests are.
pub(super) const fn whose(source: AwaitSource, every_task: bool) -> AwaitsOf {
    match (source, every_task) {
        (AwaitSource::None, _) => AwaitsOf::Nobody,
        (_, true) => AwaitsOf::All,
        (_, false) => AwaitsOf::Wanted,
    }
}

/// The bytes of the debug file of the program at `exe` (a path that opens it), which is called `path` in the target's view, and why others
/// are not it.
pub(super) fn debug_file(exe: &Path, path: &Path, root: Option<&File>, debug_dirs: &[PathBuf]) -> (Option<Vec<u8>>, Vec<String>) {
    let Ok(program) = File::open(exe) else { return (None, Vec::new()) };
    let (file, mut refused) = symbols::debug_information(&program, path.as_os_str().as_bytes(), root, debug_dirs);
    let Some(mut file) = file else { return (None, refused) };
    let mut bytes = Vec::new();
    // Its sum was taken where a debug link named it.
    match file.rewind().and_then(|()| file.take(DEBUG_FILE_MAX).read_to_end(&mut bytes)) {
        Ok(_) => (Some(bytes), refused),
        Err(error) => {
            refused.push(format!("the debug file of {} cannot be read: {error}", path.display()));
            (None, refused)
        }
    }
}
