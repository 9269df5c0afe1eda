//! A request's whole family: who spawned whom, and what the request's wall time consisted of.

use fixture_service::truth::Row;
use profiler_tests::daemon::Daemon;
use profiler_tests::expect::Attempts;
use profiler_tests::family::Family;
use profiler_tests::fixture::{Fixture, Round};
use profiler_tests::report::is_of;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::{ATTEMPTS, Found, only, record};

/// Child, who spawned it, and how it is run.
const FAMILY: [(&str, &str, &str); 8] = [
    ("first_step", "family_step", "spawned"),
    ("grand_step", "first_step", "spawned"),
    ("second_step", "family_step", "spawned"),
    ("left_step", "family_step", "spawned"),
    ("handed_step", "JoinHandle", "spawned"),
    ("short_step", "family_step", "spawned"),
    ("long_step", "family_step", "spawned"),
    ("set_step", "family_step", "spawned"),
];
const LOCAL: [(&str, &str, &str); 2] = [("near_step", "local_root_step", "local"), ("nearer_step", "near_step", "local")];

/// Awaits begin and end a wake and a poll away from where the awaited task ends; a switch to the worker lies between.
const EDGE_NS: u64 = 400_000;

/// Check that without any debug information of types, children of every kind are followed, and what the root waited for is told by the wakes.
#[test]
fn every_kind_of_child_is_followed_in_a_stock_build() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("family")?;
    compare(&mut fixture, |family| {
        // Nothing else tells.
        let chains = family.critical_path.rows.iter().filter(|row| !row.chain.is_empty());
        chains.clone().count() > 0 && chains.flat_map(|row| &row.chain).all(|hop| hop.by_wake)
    })
}

/// Check that with layouts it is the await stacks that tell, wherever they lead to one task.
#[test]
fn await_stacks_lead_into_the_children() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start_with_types("family")?;
    compare(&mut fixture, |family| {
        let hops = || family.critical_path.rows.iter().flat_map(|row| &row.chain);
        let by_stack = |step: &str| hops().filter(|hop| is_of(&hop.type_name, step)).all(|hop| !hop.by_wake);
        let named = ["first_step", "grand_step", "handed_step", "near_step", "nearer_step"];
        // A set holds its tasks where no layout leads.
        named.into_iter().all(by_stack) && hops().filter(|hop| is_of(&hop.type_name, "set_step")).all(|hop| hop.by_wake)
    })
}

/// Rounds until everything has agreed once. `told` must hold of every answer.
fn compare(fixture: &mut Fixture, told: impl Fn(&Family) -> bool) -> Result<()> {
    let mut attempts = Attempts::up_to(ATTEMPTS);
    while attempts.go_on() {
        let daemon = Daemon::attach(fixture.pid(), &["--mode", "process", "--request", "family", "--request", "local"])?;
        let round = fixture.round()?;
        let ask = |id: &str| {
            let ended = daemon.ask(&["family", "--request", id, "--format", "json"])?;
            assert!(ended.status.success(), "{ended:?}");
            Family::only(&ended.stdout)
        };
        let (family, local) = (ask("family")?, ask("local")?);
        for (seen, tree) in [(&family, &FAMILY[..]), (&local, &LOCAL[..])] {
            assert!(told(seen), "{:#?}", seen.critical_path);
            members(seen, tree)?;
        }
        let table = daemon.ask(&["family", "--request", "family"])?;
        assert!(table.stdout.contains("critical path: what these "), "{table:?}");
        daemon.end(libc::SIGTERM)?;
        let mut found = critical(&family, &round)?;
        found.extend(local_path(&local, &round)?);
        attempts.note(found);
    }
    attempts.verdict()?;
    fixture.ping()?;
    Ok(())
}

/// Who spawned whom. That is certain, whatever the machine does.
fn members(family: &Family, tree: &[(&str, &str, &str)]) -> Result<()> {
    let mut wrong = Vec::new();
    for (step, spawner, kind) in tree {
        let parent = family.parent(step).and_then(|parent| parent.type_name.as_deref());
        if !parent.is_some_and(|name| is_of(name, spawner)) {
            wrong.push(format!("{step} was spawned by {parent:?}"));
        }
        for member in family.of(step).into_iter().filter(|member| member.depth > 0) {
            if !member.spawn_seen || !member.parent_known || member.kind.as_deref() != Some(kind) {
                wrong.push(format!("{step}: {member:?}"));
            }
        }
    }
    if family.of("left_step").iter().any(|member| !member.outlived || member.critical_ns != 0) {
        wrong.push(format!("nobody waited for it, and it outlived the request: {:?}", family.of("left_step")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Wrong(wrong)) }
}

/// How much of each child is critical, by the fixture's own clock.
fn critical(family: &Family, round: &Round) -> Result<Found> {
    let row = |step: &str| only(&rows(round, step));
    let (held, handed) = (row("held_step")?, row("handed_step")?);
    let (short, long) = (row("short_step")?, row("long_step")?);
    let mut set = rows(round, "set_step");
    set.sort_by_key(|row| row.ended_ns);
    let set_ns = set.last().map_or(0, |row| row.ended_ns) - set.iter().map(|row| row.spawned_ns).min().unwrap_or(0);
    let mut found = vec![
        near("grand_step", family, row("grand_step")?.wall_ns()),
        near("handed_step", family, handed.ended_ns - held.ended_ns),
        near("short_step", family, short.wall_ns()),
        near("long_step", family, long.ended_ns - short.ended_ns),
        near("set_step", family, set_ns),
    ];
    let blocking: u64 =
        family.tree.iter().filter(|member| member.kind.as_deref() == Some("blocking")).map(|member| member.critical_ns).sum();
    found.push(("held_step".to_owned(), around("held_step", blocking, held.wall_ns())));
    // It has ended long before it is awaited.
    let first = row("first_step")?;
    if row("second_step")?.ended_ns + EDGE_NS < first.ended_ns {
        found.push(near_within("second_step", family, 0, 0));
    }
    Ok(found)
}

fn local_path(family: &Family, round: &Round) -> Result<Found> {
    let row = |step: &str| only(&rows(round, step));
    let (near_row, nearer) = (row("near_step")?, row("nearer_step")?);
    Ok(vec![near("near_step", family, near_row.wall_ns() - nearer.wall_ns()), near("nearer_step", family, nearer.wall_ns())])
}

fn rows<'r>(round: &'r Round, step: &str) -> Vec<&'r Row> {
    round.rows.iter().filter(|row| row.step == step).collect()
}

fn near(step: &str, family: &Family, truth: u64) -> (String, Vec<String>) {
    near_within(step, family, truth, EDGE_NS)
}

fn near_within(step: &str, family: &Family, truth: u64, edge: u64) -> (String, Vec<String>) {
    let members = family.of(step);
    let sum: u64 = members.iter().filter(|member| member.depth > 0).map(|member| member.critical_ns).sum();
    (step.to_owned(), if edge == 0 && sum == truth { Vec::new() } else { around(step, sum, truth) })
}

fn around(step: &str, seen: u64, truth: u64) -> Vec<String> {
    if seen.abs_diff(truth) <= EDGE_NS {
        Vec::new()
    } else {
        vec![format!("{step}: {seen} ns are critical, by the fixture {truth}")]
    }
}

/// Check that a request that is recorded alone has its family in the report, and that a child may outlive the window.
#[test]
fn the_report_has_the_family() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("family")?;
    let (report, _) = record(&mut fixture, &["--mode", "process", "--request", "family"])?;
    let request = only(&report.instances("family"))?;
    let child = |step: &str| request.children.iter().find(|child| is_of(&child.type_name, step));
    let (Some(first), Some(grand), Some(left)) = (child("first_step"), child("grand_step"), child("left_step")) else {
        return Err(Failure::Wrong(vec![format!("{:#?}", request.children)]));
    };
    assert_eq!((grand.parent_id, left.complete), (first.id, false), "{request:#?}");
    assert!(request.critical_path.rows.iter().any(|row| row.chain.len() == 2), "{:#?}", request.critical_path);
    assert!(request.critical_path.by_wake_ns > 0 && request.critical_path.steps.is_empty());
    fixture.end()
}
