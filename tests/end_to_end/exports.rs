//! Every format, of a running daemon's own measurements. What readers of other makers find in them is in `tests/formats`.

use std::io::Read as _;
use std::path::Path;

use profiler_tests::daemon::{Daemon, Recording};
use profiler_tests::fixture::Fixture;
use profiler_tests::folded;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::wire;
use profiler_tests::{Failure, Result, needs_root};
use serde_json::Value;

use crate::compare::only;
use crate::off_cpu::stacks;

const SLEEPER: &str = "sleeper-0";

fn exported(daemon: &Daemon, words: &[&str]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let path = folder.path().join("export");
    daemon.export(&path, words)?;
    std::fs::read(&path).map_err(Failure::io("an export"))
}

/// Check that each format has the form it is known by, for a request and for everything, and something in it.
#[test]
fn every_format_has_its_form() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let daemon = Daemon::attach(fixture.pid(), &[])?;
    fixture.round()?;
    for of in [&["--request", SLEEPER][..], &["--all"]] {
        let get = |format: &str| exported(&daemon, &[of, &["--format", format]].concat());
        let svg = text(get("flamegraph")?)?;
        assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>") && svg.contains("read_settings"), "{svg:.300}");
        assert!(folded::sum(&folded::parse(&text(get("folded")?)?)?) > 0);
        let report = Report::parse(Path::new("export --format json"), &text(get("json")?)?)?;
        assert!(!report.requests.is_empty(), "{report:?}");
        pprof(&get("pprof")?)?;
        let speedscope = json(&get("speedscope")?)?;
        assert_eq!(speedscope["$schema"], "https://www.speedscope.app/file-format-schema.json");
        assert!(filled(&speedscope["profiles"]) && filled(&speedscope["shared"]["frames"]), "{speedscope}");
        let firefox = json(&get("firefox")?)?;
        assert!(firefox["meta"]["preprocessedProfileVersion"].as_u64().is_some(), "{}", firefox["meta"]);
        assert!(filled(&firefox["threads"]), "{firefox}");
        assert!(slices(&get("perfetto")?)? > 0, "{of:?}");
    }
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    fixture.ping()?;
    fixture.end()
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Failure::Wrong(vec![error.to_string()]))
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).map_err(|error| Failure::Wrong(vec![error.to_string()]))
}

fn filled(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

/// A gzip member around a `Profile` (proto/profile.proto of google/pprof) that has sample types, samples, mappings and locations.
fn pprof(bytes: &[u8]) -> Result<()> {
    assert_eq!(bytes.get(..2), Some(&[0x1f, 0x8b][..]), "no gzip");
    let mut profile = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut profile).map_err(Failure::io("pprof"))?;
    for field in 1..=4 {
        assert!(!wire::messages(&profile, field)?.is_empty(), "Profile has no field {field}");
    }
    Ok(())
}

/// How many slices begin in a `Trace` (protos/perfetto/trace): `packet` is field 1, its `track_event` 11, whose `type` 9 is 1 for a begin.
fn slices(trace: &[u8]) -> Result<usize> {
    let mut begun = 0;
    for packet in wire::messages(trace, 1)? {
        for event in wire::messages(packet, 11)? {
            begun += usize::from(wire::number(event, 9)? == Some(1));
        }
    }
    Ok(begun)
}

/// Check that a recording for a timeline has every poll, also those that are too short for a record otherwise.
#[test]
fn a_timeline_has_every_poll() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("churn --live 1 --rate 500 --millis 100")?;
    let daemon = Daemon::attach(fixture.pid(), &[])?;
    fixture.round()?;
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let path = folder.path().join("some.pftrace");
    let ended = daemon.ask(&["export", "--all", "-o", &*path.to_string_lossy()])?;
    daemon.end(libc::SIGTERM)?;
    // Polls of a few microseconds leave no record: what there is to draw is what the machine made long, if it did, and a sample, if one fell
    // into a poll; where there is neither, the user is told what has every poll.
    let some = if ended.status.success() { slices(&std::fs::read(&path).map_err(Failure::io("an export"))?)? } else { 0 };
    assert!(ended.status.success() || ended.stderr.contains("`record --format perfetto`"), "{}", ended.stderr);
    let recording = Recording::attach_as("perfetto", fixture.pid(), &["--all", "--duration", "30s"])?;
    let round = fixture.round()?;
    recording.interrupt()?;
    let every = slices(&recording.bytes()?)?;
    let tasks: u64 = round.totals.iter().map(|(_, tasks)| *tasks).sum();
    // Each of the brief tasks yields once.
    assert!(tasks > 0 && every as u64 >= 2 * tasks, "{every} slices for {tasks} tasks of two polls");
    assert!(every > some, "{every} slices, {some} without a timeline");
    fixture.ping()?;
    fixture.end()
}

/// Check that the executor's frames are folded into one unless they are asked for, in whichever way, and that no time goes with them.
#[test]
fn executor_frames_fold_and_unfold() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start("holders")?;
    let daemon = Daemon::attach(fixture.pid(), &["--request", SLEEPER, "--mode", "process"])?;
    fixture.round()?;
    let raw = ["export", "--request", SLEEPER, "--metric", "blocked", "--format", "folded", "--raw-frames", "-o", "-"];
    let raw = folded::parse(&daemon.ask(&raw)?.stdout)?;
    let short = stacks(&daemon, SLEEPER, "blocked")?;
    daemon.end(libc::SIGTERM)?;
    assert_eq!(folded::sum(&raw), folded::sum(&short));
    let has_fold = |stacks: &[folded::Stack]| stacks.iter().any(|stack| stack.frames.iter().any(|frame| frame == "[tokio]"));
    assert!(has_fold(&short) && !has_fold(&raw), "{short:#?}\n{raw:#?}");
    let depth = |stacks: &[folded::Stack]| stacks.iter().map(|stack| stack.frames.len()).max();
    assert!(depth(&raw) > depth(&short), "{short:#?}\n{raw:#?}");

    let daemon = Daemon::attach(fixture.pid(), &["--request", SLEEPER, "--raw-frames", "--mode", "process"])?;
    fixture.round()?;
    let asked_before = stacks(&daemon, SLEEPER, "blocked")?;
    daemon.end(libc::SIGTERM)?;
    assert!(!has_fold(&asked_before), "{asked_before:#?}");
    fixture.end()
}

/// Check that a file without symbols costs names and not frames: its functions are shown by their places in it, and stacks are whole.
#[test]
fn a_stripped_target_has_whole_stacks() -> Result<()> {
    const BINARY: &str = "fixture-service-stripped";
    needs_root!();
    let _turn = turn();
    let mut fixture = Fixture::start_binary(BINARY, "holders")?;
    let daemon = Daemon::attach(fixture.pid(), &["--request", SLEEPER])?;
    fixture.round()?;
    let blocked = stacks(&daemon, SLEEPER, "blocked")?;
    let ended = daemon.ask(&["export", "--request", SLEEPER, "--metric", "blocked", "--format", "folded", "-o", "-"])?;
    let table = daemon.ask(&["blocking"])?;
    let report = daemon.report()?;
    daemon.end(libc::SIGTERM)?;
    assert!(table.stdout.contains("[its callers have no names]"), "{}", table.stdout);
    assert!(ended.stderr.contains("no symbol table"), "{}", ended.stderr);
    let request = only(&report.instances(SLEEPER))?;
    assert_eq!(folded::sum(&blocked), request.times.blocked_ns);
    let place = format!("[{BINARY}+0x");
    for stack in &blocked {
        let unnamed = stack.frames.iter().filter(|frame| frame.starts_with(&place)).count();
        assert!(unnamed >= 3, "{stack:#?}");
    }
    assert!(report.stacks.walks > 0 && report.stacks.whole() * 100 >= report.stacks.walks * 95, "{:?}", report.stacks);
    fixture.ping()?;
    fixture.end()
}
