//! Task-local keys: the futures that carry their values, and how a value is read.
//!
//! Source: tokio `task/task_local.rs` (1.8 to 1.54): `LocalKey<T>` has `inner`, a `std::thread::LocalKey<RefCell<Option<T>>>`;
//! `TaskLocalFuture<T, F>` has `local: &'static LocalKey<T>`, `slot: Option<T>` and `future`, in an `Option` since 1.9.

use profiler_common::awaits::key::{KEY_INLINE, KEY_TEXT, KeyKind};
use profiler_common::awaits::node::TASK_LOCAL;
use profiler_common::awaits::{NodeKind, RequestKey};

use super::Compiler;
use crate::inspect::awaits::dwarf::scan::joined;
use crate::inspect::awaits::dwarf::shape::{Kind, Shape, Value};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::keys::{KeyCell, KeyLayout, TaskLocalKey};

/// Wrappers around a value.
const MAX_WRAPPERS: u32 = 16;
/// The counts of an `Arc` or an `Rc` before a `str` (bytes).
const COUNTS: u32 = 16;

impl<'s> Compiler<'_, 's> {
    /// Fills the node of a future that carries a key's value.
    pub(super) fn task_local(&mut self, place: u32, die: Die, shape: &Shape<'s>) {
        let Some(future) = self.field(shape, "future") else { return self.changed(place, die, shape, "future") };
        self.only(place, &future);
        let offset = |name: &str| self.field(shape, name).and_then(|member| u32::try_from(member.offset?).ok());
        let (Some(local), Some(slot)) = (offset("local"), offset("slot")) else { return };
        if let Some(node) = self.layouts.nodes.get_mut(place as usize)
            && (node.kind == NodeKind::Inside as u8 || node.kind == NodeKind::Leaf as u8)
        {
            node.flags |= TASK_LOCAL;
            (node.offset, node.aux) = (local, slot);
        }
    }

    /// The keys of the program.
    pub(super) fn keys(&self) -> Vec<TaskLocalKey> {
        let mut keys: Vec<TaskLocalKey> = Vec::new();
        for found in &self.index.statics {
            // Several units may describe one.
            if keys.last().is_some_and(|key| key.address == found.address) {
                continue;
            }
            let key = self.types.shape(found.of);
            let of = key.parameters.first().map(|(_, of)| *of);
            // `LocalKey<RefCell<Option<T>>>`
            let cell = self.field(&key, "inner").and_then(|inner| Some(self.types.shape(inner.of?).parameters.first()?.1));
            let option = cell.and_then(|cell| Some(self.types.shape(cell).parameters.first()?.1));
            keys.push(TaskLocalKey {
                name: self.types.path(found.own, self.types.shape(found.own).name),
                address: found.address,
                type_name: of.map(|of| self.types.path(of, self.types.shape(of).name)).unwrap_or_default(),
                value: option.and_then(|option| self.slot(option)),
                cell: cell.and_then(|cell| self.cell(cell)),
            });
        }
        keys.sort_by(|one, other| one.name.cmp(&other.name));
        keys
    }

    /// Where a `RefCell` has its value: `value: UnsafeCell<T>`, whose only field it is (core cell.rs).
    fn cell(&self, cell: Die) -> Option<KeyCell> {
        let shape = self.types.shape(cell);
        let value = self.field(&shape, "value.value")?;
        Some(KeyCell { value: u32::try_from(value.offset?).ok()?, size: u32::try_from(shape.size?).ok()? })
    }

    /// How the value in an `Option` is read.
    fn slot(&self, option: Die) -> Option<KeyLayout> {
        let shape = self.types.shape(option);
        let variants = shape.variants.as_ref()?;
        let named = |name: &str| variants.list.iter().find(|variant| variant.member.is_some_and(|member| member.name == name));
        let (some, none) = (named("Some")?, named("None")?);
        let tag = variants.tag?;
        let tag_width = u32::try_from(self.types.shape(tag.of?).size?).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8))?;
        let (value, some_is_tag) = match (some.value, none.value) {
            (Value::Is(value), _) => (value, 1),
            (Value::Others, Value::Is(value)) => (value, 0),
            _ => return None,
        };
        let member = some.member?;
        let fields = self.types.shape(member.of?);
        let [field] = fields.members[..] else { return None };
        let at = member.offset?.checked_add(field.offset?)?;
        let KeyLayout { recipe, kind } = self.value(field.of?, at, 0)?;
        let recipe = RequestKey {
            tag: value & (u64::MAX >> (64 - 8 * tag_width)),
            tag_offset: u32::try_from(tag.offset?).ok()?,
            tag_width,
            some_is_tag,
            ..recipe
        };
        Some(KeyLayout { recipe, kind })
    }

    /// How a value of this type, `at` bytes into its slot, is read. `None`: it is none of the types that can name a request.
    fn value(&self, die: Die, at: u64, depth: u32) -> Option<KeyLayout> {
        let shape = self.types.shape(die);
        if depth > MAX_WRAPPERS {
            return None;
        }
        match shape.kind {
            Kind::Plain => {
                let kind = integer(shape.name)?;
                inline(at, shape.size?, kind)
            }
            Kind::Array => {
                let is_bytes = shape.to.is_some_and(|of| self.types.shape(of).name == "u8");
                (is_bytes && shape.count == Some(16)).then(|| inline(at, 16, KeyKind::Uuid)).flatten()
            }
            Kind::Structure if shape.variants.is_none() => self.structure_value(die, &shape, at, depth),
            _ => None,
        }
    }

    fn structure_value(&self, die: Die, shape: &Shape<'s>, at: u64, depth: u32) -> Option<KeyLayout> {
        if shape.name == "&str" || shape.name.starts_with("alloc::boxed::Box<str,") {
            return wide_text(shape, at, 0);
        }
        let base = shape.name.split('<').next().unwrap_or_default();
        let path = self.types.path_hash(die, base);
        if path == joined(0, "alloc::string::String") {
            return self.string(shape, at);
        }
        let counted = path == joined(0, "alloc::sync::Arc") || path == joined(0, "alloc::rc::Rc");
        if counted && shape.name.split_once('<').is_some_and(|(_, of)| of.starts_with("str,") || of == "str>") {
            let mut at = at;
            let mut shape = self.field(shape, "ptr")?;
            // `NonNull` around the pointer.
            for _ in 0..MAX_WRAPPERS {
                at = at.checked_add(shape.offset?)?;
                let inner = self.types.shape(shape.of?);
                if Self::wide(&inner).is_some() {
                    return wide_text(&inner, at, COUNTS);
                }
                shape = *inner.members.first()?;
            }
            return None;
        }
        // A newtype: one member that takes room.
        let mut members = shape.members.iter().filter(|member| member.of.is_none_or(|of| self.types.shape(of).size != Some(0)));
        let (Some(only), None) = (members.next(), members.next()) else { return None };
        self.value(only.of?, at.checked_add(only.offset?)?, depth + 1)
    }

    fn string(&self, shape: &Shape<'s>, at: u64) -> Option<KeyLayout> {
        let (buffer, length) = (self.field(shape, "vec.buf")?, self.field(shape, "vec.len")?);
        let pointer = buffer.offset?.checked_add(self.pointer_inside(buffer.of?, 0)?.0)?;
        text(at.checked_add(pointer)?, at.checked_add(length.offset?)?, 0)
    }
}

/// A pointer of two words to a `str`.
fn wide_text(shape: &Shape<'_>, at: u64, skip: u32) -> Option<KeyLayout> {
    let [pointer, length] = shape.members[..] else { return None };
    if length.name != "length" {
        return None;
    }
    text(at.checked_add(pointer.offset?)?, at.checked_add(length.offset?)?, skip)
}

fn text(pointer: u64, length: u64, skip: u32) -> Option<KeyLayout> {
    let recipe = RequestKey {
        kind: KEY_TEXT,
        offset: u32::try_from(pointer).ok()?,
        length: u32::try_from(length).ok()?,
        skip,
        ..RequestKey::NONE
    };
    Some(KeyLayout { recipe, kind: KeyKind::Text })
}

fn inline(at: u64, width: u64, kind: KeyKind) -> Option<KeyLayout> {
    let recipe = RequestKey {
        kind: KEY_INLINE,
        offset: u32::try_from(at).ok()?,
        width: u32::try_from(width).ok().filter(|width| matches!(width, 1 | 2 | 4 | 8 | 16))?,
        ..RequestKey::NONE
    };
    Some(KeyLayout { recipe, kind })
}

/// What an integer type of this name is.
fn integer(name: &str) -> Option<KeyKind> {
    match name {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => Some(KeyKind::Unsigned),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => Some(KeyKind::Signed),
        _ => None,
    }
}
