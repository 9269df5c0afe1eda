//! The table adds up, whatever was seen, and names what was awaited.

use proptest::prelude::*;

use super::*;
use crate::model::capture::{AwaitIndex, AwaitOwner, AwaitSpan, AwaitSum, Capture, ScopeSeq, TypeIndex};
use crate::model::fixture::{self, Names};
use crate::model::{Filter, Selection, report};

fn order_42() -> Selection {
    Selection::Request { id: "order-42".into() }
}

fn of(capture: &Capture, selection: &Selection) -> Vec<Waits> {
    waits(capture, selection, Keep::Own, &mut Names).unwrap()
}

fn brief(told: &Waits) -> Vec<(&str, Option<u32>, u64, u64)> {
    told.waits.iter().map(|row| (row.awaited.as_str(), row.line, row.count, row.total_ns)).collect()
}

#[test]
fn waits_of_a_request_by_stack() {
    let all = of(&fixture::awaits(), &order_42());
    let [first, spawned, later] = &all[..] else { panic!("{all:#?}") };
    assert_eq!(
        brief(first),
        [
            ("tokio::sync::semaphore::Semaphore::acquire", Some(41), 2, 8_030_000),
            ("tokio::join!", Some(14), 1, 4_010_000),
            ("tokio::time::sleep::Sleep", Some(35), 1, 2_000_000),
            ("task orders::audit", Some(16), 1, 1_010_000),
        ]
    );
    assert_eq!(first.waits[0].longest_ns, 5_020_000);
    assert_eq!(first.waits[1].woken_by, [WokenBy { name: "orders::load".into(), count: 1 }]);
    assert_eq!((first.suspended_ns, first.scheduled_ns, first.unknown_ns), (20_000_000, 60_000, 5_010_000));
    let whose = serde_json::to_value(&spawned.whose).unwrap();
    let request = serde_json::json!({ "id": "order-42", "instance": 1 });
    assert_eq!(whose, serde_json::json!({ "spawned": { "request": request, "type": "orders::audit", "tasks": 1 } }));
    assert_eq!((brief(spawned), spawned.unknown_ns), (vec![("tokio::time::sleep::Sleep", Some(60), 1, 6_000_000)], 1_000_000));
    assert_eq!(
        (brief(later), later.unknown_ns, later.clamped_ns),
        (vec![("tokio::sync::semaphore::Semaphore::acquire", Some(41), 1, 900_000)], 0, 0)
    );
}

/// The shape that programs read.
#[test]
fn the_json_has_its_shape() {
    let all = of(&fixture::awaits(), &order_42());
    let json = serde_json::to_value(&all).unwrap();
    let first = &json[0];
    assert_eq!(first["request"], serde_json::json!({ "id": "order-42", "instance": 1 }));
    assert_eq!(first["source"], "layouts");
    assert_eq!(
        first["waits"][0]["stack"][3],
        serde_json::json!({ "depth": 3, "name": "orders::query", "kind": "async_fn", "file": "/srv/shop/src/orders.rs", "line": 41 })
    );
    assert_eq!(first["waits"][3]["stack"][1]["kind"], "task");
    let keys = [
        "awaited",
        "count",
        "cut",
        "file",
        "line",
        "longest_ns",
        "scheduled_ns",
        "stack",
        "suspended_ns",
        "total_ns",
        "woken_by",
    ];
    assert_eq!(first["waits"][1].as_object().unwrap().keys().collect::<Vec<_>>(), keys);
    assert_eq!(first["waits"][1]["woken_by"], serde_json::json!([{ "name": "orders::load", "count": 1 }]));
    let types = serde_json::to_value(of(&fixture::awaits(), &Selection::All)).unwrap();
    assert_eq!(types[0]["task_type"], "orders::handle");
    let read: Vec<Waits> = serde_json::from_value(json).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), serde_json::to_string(&all).unwrap());
}

#[test]
fn all_tasks_by_type() {
    let all = of(&fixture::awaits(), &Selection::All);
    let types: Vec<_> = all.iter().map(|told| (told.whose.clone(), told.waits.len(), told.unknown_ns)).collect();
    let name = |text: &str| Whose::TaskType(text.to_owned());
    // `orders::audit` was suspended for less than its one wait: it is cut, and said to be.
    assert_eq!(
        types,
        [(name("orders::handle"), 2, 486_000_000), (name("orders::hash::{closure 0}"), 0, 30_000), (name("orders::audit"), 1, 0)]
    );
    assert_eq!(all[0].clamped_ns, 1_020_000, "the type's row has no scheduled time at all");
    assert_eq!((all[2].clamped_ns, all[2].waits[0].total_ns), (9_000_000, 0));
}

#[test]
fn one_spawned_task() {
    let all = of(&fixture::awaits(), &Selection::Task { id: 13 });
    assert_eq!((brief(&all[0]), all[0].unknown_ns), (vec![("tokio::time::sleep::Sleep", Some(60), 1, 6_000_000)], 1_000_000));
    let all = of(&fixture::awaits(), &Selection::Task { id: 12 });
    assert_eq!((all[0].waits.len(), all[0].unknown_ns), (0, 994_000_000), "it is known by its type's sums alone");
}

#[test]
fn nobody_is_refused() {
    assert!(waits(&fixture::awaits(), &Selection::Request { id: "order-43".into() }, Keep::Own, &mut Names).is_err());
}

#[test]
fn wakers_stacks_are_named() {
    let all = of(&fixture::wakers(), &order_42());
    assert_eq!(brief(&all[0]), [("std::thread::sleep", None, 2, 10_000_000)]);
    let names: Vec<&str> = all[0].waits[0].stack.iter().map(|frame| frame.name.as_str()).collect();
    assert_eq!(names, ["orders::handle", "orders::load", "std::thread::sleep"]);
    let mut told = report(&fixture::wakers(), &Filter::All);
    assert_eq!(told.requests[0].waits[0].stack[0].name, "[0x2000]");
    name_waits(&mut told, &fixture::wakers(), &mut Names);
    assert_eq!(told.requests[0].waits, all[0].waits);
}

#[test]
fn equal_stacks_are_one_row_and_a_wrong_number_is_none() {
    let mut capture = fixture::awaits();
    capture.await_stacks.push(capture.await_stacks[0].clone());
    capture.awaits[1].stack = Some(AwaitIndex(5));
    capture.awaits[2].stack = Some(AwaitIndex(77));
    capture.awaits[3].stack = None;
    let all = of(&capture, &order_42());
    assert_eq!(brief(&all[0])[0], ("tokio::sync::semaphore::Semaphore::acquire", Some(41), 2, 8_030_000));
    assert_eq!((all[0].waits.len(), all[0].unknown_ns), (2, 11_020_000));
}

fn any_ns() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..1 << 50, Just(u64::MAX)]
}

fn any_span() -> impl Strategy<Value = AwaitSpan> {
    let owner =
        prop_oneof![Just(AwaitOwner::Scope(ScopeSeq(7))), Just(AwaitOwner::Child { task_id: Some(13), request: ScopeSeq(7) }),];
    (owner, prop::option::of(0_u32..7), 0_u64..99, any_ns(), any_ns(), any::<bool>()).prop_map(
        |(owner, stack, start_ns, suspended_ns, scheduled_ns, open)| AwaitSpan {
            owner,
            task_type: None,
            stack: stack.map(AwaitIndex),
            awaited_task: None,
            start_ns,
            suspended_ns,
            scheduled_ns,
            open,
        },
    )
}

proptest! {
    /// The identity: rows and what is unknown are the suspended and scheduled time, to the nanosecond.
    #[test]
    fn rows_and_the_unknown_are_all_of_it(
        awaits in prop::collection::vec(any_span(), 0..12),
        sums in prop::collection::vec((0_u32..3, 0_u32..7, any_ns(), any_ns()), 0..5),
    ) {
        let await_sums = sums.into_iter().map(|(kind, stack, suspended_ns, scheduled_ns)| AwaitSum {
            task_type: TypeIndex(kind), stack: AwaitIndex(stack), count: 1, suspended_ns, scheduled_ns, longest_ns: suspended_ns,
        }).collect();
        let capture = Capture { awaits, await_sums, ..fixture::awaits() };
        for selection in [order_42(), Selection::All, Selection::Task { id: 13 }] {
            for told in of(&capture, &selection) {
                let rows: u64 = told.waits.iter().map(|row| row.total_ns).sum();
                prop_assert_eq!(rows + told.unknown_ns, told.suspended_ns + told.scheduled_ns);
                for row in &told.waits {
                    prop_assert_eq!(row.total_ns, row.suspended_ns + row.scheduled_ns);
                    prop_assert!(row.longest_ns <= row.total_ns);
                }
            }
        }
    }
}
