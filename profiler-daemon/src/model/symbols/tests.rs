//! Names of real functions of real processes: this one, and one that is gone.

mod cost;
mod cut_short;
mod debug_files;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::target::mapped::Modules;
use crate::target::maps::parse_lines;

#[inline(never)]
fn landmark(value: u64) -> u64 {
    inlined_landmark(std::hint::black_box(value))
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the test is about inlined functions")]
fn inlined_landmark(value: u64) -> u64 {
    let mut sum = value;
    for step in 0..std::hint::black_box(3) {
        sum = sum.wrapping_mul(31).wrapping_add(std::hint::black_box(step));
    }
    sum
}

fn address_of_landmark() -> u64 {
    std::hint::black_box(landmark(1));
    landmark as fn(u64) -> u64 as usize as u64
}

fn functions(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.function.as_str()).collect()
}

#[test]
fn a_function_reads_as_written_without_its_hash() {
    let mut symbols = Symbols::new(Modules::of_process(std::process::id()).unwrap());
    let named = symbols.symbolize(&[address_of_landmark()]);
    assert_eq!(functions(&named[0]), ["profiler_daemon::model::symbols::tests::landmark"]);
    assert!(named[0][0].resolved);
}

#[test]
fn inlined_functions_stand_inside_their_caller() {
    let mut symbols = Symbols::new(Modules::of_process(std::process::id()).unwrap());
    let body: Vec<u64> = (0..128).map(|offset| address_of_landmark() + offset).collect();
    let named = symbols.symbolize(&body);
    // The workspace builds with line tables only: the inlined function has no path there, its caller has one.
    let expected = ["inlined_landmark", "profiler_daemon::model::symbols::tests::landmark"];
    assert!(
        named.iter().any(|frames| functions(frames).ends_with(&expected)),
        "no address of landmark's body is in inlined_landmark: {:?}",
        named.first()
    );
}

#[test]
fn an_async_function_reads_as_its_function() {
    let poll = poll_address(&async_landmark());
    let mut symbols = Symbols::new(Modules::of_process(std::process::id()).unwrap());
    let named = symbols.symbolize(&[poll]);
    assert_eq!(functions(&named[0]), ["profiler_daemon::model::symbols::tests::async_landmark"]);
}

async fn async_landmark() -> u64 {
    std::future::pending().await
}

fn poll_address<F: Future>(_: &F) -> u64 {
    F::poll as *const () as usize as u64
}

#[test]
fn what_has_no_symbol_says_where_it_is() {
    let mut symbols = Symbols::new(Modules::of_process(std::process::id()).unwrap());
    let unknown = symbols.symbolize(&[0x10, 0]);
    assert_eq!(unknown[0], [Frame::unresolved("[unknown 0x10]".to_owned())]);
    assert_eq!(functions(&unknown[1]), ["[unknown 0x0]"]);
}

#[test]
fn our_own_mappings_have_paths_and_build_ids() {
    let symbols = Symbols::new(Modules::of_process(std::process::id()).unwrap());
    let address = address_of_landmark();
    let mapped = symbols.modules();
    assert!(mapped.is_sorted_by_key(|file| file.start));
    let ours = mapped.iter().find(|file| (file.start..file.end).contains(&address)).unwrap();
    assert_eq!(std::path::Path::new(&ours.path), std::env::current_exe().unwrap());
    let libc = mapped.iter().find(|file| file.path.contains("libc.so")).unwrap();
    let build_id = libc.build_id.as_deref().unwrap();
    assert!(build_id.len() >= 16 && build_id.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)));
}

/// Stands still so that another test can profile it and kill it; only when that test asks.
#[test]
#[ignore = "the other process of `a_process_that_is_gone_still_has_names`"]
fn other_process() {
    if std::env::var_os("PROFILER_TEST_STAND_STILL").is_some() {
        std::thread::sleep(Duration::from_mins(1));
    }
}

#[test]
fn a_process_that_is_gone_still_has_names() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("copied program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut child = Command::new(&program)
        .args(["--ignored", "--exact", "model::symbols::tests::other_process"])
        .env("PROFILER_TEST_STAND_STILL", "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let offset_here = {
        let ours = Modules::of_process(std::process::id()).unwrap();
        ours.locate(address_of_landmark()).unwrap().file_offset
    };
    let (modules, address) = mapped_address(child.id(), &program, offset_here);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::write(folder.path().join("other"), "not a program").unwrap();
    std::fs::rename(folder.path().join("other"), &program).unwrap();

    let named = Symbols::new(modules).symbolize(&[address]);
    assert_eq!(functions(&named[0]), ["profiler_daemon::model::symbols::tests::landmark"]);
}

/// Waits until the child runs its program (until then it is a copy of us), and finds a file offset in its memory.
fn mapped_address(pid: u32, program: &std::path::Path, file_offset: u64) -> (Modules, u64) {
    let give_up = Instant::now() + Duration::from_secs(20);
    loop {
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
        let found = parse_lines(&maps).0.into_iter().find(|mapping| {
            mapping.executable
                && mapping.name() == program.as_os_str().as_encoded_bytes()
                && (mapping.offset..mapping.offset + (mapping.end - mapping.start)).contains(&file_offset)
        });
        if let Some(mapping) = found {
            return (Modules::of_process(pid).unwrap(), mapping.start + (file_offset - mapping.offset));
        }
        assert!(Instant::now() < give_up, "the child never ran its program");
        std::thread::sleep(Duration::from_millis(5));
    }
}
