//! What can be profiled in a program, asked before anything is attached.

use profiler_tests::daemon::run_to_end;
use profiler_tests::fixture::Fixture;
use profiler_tests::{Failure, Result, binaries, needs_root};

fn json(text: &str) -> Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| Failure::Wrong(vec![format!("{error}: {text}")]))
}

/// The file alone tells the Tokio version and the sites, with symbols and without.
#[test]
fn a_file_tells_what_can_be_probed() -> Result<()> {
    for name in ["fixture-service", "fixture-service-stripped"] {
        let path = binaries::fixture(name)?;
        let path = path.to_string_lossy();
        let table = run_to_end(["inspect", &*path])?;
        assert_eq!(table.code(), 0, "{name}: {}", table.stderr);
        for word in ["1.54", "poll", "wake", "scope"] {
            assert!(table.stdout.contains(word), "{name}: no {word:?} in {}", table.stdout);
        }
        let answer = run_to_end(["inspect", "--format", "json", &*path])?;
        assert_eq!(answer.code(), 0, "{name}: {}", answer.stderr);
        every_site_is_told(name, &table.stdout, &json(&answer.stdout)?);
    }
    Ok(())
}

/// Every planned site is in the JSON's list with what it costs and why it may be there, and has its line in the table.
fn every_site_is_told(name: &str, table: &str, answer: &serde_json::Value) {
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let sites = list(&answer["sites"]);
    let planned = list(&answer["plan"]["sites"]).len() + list(&answer["plan"]["scopes"]).len();
    assert_eq!(sites.len(), planned, "{name}");
    assert!(sites.iter().any(|site| site["event"] == "poll start") && sites.iter().any(|site| site["event"] == "scope_enter"));
    for site in sites {
        let is_word = |field: &str| site[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(is_word("instruction") && is_word("why") && site["emulated"].is_boolean(), "{name}: {site}");
        let cost = |field: &str| site[field].as_u64().unwrap_or(0);
        assert!(0 < cost("estimated_ns") && cost("estimated_ns") <= cost("plain_ns"), "{name}: {site}");
        let address = site["address"].as_u64().map(|address| format!("{address:#x}  ")).unwrap_or_default();
        let why = site["why"].as_str().unwrap_or_default();
        let line = table.lines().find(|line| line.contains(&address) && line.contains(why));
        assert!(line.is_some(), "{name}: no line of {site} in {table}");
    }
}

/// A process is its file, seen through /proc.
#[test]
fn a_process_tells_the_same() -> Result<()> {
    needs_root!();
    let fixture = Fixture::start("churn --live 1")?;
    let of_process = run_to_end(["inspect", "--format", "json", "--pid", &fixture.pid().to_string()])?;
    assert_eq!(of_process.code(), 0, "{}", of_process.stderr);
    json(&of_process.stdout)?;
    fixture.end()
}

#[test]
fn programs_that_cannot_be_profiled() -> Result<()> {
    for (name, code) in [("fixture-plain", 14), ("fixture-unspawned", 15)] {
        let path = binaries::fixture(name)?;
        let ended = run_to_end(["inspect", &*path.to_string_lossy()])?;
        assert_eq!(ended.code(), code, "{name}: {}", ended.stderr);
        assert_eq!(ended.stderr.trim().lines().count(), 1, "{name}: {}", ended.stderr);
    }
    Ok(())
}

#[test]
fn the_machine_tells_what_it_allows() -> Result<()> {
    let answer = run_to_end(["system-info", "--format", "json"])?;
    assert_eq!(answer.code(), 0, "{}", answer.stderr);
    json(&answer.stdout)?;
    assert_eq!(run_to_end(["system-info"])?.code(), 0);
    Ok(())
}
