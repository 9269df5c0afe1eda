//! Time between polls stands on the functions that wait.

use super::*;
use crate::model::capture::{AwaitIndex, AwaitOwner, AwaitSpan, AwaitSum, OffCpu, Stack};
use crate::model::symbols::{Frame, Symbolize};
use profiler_common::unwind::End;

/// What lies below a root, with its time.
fn below(graph: &Graph, root: &str) -> Vec<(String, u64)> {
    let inside = |(stack, ns): (String, u64)| Some((stack.strip_prefix(root)?.to_owned(), ns));
    text(graph).into_iter().filter_map(inside).collect()
}

const ROOT: &str = "request order-42 #1 / task orders::handle / ";

fn is_wait(stack: &str) -> bool {
    ["[await]", "[suspended]", "last waker"].iter().any(|word| stack.contains(word))
}

#[test]
fn a_request_reads_like_synchronous_code() {
    let graph = drawn(&fixture::awaits(), &order_42(), Metric::Wall, false);
    let lines: Vec<_> = below(&graph, ROOT).into_iter().filter(|(stack, _)| is_wait(stack)).collect();
    let expected = [
        ("[suspended]", 5_000_000),
        (
            "orders::handle / [await] task orders::audit (orders.rs:16) / task orders::audit / [its polls were not recorded]",
            1_000_000,
        ),
        ("orders::handle / [await] tokio::join! of load, price (orders.rs:14) / woken by load", 4_000_000),
        (
            "orders::handle / orders::load_order / orders::query / [await] tokio::sync::semaphore::Semaphore::acquire (orders.rs:41)",
            8_000_000,
        ),
        ("orders::handle / orders::price / [await] tokio::time::sleep::Sleep (orders.rs:35)", 2_000_000),
    ];
    assert_eq!(lines.iter().map(|(stack, ns)| (stack.as_str(), *ns)).collect::<Vec<_>>(), expected);
    assert_eq!((graph.total_ns(), graph.wall_ns), (27_250_001, 27_250_001));
}

/// Check that an await on a task is that task's time, and the graph no wider for it.
#[test]
fn an_await_on_a_task_is_opened() {
    let graph = drawn(&fixture::family(), &Selection::Request { id: "order-42".into() }, Metric::Wall, false);
    let audit = "orders::handle / [await] task orders::audit (orders.rs:16) / task orders::audit";
    let inside: Vec<_> =
        below(&graph, ROOT).into_iter().filter_map(|(stack, ns)| Some((stack.strip_prefix(audit)?.to_owned(), ns))).collect();
    let hash = " / orders::handle / [await] task orders::audit (orders.rs:16) / task orders::hash::{closure 0}";
    let expected = [
        (format!("{hash} / [no stack] / [blocked]"), 2_000_000),
        (format!("{hash} / [running, no sample]"), 1_000_000),
        (format!("{hash} / [scheduled]"), 400_000),
        (" / orders::handle / [await] task orders::audit (orders.rs:16)".to_owned(), 500_000),
        (" / [running, no sample]".to_owned(), 2_000_000),
    ];
    assert_eq!(inside.iter().cloned().collect::<BTreeMap<_, _>>(), expected.into_iter().collect());
    let own: u64 =
        below(&graph, ROOT).iter().filter(|(stack, _)| !stack.starts_with(&format!("{audit} /"))).map(|(_, ns)| ns).sum();
    assert_eq!(own, 1_700_000);
    assert_eq!(graph.total_ns(), graph.wall_ns);
    // Beside the request in time of its own, it is not drawn twice.
    let beside = drawn(&fixture::family(), &order_42(), Metric::Wall, true);
    assert!(below(&beside, ROOT).iter().all(|(stack, _)| !stack.contains("/ task orders::audit")), "{beside:?}");
}

/// Names as a release build with debug information has them, and what carries futures between.
struct Layers;

impl Symbolize for Layers {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        let name = |address: &u64| match address {
            0x10 => "tokio::runtime::task::raw::poll",
            0x20 => "<profiler_annotate::scope::Scope<F> as core::future::future::Future>::poll",
            0x30 => "orders::handle",
            0x40 => "<tokio::time::timeout::Timeout<T> as core::future::future::Future>::poll",
            0x50 => "orders::load_order",
            0x60 => "orders::query::<orders::Db>",
            0x70 => "orders::price::<u32>",
            _ => "std::thread::sleep",
        };
        addresses.iter().map(|address| vec![Frame::named(name(address))]).collect()
    }
}

/// One stack in the request, of the leaf's function.
fn stack(frames: &[u64]) -> Stack {
    // Return addresses, but for the leaf.
    let frames = frames.iter().rev().enumerate().map(|(at, address)| if at == 0 { *address } else { address + 1 });
    Stack {
        tid: 77,
        task_type: Some(TypeIndex(0)),
        task_id: Some(12),
        requests: vec![ScopeSeq(7)],
        frames: frames.collect(),
        end: End::Poll,
        ..Stack::default()
    }
}

#[test]
fn running_blocked_and_awaited_time_of_a_function_lie_under_one_frame() {
    let query = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60];
    let asleep = [&query[..], &[0x99]].concat();
    let mut capture = fixture::awaits();
    capture.samples = vec![
        Sample { period_ns: 1_000_000, stack: stack(&query), ..Sample::default() },
        Sample { period_ns: 1_000_000, stack: stack(&[0x10, 0x20, 0x30, 0x70]), ..Sample::default() },
    ];
    capture.off_cpu = vec![OffCpu { blocked_ns: 900_000, stack: stack(&asleep), ..OffCpu::default() }];
    let graph = graph(&capture, &order_42(), Metric::Wall, GraphOptions::default(), &mut Layers).unwrap();
    let lines = below(&graph, ROOT);
    let ns = |stack: &str| lines.iter().find(|(text, _)| text == stack).map(|(_, ns)| *ns);
    let function = "orders::handle / orders::load_order / orders::query";
    assert_eq!(ns(&format!("{function} / [running]")), Some(2_500_001), "{lines:#?}");
    assert_eq!(ns(&format!("{function} / std::thread::sleep / [blocked]")), Some(900_000));
    assert_eq!(ns("orders::handle / orders::price / [running]"), Some(2_500_000));
    assert!(lines.iter().any(|(text, _)| text.starts_with(&format!("{function} / [await] tokio::sync"))), "{lines:#?}");
    assert!(lines.iter().all(|(text, _)| !text.contains("tokio::runtime") && !text.contains("Scope<")), "{lines:#?}");
    assert_eq!(graph.total_ns(), graph.wall_ns);
    let query =
        graph.lines.iter().flat_map(|line| &line.stack).find(|&&id| graph.frames.name(id).unwrap().text == "orders::query");
    assert_eq!(graph.frames.full(*query.unwrap()), Some("orders::query::<orders::Db>"));
}

#[test]
fn raw_frames_are_all_of_them() {
    let options = GraphOptions { keep: Keep::Raw, ..GraphOptions::default() };
    let graph = graph(&fixture::awaits(), &order_42(), Metric::Wall, options, &mut Names).unwrap();
    let lines = below(&graph, ROOT);
    let raw = "orders::handle / tokio::time::timeout::Timeout / orders::load_order / orders::query / \
               tokio::sync::semaphore::Semaphore::acquire / [await] tokio::sync::batch_semaphore::Acquire (";
    assert!(lines.iter().any(|(text, ns)| text.starts_with(raw) && *ns == 8_000_000), "{lines:#?}");
    assert_eq!(graph.total_ns(), graph.wall_ns);
}

#[test]
fn wakers_stacks_are_code_with_a_leaf_that_says_so() {
    let graph = drawn(&fixture::wakers(), &order_42(), Metric::Wall, false);
    let lines: Vec<_> = below(&graph, ROOT).into_iter().filter(|(stack, _)| is_wait(stack)).collect();
    let leaf = "orders::handle / orders::load / std::thread::sleep / [await, last waker stored here]";
    assert_eq!(lines, [("[suspended]".to_owned(), 10_000_000), (leaf.to_owned(), 10_000_000)]);
}

#[test]
fn spawned_tasks_and_types_have_theirs() {
    let capture = fixture::awaits();
    let sleep = "orders::audit / [await] tokio::time::sleep::Sleep (orders.rs:60)";
    let beside = drawn(&capture, &order_42(), Metric::Wall, true);
    let spawned = below(&beside, "spawned by request order-42 #1 / task orders::audit / ");
    assert!(
        spawned.contains(&(sleep.to_owned(), 6_000_000)) && spawned.contains(&("[suspended]".to_owned(), 1_000_000)),
        "{spawned:?}"
    );
    let task = drawn(&capture, &Selection::Task { id: 13 }, Metric::Wall, false);
    assert!(below(&task, "task 13, orders::audit / ").contains(&(sleep.to_owned(), 6_000_000)));
    let all = drawn(&capture, &Selection::All, Metric::Wall, false);
    let join = "orders::handle / [await] tokio::join! of load, price (orders.rs:14)";
    assert!(below(&all, "task orders::handle / ").contains(&(join.to_owned(), 8_000_000)));
}

fn any_span() -> impl Strategy<Value = AwaitSpan> {
    let owner = prop_oneof![
        Just(AwaitOwner::Scope(ScopeSeq(7))),
        Just(AwaitOwner::Scope(ScopeSeq(8))),
        (prop::option::of(12_u64..15)).prop_map(|task_id| AwaitOwner::Child { task_id, request: ScopeSeq(7) }),
    ];
    (owner, prop::option::of(0_u32..7), 0_u64..99, 0_u64..40_000_000, 0_u64..40_000).prop_map(
        |(owner, stack, start_ns, suspended_ns, scheduled_ns)| AwaitSpan {
            owner,
            task_type: Some(TypeIndex(1)),
            stack: stack.map(AwaitIndex),
            awaited_task: None,
            start_ns,
            suspended_ns,
            scheduled_ns,
            open: false,
        },
    )
}

proptest! {
    /// Whatever was awaited, and however wrong: the width of a wall graph is the wall time.
    #[test]
    fn awaits_never_change_the_width(
        awaits in prop::collection::vec(any_span(), 0..10),
        sums in prop::collection::vec((0_u32..3, 0_u32..7, 0_u64..1 << 40), 0..5),
        samples in prop::collection::vec(any_sample(), 0..6),
        raw in any::<bool>(),
    ) {
        let await_sums = sums.into_iter().map(|(kind, stack, ns)| AwaitSum {
            task_type: TypeIndex(kind), stack: AwaitIndex(stack), count: 1, suspended_ns: ns, scheduled_ns: ns, longest_ns: ns,
        }).collect();
        let capture = Capture { samples, awaits, await_sums, ..fixture::awaits() };
        let options = GraphOptions { keep: if raw { Keep::Raw } else { Keep::Own }, ..GraphOptions::default() };
        for selection in [order_42(), Selection::Task { id: 13 }, Selection::All] {
            let graph = graph(&capture, &selection, Metric::Wall, options, &mut Names).unwrap();
            prop_assert_eq!(graph.total_ns(), graph.wall_ns);
        }
    }
}
