//! The path adds up, whatever was measured, and opens each await into the task that it was for.

use proptest::prelude::*;

use super::*;
use crate::model::capture::{AwaitIndex, ScopeSeq, TaskKind, TypeIndex};
use crate::model::report::Counts;
use crate::model::states::{State, States};

const ROOT: Key = Key::Scope(ScopeSeq(1));

/// `R10 S20 W5` and so on: running, suspended, scheduled (waiting), blocked, preempted; `!` behind an `S` names what it awaits.
struct Script {
    node: Node,
    at: u64,
    first: bool,
}

impl Script {
    fn of(key: Key, parent: Parent, start_ns: u64) -> Self {
        let kind = if parent == Parent::Nobody { Kind::Root } else { Kind::Task(TaskKind::Spawned) };
        let task_type = match key {
            Key::Task(id) => Some(TypeIndex(u32::try_from(id / 10).unwrap())),
            _ => None,
        };
        let node = Node {
            key,
            parent,
            kind,
            task_type,
            task_id: None,
            complete: true,
            start_seen: true,
            start_ns,
            states: States::default(),
            counts: Counts::default(),
            spans: Vec::new(),
            waits: Vec::new(),
        };
        Self { node, at: start_ns, first: true }
    }

    fn child(id: u64, start_ns: u64) -> Self {
        Self::of(Key::Task(id), Parent::Known(ROOT), start_ns)
    }

    /// The time from the spawn to the first poll.
    fn queued(mut self, ns: u64) -> Self {
        self.node.states.scheduled_ns += ns;
        self.at += ns;
        self
    }

    fn poll(self, running: u64) -> Self {
        self.poll_with(running, 0, 0, true)
    }

    /// Runs for half of its time, is off the CPU, and runs again.
    fn poll_with(mut self, running: u64, blocked: u64, preempted: u64, seen: bool) -> Self {
        let start_ns = self.at;
        self.at += running + blocked + preempted;
        let stretch = Stretch { start_ns: start_ns + running / 2, blocked_ns: blocked, preempted_ns: preempted };
        let first = std::mem::take(&mut self.first);
        self.node.spans.push(Span {
            tid: 7,
            start_ns,
            end_ns: self.at,
            ready_ns: first.then_some(self.node.start_ns),
            blocked_ns: blocked,
            preempted_ns: preempted,
            stretches: if seen && blocked + preempted > 0 { vec![stretch] } else { Vec::new() },
        });
        self.node.counts.polls += 1;
        self.node.states.running_ns += running;
        self.node.states.blocked_ns += blocked;
        self.node.states.preempted_ns += preempted;
        self
    }

    fn wait(mut self, suspended: u64, scheduled: u64, stack: u32, on: Awaited) -> Self {
        self.node.waits.push(Wait {
            start_ns: self.at,
            suspended_ns: suspended,
            scheduled_ns: scheduled,
            stack: Some(AwaitIndex(stack)),
            on,
            woken_on: None,
        });
        self.at += suspended + scheduled;
        self.node.states.suspended_ns += suspended;
        self.node.states.scheduled_ns += scheduled;
        self
    }

    fn on(self, suspended: u64, scheduled: u64, task: u64) -> Self {
        self.wait(suspended, scheduled, 100 + u32::try_from(task).unwrap(), Awaited::Task(Key::Task(task)))
    }

    fn end(self) -> Node {
        self.node
    }
}

/// `0-10 root running`, a step each; a chain reads `root>11`.
fn told(nodes: &[Node]) -> Vec<String> {
    let found = path(nodes);
    let name = |chain: usize| {
        let mut names = Vec::new();
        let mut at = Some(chain);
        while let Some(one) = at.map(|at| found.chains[at]) {
            names.push(match nodes[one.node].key {
                Key::Task(id) => id.to_string(),
                Key::Scope(_) => "root".to_owned(),
                Key::Nameless(_) => "nameless".to_owned(),
            });
            at = one.parent;
        }
        names.reverse();
        names.join(">")
    };
    let what = |what: What| match what {
        What::In(state) => state.name().to_owned(),
        What::Await(Some(stack)) => format!("await {}", stack.0),
        What::Await(None) => "await".to_owned(),
        What::Unknown(why) => format!("{why:?}"),
    };
    let step = |step: &Step| format!("{}-{} {} {}", step.start_ns, step.end_ns, name(step.chain), what(step.what));
    found.steps.iter().map(step).collect()
}

fn root() -> Script {
    Script::of(ROOT, Parent::Nobody, 1000)
}

#[test]
fn an_await_is_the_childs_time_clipped_to_it() {
    let nodes = [
        root().poll(100).on(400, 50, 11).poll(10).end(),
        // Spawned in the root's poll, 60 before its end; ends 20 before the wake.
        Script::child(11, 1040).queued(100).poll_with(60, 40, 20, true).wait(100, 30, 2, Awaited::Else).poll(90).end(),
    ];
    assert_eq!(
        told(&nodes),
        [
            "1000-1100 root running",
            "1100-1140 root>11 scheduled",
            "1140-1170 root>11 running",
            "1170-1210 root>11 blocked",
            "1210-1230 root>11 preempted",
            "1230-1260 root>11 running",
            "1260-1360 root>11 await 2",
            "1360-1390 root>11 scheduled",
            "1390-1480 root>11 running",
            "1480-1500 root await 111",
            "1500-1550 root scheduled",
            "1550-1560 root running",
        ]
    );
}

#[test]
fn a_child_that_awaits_its_own_child_is_opened_too() {
    let nodes = [
        root().poll(100).on(300, 0, 11).poll(1).end(),
        Script::child(11, 1050).poll(50).on(250, 0, 21).poll(50).end(),
        Script::of(Key::Task(21), Parent::Known(Key::Task(11)), 1090).queued(20).poll(240).end(),
    ];
    assert_eq!(
        told(&nodes),
        [
            "1000-1100 root running",
            "1100-1110 root>11>21 scheduled",
            "1110-1350 root>11>21 running",
            "1350-1400 root>11 running",
            "1400-1401 root running",
        ]
    );
}

#[test]
fn of_several_the_one_whose_end_woke_is_critical() {
    let both = |first| Awaited::Tasks { types: vec![Some(TypeIndex(1)); 2], first: Some(Key::Task(first)), beside: false };
    let nodes = [
        root().poll(100).wait(200, 0, 1, both(11)).poll(10).on(300, 0, 11).poll(10).end(),
        Script::child(11, 1050).poll(560).end(),
        Script::child(12, 1060).poll(240).end(),
        // Never awaited, and still there when the request has ended: not on the path.
        Script::child(31, 1070).poll(9000).end(),
    ];
    let steps = told(&nodes);
    assert_eq!(steps[1..3], ["1100-1300 root>12 running", "1300-1310 root running"]);
    assert_eq!(steps[3], "1310-1610 root>11 running");
    assert!(steps.iter().all(|step| !step.contains(">31")), "{steps:?}");
}

#[test]
fn a_set_is_opened_into_the_child_that_ended_last() {
    let nodes = [
        root().poll(100).wait(1_000_000, 0, 1, Awaited::Set).poll(10).end(),
        Script::child(11, 1050).poll(1000).end(),
        // Longer ago than a wake takes, but nothing else can have ended the wait.
        Script::child(12, 1050).poll(700_000).end(),
    ];
    assert_eq!(told(&nodes)[1..3], ["1100-701050 root>12 running", "701050-1001100 root await 1"]);
    let pending = [
        root().poll(100).wait(1_000, 0, 1, Awaited::Set).poll(10).end(),
        Script::child(11, 1050).poll(90_000).end(),
        Script::child(12, 1050).poll(70_000).end(),
    ];
    assert_eq!(told(&pending)[1], "1100-2100 root Several");
}

#[test]
fn beside_something_else_only_the_one_that_woke_counts() {
    let beside = Awaited::Tasks { types: vec![Some(TypeIndex(1))], first: Some(Key::Task(11)), beside: true };
    let child = |ns| Script::child(11, 1050).poll(ns).end();
    let waits = |on: &Awaited| root().poll(100).wait(1_000_000, 0, 1, on.clone()).poll(10).end();
    assert_eq!(told(&[waits(&beside), child(9000)])[1], "1100-1001100 root await 1", "a timer, it may be");
    assert_eq!(told(&[waits(&beside), child(1_000_000)])[1], "1100-1001050 root>11 running");
    // Without a stack it is the wake that tells.
    assert_eq!(told(&[waits(&Awaited::Unseen), child(1_000_000)])[1], "1100-1001050 root>11 running");
    assert_eq!(path(&[waits(&Awaited::Unseen), child(1_000_000)]).by_wake_ns, 999_950);
    let mut elsewhere = waits(&Awaited::Unseen);
    elsewhere.waits[0].woken_on = Some(8);
    assert_eq!(told(&[elsewhere, child(1_000_000)])[1], "1100-1001100 root await 1", "another thread woke");
}

#[test]
fn of_equal_handles_the_one_that_woke() {
    let nodes = [
        root().poll(100).on(300, 0, 11).poll(10).on(300, 0, 11).end(),
        Script::child(11, 1050).poll(650).end(),
        Script::child(12, 1050).poll(350).end(),
    ];
    assert_eq!(
        told(&nodes)[1..],
        ["1100-1400 root>12 running", "1400-1410 root running", "1410-1700 root>11 running", "1700-1710 root await 111"]
    );
}

#[test]
fn what_is_not_known_is_said() {
    assert_eq!(told(&[root().poll(1).on(9, 0, 77).end()])[1], "1001-1010 root NotOfFamily");
    // Two that await each other: a deadlock, up to the window's end.
    let mut nodes = [
        root().poll(10).on(90, 0, 11).end(),
        Script::child(11, 1000).poll(10).on(90, 0, 12).end(),
        Script::child(12, 1000).poll(10).on(90, 0, 11).end(),
    ];
    for node in &mut nodes {
        node.complete = false;
    }
    assert_eq!(told(&nodes)[1..], ["1010-1100 root>11>12 Cycle"]);
    // Only its sums are known.
    let mut sums = [root().poll(10).on(90, 0, 11).end(), Script::child(11, 1000).poll(100).end()];
    sums[1].spans.clear();
    assert_eq!(told(&sums)[1], "1010-1100 root>11 NotRecorded");
    assert_eq!(told(&[]), Vec::<String>::new());
}

#[test]
fn a_poll_without_its_stretches_is_divided_as_the_whole() {
    let nodes = [root().poll(100).on(50, 0, 11).poll(1).end(), Script::child(11, 1050).poll_with(50, 25, 25, false).end()];
    let found = path(&nodes);
    assert_eq!(told(&nodes)[1..4], ["1100-1125 root>11 running", "1125-1138 root>11 preempted", "1138-1150 root>11 blocked"]);
    assert_eq!(found.divided_ns, 50);
}

#[test]
fn the_tree_is_by_spawn() {
    let nodes = [
        root().poll(1).end(),
        Script::child(13, 30).end(),
        Script::child(11, 20).end(),
        Script::of(Key::Task(12), Parent::Known(Key::Task(11)), 25).end(),
        Script::of(Key::Task(14), Parent::Unknown, 1).end(),
        Script::of(Key::Task(15), Parent::Known(Key::Task(16)), 1).end(),
        Script::of(Key::Task(16), Parent::Known(Key::Task(15)), 1).end(),
    ];
    let order: Vec<(usize, u32, bool)> = tree(&nodes).iter().map(|place| (place.node, place.depth, place.parent_known)).collect();
    assert_eq!(order, [(0, 0, true), (2, 1, true), (3, 2, true), (1, 1, true), (4, 1, false), (5, 1, false), (6, 2, true)]);
}

/// Any members: times, parents, polls and waits that need not fit together at all.
fn any_nodes() -> impl Strategy<Value = Vec<Node>> {
    let span = (0_u64..500, 0_u64..90, 0_u64..60, 0_u64..60, prop::option::of(0_u64..500), any::<bool>()).prop_map(
        |(start_ns, ns, blocked_ns, preempted_ns, ready_ns, seen)| Span {
            tid: 7,
            start_ns,
            end_ns: start_ns + ns,
            ready_ns,
            blocked_ns,
            preempted_ns,
            stretches: if seen { vec![Stretch { start_ns, blocked_ns, preempted_ns }] } else { Vec::new() },
        },
    );
    let on = prop_oneof![
        Just(Awaited::Else),
        Just(Awaited::Set),
        Just(Awaited::Unseen),
        (0_u64..6).prop_map(|id| Awaited::Task(Key::Task(id))),
        (0_u64..6, any::<bool>()).prop_map(|(id, beside)| Awaited::Tasks {
            types: vec![None],
            first: Some(Key::Task(id)),
            beside
        }),
    ];
    let wait = (0_u64..500, 0_u64..200, 0_u64..90, on).prop_map(|(start_ns, suspended_ns, scheduled_ns, on)| Wait {
        start_ns,
        suspended_ns,
        scheduled_ns,
        stack: Some(AwaitIndex(0)),
        on,
        woken_on: None,
    });
    let states = (0_u64..200, 0_u64..99, 0_u64..99, 0_u64..200);
    let node =
        (prop::collection::vec(span, 0..6), prop::collection::vec(wait, 0..6), states, 0_u64..300, 0_u64..7, any::<bool>());
    prop::collection::vec(node, 1..6).prop_map(|all| {
        let member =
            |(number, (mut spans, mut waits, states, start_ns, parent, complete)): (u64, (Vec<Span>, Vec<Wait>, _, _, _, _))| {
                let (running_ns, blocked_ns, scheduled_ns, suspended_ns) = states;
                spans.sort_by_key(|span| span.start_ns);
                waits.sort_by_key(|wait| wait.start_ns);
                let script = Script::of(Key::Task(number), Parent::Known(Key::Task(parent)), start_ns);
                Node {
                    complete,
                    counts: Counts { polls: spans.len() as u64, ..Counts::default() },
                    states: States { running_ns, blocked_ns, scheduled_ns, suspended_ns, ..States::default() },
                    spans,
                    waits,
                    ..script.node
                }
            };
        (0_u64..).zip(all).map(member).collect()
    })
}

proptest! {
    /// The identity: steps follow one another without a gap from the root's start to its end.
    #[test]
    fn a_path_is_the_whole_wall_time(nodes in any_nodes()) {
        let found = path(&nodes);
        let mut at = nodes[0].start_ns;
        for step in &found.steps {
            prop_assert_eq!(step.start_ns, at);
            prop_assert!(step.end_ns > at);
            at = step.end_ns;
        }
        prop_assert_eq!(at, nodes[0].end_ns());
        let sum: u64 = found.steps.iter().map(Step::ns).sum();
        prop_assert_eq!(sum, nodes[0].states.wall_ns());
        prop_assert!(found.divided_ns <= sum && found.by_wake_ns <= sum);
    }

    /// Pieces are the whole of a member's time, in order.
    #[test]
    fn a_timeline_has_no_gap(nodes in any_nodes()) {
        for node in &nodes {
            let mut at = node.start_ns;
            for piece in timeline(node) {
                prop_assert_eq!(piece.start_ns, at);
                prop_assert!(piece.end_ns > at);
                at = piece.end_ns;
            }
            prop_assert_eq!(at, node.end_ns());
        }
    }

    /// Every member stands in the tree once.
    #[test]
    fn a_tree_has_everybody(nodes in any_nodes()) {
        let mut seen: Vec<usize> = tree(&nodes).iter().map(|place| place.node).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..nodes.len()).collect::<Vec<_>>());
    }

    /// Of what a root did itself, nothing is lost or added: only its suspended time is opened.
    #[test]
    fn only_waits_are_opened(running in 1_u64..500, wait in 1_u64..500, child in 1_u64..900, late in 0_u64..900) {
        let nodes = [root().poll(running).on(wait, 7, 11).poll(3).end(), Script::child(11, 1000 + late).poll(child).end()];
        let own = |state| path(&nodes).steps.iter().filter(|step| step.chain == 0 && step.what == What::In(state)).map(Step::ns).sum::<u64>();
        prop_assert_eq!((own(State::Running), own(State::Scheduled)), (running + 3, 7));
    }
}
