//! What a hit of a probe costs by the instruction under it: `cargo bench -p profiler-tests --bench sites`. Needs root and Linux 6.6.
//!
//! Each instruction is executed by this process with a probe and, as a copy, without one, in turns of some hundred; the difference is one hit with a
//! BPF program that notes all registers. Prints the quartiles of the turns.

use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use profiler_tests::recorder::Recorder;

/// Bytes between two pieces of code.
const APART: usize = 64;
/// Turns, and hits in each.
const TURNS: usize = 60;
const HITS: u32 = 100;

/// An instruction, and what undoes it and returns.
const CASES: [(&str, &[u8], &[u8]); 10] = [
    ("push", &[0x53], &[0x5b, 0xc3]),
    ("nop", &[0x90], &[0xc3]),
    ("nop of 4 bytes", &[0x0f, 0x1f, 0x40, 0x00], &[0xc3]),
    ("nop of 5 bytes", &[0x0f, 0x1f, 0x44, 0x00, 0x00], &[0xc3]),
    ("nop of 8 bytes", &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], &[0xc3]),
    ("jmp", &[0xeb, 0x00], &[0xc3]),
    ("jcc", &[0x74, 0x00], &[0xc3]),
    ("call", &[0xe8, 0, 0, 0, 0], &[0x58, 0xc3]),
    ("mov", &[0x48, 0x89, 0xf8], &[0xc3]),
    ("sub rsp", &[0x48, 0x83, 0xec, 0x18], &[0x48, 0x83, 0xc4, 0x18, 0xc3]),
];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> io::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    // The second half is a copy of the first and gets no probe.
    let mut code = vec![0xcc; 2 * CASES.len() * APART];
    for (place, (_, instruction, rest)) in code.chunks_exact_mut(APART).zip(CASES.iter().cycle()) {
        for (to, byte) in place.iter_mut().zip(instruction.iter().chain(*rest)) {
            *to = *byte;
        }
    }
    fs::write(file.path(), &code)?;
    let mapped = map(file.as_file(), code.len())?;
    let offsets: Vec<u64> = (0..CASES.len() as u64).map(|place| place * APART as u64).collect();
    let mut times = vec![Vec::new(); CASES.len()];
    for _ in 0..TURNS {
        turn(mapped, file.path(), &offsets, &mut times)?;
    }
    println!("| instruction | quartile | median | quartile |\n| --- | --- | --- | --- |");
    for ((name, ..), times) in CASES.iter().zip(&mut times) {
        times.sort_unstable();
        let quartile = |nth: usize| times.get(times.len() * nth / 4).copied().unwrap_or_default();
        println!("| `{name}` | {} | {} | {} ns |", quartile(1), quartile(2), quartile(3));
    }
    Ok(())
}

/// One turn of each instruction. The probes are made anew, so that what they note finds room.
fn turn(mapped: usize, path: &Path, offsets: &[u64], times: &mut [Vec<u64>]) -> io::Result<()> {
    let recorder = Recorder::attach(std::process::id(), path, offsets)?;
    for (place, times) in times.iter_mut().enumerate() {
        let (probed, bare) = (mapped + place * APART, mapped + (place + CASES.len()) * APART);
        // The first hits make the kernel's page for copies, or its trampoline.
        execute(probed);
        let with = execute(probed);
        times.push(with.saturating_sub(execute(bare)));
    }
    drop(recorder);
    Ok(())
}

/// Nanoseconds of one call of the code, on average.
fn execute(code: usize) -> u64 {
    // SAFETY: `measure` has mapped code there that returns and keeps what the System V ABI says it must.
    let code: extern "C" fn() = unsafe { std::mem::transmute(code) };
    let start = Instant::now();
    for _ in 0..HITS {
        code();
    }
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX) / u64::from(HITS)
}

/// The file's code, executable. It stays until the process ends.
fn map(file: &fs::File, length: usize) -> io::Result<usize> {
    // SAFETY: a fresh mapping of a file that stays as it is.
    let mapped = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    if mapped == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(mapped as usize) }
}
