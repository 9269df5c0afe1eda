//! Ids that were made to do harm: every output writes them whole, harmless and alike, and what was copied from an output names them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::process::Command;

use profiler_annotate::RequestId;
use profiler_daemon::text::{bytes, printable};
use profiler_tests::daemon::{Daemon, Recording, run_to_end, to_end};
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries, folded, needs_root};
use proptest::prelude::*;
use serde_json::Value;

use crate::load::{Order, Speaks, send};
use crate::sandwich::{compare, pairs};
use crate::service::Service;

/// An order whose polls are long enough to be in timelines of a running daemon, see `examples/src/orders.rs`.
const LONG: u64 = 95;

fn garbage() -> Vec<Vec<u8>> {
    let mut ids: Vec<Vec<u8>> = [
        &b"<script>alert(1)</script>\"'&;\\\n\r\t\x00\x1b[31m\xff{}"[..],
        &[0xff; 64],
        b"\x00",
        b" ",
        b";",
        b"\\",
        b"\n\n;1 2\n",
        b"# 7",
        // A backslash and letters, which is not the byte that they name.
        br"\xff",
        b"\xff",
        b"--all",
        b"../../etc/passwd",
        b"%s%n$(reboot)`id`",
        b"]]>--><b>\"]; n1 -> n2",
        b"\xc3",
        b"\xed\xa0\x80\xf4\x90\x80\x80",
    ]
    .map(<[u8]>::to_vec)
    .into();
    ids.extend(["größe 注文 🦀", "\u{202e}gpj.exe\u{200b}", "\u{feff}\u{fffe}\u{85}"].map(|text| text.as_bytes().to_vec()));
    ids.push("\u{202e}".repeat(21).into_bytes());
    ids
}

/// Both ends of the project write an id alike, which is why a log line of the service can be pasted into a command.
#[test]
fn both_ends_write_every_character_alike() {
    for character in '\0'..=char::MAX {
        let mut buffer = [0; 4];
        let text = character.encode_utf8(&mut buffer).as_bytes();
        assert_eq!(RequestId::new(text).map(|id| id.to_string()), Ok(printable(text)), "{character:?}");
    }
}

proptest! {
    #[test]
    fn any_id_is_written_alike_and_comes_back(id in prop::collection::vec(any::<u8>(), 1..=64)) {
        let text = RequestId::new(&id).map(|id| id.to_string());
        prop_assert_eq!(text, Ok(printable(&id)));
        prop_assert_eq!(bytes(printable(&id).as_bytes()), Ok(id));
    }
}

/// What a queue hands over may hold any byte.
#[test]
fn every_output_has_every_id_whole_and_harmless() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut service = Service::start("annotated-jobs", &[])?;
    let daemon = Daemon::attach(service.pid(), &["--all-requests", "--mode", "process"])?;
    let ids = garbage();
    send(service.address, vec![(Speaks::Queue, ids.iter().map(|id| (id.clone(), LONG)).collect())])?;
    let report = daemon.report()?;
    let told = service.told()?;
    let verdict = compare(&report, &pairs(&told.seen)?);
    assert!(verdict.wrong.is_empty() && verdict.missing.is_empty() && verdict.compared == ids.len() as u64, "{verdict:#?}");

    let table = daemon.ask(&["requests"])?.stdout;
    assert!(harmless(table.as_bytes()), "{table}");
    for id in &ids {
        let text = printable(id);
        // The first column is cut at some width.
        let beginning: String = text.chars().take(20).collect();
        assert!(table.contains(&beginning), "{text} is not in\n{table}");
        in_every_format(&daemon, &text).map_err(|failure| Failure::Wrong(vec![format!("{text}: {failure}")]))?;
    }
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    service.end()
}

fn in_every_format(daemon: &Daemon, text: &str) -> Result<()> {
    let folder = tempfile::tempdir().map_err(Failure::io("a temporary folder"))?;
    let request = format!("--request={text}");
    let get = |format: &str, file: &str| {
        let path = folder.path().join(file);
        daemon.export(&path, &[&*request, "--format", format])?;
        std::fs::read(&path).map_err(Failure::io("an export"))
    };
    // Where frames are parted by `;` it is written as a byte, too.
    let title = format!("request {} #1", text.replace(';', r"\x3b"));

    let json = get("json", "report")?;
    let report = Report::parse(Path::new("export --format json"), &String::from_utf8_lossy(&json))?;
    assert_eq!(report.requests.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), [text]);
    let hex = id_hex(&json)?;
    let exact = bytes(text.as_bytes()).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
    let needed = (exact != text.as_bytes()).then(|| profiler_daemon::model::RequestId::new(exact).to_hex());
    assert_eq!(hex, needed);

    let lines = get("folded", "folded")?;
    assert!(harmless(&lines));
    let stacks = folded::parse(&String::from_utf8_lossy(&lines))?;
    let roots: BTreeSet<&str> = stacks.iter().filter_map(|stack| stack.frames.first()).map(String::as_str).collect();
    assert_eq!(roots, BTreeSet::from([title.as_str()]));
    assert_eq!(folded::sum(&stacks), report.requests.iter().map(|row| row.times.wall_ns).sum::<u64>());

    for (format, file) in [("flamegraph", "flame.svg"), ("callgraph", "calls.svg")] {
        let svg = get(format, file)?;
        assert!(harmless(&svg), "{format}");
        let svg = String::from_utf8_lossy(&svg).into_owned();
        assert!(out_of_xml(&svg).contains(&title), "{format} has no {title}: {svg:.2000}");
        for evil in ["<script>alert", "<b>", "]]>--"] {
            assert!(!svg.contains(evil), "{format}: {evil}");
        }
    }
    let dot = get("callgraph", "calls.dot")?;
    assert!(harmless(&dot));
    let dot = String::from_utf8_lossy(&dot).into_owned();
    assert!(dot.contains(&title.replace('\\', r"\\").replace('"', "\\\"")), "{dot:.2000}");

    for format in ["speedscope", "firefox"] {
        let document = get(format, format)?;
        assert!(harmless(&document), "{format}");
        let document: Value = serde_json::from_slice(&document).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
        assert!(holds(&document, &format!("request {text} #1")) || holds(&document, &title), "{format} has no {text}");
    }
    let mut profile = Vec::new();
    flate2::read::GzDecoder::new(&*get("pprof", "pprof")?).read_to_end(&mut profile).map_err(Failure::io("pprof"))?;
    let trace = get("perfetto", "perfetto")?;
    for (name, document) in [("pprof", profile), ("perfetto", trace)] {
        assert!(document.windows(text.len()).any(|window| window == text.as_bytes()), "{name} has no {text}");
    }
    let waits = daemon.ask(&["waits", &request])?;
    assert!(waits.status.success() && harmless(waits.stdout.as_bytes()), "{}{}", waits.stdout, waits.stderr);
    Ok(())
}

/// UTF-8 without anything that steers a terminal but the ends of lines.
fn harmless(bytes: &[u8]) -> bool {
    let quiet = |text: &str| text.split(['\n', '\t']).all(|line| printable(line.as_bytes()).replace(r"\\", r"\") == line);
    str::from_utf8(bytes).is_ok_and(quiet)
}

fn out_of_xml(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&#34;", "\""), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// Whether a text stands anywhere in a document, whole or as the beginning of another.
fn holds(document: &Value, text: &str) -> bool {
    match document {
        Value::String(found) => found.starts_with(text),
        Value::Array(list) => list.iter().any(|value| holds(value, text)),
        Value::Object(fields) => fields.values().any(|value| holds(value, text)),
        _ => false,
    }
}

fn id_hex(report: &[u8]) -> Result<Option<String>> {
    let report: Value = serde_json::from_slice(report).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
    Ok(report["requests"][0]["id_hex"].as_str().map(str::to_owned))
}

/// What an output shows is what a recording is asked for by; and bytes that no output shows may be typed as they are.
#[test]
fn a_recording_waits_for_such_an_id() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let id = b"a\xff;\n\\b\x00".to_vec();
    let others = |at: u8| -> Order { (vec![b'a', 0xff, b';', b'\n', b'\\', b'b', at + 1], LONG) };
    let orders: Vec<Order> = (0..5).map(others).chain([(id.clone(), LONG)]).collect();
    let service = Service::start("annotated-jobs", &[])?;
    let recording = Recording::attach(service.pid(), &["--duration", "60s", "--request", r"a\xff;\x0a\\b\x00"])?;
    send(service.address, vec![(Speaks::Queue, orders)])?;
    let report = recording.report()?;
    assert_eq!(report.requests.iter().map(|row| row.id.clone()).collect::<Vec<_>>(), [printable(&id)]);

    let daemon = Daemon::attach(service.pid(), &["--request", r"\xff"])?;
    send(service.address, vec![(Speaks::Queue, vec![(b"\xff".to_vec(), LONG)])])?;
    let mut command = Command::new(binaries::profiler()?);
    command.arg("export").arg("--socket").arg(daemon.socket()).args(["--format", "folded", "-o", "-", "--request"]);
    command.arg(OsString::from_vec(b"\xff".to_vec()));
    let ended = to_end(Process::start(&mut command)?)?;
    assert!(ended.status.success() && ended.stdout.starts_with(r"request \xff #1;"), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
    service.end()
}

#[test]
fn ids_that_cannot_be_are_refused() -> Result<()> {
    for (id, why) in [
        (String::new(), "must not be empty"),
        ("x".repeat(65), "has at most 64 bytes, this one has 65"),
        (r"\xff".repeat(65), "has at most 64 bytes, this one has 65"),
        (r"a\n".to_owned(), r"a backslash is written `\\`, any byte `\xff` with two hexadecimal digits"),
        (r"a\".to_owned(), r"a backslash is written `\\`"),
    ] {
        let ended = run_to_end(["export", "--pid", "1", "-o", "-", &format!("--request={id}")])?;
        assert!(ended.code() == 2 && ended.stderr.contains(why), "{id}: {} {}", ended.code(), ended.stderr);
    }
    Ok(())
}

/// A header may hold any byte from 0x80 on, which stays; an empty or too long one is replaced, and the request is served all the same.
#[test]
fn headers_that_are_garbage_name_their_request_or_are_replaced() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let whole = [&b"<script>;\\ \"'&\xff\xc3"[..], &[0x80; 64], "größe".as_bytes()];
    let replaced = [b"".to_vec(), vec![b'x'; 65]];
    for (program, speaks) in [
        ("annotated-axum", Speaks::Http1),
        ("annotated-axum", Speaks::Http2),
        ("annotated-hyper", Speaks::Http1),
        ("annotated-tonic", Speaks::Grpc),
        ("annotated-actix", Speaks::Http1),
    ] {
        let service = Service::start(program, &[])?;
        let daemon = Daemon::attach(service.pid(), &["--all-requests", "--mode", "process"])?;
        let ids = whole.iter().map(|id| id.to_vec()).chain(replaced.clone());
        send(service.address, vec![(speaks, ids.map(|id| (id, LONG)).collect())])?;
        let report = daemon.report()?;
        assert_eq!(daemon.end(libc::SIGTERM)?.code(), 0);
        let mut seen: Vec<&str> = report.requests.iter().map(|row| row.id.as_str()).collect();
        let made_up = seen.extract_if(.., |id| id.starts_with("gen-")).count();
        assert_eq!(made_up, replaced.len(), "{program}: {seen:?}");
        seen.sort_unstable();
        let mut expected = whole.map(printable);
        expected.sort_unstable();
        assert_eq!(seen, expected, "{program}");
        service.end()?;
    }
    Ok(())
}
