//! Methods in await stacks under the names that code has for them.
//!
//! Debug information places a coroutine of a method into a nameless block, `pool::{impl#3}::acquire`, where the symbol names the type,
//! `pool::Pool<DB>::acquire`. Which is which is told by crate, method and source file. Where two of either fit, none is taken: the method
//! then keeps the name without its type, and its awaited time stands beside its running time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::names::{crate_of, function_of, last_segment};
use crate::model::stacks::{FrameKind, FrameName};
use crate::model::waits::WaitFrame;

/// Names of methods in code by their names in await stacks.
#[derive(Debug, Default)]
pub(super) struct Methods(HashMap<String, String>);

/// Crate and method.
type Key = (String, String);

/// A method in a nameless block: `pool::{impl#3`, and the method.
type Nameless = (String, Key);

/// What it is called without the block, and the source files that its awaits are in.
#[derive(Default)]
struct Told {
    step: String,
    files: BTreeSet<String>,
}

impl Methods {
    /// Finds the methods of these await frames among functions of code and their source files.
    pub(super) fn of<'f>(
        awaited: impl Iterator<Item = &'f WaitFrame>,
        code: impl Iterator<Item = (&'f str, &'f BTreeSet<String>)>,
    ) -> Self {
        let mut nameless: BTreeMap<Nameless, Told> = BTreeMap::new();
        for frame in awaited {
            let step = frame.step();
            if let (Some(block), Some(key)) = (block(&frame.name), key(&step)) {
                let told = nameless.entry((block.to_owned(), key)).or_default();
                told.step = step;
                told.files.extend(frame.file.clone());
            }
        }
        let mut functions: HashMap<Key, Vec<(String, &BTreeSet<String>)>> = HashMap::new();
        for (text, files) in code.filter(|_| !nameless.is_empty()) {
            let function = function_of(text);
            if let Some(key) = key(&function) {
                functions.entry(key).or_default().push((function, files));
            }
        }
        // A function that several blocks may be is none of them.
        let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((_, key), told) in nameless {
            let fits = |files: &BTreeSet<String>| files.iter().any(|file| told.files.iter().any(|other| is_same(file, other)));
            let found = functions.get(&key).into_iter().flatten().filter(|(_, files)| fits(files)).map(|(function, _)| function);
            let found: BTreeSet<&String> = found.collect();
            if let (Some(function), 1) = (found.first(), found.len()) {
                claims.entry((*function).clone()).or_default().push(told.step);
            }
        }
        let only = |(function, steps): (String, Vec<String>)| match &steps[..] {
            [step] => Some((step.clone(), function)),
            _ => None,
        };
        Self(claims.into_iter().filter_map(only).collect())
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

/// `pool::{impl#3` of `pool::{impl#3}::acquire`.
fn block(name: &str) -> Option<&str> {
    let begin = name.find("{impl#")?;
    let length = name.get(begin..)?.find('}')?;
    name.get(..begin.saturating_add(length))
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

    fn awaited(name: &str, file: &str) -> WaitFrame {
        let (kind, file) = (AwaitFrameKind::AsyncFn, Some(file.to_owned()));
        WaitFrame { depth: 0, name: name.to_owned(), kind, file, line: Some(1), begins: None }
    }

    fn called(awaits: &[WaitFrame], code: &[(&str, &str)], step: &str) -> String {
        let files: Vec<BTreeSet<String>> = code.iter().map(|(_, file)| [(*file).to_owned()].into()).collect();
        let code = code.iter().zip(&files).map(|((name, _), files)| (*name, files));
        Methods::of(awaits.iter(), code).name(step).to_owned()
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

    #[test]
    fn files_tell_methods_of_one_name_apart() {
        let awaits = [awaited("s::a::{impl#0}::go", "/x/src/a.rs"), awaited("s::b::{impl#0}::go", "/x/src/b.rs")];
        let code = [("s::a::A::go", "/x/src/a.rs"), ("s::b::B::go", "/x/src/b.rs")];
        assert_eq!(called(&awaits, &code, "s::a::go"), "s::a::A::go");
        assert_eq!(called(&awaits, &code, "s::b::go"), "s::b::B::go");
    }
}
