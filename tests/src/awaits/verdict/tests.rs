//! Answers made by hand, in the form that the profiler gives: what is right passes, what is wrong fails, and fails as what it is.

use await_fixture::truth::{Branch, Case, Parked, Place, Wait};
use serde_json::{Value, json};

use super::{Verdict, parked, waits};
use crate::awaits::answer;

const MS: u64 = 1_000_000;

fn branch(chain: &[(&str, u32)]) -> Branch {
    let place = |(function, line): &(&str, u32)| Place {
        function: format!("await_fixture::cases::{function}"),
        file: "tests/await-fixture/src/cases/x.rs".to_owned(),
        line: *line,
        in_macro: None,
    };
    Branch { chain: chain.iter().map(place).collect(), label: "Sleep".to_owned() }
}

/// 30 ms in an inner function, then two branches for 40 ms, of which one goes on for 20.
fn truth() -> Case {
    let (a, b) = (branch(&[("f", 2), ("a", 5)]), branch(&[("f", 2), ("b", 6)]));
    let wait = |branches: &[Branch], ms: u64| Wait { branches: branches.to_vec(), total_ns: ms * MS, count: 1 };
    Case {
        name: "case".to_owned(),
        request: "case".to_owned(),
        task_id: Some(7),
        wall_ns: 91 * MS,
        waits: vec![wait(&[branch(&[("f", 1), ("g", 3)])], 30), wait(&[a, b.clone()], 40), wait(&[b], 20)],
        children: Vec::new(),
    }
}

fn function(depth: u32, name: &str, line: u32) -> Value {
    let name = format!("await_fixture::cases::{name}::{{async_fn#0}}");
    json!({"depth": depth, "name": name, "kind": "async_fn", "file": "/r/tests/await-fixture/src/cases/x.rs", "line": line})
}

fn sleep(depth: u32) -> Value {
    json!({"depth": depth, "name": "tokio::time::sleep::Sleep", "kind": "future"})
}

fn join() -> Value {
    json!({"depth": 1, "name": "tokio::join!", "kind": "join"})
}

fn row(stack: &[Value], total_ns: u64) -> Value {
    json!({"stack": stack, "cut": null, "awaited": "it", "file": "/r/x.rs", "line": 3, "count": 1, "total_ns": total_ns,
        "suspended_ns": total_ns - 1000, "scheduled_ns": 1000, "longest_ns": total_ns, "woken_by": []})
}

/// The answer that is true.
fn rows() -> Vec<Value> {
    let a = [function(2, "a", 5), sleep(3)];
    let b = [function(2, "b", 6), sleep(3)];
    vec![
        row(&[function(0, "f", 1), function(1, "g", 3), sleep(2)], 30 * MS - 90_000),
        row(&[vec![function(0, "f", 2), join()], a.to_vec(), b.to_vec()].concat(), 40 * MS + 400_000),
        row(&[vec![function(0, "f", 2), join()], b.to_vec()].concat(), 20 * MS),
    ]
}

/// The verdict on these rows.
fn on(rows: &[Value], unknown_ns: u64) -> Verdict {
    let sum = |field: &str| rows.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
    let answer = json!([{"request": {"id": "case", "instance": 1}, "source": "layouts", "waits": rows,
        "suspended_ns": sum("suspended_ns") + unknown_ns, "scheduled_ns": sum("scheduled_ns"), "unknown_ns": unknown_ns}]);
    waits(&truth(), &answer::waits(&answer.to_string(), "case").unwrap())
}

/// The verdict on the true answer, changed.
fn changed(change: impl FnOnce(&mut Vec<Value>)) -> Verdict {
    let mut rows = rows();
    change(&mut rows);
    on(&rows, 0)
}

fn is_wrong(verdict: &Verdict) -> bool {
    !verdict.wrong.is_empty()
}

#[test]
fn the_truth_passes() {
    assert_eq!(on(&rows(), 0), Verdict::default());
    // The same stack may have several rows: two awaits of the same place that differ in what nobody here knows.
    let split = changed(|rows| {
        let half = row(rows[2]["stack"].as_array().unwrap(), 10 * MS);
        rows[2] = half.clone();
        rows.push(half);
    });
    assert_eq!(split, Verdict::default());
}

#[test]
fn wrong_stacks_fail() {
    assert!(is_wrong(&changed(|rows| rows[0]["stack"][1]["line"] = json!(4))), "a wrong line");
    assert!(is_wrong(&changed(|rows| rows[0]["stack"][0]["line"] = json!(2))), "a wrong line further out");
    assert!(
        is_wrong(&changed(|rows| rows[0]["stack"][1]["file"] = json!("/r/tests/await-fixture/src/cases/y.rs"))),
        "a wrong file"
    );
    assert!(is_wrong(&changed(|rows| rows[0]["stack"][1]["name"] = json!("await_fixture::cases::h::{async_fn#0}"))));
    assert!(is_wrong(&changed(|rows| rows[0]["stack"][2]["name"] = json!("tokio::sync::notify::Notified"))), "a wrong leaf");
    assert!(is_wrong(&changed(|rows| rows.push(row(&[function(0, "f", 9), sleep(1)], 10_000)))), "a place where it never was");
    assert!(is_wrong(&changed(|rows| rows[1]["suspended_ns"] = json!(1))), "sums");
}

/// Check that a branch that is missing is a wrong stack, though the same stack is right at another time.
#[test]
fn a_missing_branch_fails() {
    let without_a = changed(|rows| rows[1]["stack"] = rows[2]["stack"].clone());
    assert!(!without_a.off.is_empty(), "60 ms in the stack of one branch, and none in that of two");
    let without_b = changed(|rows| {
        let stack = rows[1]["stack"].as_array_mut().unwrap();
        stack.truncate(4);
    });
    assert!(is_wrong(&without_b));
    let too_many = changed(|rows| rows[2]["stack"] = rows[1]["stack"].clone());
    assert!(!too_many.off.is_empty(), "a branch that is over");
}

#[test]
fn wrong_times_fail() {
    let off = |place: usize, total_ns: u64| {
        changed(|rows| {
            rows[place] = row(rows[place]["stack"].as_array().unwrap(), total_ns);
        })
    };
    assert_eq!(off(0, 30 * MS - 399_000), Verdict::default());
    for total_ns in [30 * MS - 401_000, 30 * MS + 401_000, 60 * MS, 2000] {
        let verdict = off(0, total_ns);
        assert!(verdict.off.len() == 1 && verdict.wrong.is_empty(), "{total_ns}: {verdict:?}");
    }
    let mut brief = truth();
    brief.waits[2].total_ns = 900_000;
    let answer = |rows: &[Value]| {
        let total: u64 = rows.iter().filter_map(|row| row["total_ns"].as_u64()).sum();
        let answer = json!({"request": {"id": "case", "instance": 1}, "source": "layouts", "waits": rows,
            "suspended_ns": total, "scheduled_ns": 0, "unknown_ns": 0});
        waits(&brief, &answer::waits(&answer.to_string(), "case").unwrap())
    };
    assert_eq!(answer(&rows()[..2]), Verdict::default(), "what passed inside of one poll need not be seen");
    assert_eq!(answer(&rows()).off.len(), 1, "but not be longer");
    let missing = changed(|rows| drop(rows.remove(2)));
    assert!(missing.off.len() == 1 && missing.wrong.is_empty(), "{missing:?}");
}

/// Check that two awaits that are written in one macro are told apart by their lines where these are told, and else are compared together.
#[test]
fn awaits_of_one_macro_are_alike() {
    let mut truth = truth();
    for (wait, line) in truth.waits.iter_mut().zip([1, 2, 3]) {
        wait.branches = vec![branch(&[("f", line)])];
        wait.branches[0].chain[0].in_macro = Some("src/macros/select.rs".to_owned());
    }
    let on = |rows: &[Value]| {
        let total: u64 = rows.iter().filter_map(|row| row["total_ns"].as_u64()).sum();
        let answer = json!({"request": {"id": "case", "instance": 1}, "source": "layouts", "waits": rows,
            "suspended_ns": total, "scheduled_ns": 0, "unknown_ns": 0});
        waits(&truth, &answer::waits(&answer.to_string(), "case").unwrap())
    };
    let at = |line: u32, ms: u64| row(&[function(0, "f", line), sleep(1)], ms * MS);
    let in_macro = |ms: u64| {
        let mut row = at(746, ms);
        row["stack"][0]["file"] = json!("/r/tokio-1.54.1/src/macros/select.rs");
        row
    };
    assert_eq!(on(&[in_macro(30), in_macro(40), in_macro(20)]), Verdict::default());
    assert_eq!(on(&[in_macro(60), in_macro(30)]), Verdict::default());
    assert_eq!(on(&[in_macro(60)]).off.len(), 1);
    assert_eq!(on(&[at(1, 30), at(2, 40), at(3, 20)]), Verdict::default());
    assert_eq!(on(&[at(1, 40), at(2, 30), at(3, 20)]).off.len(), 2);
}

/// Check that what is said to be unknown is that, that it makes up for what is missing once, and that it does not excuse a wrong beginning.
#[test]
fn unknown_is_counted() {
    let cut = changed(|rows| {
        rows[0]["cut"] = json!("unsupported");
        rows[0]["stack"].as_array_mut().unwrap().truncate(1);
    });
    assert!(cut.wrong.is_empty() && cut.off.is_empty(), "{cut:?}");
    assert!(cut.unknown.len() == 1 && cut.unknown[0].why == "unsupported" && cut.unknown[0].ns == 30 * MS - 90_000);
    let in_a_frame = changed(|rows| {
        rows[0]["stack"][2] = json!({"depth": 2, "name": "0x1234", "kind": "unknown_dyn", "file": null, "line": null});
    });
    assert!(in_a_frame.wrong.is_empty() && in_a_frame.unknown.len() == 1, "{in_a_frame:?}");
    let wrong = changed(|rows| {
        rows[0]["cut"] = json!("unsupported");
        rows[0]["stack"][0]["line"] = json!(9);
    });
    assert!(is_wrong(&wrong));
    let mut rows = rows();
    rows.remove(0);
    let unseen = on(&rows, 30 * MS);
    assert!(unseen.wrong.is_empty() && unseen.off.is_empty() && unseen.unknown.len() == 1, "{unseen:?}");
    assert!(!on(&rows, 20 * MS).off.is_empty(), "10 ms are nowhere");
    rows.remove(0);
    assert!(!on(&rows, 40 * MS).off.is_empty(), "it was given out twice");
}

/// Check that another request's answer is refused, and one of a form that was not agreed on.
#[test]
fn other_answers_are_refused() {
    let answer = json!({"request": {"id": "other", "instance": 1}, "source": "layouts", "waits": [], "suspended_ns": 0,
        "scheduled_ns": 0, "unknown_ns": 0});
    assert!(answer::waits(&answer.to_string(), "case").is_err());
    assert!(answer::waits(&answer.to_string(), "other").is_ok());
    assert!(answer::waits("[]", "case").is_err() && answer::waits("{}", "case").is_err() && answer::waits("no", "case").is_err());
}

#[test]
fn parked_tasks() {
    let truth = Parked { name: "case".to_owned(), task_id: Some(7), branches: truth().waits[0].branches.clone() };
    let task = |stack: &[Value], cut: Value, state: &str, id: u64| {
        let task = json!({"id": id, "type": "f", "state": state, "since_ns": 5, "await": {"stack": stack, "cut": cut}});
        let text = json!({"tasks": [task], "notes": []}).to_string();
        parked(&truth, &answer::all_tasks(&text).unwrap())
    };
    let right = [function(0, "f", 1), function(1, "g", 3), sleep(2)];
    assert_eq!(task(&right, Value::Null, "suspended", 7), Verdict::default());
    assert!(is_wrong(&task(&right, Value::Null, "running", 7)), "its state");
    assert!(is_wrong(&task(&right, Value::Null, "suspended", 8)), "another task");
    assert!(is_wrong(&task(&right[1..], Value::Null, "suspended", 7)), "a stack without its root");
    assert!(is_wrong(&task(&right[..2], Value::Null, "suspended", 7)), "a stack without its leaf");
    let cut = task(&right[..2], json!("unsupported"), "suspended", 7);
    assert!(cut.wrong.is_empty() && cut.unknown.len() == 1, "{cut:?}");
    assert!(is_wrong(&task(&[function(0, "f", 9)], json!("unsupported"), "suspended", 7)));
    let none = json!({"id": 7, "type": "f", "state": "suspended", "since_ns": null, "await": null});
    let none = json!({"tasks": [none], "notes": []}).to_string();
    assert_eq!(parked(&truth, &answer::all_tasks(&none).unwrap()).unknown.len(), 1);
    let said = json!({"tasks": [], "notes": ["tasks of before are not listed"]}).to_string();
    let said = parked(&truth, &answer::all_tasks(&said).unwrap());
    assert!(said.wrong.is_empty() && said.unknown.len() == 1, "{said:?}");
}
