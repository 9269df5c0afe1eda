//! What a stack must show and must not.

use await_fixture::truth::{Branch, Place};

use super::{Frame, may_become, named, shows};

fn place(function: &str, line: u32) -> Place {
    let function = format!("await_fixture::cases::{function}");
    Place { function, file: "tests/await-fixture/src/cases/x.rs".to_owned(), line, in_macro: None }
}

fn branch(chain: &[(&str, u32)]) -> Branch {
    Branch { chain: chain.iter().map(|(function, line)| place(function, *line)).collect(), label: "Sleep".to_owned() }
}

fn function(depth: u32, name: &str, line: u32) -> Frame {
    Frame {
        depth,
        name: format!("await_fixture::cases::{name}::{{async_fn#0}}"),
        kind: "async_fn".to_owned(),
        file: Some("/home/u/repo/tests/await-fixture/src/cases/x.rs".to_owned()),
        line: Some(line),
    }
}

fn future(depth: u32, name: &str) -> Frame {
    Frame { depth, name: name.to_owned(), kind: "future".to_owned(), file: None, line: None }
}

fn sleep(depth: u32) -> Frame {
    future(depth, "tokio::time::sleep::Sleep")
}

/// Check that a chain must be the chain, with its lines and files and its leaf.
#[test]
fn a_chain() {
    let truth = [branch(&[("f", 1), ("g", 2)])];
    let right = [function(0, "f", 1), future(1, "Timeout<g>"), function(2, "g", 2), sleep(3)];
    assert!(shows(&right, &truth));
    let with = |place: usize, frame: Frame| {
        let mut other = right.to_vec();
        other[place] = frame;
        other
    };
    assert!(!shows(&with(0, function(0, "f", 3)), &truth), "a wrong line");
    assert!(!shows(&with(2, function(2, "h", 2)), &truth), "a wrong function");
    assert!(!shows(&with(3, future(3, "tokio::sync::Notified")), &truth), "a wrong leaf");
    let elsewhere = Frame { file: Some("/home/u/repo/src/other/x.rs".to_owned()), ..function(2, "g", 2) };
    assert!(!shows(&with(2, elsewhere), &truth), "a wrong file");
    let nowhere = Frame { line: None, ..function(2, "g", 2) };
    assert!(!shows(&with(2, nowhere), &truth), "no place");
    assert!(!shows(&right[..3], &truth), "no leaf");
    assert!(!shows(&right[2..], &truth), "no root");
    assert!(!shows(&[right[0].clone(), sleep(1)], &truth), "no inner function");
    let deeper = [right.to_vec(), vec![function(4, "h", 9), sleep(5)]].concat();
    assert!(!shows(&deeper, &truth), "another function inside");
    assert!(!shows(&[], &truth), "nothing");
    assert!(may_become(&right[..3], &truth) && may_become(&[], &truth) && !may_become(&deeper, &truth));
    assert!(!may_become(&with(0, function(0, "f", 3)), &truth), "cut, and wrong before that");
}

/// Check that all branches must be there, and none that is over or was never begun as if it were pending.
#[test]
fn branches() {
    let truth = [branch(&[("f", 1), ("a", 5)]), branch(&[("f", 1), ("b", 6)])];
    let join = future(1, "tokio::join!");
    let a = [function(2, "a", 5), sleep(3)];
    let b = [function(2, "b", 6), sleep(3)];
    let tree = |branches: &[&[Frame]]| [vec![function(0, "f", 1), join.clone()], branches.concat()].concat();
    assert!(shows(&tree(&[&a, &b]), &truth) && shows(&tree(&[&b, &a]), &truth));
    assert!(!shows(&tree(&[&a]), &truth), "a branch is missing");
    assert!(may_become(&tree(&[&a]), &truth), "of a cut stack it may be");
    assert!(!shows(&tree(&[&a, &b, &[function(2, "c", 7), sleep(3)]]), &truth), "a branch too many");
    assert!(!shows(&tree(&[&a, &b[..1]]), &truth), "a branch without its leaf");
    // The timer of a `Timeout` is pending too, and is nothing of ours.
    assert!(shows(&tree(&[&a, &b, &[sleep(2)]]), &truth));
    let unstarted = Frame { line: None, file: None, ..function(2, "c", 0) };
    assert!(shows(&tree(&[&a, &b, std::slice::from_ref(&unstarted)]), &truth));
    // One inside of the other is not one beside the other.
    let inside = [function(0, "f", 1), join.clone(), function(2, "a", 5), sleep(3), function(3, "b", 6), sleep(4)];
    assert!(!shows(&inside, &truth));
}

/// Check that the file of a macro is right only where the `.await` is a macro's, and that another task's awaits are not the request's.
#[test]
fn macros_and_tasks() {
    let mut truth = [branch(&[("f", 1)])];
    let at = Frame { file: Some("/r/tokio-1.54.1/src/macros/select.rs".to_owned()), ..function(0, "f", 746) };
    assert!(!shows(&[at.clone(), sleep(1)], &truth));
    truth[0].chain[0].in_macro = Some("src/macros/select.rs".to_owned());
    assert!(shows(&[at, sleep(1)], &truth) && shows(&[function(0, "f", 1), sleep(1)], &truth));
    assert!(!shows(&[function(0, "f", 2), sleep(1)], &truth));
    let truth = [Branch { label: "JoinHandle|cases::child".to_owned(), ..branch(&[("f", 1)]) }];
    let task = |name: &str| Frame { kind: "task".to_owned(), ..future(1, name) };
    assert!(shows(&[function(0, "f", 1), task("await_fixture::cases::child")], &truth), "by its own name");
    assert!(!shows(&[function(0, "f", 1), task("await_fixture::cases::other")], &truth), "another task");
    let handle = task("tokio::runtime::task::join::JoinHandle<u64>");
    assert!(shows(&[function(0, "f", 1), handle, function(2, "child", 8), sleep(3)], &truth));
}

/// Check that names lose what has no name, and keep the rest.
#[test]
fn names() {
    assert_eq!(named("a::b::{async_fn#0}<core::option::Option<u8>>"), "a::b");
    assert_eq!(named("a::b::{async_fn#0}::{closure#0}::{async_closure#0}"), "a::b");
    assert_eq!(named("a::{impl#0}::load::{async_block#0}<fn(u8) -> u8>"), "a::load");
}
