//! Every export opened by a reader that is not ours, with names and ids that would break a careless one.

mod capture;
mod readers;

use profiler_daemon::control::Format;
use profiler_daemon::model::{Capture, Metric, Selection};
use profiler_daemon::session::{ExecutorFrames, render};
use profiler_tests::{Failure, Result};
use serde_json::Value;

use capture::{HOSTILE, Names, START, WALL_NS, hostile, hostile_function_shown, plain};
use readers::{are_needed, readers};

const MS: u64 = 1_000_000;

/// The readers, or the end of the test with the reason why there are none.
macro_rules! readers_or_skip {
    () => {
        match readers() {
            Ok(readers) => readers,
            Err(why) if are_needed() => return Err(Failure::Wrong(vec![why])),
            Err(why) => profiler_tests::skip!("no readers of other makers: {why}"),
        }
    };
}

fn exported(capture: &Capture, selection: &Selection, metric: Metric, format: Format) -> Result<Vec<u8>> {
    render(capture, selection, metric, format, ExecutorFrames::Folded, &mut Names)
        .map_err(|error| Failure::Wrong(vec![error.to_string()]))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Check that a decoder made from the published profile.proto finds the exact times, labels, files and inlined functions.
#[test]
fn pprof_is_read_by_another_decoder() -> Result<()> {
    let readers = readers_or_skip!();
    let bytes = exported(&capture::capture(), &plain(), Metric::Wall, Format::Pprof)?;
    let read = readers.read("pprof.mjs", "order-42.pb.gz", &bytes)?;
    assert_eq!(read["first"], "wall");
    for (name, ns) in [
        ("wall", WALL_NS),
        ("cpu", 10 * MS + 1),
        ("preempted", MS),
        ("blocked", 6 * MS + 2),
        ("scheduled", 3 * MS),
        ("suspended", 20 * MS),
    ] {
        assert_eq!(read["sums"][name], ns.to_string(), "{name}: {read:#}");
    }
    assert_eq!(strings(&read["labels"]["request"]), ["order-42"]);
    assert_eq!(strings(&read["labels"]["task"]), ["orders::handle"]);
    assert_eq!(strings(&read["labels"]["thread"]), ["101"]);
    assert_eq!(read["mappings"][1], serde_json::json!(["36864", "/lib/libc.so.6", "11ee"]));
    let inlined = read["locations"].as_array().into_iter().flatten().find(|of| of["address"] == "4096");
    let lines = inlined.map(|of| of["lines"].clone());
    assert_eq!(
        lines,
        Some(serde_json::json!([
            ["orders::tax", "orders::tax::<u8>", "src/or\"ders.rs", 7],
            ["orders::price", "orders::price::<u8>", "src/or\"ders.rs", 11],
        ]))
    );
    Ok(())
}

/// Check that speedscope imports a pprof profile as well, and shows its wall time.
#[test]
fn pprof_is_read_by_speedscope() -> Result<()> {
    let readers = readers_or_skip!();
    let bytes = exported(&capture::capture(), &plain(), Metric::Wall, Format::Pprof)?;
    let read = readers.read("speedscope.mjs", "order-42.pb.gz", &bytes)?;
    assert_eq!(read["profiles"][0]["total"], WALL_NS, "{read:#}");
    Ok(())
}

/// Check that speedscope's importer takes its own format, with wall and CPU time of the request.
#[test]
fn speedscope_is_read_by_its_importer() -> Result<()> {
    let readers = readers_or_skip!();
    let bytes = exported(&capture::capture(), &plain(), Metric::Wall, Format::Speedscope)?;
    let read = readers.read("speedscope.mjs", "order-42.speedscope.json", &bytes)?;
    let profiles: Vec<_> =
        read["profiles"].as_array().into_iter().flatten().map(|of| (&of["name"], &of["total"], &of["unit"])).collect();
    assert_eq!(profiles.len(), 2, "{read:#}");
    assert_eq!((profiles[0].0.as_str(), profiles[0].1.as_u64()), (Some("wall time: request order-42 #1"), Some(WALL_NS)));
    assert_eq!((profiles[1].0.as_str(), profiles[1].1.as_u64()), (Some("CPU time: request order-42 #1"), Some(10 * MS + 1)));
    assert_eq!(profiles[0].2, "nanoseconds");
    assert!(strings(&read["profiles"][0]["frames"]).contains(&"[blocked in futex]"), "{read:#}");
    Ok(())
}

/// Check that the trace keeps to Perfetto's published descriptors, and that a wake's arrow ends at the poll it led to.
#[test]
fn perfetto_is_read_by_its_published_protos() -> Result<()> {
    let readers = readers_or_skip!();
    let bytes = exported(&capture::capture(), &plain(), Metric::Wall, Format::Perfetto)?;
    let read = readers.read("perfetto_trace.py", "order-42.pftrace", &bytes)?;
    assert_eq!(strings(&read["wrong"]), [""; 0]);
    for track in ["/srv/or\"ders", "thread 101", "thread 102", "task 12, orders::handle", "task 30, orders::db"] {
        assert!(strings(&read["tracks"]).contains(&track), "{track}: {}", read["tracks"]);
    }
    let slice = |track: &str, name: &str| {
        let found =
            read["slices"].as_array().into_iter().flatten().find(|slice| slice["track"] == track && slice["name"] == name);
        found.map(|slice| (slice["start"].as_u64().unwrap_or(0), slice["end"].as_u64().unwrap_or(0), slice["depth"].as_u64()))
    };
    let at = |ms: u64| START + ms * MS;
    assert_eq!(slice("thread 101", "orders::handle"), Some((at(1), at(11), Some(0))));
    assert_eq!(slice("thread 101", "request order-42 #1"), Some((at(2), at(11), Some(1))));
    assert_eq!(slice("thread 101", "blocked in futex"), Some((at(4), at(8), Some(2))));
    assert_eq!(slice("thread 101", "preempted"), Some((at(8), at(9), Some(2))));
    assert_eq!(slice("task 12, orders::handle", "scheduled"), Some((at(31), at(34), Some(0))));
    assert_eq!(slice("requests", "request order-42 #1"), Some((at(1), at(1) + WALL_NS, Some(0))));
    let arrows = read["arrows"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(arrows.len(), 1, "{arrows:?}");
    assert_eq!((&arrows[0]["from"]["track"], &arrows[0]["from"]["at"]), (&"thread 102".into(), &at(31).into()));
    assert_eq!((&arrows[0]["to"]["track"], &arrows[0]["to"]["start"]), (&"thread 101".into(), &at(34).into()));
    Ok(())
}

/// Check that the Firefox Profiler's own code loads the profile, with its threads, samples, polls and blocked stretches.
#[test]
fn firefox_is_read_by_its_profiler() -> Result<()> {
    let readers = readers_or_skip!();
    let bytes = exported(&capture::capture(), &plain(), Metric::Wall, Format::Firefox)?;
    let read = readers.read("firefox.mjs", "order-42.firefox.json", &bytes)?;
    let text = read.to_string();
    for expected in ["thread 101", "thread 102", "orders::tax", "orders::load", "Blocked", "futex", "Wake", "request order-42 #1"]
    {
        assert!(text.contains(expected), "{expected}: {read:#}");
    }
    Ok(())
}

/// Check that a hostile request id and function name are text in every format, whole, to every reader.
#[test]
fn hostile_names_are_text_to_every_reader() -> Result<()> {
    let readers = readers_or_skip!();
    let capture = capture::capture();
    for (form, script, file) in [
        (Format::Pprof, "pprof.mjs", "a.pb.gz"),
        (Format::Speedscope, "speedscope.mjs", "a.speedscope.json"),
        (Format::Perfetto, "perfetto_trace.py", "a.pftrace"),
        (Format::Firefox, "firefox.mjs", "a.firefox.json"),
    ] {
        let read = readers.read(script, file, &exported(&capture, &hostile(), Metric::Wall, form)?)?;
        let mut found = Vec::new();
        every_string(&read, &mut found);
        // A graph's frame escapes `;` too: it would end a frame of folded stacks.
        let ids = [HOSTILE.to_owned(), HOSTILE.replace(';', "\\x3b")];
        assert!(found.iter().any(|text| ids.iter().any(|id| text.contains(id))), "{form:?}: no id in {read:#}");
        assert!(found.iter().any(|text| text.contains(&hostile_function_shown())), "{form:?}: no function in {read:#}");
        let raw = |text: &&String| text.chars().any(|character| character.is_control() && character != '\n');
        assert_eq!(found.iter().find(raw), None, "{form:?}");
    }
    Ok(())
}

fn every_string(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| every_string(value, found)),
        Value::Object(values) => values.values().for_each(|value| every_string(value, found)),
        _ => {}
    }
}

/// Check that a timeline of 300,000 polls has a size that readers take: under 300 bytes a poll with its wake.
#[test]
fn timelines_of_many_polls_stay_small() -> Result<()> {
    let polls = 300_000;
    let capture = capture::many(polls);
    let trace = exported(&capture, &Selection::All, Metric::Wall, Format::Perfetto)?;
    let profile = exported(&capture, &Selection::All, Metric::Wall, Format::Firefox)?;
    println!("{polls} polls: perfetto {} bytes, firefox {} bytes", trace.len(), profile.len());
    assert!(trace.len() < 90_000_000 && profile.len() < 90_000_000);
    Ok(())
}
