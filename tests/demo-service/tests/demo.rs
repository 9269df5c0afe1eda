//! The service under its load: what it says about its requests is true, as far as its code's constants tell.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const MS: u64 = 1_000_000;

/// A running service, stopped when dropped.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start() -> Self {
        let mut process =
            Command::new(env!("CARGO_BIN_EXE_demo-service")).args(["--workers", "2"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }

    /// Status and body.
    fn get(&self, path: &str, request_id: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn truth(&self, request_id: &str) -> Value {
        let (status, body) = self.get(&format!("/truth/{request_id}"), "asking");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn stop(&mut self) -> std::process::ExitStatus {
        let pid = libc::pid_t::try_from(self.process.id()).unwrap();
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
        self.process.wait().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Asked, not killed: it removes its database then. It may have been stopped already.
        if matches!(self.process.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
}

#[test]
fn the_truth_about_a_request() {
    let mut service = Service::start();
    let sent = Instant::now();
    let (status, body) = service.get("/orders/17", "quick");
    let seen = u64::try_from(sent.elapsed().as_nanos()).unwrap();
    assert_eq!(status, 200, "{body}");
    let invoice: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((number(&invoice, "order"), number(&invoice, "cents")), (17, 995 + 17 + 390 + 17));
    assert_eq!(invoice["recommended"], serde_json::json!([7, 17]));

    let quick = service.truth("quick");
    let (wall, cpu) = (number(&quick, "wall_ns"), number(&quick, "cpu_ns"));
    assert!((8 * MS..seen).contains(&wall), "the carrier takes 8 ms, the client saw {seen} ns: {quick}");
    assert!(cpu > 0 && cpu < wall, "{quick}");
    assert!(
        number(&quick, "polls") >= 2,
        "it awaits a query, two joined calls and a child, some of which may be there at once: {quick}"
    );
    assert_eq!(quick["complete"], true);

    assert_eq!(service.get("/orders/17-slow", "slow").0, 200);
    let slow = service.truth("slow");
    assert!(number(&slow, "wall_ns") >= 30 * MS, "the printer takes 30 ms on the worker: {slow}");
    assert!(number(&slow, "cpu_ns") < number(&slow, "wall_ns") - 30 * MS, "and sleeps all the while: {slow}");

    assert_eq!(service.get("/orders/x", "bad").0, 400);
    assert_eq!(service.get("/orders/1000", "none").0, 404);
    assert_eq!(service.get("/truth/nobody", "asking").0, 404);
    assert!(service.stop().success());
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let service = Service::start();
    // Gone before the carrier answers. On a busy machine the request may be done by then, or not begun: another attempt.
    let cut_short = (0..50).any(|attempt| {
        let id = format!("left-{attempt}");
        let mut stream = TcpStream::connect(&service.address).unwrap();
        write!(stream, "GET /orders/1 HTTP/1.1\r\nhost: test\r\nx-request-id: {id}\r\n\r\n").unwrap();
        sleep(Duration::from_millis(4));
        drop(stream);
        sleep(Duration::from_millis(100));
        let (status, left) = service.get(&format!("/truth/{id}"), "asking");
        status == 200 && left.contains(r#""complete":false"#)
    });
    assert!(cut_short);
}

#[test]
fn the_load_keeps_many_requests_going_and_names_one() {
    let service = Service::start();
    let load = Command::new(env!("CARGO_BIN_EXE_demo-load"))
        .args(["--url", &format!("http://{}", service.address), "--concurrency", "16", "--duration", "1s"])
        .args(["--wanted", "order-42"])
        .output()
        .unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    let report: Value = serde_json::from_slice(&load.stdout).unwrap();
    assert!(number(&report, "requests") >= 32, "16 clients had a second: {report}");
    assert_eq!(number(&report, "errors"), 0);
    let wanted = &report["wanted"];
    assert_eq!((&wanted["id"], &wanted["status"]), (&"order-42".into(), &200.into()));
    assert!(number(wanted, "latency_ns") > number(&wanted["truth"], "wall_ns"), "{wanted}");
    assert_eq!(service.truth("load-0-0")["complete"], true);
}
