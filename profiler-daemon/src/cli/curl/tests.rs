//! `curl` as a user types it.

use super::*;
use crate::cli::command::Command;
use crate::cli::{Streams, parse};

const PIPED: Streams = Streams { stdout_is_terminal: false, stderr_is_terminal: false, no_color: false };

fn parsed(words: &[&str]) -> Result<Curl, String> {
    let words = ["profiler-daemon"].iter().chain(words).map(OsString::from);
    match parse(words, PIPED).map_err(|error| error.to_string())?.command {
        Command::Curl(curl) => Ok(curl),
        other => Err(format!("{other:?}")),
    }
}

fn refusal(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    parsed(&words).unwrap_err().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn everything_anywhere() {
    let line =
        ["curl", "-X", "POST", "-H", "X-Request-Id: order-42", "-d", "@x", "https://[::1]/a", "-o", "f.json", "-v", "--pid", "7"];
    let curl = parsed(&line).unwrap();
    assert_eq!((curl.pid, curl.place.to_string()), (Some(7), "[::1]:443".to_owned()));
    assert_eq!(curl.words, ["-X", "POST", "-H", "X-Request-Id: order-42", "-d", "@x", "https://[::1]/a", "-v"]);
    assert_eq!(curl.id, Some("order-42".parse().unwrap()));
    assert_eq!((curl.shape.format, curl.body, curl.has_token, curl.writes_out), (Format::Json, Body::Dropped, false, false));
    let line = ["-v", "--color", "never", "curl", "a:1", "--body", "-", "-w", "x", "-H", "x-profile:v1", "-of.svg"];
    let curl = parsed(&line).unwrap();
    assert_eq!((curl.place.to_string(), curl.body), ("a:1".to_owned(), Body::To(Output::Stdout)));
    assert!(curl.has_token && curl.writes_out && curl.id.is_none());
}

#[test]
fn other_commands_keep_their_words() {
    let line = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    for words in
        [&["p", "run", "--", "curl", "-o", "x"][..], &["p", "record", "-o", "curl", "--pid", "7"], &["p"], &["p", "man", "curl"]]
    {
        assert_eq!(arrange(line(words)), line(words));
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_its_reason() {
    for (line, reason) in [
        ("curl -o f.svg", "error: the following required arguments were not provided:"),
        ("curl http://a", "error: the following required arguments were not provided:"),
        ("curl -v -o f.svg", "error: name the URL of the request"),
        ("curl a b -o f.svg", "error: one request is profiled, and there are two URLs: 'a' and 'b'"),
        ("curl a --next b -o f.svg", "error: --next cannot be had here: one request is profiled, and its answer goes to --body"),
        ("curl -O a -o f.svg", "error: -O cannot be had here: one request is profiled, and its answer goes to --body"),
        ("curl --unix-socket s a -o f.svg", "error: with --unix-socket, say by --pid which process answers"),
        ("curl ftp://a/ -o f.svg", "error: 'ftp://a/' is no http or https URL"),
        ("curl a -o - --body -", "error: -o and --body cannot both go to standard output"),
        ("curl a -o f.svg -H x-request-id:", "error: the x-request-id header: a request id must not be empty"),
        ("curl a -o f.svg --pid 0", "error: invalid value '0' for '--pid <PID>': 0 is not in 1..=4194304"),
    ] {
        assert_eq!(refusal(line), reason, "{line}");
    }
    assert!(parsed(&["curl", "--unix-socket", "s", "a", "-o", "f.svg", "--pid", "7"]).is_ok());
}

#[test]
fn help_is_ours() {
    assert!(refusal("curl --help").contains("Send one request"));
    assert!(refusal("curl -h").contains("Send one request"));
}
