//! Types on demand: by the place of their entry, with what was read last kept at hand.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use gimli::Unit;

use super::index::Index;
use super::scan::joined;
use super::shape::{Shape, shape};
use super::source::{Die, Slice, Source};

/// Units kept at hand: some hundred kilobytes each.
const UNITS: usize = 64;
/// Shapes kept at hand.
const SHAPES: usize = 8192;

/// The types of a file.
pub(in crate::inspect::awaits) struct Types<'a, 's> {
    source: &'a Source<'s>,
    index: &'a Index,
    units: RefCell<HashMap<usize, Rc<Unit<Slice<'s>>>>>,
    shapes: RefCell<HashMap<Die, Rc<Shape<'s>>>>,
}

impl<'a, 's> Types<'a, 's> {
    pub(in crate::inspect::awaits) fn new(source: &'a Source<'s>, index: &'a Index) -> Self {
        Self { source, index, units: RefCell::default(), shapes: RefCell::default() }
    }

    /// A unit; `None` where it does not parse.
    pub(in crate::inspect::awaits) fn unit(&self, number: usize) -> Option<Rc<Unit<Slice<'s>>>> {
        if let Some(unit) = self.units.borrow().get(&number) {
            return Some(Rc::clone(unit));
        }
        let unit = Rc::new(self.source.unit(number).ok()?);
        let mut units = self.units.borrow_mut();
        if units.len() >= UNITS {
            units.clear();
        }
        units.insert(number, Rc::clone(&unit));
        Some(unit)
    }

    /// The type there. What does not parse is a plain type: nothing lies in it.
    pub(in crate::inspect::awaits) fn shape(&self, die: Die) -> Rc<Shape<'s>> {
        if let Some(known) = self.shapes.borrow().get(&die) {
            return Rc::clone(known);
        }
        let read = || {
            let (number, offset) = self.source.place(die)?;
            let unit = self.unit(number)?;
            shape(self.source, &unit, offset).ok()
        };
        let new = Rc::new(read().unwrap_or_default());
        let mut shapes = self.shapes.borrow_mut();
        if shapes.len() >= SHAPES {
            shapes.clear();
        }
        shapes.insert(die, Rc::clone(&new));
        new
    }

    /// The hash of a type's path, as [`joined`] makes it.
    pub(in crate::inspect::awaits) fn path_hash(&self, die: Die, name: &str) -> u64 {
        let around = self.source.place(die).and_then(|(number, _)| self.index.namespace(number, die));
        joined(around.map_or(0, |namespace| namespace.hash), name)
    }

    /// The modules (and functions) around a type, outermost first: `tokio::time::timeout`. Empty where there are none.
    pub(in crate::inspect::awaits) fn modules(&self, die: Die) -> String {
        let parts = || {
            let (number, _) = self.source.place(die)?;
            let unit = self.unit(number)?;
            let mut parts = Vec::new();
            for namespace in self.index.namespaces_around(number, die) {
                let (_, offset) = self.source.place(namespace.start)?;
                let entry = unit.entry(offset).ok()?;
                parts.push(self.source.text(&unit, entry.attr_value(gimli::constants::DW_AT_name)?));
            }
            Some(parts.join("::"))
        };
        parts().unwrap_or_default()
    }

    /// The type as it is written outside of its module.
    pub(in crate::inspect::awaits) fn path(&self, die: Die, name: &str) -> String {
        let modules = self.modules(die);
        if modules.is_empty() { name.to_owned() } else { format!("{modules}::{name}") }
    }

    /// The path of a source file that an entry of the unit of `die` names by its number.
    pub(in crate::inspect::awaits) fn file(&self, die: Die, number: u64) -> Option<String> {
        let (unit, _) = self.source.place(die)?;
        let unit = self.unit(unit)?;
        let header = unit.line_program.as_ref()?.header();
        let file = header.file(number)?;
        let mut path = String::new();
        let text = |value| self.source.text(&unit, value);
        if let Some(directory) = file.directory(header).map(text) {
            if !directory.starts_with('/')
                && let Some(built_in) = unit.comp_dir.and_then(|built_in| std::str::from_utf8(built_in.slice()).ok())
            {
                path = join(path, built_in);
            }
            path = join(path, directory);
        }
        Some(join(path, text(file.path_name())))
    }
}

fn join(before: String, part: &str) -> String {
    if before.is_empty() || part.starts_with('/') {
        part.to_owned()
    } else if part.is_empty() {
        before
    } else {
        format!("{}/{part}", before.trim_end_matches('/'))
    }
}
