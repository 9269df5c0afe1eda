//! The lines of the protocol: those of its docs, those it refuses, and noise.

use super::*;
use crate::text;
use proptest::prelude::*;

/// The lines of this module's docs, which other programs are written after.
#[test]
fn the_documented_lines() {
    let export = |select, metric, format| Request::Export { select, metric, format, names: Names::default() };
    let names = Names { raw_frames: true, debug_dirs: vec!["/srv/debug".into()] };
    let cases = [
        (r#"{"v":1,"cmd":"status"}"#, Request::Status),
        (r#"{"v":1,"cmd":"requests"}"#, Request::Requests),
        (r#"{"v":1,"cmd":"tasks"}"#, Request::Tasks),
        (r#"{"v":1,"cmd":"report"}"#, Request::Report),
        (
            r#"{"v":1,"cmd":"export","select":{"request":"order-42"},"metric":"wall","format":"flamegraph"}"#,
            export(Selection::Request("order-42".to_owned()), Metric::Wall, Format::Flamegraph),
        ),
        (
            r#"{"v":1,"cmd":"export","select":{"task":17},"metric":"cpu","format":"folded"}"#,
            export(Selection::Task(17), Metric::Cpu, Format::Folded),
        ),
        (
            r#"{"v":1,"cmd":"export","select":"all","metric":"wall","format":"json"}"#,
            export(Selection::All, Metric::Wall, Format::Json),
        ),
        (r#"{"v":1,"cmd":"blocking","threshold_ns":1000000,"top":20}"#, Request::Blocking { threshold_ns: 1_000_000, top: 20 }),
        (
            r#"{"v":1,"cmd":"export","select":"all","metric":"cpu","format":"folded","names":{"raw_frames":true,"debug_dirs":["/srv/debug"]}}"#,
            Request::Export { select: Selection::All, metric: Metric::Cpu, format: Format::Folded, names },
        ),
        (r#"{"v":1,"cmd":"stop"}"#, Request::Stop),
        (
            r#"{"v":1,"cmd":"waits","select":{"request":"order-42"}}"#,
            Request::Waits { select: Selection::Request("order-42".to_owned()), names: Names::default() },
        ),
        (
            r#"{"v":1,"cmd":"waits","select":"all","names":{"raw_frames":true}}"#,
            Request::Waits { select: Selection::All, names: Names { raw_frames: true, debug_dirs: Vec::new() } },
        ),
    ];
    for (line, request) in cases {
        assert_eq!(Request::parse(line.as_bytes()), Ok(request.clone()), "{line}");
        assert_eq!(request.line().unwrap(), format!("{line}\n").as_bytes());
        let docs = include_str!("../protocol.rs");
        assert!(docs.contains(&format!("//! {line}\n")), "{line} is not in the docs");
    }
    let header = Header::Ok { bytes: 5120, notes: Vec::new() };
    assert_eq!(header.line().unwrap(), b"{\"v\":1,\"ok\":true,\"bytes\":5120}\n");
    let noted = Header::Ok { bytes: 7, notes: vec!["cannot read symbols of /srv/lib.so: ...".to_owned()] };
    let line = "{\"v\":1,\"ok\":true,\"bytes\":7,\"notes\":[\"cannot read symbols of /srv/lib.so: ...\"]}\n";
    assert_eq!(noted.line().unwrap(), line.as_bytes());
    assert_eq!(Header::parse(line.as_bytes()), Ok(noted));
    let error = Header::Error { code: Code::NotFound, message: "no request order-42 was seen".to_owned() };
    let line = "{\"v\":1,\"ok\":false,\"code\":\"not_found\",\"message\":\"no request order-42 was seen\"}\n";
    assert_eq!(error.line().unwrap(), line.as_bytes());
}

#[test]
fn what_is_refused() {
    let malformed = [
        "",
        "{}",
        "[]",
        "null",
        "{\"v\":1}",
        "{\"v\":-1,\"cmd\":\"status\"}",
        "{\"v\":1,\"cmd\":\"sudo\"}",
        "{\"v\":1,\"cmd\":\"export\"}",
        "{\"v\":1,\"cmd\":\"status\"} x",
        "{\"v\":1,\"cmd\":\"blocking\"}",
        r#"{"v":1,"cmd":"blocking","threshold_ns":1}"#,
        r#"{"v":1,"cmd":"blocking","threshold_ns":-1,"top":20}"#,
        r#"{"v":1,"cmd":"blocking","threshold_ns":1,"top":20,"metric":"wall"}"#,
        r#"{"v":1,"cmd":"status","top":20}"#,
        r#"{"v":1,"cmd":"waits"}"#,
        r#"{"v":1,"cmd":"waits","select":"all","metric":"wall"}"#,
        r#"{"v":1,"cmd":"waits","select":"all","top":20}"#,
        r#"{"v":1,"cmd":"export","select":{"request":"a","task":1},"metric":"wall","format":"json"}"#,
        r#"{"v":1,"cmd":"export","select":"all","metric":"wall","format":"json","depth":3}"#,
        r#"{"v":1,"cmd":"export","select":"all","metric":"wall","format":"json","names":{"short":true}}"#,
        r#"{"v":1,"cmd":"export","select":{"task":-1},"metric":"wall","format":"json"}"#,
    ];
    for line in malformed {
        let error = Request::parse(line.as_bytes()).unwrap_err();
        assert_eq!(error.code(), Code::BadRequest, "{line}");
    }
    let later = Request::parse(br#"{"v":2,"cmd":"flame","new":[]}"#).unwrap_err();
    assert_eq!((later.code(), later), (Code::Version, ProtocolError::Version(2)));
    for id in ["", &"x".repeat(65), r"a\\n", r"a\\x1"] {
        let line = format!(r#"{{"v":1,"cmd":"export","select":{{"request":"{id}"}},"metric":"wall","format":"json"}}"#);
        assert_eq!(Request::parse(line.as_bytes()), Err(ProtocolError::RequestId));
        let line = format!(r#"{{"v":1,"cmd":"waits","select":{{"request":"{id}"}}}}"#);
        assert_eq!(Request::parse(line.as_bytes()), Err(ProtocolError::RequestId));
    }
    for line in [r#"{"v":1,"ok":true}"#, r#"{"v":1,"ok":false,"code":"busy"}"#, r#"{"v":1,"ok":true,"bytes":-1}"#] {
        assert!(Header::parse(line.as_bytes()).is_err(), "{line}");
    }
}

/// Commands without fields must refuse fields as well.
#[test]
fn no_command_takes_an_unknown_field() {
    for command in ["status", "requests", "tasks", "report", "blocking", "stop"] {
        for field in [
            r#""force":true"#,
            r#""select":"all""#,
            r#""metric":"cpu""#,
            r#""cmd":"stop""#,
            r#""top":1"#,
            r#""threshold_ns":1"#,
            r#""names":{}"#,
        ] {
            let line = format!(r#"{{"v":1,"cmd":"{command}",{field}}}"#);
            assert!(Request::parse(line.as_bytes()).is_err(), "{line}");
        }
    }
}

#[test]
fn the_longest_sound_request_fits_a_line() {
    // \u0000 is the longest escape: six bytes for one.
    let select = Selection::Request("\0".repeat(ID_MAX));
    let request = Request::Export { select, metric: Metric::Wall, format: Format::Flamegraph, names: Names::default() };
    let line = request.line().unwrap();
    assert!(line.len() <= LINE_MAX, "{}", line.len());
    assert_eq!(Request::parse(&line), Ok(request));
}

fn requests() -> impl Strategy<Value = Request> {
    let selections = prop_oneof![
        Just(Selection::All),
        any::<u64>().prop_map(Selection::Task),
        prop::collection::vec(any::<u8>(), 1..=64).prop_map(|id| Selection::Request(text::printable(&id))),
    ];
    let metrics = prop_oneof![Just(Metric::Wall), Just(Metric::Cpu)];
    let formats = prop_oneof![
        Just(Format::Flamegraph),
        Just(Format::Folded),
        Just(Format::Json),
        Just(Format::Pprof),
        Just(Format::Speedscope),
        Just(Format::Firefox),
        Just(Format::Perfetto),
    ];
    let exports = (selections, metrics, formats).prop_map(|(select, metric, format)| Request::Export {
        select,
        metric,
        format,
        names: Names::default(),
    });
    prop_oneof![Just(Request::Status), Just(Request::Tasks), Just(Request::Stop), exports]
}

proptest! {
    #[test]
    fn what_is_written_is_read(request in requests()) {
        let line = request.line().unwrap();
        // One newline, at the end: whatever an id holds, it cannot begin another line.
        prop_assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
        prop_assert_eq!(Request::parse(&line), Ok(request));
    }

    #[test]
    fn headers_too(bytes in any::<u64>(), message in "\\PC{0,80}\n?") {
        let error = Header::Error { code: Code::Failed, message: message.clone() };
        for header in [Header::Ok { bytes, notes: vec![message] }, error] {
            let line = header.line().unwrap();
            prop_assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
            prop_assert_eq!(Header::parse(&line), Ok(header));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Request::parse(&bytes);
        let _ = Header::parse(&bytes);
    }

    /// Near misses reach further into the parser than noise does.
    #[test]
    fn no_damage_makes_it_panic(request in requests(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut line = request.line().unwrap();
        let at = at.index(line.len());
        line[at] = byte;
        let _ = Request::parse(&line);
        line.truncate(at);
        let _ = Request::parse(&line);
    }
}
