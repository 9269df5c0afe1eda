//! `cargo xtask demo`: one request of a real service under load, profiled from outside.

use crate::chore::command::{captured, cargo, loud};
use crate::chore::place;
use crate::chore::root::as_root;
use crate::chore::step::{note, notes, step};
use crate::demo::children::Running;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The name of the one request that is measured.
const WANTED: &str = "demo-wanted";
/// What it asks for: an order whose handler blocks its worker by mistake.
const WANTED_PATH: &str = "/orders/42-slow";
/// How long the load lasts; the wanted request is sent in its middle.
const LOAD: &str = "6s";
/// How many clients send other requests meanwhile.
const CLIENTS: &str = "64";
/// How long a program may take to get ready on a busy machine.
const READY: Duration = Duration::from_mins(1);

/// Profile one named request of a real service under load.
///
/// Builds the profiler and the demo service as `cargo build --release` does; starts the service and 64 clients; attaches the profiler as
/// root (through sudo where you are not root, which is said), measuring only the request `demo-wanted`; and leaves flamegraphs, the report
/// and the other formats under target/demo. Prints the request's wall time, its five states and its tasks. Everything it starts is ended, also where something fails.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// The programs of the demo.
struct Programs {
    profiler: PathBuf,
    service: PathBuf,
    load: PathBuf,
}

/// Runs the verb.
pub(crate) fn run() -> Result<()> {
    let programs = step("demo: building the profiler and the service, `cargo build --release`", build)?;
    let folder = place::target().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

    let mut service = Running::start("the demo service", &mut Command::new(&programs.service))?;
    let address = service.wait_for("its address", READY, |line| line.strip_prefix("listening on ").map(str::to_owned))?;
    note(&format!("the service is process {} and listens on {address}", service.pid()));

    let target = service.pid().to_owned();
    let profiler = step(&format!("demo: attaching to process {target} for the request `{WANTED}`"), || {
        let arguments = ["run", "--pid", &target, "--request", WANTED];
        let mut profiler = Running::start_as_root("the profiler", programs.profiler.as_os_str(), &arguments)?;
        profiler.wait_for("that it has attached", READY, |line| line.contains("attached").then_some(()))?;
        Ok(profiler)
    })?;
    let seen =
        step(&format!("demo: {CLIENTS} clients for {LOAD}, and `{WANTED}` among them"), || load(&programs.load, &address))?;
    let report = step("demo: exporting", || export(&programs.profiler, &target, &folder))?;

    let summary = step("demo: detaching", || profiler.interrupt())?;
    service.interrupt()?;

    // The profiler's own summary: the request, its states, its tasks.
    println!();
    notes(&summary);

    check(&report)?;
    println!("{seen}");
    for (file, _) in RESULTS {
        println!("{}", place::shown(&folder.join(file)));
    }
    Ok(())
}

/// The report must have the request, and its states must add up to its wall time.
fn check(report: &str) -> Result<()> {
    let report: serde_json::Value = serde_json::from_str(report).context("the report is no JSON")?;
    let rows = report.get("requests").and_then(serde_json::Value::as_array).context("the report has no requests")?;
    let row = rows.iter().find(|row| row.get("id").and_then(serde_json::Value::as_str) == Some(WANTED));
    let row = row.with_context(|| format!("the report has no request `{WANTED}`"))?;
    let time =
        |name: &str| row.get(name).and_then(serde_json::Value::as_u64).with_context(|| format!("the report has no {name}"));
    let mut sum = 0;
    for state in ["running_ns", "preempted_ns", "blocked_ns", "scheduled_ns", "suspended_ns"] {
        sum += time(state)?;
    }
    if sum != time("wall_ns")? {
        bail!("the states of `{WANTED}` add up to {sum} ns, its wall time is {} ns", time("wall_ns")?);
    }
    Ok(())
}

/// What is exported: the file, which tells the format, and the metric. Formats that show when things happened show all metrics at once.
const RESULTS: [(&str, &str); 7] = [
    ("wall.svg", "wall"),
    ("cpu.svg", "cpu"),
    ("profile.pb.gz", "wall"),
    ("profile.speedscope.json", "wall"),
    ("profile.firefox.json", "wall"),
    ("profile.pftrace", "wall"),
    ("report.json", "wall"),
];

fn build() -> Result<Programs> {
    let release = || {
        let mut build = cargo();
        build.current_dir(place::repository()).args(["build", "--release", "--locked", "--bins"]);
        build
    };
    loud(release().args(["--package", "profiler-daemon"]))?;
    // For await stacks, which are read by the types in the debug information, and for the names of inlined functions. In a
    // folder of its own: with another profile in the same one, each would make the other build again.
    let own = place::target().join("demo-build");
    let mut service = release();
    service.args(["--package", "demo-service", "--target-dir"]).arg(&own).env("CARGO_PROFILE_RELEASE_DEBUG", "full");
    loud(&mut service)?;
    let folder = own.join("release");
    Ok(Programs {
        profiler: place::target().join("release/profiler-daemon"),
        service: folder.join("demo-service"),
        load: folder.join("demo-load"),
    })
}

/// Runs the load to its end, and tells what its clients saw.
fn load(program: &Path, address: &str) -> Result<String> {
    let url = format!("http://{address}");
    let mut command = Command::new(program);
    command.args(["--url", &url, "--concurrency", CLIENTS, "--duration", LOAD, "--wanted", WANTED, "--wanted-path", WANTED_PATH]);
    let output = captured(&mut command)?;
    if !output.status.success() {
        bail!("the load failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("the load's report is no JSON")?;
    let number = |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let ms = |pointer: &str| format!("{}.{:03} ms", number(pointer) / 1_000_000, number(pointer) / 1_000 % 1_000);
    if number("/wanted/status") != 200 {
        bail!("the service answered `{WANTED}` with status {}", number("/wanted/status"));
    }
    Ok(format!(
        "from the outside: {} other requests, {} failed, median {}; `{WANTED}` took {} for its client",
        number("/requests"),
        number("/errors"),
        ms("/latency_ns/p50"),
        ms("/wanted/latency_ns")
    ))
}

/// Writes the results and returns the report, which is the last of them. They come through standard output, so that they belong to whoever
/// runs this.
fn export(profiler: &Path, target: &str, folder: &Path) -> Result<String> {
    let mut last = Vec::new();
    for (file, metric) in RESULTS {
        let format = format_of(file);
        let arguments = ["--pid", target, "--request", WANTED, "--metric", metric, "--format", format, "--output", "-"];
        last = ask(profiler, &arguments)?;
        let path = folder.join(file);
        fs::write(&path, &last).with_context(|| format!("cannot write {}", path.display()))?;
    }
    String::from_utf8(last).context("the report is no text")
}

/// The format of a file's name, as the profiler too would take it from the name if it wrote the file itself.
fn format_of(file: &str) -> &'static str {
    let formats = [
        (".svg", "flamegraph"),
        (".pb.gz", "pprof"),
        (".speedscope.json", "speedscope"),
        (".firefox.json", "firefox"),
        (".pftrace", "perfetto"),
    ];
    formats.into_iter().find(|(end, _)| file.ends_with(end)).map_or("json", |(_, format)| format)
}

/// Asks the running profiler for an export.
fn ask(profiler: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = as_root(profiler, "asking the profiler", &[("NO_COLOR", OsStr::new("1"))])?;
    let output = captured(command.arg("export").args(arguments))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("`profiler-daemon export {}` failed: {said}", arguments.join(" "));
    }
    Ok(output.stdout)
}
