//! Reports that are right, poor, and wrong, and what is made of them.

use super::*;
use serde_json::json;

fn truth() -> Truth {
    let kinds = [("sleeps", 2, 8), ("yields", 1, 5), ("stays", 1, 2)];
    Truth {
        kinds: kinds.into_iter().map(|(name, tasks, polls)| (name.to_owned(), Kind { tasks, polls })).collect(),
        request: Request { polls: 2, at_most_ns: 90_000_000 },
    }
}

fn task(name: &str, count: u64, polls: u64, spawn_seen: bool) -> Value {
    json!({
        "type": name, "kind": "spawned", "count": count, "finished": true, "spawn_seen": spawn_seen, "polls": polls, "wakes": polls - count,
        "wake_unseen": 0, "wall_ns": 5, "running_ns": 1, "preempted_ns": 1, "blocked_ns": 1, "scheduled_ns": 1, "suspended_ns": 1,
    })
}

fn report() -> Value {
    json!({
        "tasks": [task("a::Polled<a::sleeps>", 2, 8, true), task("a::yields", 1, 5, true), task("a::stays", 1, 2, false)],
        "requests": [{
            "polls": 2, "wall_ns": 70_000_000, "running_ns": 40_000_000, "preempted_ns": 0, "blocked_ns": 0, "scheduled_ns": 0,
            "suspended_ns": 30_000_000, "complete": true, "start_seen": true, "scheduled_known": true,
            "waits": [{ "total_ns": 10_000_000, "stack": 0 }, { "total_ns": 20_000_000, "stack": 1 }],
        }],
        "await_stacks": [[{ "name": "a::joins" }], [{ "name": "a::queries" }]],
        "awaits": { "source": "layouts" },
        "stacks": { "walks": 10, "ends": { "poll": 9, "root": 1 } },
    })
}

const FOLDED: &str = "request x;a::handles;a::burns 9\n";

fn verdicts(report: &Value, folded: &str) -> Vec<String> {
    let verdicts = judge(&truth(), report, folded).unwrap();
    FEATURES.iter().map(|name| verdicts[*name].clone()).collect()
}

/// Check a report that is right in everything but for a spawn that cannot be seen.
#[test]
fn what_is_right_is_so() {
    assert_eq!(verdicts(&report(), FOLDED), ["yes", "yes", "yes", "yes", "no", "yes", "yes", "yes"]);
}

/// Check that a stripped program's report, which has counts and no names, is not called wrong.
#[test]
fn what_is_poor_is_not_wrong() {
    let mut poor = report();
    for task in poor["tasks"].as_array_mut().unwrap() {
        task["type"] = json!("task@0x1234");
    }
    let mut runtimes = task("task@0x9", 2, 2, false);
    runtimes["kind"] = json!("unknown");
    poor["tasks"].as_array_mut().unwrap().push(runtimes);
    poor["awaits"]["source"] = json!("wakers");
    poor["await_stacks"][1] = json!([]);
    let expected = ["yes", "no", "yes", "yes", "no", "yes", "by wakers, unnamed", "unnamed"];
    assert_eq!(verdicts(&poor, "task task@0x1234;[program+0x12] 9\n"), expected);
}

/// Check that where each task has a row, one that was polled once is still ours: on a busy machine its timer was over by then.
#[test]
fn a_task_that_is_polled_once_is_not_the_runtimes() {
    let mut poor = report();
    let alone = |name: &str, polls| {
        let mut row = task(name, 1, polls, false);
        (row["kind"], row["finished"]) = (json!("unknown"), json!(false));
        row
    };
    poor["tasks"] = json!([
        alone("task@0x1", 7),
        alone("task@0x1", 1),
        alone("task@0x2", 5),
        alone("task@0x3", 2),
        alone("task@0x9", 1),
        alone("task@0x9", 1)
    ]);
    assert_eq!(verdicts(&poor, FOLDED)[0], "in sum");
}

/// Check that a kind under another's name is told.
#[test]
fn false_names_are_told() {
    let mut report = report();
    report["tasks"][0]["type"] = json!("a::yields");
    assert_eq!(verdicts(&report, FOLDED)[1], "2 of 3, 1 false");
}

/// Check that each number that is not the program's is called wrong.
#[test]
fn what_is_wrong_is_so() {
    let judged = |pointer: &str, value: Value, feature: &str| {
        let mut report = report();
        *report.pointer_mut(pointer).unwrap() = value;
        let verdicts = judge(&truth(), &report, FOLDED).unwrap();
        assert!(verdicts[feature].starts_with(WRONG), "{pointer}: {verdicts:?}");
        assert!(!wrong(&verdicts).is_empty());
    };
    judged("/tasks/0/polls", json!(9), "polls");
    judged("/tasks/0/wakes", json!(5), "wakes");
    judged("/requests/0/polls", json!(3), "requests");
    judged("/requests/0/suspended_ns", json!(1), "requests");
    judged("/await_stacks/1", json!([{ "name": "a::joins" }]), "awaits");
    judged("/requests/0/waits/1/stack", json!(0), "awaits");
    judged("/requests/0/waits/1/stack", json!(2), "awaits");
    judged("/requests/0/waits/1/stack", json!([{ "name": "a::queries" }]), "awaits");
    judged("/stacks/ends/poll", json!(1), "stacks");
}

/// Check that kinds which share their code may stand in one row, but not be lost.
#[test]
fn merged_kinds_are_told() {
    let mut merged = report();
    merged["tasks"] = json!([task("x", 3, 13, true), task("y", 1, 2, true)]);
    assert_eq!(verdicts(&merged, "")[0], "in sum");
}

/// Check that what the report counts as lost is made up with what it shows, and nothing else is.
#[test]
fn what_is_lost_and_counted_is_not_wrong() {
    let with = |lost: u64| {
        let mut fewer = report();
        fewer["tasks"] = json!([task("x", 2, 11, true), task("y", 1, 2, true)]);
        fewer["lost"] = json!({ "address_reused": lost });
        judge(&truth(), &fewer, "").unwrap()["polls"].clone()
    };
    assert_eq!(with(1), "but for lost, counted");
    assert!(with(0).starts_with(WRONG) && with(2).starts_with(WRONG));
}

/// Check that states which do not add up are an error.
#[test]
fn broken_sums_are_an_error() {
    let mut broken = report();
    broken["tasks"][0]["wall_ns"] = json!(6);
    assert!(judge(&truth(), &broken, FOLDED).is_err());
}
