//! How a test speaks with a service: lines on standard input, JSON lines on standard output.
//!
//! The service says `{"address": "127.0.0.1:PORT"}` when it listens. `tell` makes it print one object with everything that the clocks saw
//! since the last time; at the end of its input it leaves. `--meeting N` makes orders wait for one another, see [`crate::orders::meet`].

use std::io::{self, BufRead as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use serde_json::json;

use crate::{orders, witness};

/// A port of this machine's own, with an arm for each way in which tests may want it.
pub fn listen() -> io::Result<TcpListener> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--meeting", count] => orders::meet(count.parse().map_err(io::Error::other)?),
        _ => return Err(io::Error::other(format!("takes `--meeting N` or nothing, not {words:?}"))),
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // As Tokio wants it.
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says where the service listens, and obeys from then on in a thread of its own.
pub fn obey(address: SocketAddr) -> io::Result<()> {
    say(&json!({ "address": address.to_string() }))?;
    std::thread::spawn(|| {
        if let Err(error) = told() {
            eprintln!("cannot go on: {error}");
            std::process::exit(1);
        }
        std::process::exit(0);
    });
    Ok(())
}

fn told() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        match line?.trim() {
            "tell" => say(&json!({ "seen": witness::take(), "most_at_once": orders::most_at_once() }))?,
            other => return Err(io::Error::other(format!("no such command: {other:?}"))),
        }
    }
    Ok(())
}

fn say(what: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
