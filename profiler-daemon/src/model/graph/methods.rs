//! Methods in await stacks under the names that code has for them.
//!
//! Debug information places a coroutine of a method into a nameless block, `pool::{impl#3}::acquire`, where the symbol names the type,
//! `pool::Pool<DB>::acquire`. Which is which is told by crate, method and source file. Where two of either fit, none is taken: the method
//! then keeps the name without its type, and its awaited time stands beside its running time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::names::{crate_of, function_of, last_segment};
use crate::model::stacks::{FrameKind, FrameName, Frames};
use crate::model::waits::WaitFrame;

/// Names of methods in code by their names in await stacks.
#[derive(Debug, Default)]
pub(super) struct Methods(HashMap<String, String>);

/// Crate and method.
type Key = (String, String);

/// A method's source files, and who it may be.
#[derive(Default)]
struct Candidates {
    /// Blocks of await stacks: `pool::{impl#3`.
    blocks: BTreeSet<String>,
    /// Their names without the block.
    steps: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Methods {
    /// Finds the methods of these await frames among the frames of code.
    pub(super) fn of<'f>(awaited: impl Iterator<Item = &'f WaitFrame>, frames: &Frames) -> Self {
        let mut nameless: BTreeMap<Key, Candidates> = BTreeMap::new();
        for frame in awaited {
            let Some((block, _)) = frame.name.split_once("{impl#").map(|(path, rest)| (path.len(), rest)) else { continue };
            let step = frame.step();
            let Some(key) = key(&step) else { continue };
            let candidates = nameless.entry(key).or_default();
            let end = frame.name.get(block..).and_then(|rest| rest.find('}')).map_or(block, |end| block.saturating_add(end));
            candidates.blocks.extend(frame.name.get(..end).map(str::to_owned));
            candidates.steps.insert(step);
            candidates.files.extend(frame.file.clone());
        }
        let mut named: BTreeMap<&Key, BTreeSet<String>> = BTreeMap::new();
        for (name, files) in frames.with_files().filter(|(name, _)| name.kind == FrameKind::Code) {
            let function = function_of(&name.text);
            let found = key(&function).and_then(|key| nameless.get_key_value(&key));
            let Some((key, candidates)) = found else { continue };
            if files.iter().any(|file| candidates.files.iter().any(|other| is_same(file, other))) {
                named.entry(key).or_default().insert(function);
            }
        }
        let pairs = named.into_iter().filter_map(|(key, functions)| {
            let candidates = nameless.get(key).filter(|candidates| candidates.blocks.len() == 1)?;
            let (step, function) = (candidates.steps.first()?, functions.first().filter(|_| functions.len() == 1)?);
            Some((step.clone(), function.clone()))
        });
        Self(pairs.collect())
    }

    /// The frame of a function of an await stack as code calls it.
    pub(super) fn named(&self, frame: FrameName) -> FrameName {
        match self.0.get(&frame.text).filter(|_| frame.kind == FrameKind::Code) {
            Some(function) => FrameName::new(FrameKind::Code, function),
            None => frame,
        }
    }

    /// What a function of an await stack is called.
    pub(super) fn name<'n>(&'n self, step: &'n str) -> &'n str {
        self.0.get(step).map_or(step, String::as_str)
    }
}

fn key(function: &str) -> Option<Key> {
    Some((crate_of(function)?.to_owned(), last_segment(function).to_owned()))
}

/// Whether two paths may name one file: the one is the end of the other, folder by folder.
fn is_same(one: &str, other: &str) -> bool {
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    long.strip_suffix(short).is_some_and(|before| before.is_empty() || before.ends_with('/') || short.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::AwaitFrameKind;
    use crate::model::symbols::Frame;

    fn awaited(name: &str, file: &str) -> WaitFrame {
        let (kind, file) = (AwaitFrameKind::AsyncFn, Some(file.to_owned()));
        WaitFrame { depth: 0, name: name.to_owned(), kind, file, line: Some(1) }
    }

    fn called(awaits: &[WaitFrame], code: &[(&str, &str)], step: &str) -> String {
        let mut frames = Frames::default();
        for (name, file) in code {
            let id = frames.id(FrameName::new(FrameKind::Code, name));
            frames.note(id, &Frame { file: Some((*file).to_owned()), ..Frame::named(name) });
        }
        Methods::of(awaits.iter(), &frames).name(step).to_owned()
    }

    #[test]
    fn a_method_has_its_type() {
        let pool = [awaited("sqlx::pool::{impl#3}::acquire", "/r/sqlx/src/pool/mod.rs")];
        let step = "sqlx::pool::acquire";
        let code = ("sqlx::pool::Pool<DB>::acquire", "/r/sqlx/src/pool/mod.rs");
        assert_eq!(
            called(&pool, &[code, ("sqlx::pool::Inner<DB>::acquire", "/r/sqlx/src/pool/inner.rs")], step),
            "sqlx::pool::Pool::acquire"
        );
        assert_eq!(called(&pool, &[("<s::A as sqlx::B>::acquire", "src/pool/mod.rs")], step), step, "of another crate");
        assert_eq!(called(&pool, &[("<sqlx::A as s::B<C>>::acquire", "src/pool/mod.rs")], step), "<sqlx::A as s::B>::acquire");
        assert_eq!(called(&pool, &[(code.0, "/r/sqlx/src/other.rs")], step), step);
        assert_eq!(called(&[awaited("sqlx::pool::acquire", code.1)], &[code], step), step, "a function is none");
    }

    #[test]
    fn of_two_that_fit_none_is_taken() {
        let one = awaited("s::{impl#0}::go", "src/s.rs");
        let other = awaited("s::{impl#1}::go", "src/s.rs");
        let code = [("s::A::go", "/x/src/s.rs"), ("s::B::go", "/x/src/s.rs")];
        assert_eq!(called(&[one.clone(), other], &code[..1], "s::go"), "s::go");
        assert_eq!(called(&[one], &code, "s::go"), "s::go");
    }
}
