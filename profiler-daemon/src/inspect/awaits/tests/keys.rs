//! Tests of how task-local keys are found, and their values read.

use profiler_common::awaits::key::{KEY_INLINE, KEY_TEXT, KeyKind};
use profiler_common::awaits::node::{FRAME, TASK_LOCAL};
use profiler_common::awaits::{NodeKind, RequestKey};

use super::named;
use crate::inspect::awaits::specimen::{self, Program};
use crate::inspect::awaits::{KeyCell, KeyLayout, TaskLocalKey};

fn layout(of: impl FnOnce(&mut Program)) -> TaskLocalKey {
    let mut program = specimen::program();
    of(&mut program);
    let keys = program.layouts().unwrap().keys;
    keys.into_iter().find(|key| key.name == "app::KEY").unwrap()
}

/// Check that a key has its path and address, and that a string's value is told from `None` by its capacity.
#[test]
fn a_key_of_strings_is_read() {
    let layouts = specimen::layouts();
    let recipe = RequestKey { tag: 1 << 63, tag_width: 8, kind: KEY_TEXT, offset: 8, length: 16, ..RequestKey::NONE };
    assert_eq!(
        layouts.keys,
        [TaskLocalKey {
            name: "app::names::REQUEST_ID".to_owned(),
            address: 0x7000,
            type_name: "alloc::string::String".to_owned(),
            value: Some(KeyLayout { recipe, kind: KeyKind::Text }),
            cell: Some(KeyCell { value: 8, size: 32 }),
        }]
    );
}

/// Check integers with a tag of their own, sixteen bytes and newtypes of both.
#[test]
fn what_lies_in_the_slot_is_read() {
    let direct = RequestKey { tag: 1, tag_width: 8, some_is_tag: 1, kind: KEY_INLINE, offset: 8, width: 8, ..RequestKey::NONE };
    let key = layout(|program| {
        let number = program.base("u64", 8);
        program.key(("app", "KEY", 0x7100), (number, "u64"), (16, 8, None));
    });
    assert_eq!(key.value, Some(KeyLayout { recipe: direct, kind: KeyKind::Unsigned }));
    let key = layout(|program| {
        let number = program.base("i32", 4);
        let inner = program.fields("app", "Inner", 8, &[("__0", number, 4)]);
        let outer = program.fields("app", "Outer", 8, &[("__0", inner, 0)]);
        program.key(("app", "KEY", 0x7100), (outer, "app::Outer"), (16, 8, None));
    });
    assert_eq!(key.value, Some(KeyLayout { recipe: RequestKey { offset: 12, width: 4, ..direct }, kind: KeyKind::Signed }));
}

/// Check pointers to text: `&str`, whose null is `None`, and `Arc<str>`, whose counts stand before the text.
#[test]
fn text_behind_pointers_is_read() {
    let text = RequestKey { tag_width: 8, kind: KEY_TEXT, length: 8, ..RequestKey::NONE };
    let key = layout(|program| {
        let byte = program.byte();
        let (pointer, word) = (program.pointer("*const u8", byte), program.base("usize", 8));
        let wide = program.fields("", "&str", 16, &[("data_ptr", pointer, 0), ("length", word, 8)]);
        program.key(("app", "KEY", 0x7100), (wide, "&str"), (16, 0, Some(0)));
    });
    assert_eq!(key.value, Some(KeyLayout { recipe: text, kind: KeyKind::Text }));
    let key = layout(|program| {
        let byte = program.byte();
        let (pointer, word) = (program.pointer("*const u8", byte), program.base("usize", 8));
        let wide = program.fields("", "*const alloc::sync::ArcInner<str>", 16, &[("data_ptr", pointer, 0), ("length", word, 8)]);
        let not_null = program.fields("core::ptr::non_null", "NonNull<alloc::sync::ArcInner<str>>", 16, &[("pointer", wide, 0)]);
        let counted = program.fields("alloc::sync", "Arc<str, alloc::alloc::Global>", 16, &[("ptr", not_null, 0)]);
        program.key(("app", "KEY", 0x7100), (counted, "alloc::sync::Arc<str, alloc::alloc::Global>"), (16, 0, Some(0)));
    });
    assert_eq!(key.value, Some(KeyLayout { recipe: RequestKey { skip: 16, ..text }, kind: KeyKind::Text }));
}

/// Check that other types are listed, and cannot name requests: two members, a vector, an `Arc` of something else.
#[test]
fn other_types_are_listed_only() {
    let key = layout(|program| {
        let number = program.base("u32", 4);
        let two = program.fields("app", "Two", 8, &[("a", number, 0), ("b", number, 4)]);
        program.key(("app", "KEY", 0x7100), (two, "app::Two"), (16, 8, None));
    });
    assert_eq!((key.type_name.as_str(), key.value), ("app::Two", None));
    let key = layout(|program| {
        let string = program.string();
        let pointer = program.pointer("*const alloc::sync::ArcInner<alloc::string::String>", string);
        let counted =
            program.fields("alloc::sync", "Arc<alloc::string::String, alloc::alloc::Global>", 8, &[("ptr", pointer, 0)]);
        program.key(("app", "KEY", 0x7100), (counted, "alloc::sync::Arc<alloc::string::String>"), (8, 0, Some(0)));
    });
    assert_eq!(key.value, None);
}

/// Check that a future that carries a value says where its key's address and its slot lie, and still leads to its future.
#[test]
fn a_future_that_carries_a_value_is_marked() {
    let mut program = specimen::program();
    let string = program.string();
    let slot = program.key(("app", "KEY", 0x7100), (string, "alloc::string::String"), (24, 0, Some(1 << 63)));
    let sleep = program.structure("tokio::time::sleep", "Sleep", 16);
    program.poll(sleep, "tokio::time::sleep::Sleep", None);
    let byte = program.byte();
    let local = program.pointer("&tokio::task::task_local::LocalKey<alloc::string::String>", byte);
    let name = "TaskLocalFuture<alloc::string::String, tokio::time::sleep::Sleep>";
    let fields = [("local", local, 40), ("slot", slot, 16), ("future", sleep, 0)];
    let carrier = program.fields("tokio::task::task_local", name, 48, &fields);
    program.task(carrier, &format!("tokio::task::task_local::{name}"), 0x4000);
    let layouts = program.layouts().unwrap();
    let node = named(&layouts, &format!("tokio::task::task_local::{name}"));
    assert_eq!((node.kind, node.flags, node.offset, node.aux), (NodeKind::Inside as u8, FRAME | TASK_LOCAL, 40, 16));
    assert_eq!(layouts.check(), Ok(()));
}
