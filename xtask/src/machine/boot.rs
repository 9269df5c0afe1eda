//! Boots a kernel under QEMU and reads its serial port to the end.
//!
//! Instructions are translated (TCG): nested virtualisation is seldom to be had where tests run, and what works without it works
//! everywhere. One thread of the host serves all the machine's CPUs, so that several machines run beside one another.

use super::initramfs::{self, Content};
use super::packages::Kernel;
use super::results::{Reader, Results};
use crate::chore::command::in_path;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use test_machine::plan::Plan;

/// The emulator.
const EMULATOR: &str = "qemu-system-x86_64";
/// The machine's memory (MB): the maps of a session take some hundred.
const MEMORY: &str = "2048";
/// `noapic`: translated timers are too slow for its self-test. `lsm=bpf`: no security module beside what is tested. `panic=-1`: a kernel
/// that dies ends the machine at once.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 noapic lsm=bpf quiet";

/// Why no machine can be made here, if it cannot.
pub(crate) fn missing() -> Option<String> {
    in_path(EMULATOR).is_none().then(|| format!("there is no {EMULATOR} (on Debian: qemu-system-x86)"))
}

/// Runs `plan` on `kernel`, for at most `limit`. Each test that ends goes to `see`. `folder` takes the archive and the log.
pub(crate) fn run(
    kernel: &Kernel,
    files: &[(String, Content)],
    plan: &Plan,
    limit: Duration,
    folder: &Path,
    mut see: impl FnMut(&str),
) -> Result<Results> {
    let archive = folder.join(format!("{}.cpio", kernel.release));
    let mut all = files.to_vec();
    all.push(("/plan".to_owned(), Content::Text(plan.to_string())));
    let file = File::create(&archive).with_context(|| format!("cannot write {}", archive.display()))?;
    initramfs::write(&all, BufWriter::new(file))?;
    let began = Instant::now();
    let mut machine = start(kernel, &archive)?;
    let lines = lines(&mut machine)?;
    let (mut reader, mut log) = (Reader::default(), Vec::new());
    let late = loop {
        match lines.recv_timeout(limit.saturating_sub(began.elapsed())) {
            Ok(line) => {
                if let Some(told) = reader.line(&line) {
                    see(&told);
                }
                log.push(line);
            }
            Err(error) => break error == mpsc::RecvTimeoutError::Timeout,
        }
    };
    // Dead already where it switched itself off.
    drop(machine.kill());
    machine.wait().context("cannot wait for the machine's end")?;
    fs::write(folder.join(format!("{}.log", kernel.release)), log.join("\n")).context("cannot write the machine's log")?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    let mut results = reader.end(late);
    results.seconds = began.elapsed().as_secs();
    Ok(results)
}

fn start(kernel: &Kernel, archive: &Path) -> Result<Child> {
    let mut command = Command::new(EMULATOR);
    command.args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", MEMORY]);
    command.args(["-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio", "-append", COMMAND_LINE]);
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(archive);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().with_context(|| format!("cannot start {EMULATOR}"))
}

/// The serial port's lines, read by a thread of their own, so that the wait for one can end.
fn lines(machine: &mut Child) -> Result<mpsc::Receiver<String>> {
    let output = machine.stdout.take().context("the machine has no serial port")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    Ok(receiver)
}
