//! Every way Tokio has to run a task.

use profiler_tests::fixture::Fixture;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};

use crate::compare::compare_tasks;

#[test]
fn every_kind_of_runtime_is_measured() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("runtimes --repeat 3")?;
    let steps =
        ["multi_step", "current_step", "local_step", "nesting_step", "nested_step", "spawn_blocking_step", "block_in_place_step"];
    let report = compare_tasks(&mut fixture, &steps)?;
    for (step, kind) in [
        ("multi_step", "spawned"),
        ("current_step", "spawned"),
        ("local_step", "local"),
        ("nested_step", "local"),
        ("spawn_blocking_step", "blocking"),
    ] {
        let row = report.finished(step).ok_or_else(|| Failure::Wrong(vec![format!("no row of {step}")]))?;
        assert_eq!(row.kind, kind, "{step}");
    }
    fixture.ping()?;
    fixture.end()
}
