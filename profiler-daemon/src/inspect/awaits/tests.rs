//! Tests of the compilation on small programs.

mod keys;

use profiler_common::awaits::node::{COROUTINE, FRAME, target};
use profiler_common::awaits::{Edge, NodeKind};

use super::specimen::{self, Program};
use super::{AwaitError, AwaitLayouts, AwaitNote, FrameKind};

/// Names of the frames, by their nodes.
fn named<'a>(layouts: &'a AwaitLayouts, name: &str) -> &'a profiler_common::awaits::Node {
    let place = layouts.frames.iter().position(|frame| frame.as_ref().is_some_and(|frame| frame.name == name));
    &layouts.nodes[place.unwrap_or_else(|| panic!("{name} is not among {:?}", layouts.frames))]
}

fn edges<'a>(layouts: &'a AwaitLayouts, name: &str) -> &'a [Edge] {
    super::share::edges_of(named(layouts, name), &layouts.edges)
}

/// Check what is made of coroutines, a task and a vtable.
#[test]
fn coroutines_become_states() {
    let layouts = specimen::layouts();
    assert_eq!(layouts.producer.as_deref(), Some("rustc version 1.95.0 (59807616e 2026-04-14)"));
    assert_eq!(layouts.notes, []);
    let outer = named(&layouts, "app::outer::{async_fn#0}");
    assert_eq!((outer.kind, outer.width, outer.flags), (NodeKind::Tagged as u8, 1, FRAME | COROUTINE));
    let leads: Vec<u32> = edges(&layouts, "app::outer::{async_fn#0}").iter().map(|edge| edge.offset).collect();
    assert_eq!(leads, [0, 0, 0, 4, 16]);
    let begins: Vec<u32> = edges(&layouts, "app::outer::{async_fn#0}").iter().take(3).map(|edge| edge.node).collect();
    assert_eq!(begins, [target::UNSTARTED, target::SPENT, target::SPENT]);
    let place = layouts.nodes.iter().position(|node| node == outer).unwrap();
    let frame = layouts.frames[place].as_ref().unwrap();
    let points: Vec<(u32, u32)> = frame.points.iter().map(|point| (point.state, point.line)).collect();
    assert_eq!((frame.kind, points), (FrameKind::AsyncFn, vec![(3, 3), (4, 4)]));
    assert_eq!(layouts.files, ["/app/src/main.rs"]);
    assert_eq!(named(&layouts, "tokio::time::sleep::Sleep").kind, NodeKind::Leaf as u8);
    assert_eq!(layouts.tasks.len(), 1);
    assert_eq!(layouts.tasks[0].0, 0x2000);
    let inner = layouts.nodes.iter().position(|node| node == named(&layouts, "app::inner::{async_fn#0}")).unwrap();
    assert_eq!(layouts.dynamic, [(0x9000, u32::try_from(inner).unwrap())]);
}

/// Check that another numbering or naming of states turns the feature off.
#[test]
fn another_convention_is_refused() {
    let mut program = Program::new();
    let sleep = program.structure("tokio::time::sleep", "Sleep", 16);
    let coroutine = program.structure("app::odd", "{async_fn_env#0}", 64);
    let suspended = program.fields("app::odd", "Suspend0", 64, &[("__awaitee", sleep, 8)]);
    let byte = program.byte();
    program.variants(coroutine, ("__state", byte, 0), &[(Some(0), "0", suspended)]);
    program.task(coroutine, "app::odd::{async_fn_env#0}", 0x1000);
    let error = program.layouts().unwrap_err();
    assert!(matches!(&error, AwaitError::Convention { name, .. } if name == "app::odd::{async_fn_env#0}"), "{error}");

    let mut program = Program::new();
    let coroutine = program.coroutine("app::odd", "{async_fn_env#0}", &[(3, None)]);
    program.task(coroutine, "app::odd::{async_fn_env#0}", 0x1000);
    assert!(matches!(program.layouts(), Err(AwaitError::Convention { .. })));
}

/// Check that what there is to set is said where types are missing.
#[test]
fn what_is_missing_is_said() {
    let mut program = Program::new();
    assert_eq!(program.layouts(), Err(AwaitError::NoTypes));
    let (no_debug_info, _) = crate::inspect::specimen::elf(&[("main", &[0xc3])]);
    let inspection = program.inspection();
    let error = super::await_layouts(&no_debug_info, &inspection, &mut |_| {}).unwrap_err();
    assert_eq!(error, AwaitError::NoDebugInfo);
    assert!(error.to_string().contains("debug = 2"));
    assert!(matches!(super::await_layouts(b"", &inspection, &mut |_| {}), Err(AwaitError::File(_))));
}

/// Check that types of one meaning have one node, and that a vtable shared by different ones leads nowhere.
#[test]
fn only_what_is_equal_shares_an_address() {
    let mut program = specimen::program();
    let sleep = program.structure("tokio::time::sleep", "Sleep", 16);
    let same = program.coroutine("app::inner", "{async_fn_env#0}", &[(7, Some((sleep, 8)))]);
    program.vtable(same, "app::inner::{async_fn_env#0}", 0x9000);
    let layouts = program.layouts().unwrap();
    assert_eq!(layouts, specimen::layouts());

    let mut program = specimen::program();
    let sleep = sleep_of(&mut program);
    let other = program.coroutine("app::other", "{async_fn_env#0}", &[(9, Some((sleep, 8)))]);
    program.vtable(other, "app::other::{async_fn_env#0}", 0x9000);
    let layouts = program.layouts().unwrap();
    assert_eq!(layouts.dynamic, []);
    assert_eq!(layouts.notes, [AwaitNote::Shared { addresses: vec![0x9000] }]);
}

fn sleep_of(program: &mut Program) -> gimli::write::UnitEntryId {
    program.structure("tokio::time::sleep", "Sleep", 16)
}

/// Check futures with a poll of their own: none, one and several inside, and what is only held.
#[test]
fn fields_that_are_futures_are_awaited() {
    let mut program = Program::new();
    let sleep = sleep_of(&mut program);
    program.poll(sleep, "tokio::time::sleep::Sleep", None);
    let byte = program.byte();
    let plain = program.fields("app", "Server", 24, &[("number", byte, 0), ("sleep", sleep, 8)]);
    let one = program.fields("app", "One", 32, &[("server", plain, 8), ("number", byte, 0)]);
    program.poll(one, "app::One", None);
    let closure = program.fields("app", "{closure_env#0}", 16, &[("sleep", sleep, 0)]);
    let shared = program.pointer("&tokio::time::sleep::Sleep", sleep);
    let owned = program.pointer("alloc::boxed::Box<tokio::time::sleep::Sleep, alloc::alloc::Global>", sleep);
    let fields = [("one", one, 0), ("later", closure, 32), ("other", shared, 48), ("boxed", owned, 56)];
    let two = program.fields("app", "Two", 64, &fields);
    let root = program.coroutine("app::root", "{async_fn_env#0}", &[(3, Some((two, 8)))]);
    program.task(root, "app::root::{async_fn_env#0}", 0x1000);
    let layouts = program.layouts().unwrap();
    assert_eq!(named(&layouts, "app::Two").kind, NodeKind::Branches as u8);
    let offsets: Vec<u32> = edges(&layouts, "app::Two").iter().map(|edge| edge.offset).collect();
    assert_eq!(offsets, [0, 56]);
    assert_eq!((named(&layouts, "app::One").kind, edges(&layouts, "app::One")[0].offset), (NodeKind::Inside as u8, 16));
}

/// Check enums: a niche, a variant that is done, and one that waits for something else.
#[test]
fn a_variant_says_which_future_is_there() {
    let mut program = Program::new();
    let sleep = sleep_of(&mut program);
    program.poll(sleep, "tokio::time::sleep::Sleep", None);
    let byte = program.byte();
    let (some, none) = (program.fields("", "Some", 16, &[("__0", sleep, 0)]), program.structure("", "None", 16));
    let option = program.structure("core::option", "Option<Sleep>", 16);
    program.variants(option, ("", byte, 8), &[(Some(255), "None", none), (None, "Some", some)]);
    let first = program.fields("", "First", 24, &[("sleep", option, 0)]);
    let (reading, done) = (program.fields("", "Reading", 24, &[("number", byte, 0)]), program.structure("", "Done", 24));
    let future = program.structure("app", "Stages", 32);
    let list = [(Some(7), "First", first), (Some(8), "Reading", reading), (Some(10), "Done", done)];
    program.variants(future, ("", byte, 24), &list);
    let root = program.coroutine("app::root", "{async_fn_env#0}", &[(3, Some((future, 8)))]);
    program.task(root, "app::root::{async_fn_env#0}", 0x1000);
    let layouts = program.layouts().unwrap();
    let stages = named(&layouts, "app::Stages");
    assert_eq!((stages.base, stages.count, stages.offset, stages.flags), (7, 4, 24, FRAME));
    let leads: Vec<u32> = edges(&layouts, "app::Stages").iter().map(|edge| edge.node).collect();
    assert_eq!(leads[1..], [target::UNSTARTED, target::UNKNOWN, target::NOTHING]);
    let option = layouts.nodes[leads[0] as usize];
    let leads: Vec<u32> = super::share::edges_of(&option, &layouts.edges).iter().map(|edge| edge.node).collect();
    assert_eq!((option.base, option.count, leads[0]), (255, 1, target::NOTHING));
    assert!(leads[1] < target::FIRST);
}

/// Check that recursion through a box ends at the future that it began with.
#[test]
fn recursion_is_a_circle() {
    let mut program = Program::new();
    let inner = program.structure("app", "Recursive", 16);
    program.poll(inner, "app::Recursive", None);
    let pointer = program.pointer("alloc::boxed::Box<app::Recursive, alloc::alloc::Global>", inner);
    program.member(inner, "next", pointer, 8);
    let root = program.coroutine("app::root", "{async_fn_env#0}", &[(3, Some((inner, 8)))]);
    program.task(root, "app::root::{async_fn_env#0}", 0x1000);
    let layouts = program.layouts().unwrap();
    let pointer = layouts.nodes[edges(&layouts, "app::Recursive")[0].node as usize];
    let back = super::share::edges_of(&pointer, &layouts.edges)[0].node;
    assert_eq!(&layouts.nodes[back as usize], named(&layouts, "app::Recursive"));
    assert_eq!(layouts.check(), Ok(()));
}
