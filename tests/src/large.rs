//! A program with more debug information than any here: generated services, each of them a task of nested async functions, futures with
//! names, boxes and branches.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::{Failure, Result, binaries};

/// Services of it, enough for 200 MB of `.debug_info`.
pub const SERVICES: usize = 2400;
/// Async functions of each, one inside the other.
const DEPTH: usize = 8;
/// Services of one file.
const OF_FILE: usize = 40;

const MANIFEST: &str = r#"[package]
name = "large-program"
version = "0.1.0"
edition = "2024"

[dependencies]
futures-util = { version = "0.3", default-features = false, features = ["std"] }
tokio = { version = "1.54", features = ["macros", "rt-multi-thread", "sync", "time"] }

[profile.dev]
debug = "full"
incremental = false

[workspace]
"#;

/// What every service uses.
const HEAD: &str = "\
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

async fn retried<F: Future<Output = Result<u64, String>>>(mut attempt: impl FnMut(u64) -> F) -> Result<u64, String> {
    let mut last = String::new();
    for number in 0..3 {
        match attempt(number).await {
            Ok(value) => return Ok(value),
            Err(why) => last = why,
        }
        tokio::time::sleep(Duration::from_millis(number)).await;
    }
    Err(last)
}
";

/// A program of so many services, in a folder of the target's, with so much debug information (`full`, `none`).
pub fn program(services: usize, folder: &str, debug: &str) -> Result<PathBuf> {
    let lock = binaries::repository().join("Cargo.lock");
    build(&binaries::target().join(folder), &lock, services, debug).map_err(Failure::io("the large program"))
}

/// Where [`program`] puts it.
#[must_use]
pub fn file(folder: &str) -> PathBuf {
    binaries::target().join(folder).join("target/debug/large-program")
}

/// Writes the program's sources into `folder` and has cargo build it there, without optimisation.
fn build(folder: &Path, lock: &Path, services: usize, debug: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    // The versions that the workspace has.
    fs::copy(lock, folder.join("Cargo.lock"))?;
    let mut main = String::from("//! Generated.\n\n#![allow(warnings)]\n\n");
    let files = services.div_ceil(OF_FILE);
    for file in 0..files {
        let mut text = HEAD.to_owned();
        let all = file * OF_FILE..services.min((file + 1) * OF_FILE);
        for number in all.clone() {
            service(&mut text, number);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\npub fn start() {{");
        for number in all {
            let _ = writeln!(text, "    tokio::spawn(serve_{number}({number}));");
        }
        text.push_str("}\n");
        fs::write(folder.join(format!("src/services_{file}.rs")), text)?;
        let _ = writeln!(main, "mod services_{file};");
    }
    main.push_str("\n#[tokio::main]\nasync fn main() {\n");
    for file in 0..files {
        let _ = writeln!(main, "    services_{file}::start();");
    }
    main.push_str("    std::future::pending::<()>().await;\n}\n");
    fs::write(folder.join("src/main.rs"), main)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .env("CARGO_PROFILE_DEV_DEBUG", debug)
        .current_dir(folder)
        .args(["build", "--quiet", "--target-dir", "target"])
        .status()?;
    if status.success() { Ok(folder.join("target/debug/large-program")) } else { Err(io::Error::other("cargo build failed")) }
}

/// A service: one structure, a chain of async functions, and a task that awaits them in every way.
fn service(text: &mut String, service: usize) {
    let _ = write!(
        text,
        "
struct State_{service} {{
    name: String,
    seen: Vec<u64>,
    rows: std::collections::BTreeMap<u64, Option<String>>,
}}

async fn step_{service}_0(state: &mut State_{service}, input: u64) -> Result<u64, String> {{
    tokio::task::yield_now().await;
    state.seen.push(input);
    Ok(input + state.name.len() as u64)
}}
"
    );
    for depth in 1..DEPTH {
        let inner = depth - 1;
        let _ = write!(
            text,
            "
async fn step_{service}_{depth}(state: &mut State_{service}, input: u64) -> Result<u64, String> {{
    let held = format!(\"{{}} {{input}}\", state.name);
    let first = step_{service}_{inner}(state, input).await?;
    state.rows.insert(first, Some(held));
    tokio::time::timeout(Duration::from_secs(1), step_{service}_{inner}(state, first)).await.map_err(|_| state.name.clone())?
}}
"
        );
    }
    let last = DEPTH - 1;
    let _ = write!(
        text,
        "
async fn serve_{service}(input: u64) -> Result<u64, String> {{
    let mut state = State_{service} {{ name: input.to_string(), seen: Vec::new(), rows: Default::default() }};
    let found = step_{service}_{last}(&mut state, input).await?;
    let boxed: Pin<Box<dyn Future<Output = Result<u64, String>> + Send + '_>> = Box::pin(step_{service}_1(&mut state, found));
    let mapped = boxed.map(|found| found.map(|found| found + {service})).await?;
    let tried = retried(|number| async move {{
        tokio::task::yield_now().await;
        if number == {service} {{ Err(format!(\"{{number}}\")) }} else {{ Ok(number) }}
    }})
    .await?;
    let (one, two) = tokio::join!(async {{ mapped + tokio::spawn(async move {{ tried }}).await.unwrap_or(0) }}, async {{ found }});
    let mut all: FuturesUnordered<_> = (0..one).map(|number| async move {{ number + two }}).collect();
    while let Some(number) = all.next().await {{
        state.seen.push(number);
    }}
    tokio::select! {{
        _ = tokio::time::sleep(Duration::from_secs(1)) => Ok(one),
        other = step_{service}_0(&mut state, two) => other,
    }}
}}
"
    );
}
