//! The stacks' times against the rows that they were drawn from.

use proptest::prelude::*;

use super::*;
use crate::model::States;
use crate::model::fixture::{Names, awaits, blocked, capture};

fn order_42() -> Selection {
    Selection::Request { id: "order-42".into() }
}

fn sum(stacks: &Weighted, of: impl Fn(&WeightedStack) -> bool) -> u64 {
    stacks.stacks.iter().filter(|stack| of(stack)).map(|stack| stack.ns).sum()
}

/// Check that each state of a request's rows is found again, to the nanosecond, and that a spawned task is told apart.
#[test]
fn every_state_adds_up() {
    let capture = blocked();
    let stacks = weighted(&capture, &order_42(), Keep::Own, &mut Names).unwrap();
    let rows = order_42().requests(&capture);
    for state in State::ALL {
        let exact: u64 = rows.iter().map(|row| row.states.of(state)).sum();
        assert_eq!(sum(&stacks, |stack| stack.state == state && !stack.owner.spawned), exact, "{}", state.name());
    }
    let spawned = sum(&stacks, |stack| stack.state == State::Running && stack.owner.spawned);
    assert_eq!(spawned, rows.iter().flat_map(|row| &row.children).map(|child| child.states.running_ns).sum::<u64>());
    let in_call = |stack: &&WeightedStack| stack.inner.iter().any(|name| name.text == "[blocked in clock_nanosleep]");
    let slept = stacks.stacks.iter().find(in_call).unwrap();
    assert_eq!((slept.tid, slept.addresses.len(), slept.ns), (Some(77), 4, 900_000));
}

/// Check that nothing selected is refused, as a graph refuses it.
#[test]
fn nothing_is_refused() {
    assert!(weighted(&capture(), &Selection::Task { id: 4711 }, Keep::Own, &mut Names).is_err());
}

/// Check that waits stand on the functions that lead to them, and that stacks of code are cut to the same.
#[test]
fn waits_and_code_stand_on_the_same_functions() {
    let mut capture = awaits();
    // 0x2000 is `orders::handle`, which awaits; the frames around it are none of the user's.
    capture.samples[0].stack.frames = vec![0x1000, 0x2001, 0x7201];
    let stacks = weighted(&capture, &order_42(), Keep::Own, &mut Names).unwrap();
    let wait = stacks.stacks.iter().find(|stack| stack.ns == 8_000_000).unwrap();
    let names: Vec<&str> = wait.inner.iter().map(|name| name.text.as_str()).collect();
    let expected = [
        "orders::handle",
        "orders::load_order",
        "orders::query",
        "[await] tokio::sync::semaphore::Semaphore::acquire (orders.rs:41)",
    ];
    assert_eq!((names, wait.state, wait.count), (expected.to_vec(), State::Suspended, 0));
    let code = stacks.stacks.iter().find(|stack| stack.addresses == [0x1000, 0x2000, 0x7200]).unwrap();
    let handle = Function { place: 0, name: Some("orders::handle".to_owned()) };
    assert_eq!(code.drawn.as_deref(), Some(&[vec![Function { place: 0, name: None }], vec![handle], Vec::new()][..]));
    assert_eq!(stacks.wall_ns(), order_42().requests(&capture).iter().map(|row| row.states.wall_ns()).sum::<u64>());
    let raw = weighted(&capture, &order_42(), Keep::Raw, &mut Names).unwrap();
    assert!(raw.stacks.iter().all(|stack| stack.drawn.is_none()));
}

proptest! {
    /// Check that whatever was sampled, the wall is that of the rows.
    #[test]
    fn the_wall_is_exact(
        times in prop::array::uniform5(0_u64..1_000_000_000_000),
        periods in prop::collection::vec(0_u64..20_000_000, 5),
        lasted in prop::collection::vec((0_u64..1 << 40, 0_u64..1 << 40), 4),
        which in 0..4_usize,
    ) {
        let mut capture = blocked();
        for row in &mut capture.requests {
            let [running_ns, preempted_ns, blocked_ns, scheduled_ns, suspended_ns] = times;
            row.states = States { running_ns, preempted_ns, blocked_ns, scheduled_ns, suspended_ns, ..States::default() };
        }
        for (sample, period) in capture.samples.iter_mut().zip(periods) {
            sample.period_ns = period;
        }
        for (off, (blocked, preempted)) in capture.off_cpu.iter_mut().zip(lasted) {
            (off.blocked_ns, off.preempted_ns) = (blocked, preempted);
        }
        let selection = [order_42(), Selection::All, Selection::Task { id: 12 }, Selection::Requests][which].clone();
        let exact = match &selection {
            Selection::Request { .. } | Selection::Requests => selection.requests(&capture).iter().map(|row| row.states.wall_ns()).sum(),
            Selection::Task { .. } => capture.tasks.iter().find(|row| row.id == Some(12)).unwrap().states.wall_ns(),
            Selection::All => {
                let live = capture.tasks.iter().map(|row| row.states.wall_ns());
                live.chain(capture.finished.iter().map(|row| row.states.wall_ns())).sum::<u64>()
            }
        };
        prop_assert_eq!(weighted(&capture, &selection, Keep::Own, &mut Names).unwrap().wall_ns(), exact);
    }
}
