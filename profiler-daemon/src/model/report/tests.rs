//! What every report keeps: the sums, the numbering, the committed schema.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::capture::{
    AwaitFrame, AwaitOwner, AwaitSpan, Capture, ChildRow, FinishedTypeRow, RequestRow, RouteRow, ScopeSeq, TaskRow,
};
use crate::model::symbols::{Frame, Symbolize};
use crate::model::waits::name_waits;
use crate::model::{Question, RequestId, States, blocking, fixture};

const SCHEMA_FILE: &str = include_str!("../../../schema/profiler.report-1.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(SCHEMA_FILE).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is itself valid");
    jsonschema::draft202012::new(&schema).unwrap()
});

fn json_of(capture: &Capture) -> Value {
    serde_json::to_value(report(capture, &Filter::All)).unwrap()
}

/// Everything that a report can hold.
fn full() -> Report {
    let mut capture = fixture::awaits();
    capture.samples.extend(fixture::samples_in_the_long_poll());
    let blocking = blocking(&capture, Question::default(), &mut fixture::Names);
    Report { blocking: Some(blocking), ..report(&capture, &Filter::All) }
}

fn errors(value: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn a_report_with_everything_in_it_is_valid() {
    assert_eq!(errors(&json_of(&fixture::capture())), Vec::<String>::new());
    assert_eq!(errors(&serde_json::to_value(full()).unwrap()), Vec::<String>::new());
}

#[test]
fn a_request_tells_its_samples_and_what_it_waited_behind() {
    let told = full();
    let [first, hostile, later] = &told.requests[..] else { panic!("{told:#?}") };
    let scale = first.sampled.scale.unwrap();
    assert_eq!((first.sampled.samples, first.sampled.sampled_ns), (3, 3_000_000), "those of its child are not its own");
    assert!((scale - 5_000_001.0 / 3_000_000.0).abs() < 1e-9, "{scale}");
    assert_eq!((hostile.sampled, later.sampled), (Sampled::default(), Sampled::default()));
    let [behind] = &first.scheduled_behind[..] else { panic!("{first:#?}") };
    assert_eq!((behind.task.type_name.as_str(), behind.task.id), ("orders::audit", Some(14)));
    assert_eq!((behind.ns, behind.polls, behind.longest_ns), (30_000, 1, 30_000));
    assert_eq!(first.scheduled_unrecorded_ns, 20_000);
    assert!(behind.ns + first.scheduled_unrecorded_ns <= first.times.scheduled_ns);
    assert_eq!((told.stacks.walks, told.stacks.ends["no_row"], told.stacks.tables.rows), (9, 1, 12_000));
}

/// Check that an id of another library has the times that were seen, and no others.
#[test]
fn an_id_of_another_library_is_valid() {
    let value = json_of(&fixture::foreign());
    assert_eq!(errors(&value), Vec::<String>::new());
    let row = &value["foreign"][0];
    assert_eq!((row["wall_ns"].as_u64(), row["sampled_ns"].as_u64()), (Some(48_000_000), Some(3_000_000)));
    for unknown in ["polls", "wakes", "scheduled_ns", "suspended_ns"] {
        assert!(row.get(unknown).is_none(), "{unknown}");
    }
    let told = |filter| report(&fixture::foreign(), &filter).foreign.len();
    assert_eq!((told(Filter::Task(14)), told(Filter::Task(15))), (1, 0));
    assert_eq!(told(Filter::Requests(vec![RequestId::from("another")])), 0);
}

/// Check that what no probe tells has no field anywhere, and that the rest is there.
#[test]
fn a_target_without_probes_is_valid() {
    let capture = fixture::sampled();
    let value = json_of(&capture);
    assert_eq!(errors(&value), Vec::<String>::new());
    assert!(value["tasks"].as_array().unwrap().is_empty() && value["requests"].as_array().unwrap().is_empty());
    let (request, seen) = (&value["foreign"][0], &value["sampled"]);
    assert_eq!((request["source"].as_str(), request["sampled_ns"].as_u64()), (Some("scope"), Some(3_000_000)));
    for row in [request, &seen["tasks"][0], &seen["outside"]] {
        for unknown in ["polls", "wakes", "scheduled_ns", "suspended_ns", "wall_ns", "running_ns"] {
            assert!(row.get(unknown).is_none(), "{unknown}: {row}");
        }
    }
    assert_eq!((seen["tasks"][0]["id"].as_u64(), seen["outside"]["blocked_ns"].as_u64()), (Some(12), Some(5_000_000_000)));
    assert_eq!((seen["period_ns"].as_u64(), seen["task_ids"].as_bool()), (Some(1_000_000), Some(true)));
    let tasks = |filter| report(&capture, &filter).sampled.unwrap();
    let of_request = tasks(Filter::Requests(vec![RequestId::from(fixture::TRACE)]));
    assert_eq!((of_request.tasks.len(), of_request.outside), (2, None));
    assert_eq!(tasks(Filter::Task(14)).tasks.len(), 1);
}

#[test]
fn routes_name_their_worst_and_are_valid() {
    let mut capture = fixture::capture();
    let (worst, states) = (capture.requests[0].scope, capture.requests[0].states);
    capture.requests[0].kept_times = true;
    let route = RouteRow {
        name: b"order-*".to_vec(),
        rest: false,
        count: 2,
        p50_ns: 1,
        p99_ns: 2,
        worst_ns: 3,
        worst,
        states,
        polls: 4,
        longest_poll_ns: 1,
    };
    let rest = RouteRow { name: Vec::new(), rest: true, worst: ScopeSeq(u64::MAX), ..route.clone() };
    capture.routes = vec![route, RouteRow { name: b"\xff;*".to_vec(), ..rest.clone() }, rest];
    assert_eq!(errors(&json_of(&capture)), Vec::<String>::new());
    let told = report(&capture, &Filter::All);
    let names: Vec<(&str, bool)> = told.routes.iter().map(|row| (row.route.as_str(), row.worst.is_some())).collect();
    assert_eq!(names, [("order-*", true), ("\\xff;*", false), ("", false)]);
    assert!(told.routes.iter().all(|row| row.times.adds_up()));
    assert!(report(&capture, &Filter::Task(1)).routes.is_empty(), "they are of everything");
}

#[test]
fn an_empty_window_is_valid() {
    let full = fixture::capture();
    let empty = Capture { target: full.target, window: full.window, ..Capture::default() };
    assert_eq!(errors(&json_of(&empty)), Vec::<String>::new());
}

/// Each change makes a report that some reader would trip over; the schema must see every one.
#[test]
fn the_schema_refuses_what_is_no_report() {
    let good = serde_json::to_value(full()).unwrap();
    let bad: &[(&str, Value)] = &[
        ("/schema", json!("profiler.report/2")),
        ("/target/pid", json!(0)),
        ("/target/pid", json!("1234")),
        ("/target/build_id", json!("XYZ")),
        ("/target/tokio", json!("unknown")),
        ("/window/clock", json!("CLOCK_REALTIME")),
        ("/window/start_ns", json!(1.5)),
        ("/requests/0/id", json!("")),
        ("/requests/0/instance", json!(0)),
        ("/requests/0/complete", Value::Null),
        ("/requests/0/running_ns", json!(-1)),
        ("/requests/0/task", json!("orders::handle")),
        ("/requests/0/children/0/polls", Value::Null),
        ("/requests/1/id_hex", json!("FF")),
        ("/tasks/0/kind", json!("thread")),
        ("/tasks/0/count", json!(2)),
        ("/tasks/0/state", json!("waiting")),
        ("/tasks/2/count", json!(0)),
        ("/tasks/2/id", json!(5)),
        ("/requests/0/scale", json!("1")),
        ("/requests/0/scheduled_behind/0/ns", json!(-1)),
        ("/stacks/period_ns", json!(0.5)),
        ("/stacks/ends", json!({ "No Row": 1 })),
        ("/blocking", json!([])),
        ("/blocking/places/0/syscall", json!(202)),
        ("/blocking/places/0/stack/0/line", json!(-1)),
        ("/blocking/long_polls/0/count", Value::Null),
        ("/awaits/source", json!("dwarf")),
        ("/awaits/walks/ends", json!({ "Bad Tag": 1 })),
        ("/requests/0/waits/0/awaited", json!("")),
        ("/requests/0/waits/0/cut", json!("Bad Tag")),
        ("/requests/0/waits/0/line", json!(-1)),
        ("/await_stacks/0/0/kind", json!("function")),
        ("/requests/0/waits/1/woken_by/0/count", json!("1")),
        ("/lost/ring_full", json!("many")),
        ("/lost", json!({ "Ring Full": 1 })),
    ];
    for (place, value) in bad {
        let mut changed = good.clone();
        *changed.pointer_mut(place).unwrap_or_else(|| panic!("{place} is in the report")) = value.clone();
        assert!(!errors(&changed).is_empty(), "{place} = {value} passed");
    }
}

/// Every key of every object is required (but `id_hex`), and no other key is allowed.
#[test]
fn the_schema_is_strict_at_every_level() {
    let good = serde_json::to_value(full()).unwrap();
    for place in [
        "",
        "/target",
        "/window",
        "/requests/0",
        "/requests/0/task",
        "/requests/0/children/0",
        "/tasks/0",
        "/tasks/1/request",
        "/tasks/2",
        "/requests/0/scheduled_behind/0",
        "/stacks",
        "/stacks/tables",
        "/awaits",
        "/awaits/walks",
        "/requests/0/waits/0",
        "/await_stacks/0/0",
        "/requests/0/waits/1/woken_by/0",
        "/blocking",
        "/blocking/places/0",
        "/blocking/places/0/stack/0",
        "/blocking/long_polls/0",
        "/blocking/long_polls/0/stacks/0",
        "/blocking/blocking_pool",
    ] {
        let keys: Vec<String> = good.pointer(place).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let mut changed = good.clone();
            changed.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(&key);
            assert!(!errors(&changed).is_empty(), "{place} without {key} passed");
        }
        let mut changed = good.clone();
        changed.pointer_mut(place).unwrap().as_object_mut().unwrap().insert("extra".into(), json!(1));
        assert!(!errors(&changed).is_empty(), "{place} with an extra key passed");
    }
}

#[test]
fn what_is_written_reads_back() {
    let made = full();
    assert_eq!(Report::read(&serde_json::to_vec(&made).unwrap()).unwrap(), made);
}

#[test]
fn a_request_id_that_is_no_text_keeps_its_bytes() {
    let made = report(&fixture::capture(), &Filter::All);
    let named: Vec<(&str, Option<&str>, u64)> =
        made.requests.iter().map(|row| (row.name.id.as_str(), row.name.id_hex.as_deref(), row.name.instance)).collect();
    assert_eq!(
        named,
        [
            ("order-42", None, 1),
            ("<script>;\\x1b[31m\\xff\"'\\x0a 7", Some("3c7363726970743e3b1b5b33316dff22270a2037"), 1),
            ("order-42", None, 2),
        ]
    );
}

#[test]
fn a_filter_takes_whole_rows_and_no_sums_over_others() {
    let capture = fixture::capture();
    let one = report(&capture, &Filter::Requests(vec!["order-42".into()]));
    assert_eq!(one.requests.len(), 2);
    assert_eq!(one.tasks.len(), 2, "the task that polled it, and the one it spawned");
    assert!(one.tasks.iter().all(|row| !row.finished));
    let other = report(&capture, &Filter::Requests(vec!["order-43".into()]));
    assert_eq!((other.requests.len(), other.tasks.len()), (0, 0));
    let task = report(&capture, &Filter::Task(13));
    assert_eq!((task.requests.len(), task.tasks.len()), (1, 0), "it ended: only its request knows it");
    assert_eq!(task.lost, one.lost, "losses concern every row");
}

#[test]
fn names_read_as_written_and_a_bad_index_is_shown() {
    let mut capture = fixture::capture();
    let types: Vec<String> = report(&capture, &Filter::All).tasks.into_iter().map(|row| row.task.type_name).collect();
    assert_eq!(types, ["orders::handle", "orders::audit", "orders::hash::{closure 0}"]);
    capture.types.truncate(1);
    let broken = report(&capture, &Filter::All);
    assert_eq!(broken.tasks[1].task.type_name, "[unknown type 1]");
}

fn any_states() -> impl Strategy<Value = States> {
    // Up to 2^60 ns each (36 years): the sum of five stays below 2^64.
    (prop::array::uniform5(0_u64..1 << 60), 0.0..=1.0_f64).prop_map(|(ns, share)| States {
        running_ns: ns[0],
        preempted_ns: ns[1],
        blocked_ns: ns[2],
        scheduled_ns: ns[3],
        suspended_ns: ns[4],
        #[expect(clippy::cast_precision_loss, reason = "any part of it will do")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any part of it will do")]
        stopped_ns: ((ns[2] as f64 * share) as u64).min(ns[2]),
        unseen_ns: ns[4] / 2,
    })
}

/// Check that a report grows by what is told of each request and not by the stack that they wait in, and that it reads back as it was.
#[test]
fn an_await_stack_stands_once() {
    const REQUESTS: u64 = 2000;
    const MOST_BYTES: usize = 3000;
    let mut capture = fixture::wakers();
    let frame = capture.await_stacks[0].frames[0].clone();
    capture.await_stacks[0].frames = (0..60).map(|depth| AwaitFrame { depth, ..frame.clone() }).collect();
    let (row, span) = (capture.requests[0].clone(), capture.awaits[0]);
    let scopes = || (1000..1000 + REQUESTS).map(ScopeSeq);
    capture.requests = scopes().map(|scope| RequestRow { scope, children: Vec::new(), ..row.clone() }).collect();
    capture.awaits = scopes().map(|scope| AwaitSpan { owner: AwaitOwner::Scope(scope), ..span }).collect();
    capture.number_instances();
    let mut told = report(&capture, &Filter::All);
    assert!(told.requests.iter().all(|request| request.waits.len() == 1));
    name_waits(&mut told, &capture, &mut LongNames);
    assert_eq!((told.requests.len(), told.await_stacks.len()), (2000, 1));
    let json = serde_json::to_vec(&told).unwrap();
    assert!(json.len() < told.requests.len() * MOST_BYTES, "{} bytes", json.len());
    let read = Report::read(&json).unwrap();
    assert_eq!(read, told);
    assert!(read.requests.iter().all(|request| request.waits[0].stack.len() >= 60));
    let alone = serde_json::to_value(read.into_rows()).unwrap();
    assert!(alone[7]["waits"][0]["stack"].as_array().unwrap().len() >= 60, "{}", alone[7]);
    let wrong = String::from_utf8(json).unwrap().replace("\"stack\":0", "\"stack\":1");
    assert!(Report::read(wrong.as_bytes()).is_err());
}

/// Names as long as generic code has them.
struct LongNames;

impl Symbolize for LongNames {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        addresses.iter().map(|_| vec![Frame::unresolved("shop::orders::handle".repeat(10))]).collect()
    }
}

fn any_request(scope: usize) -> impl Strategy<Value = RequestRow> {
    let id = prop_oneof![Just(b"a".to_vec()), Just(b"b".to_vec()), prop::collection::vec(any::<u8>(), 1..=64)];
    let template = fixture::capture().requests[1].clone();
    (id, 0_u64..4, any_states(), prop::collection::vec(any_states(), 0..3), any::<bool>()).prop_map(
        move |(id, start_ns, states, children, complete)| RequestRow {
            scope: ScopeSeq(scope as u64),
            id: RequestId::new(id),
            complete,
            start_ns,
            states,
            children: children.into_iter().map(|states| ChildRow { states, ..ChildRow::default() }).collect(),
            ..template.clone()
        },
    )
}

fn any_capture() -> impl Strategy<Value = Capture> {
    let requests = (0..6_usize).map(any_request).collect::<Vec<_>>();
    let tasks = prop::collection::vec((any::<Option<u64>>(), any_states()), 0..4);
    let finished = prop::collection::vec((0_u64..3, any_states()), 0..4);
    (requests, tasks, finished).prop_map(|(requests, tasks, finished)| {
        let mut capture = Capture {
            requests,
            tasks: tasks.into_iter().map(|(id, states)| TaskRow { id, states, ..TaskRow::default() }).collect(),
            finished: finished
                .into_iter()
                .map(|(count, states)| FinishedTypeRow { count, states, ..FinishedTypeRow::default() })
                .collect(),
            ..fixture::capture()
        };
        capture.number_instances();
        capture
    })
}

proptest! {
    #[test]
    fn every_row_adds_up_and_every_report_is_valid(capture in any_capture()) {
        let made = report(&capture, &Filter::All);
        for row in &made.requests {
            prop_assert!(row.times.adds_up());
            prop_assert!(row.children.iter().all(|child| child.times.adds_up()));
        }
        prop_assert!(made.tasks.iter().all(|row| row.times.adds_up()));
        prop_assert_eq!(errors(&serde_json::to_value(&made).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn instances_of_an_id_are_one_to_n_in_start_order(capture in any_capture()) {
        for row in &capture.requests {
            let earlier = capture.requests.iter()
                .filter(|other| other.id == row.id)
                .filter(|other| (other.start_ns, other.scope) < (row.start_ns, row.scope))
                .count();
            prop_assert_eq!(row.instance, earlier as u64 + 1);
        }
    }
}
