//! What looking up names costs: printed, not judged, for a program that the caller names.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

use crate::model::symbols::blaze::{Files, frames_at};

/// A line of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|character: char| !character.is_ascii_digit()).parse().unwrap()
}

/// `PROFILER_PROGRAM=FILE PROFILER_ADDRESSES=5000 cargo test --release -p profiler-daemon --lib -- --ignored --nocapture what_names_cost`
#[test]
#[ignore = "measures a program that the caller names"]
fn what_names_cost() {
    let path = std::env::var("PROFILER_PROGRAM").unwrap();
    let wanted: usize = std::env::var("PROFILER_ADDRESSES").unwrap().parse().unwrap();
    let file = File::open(&path).unwrap();
    let (addresses, debug_bytes) = {
        let bytes = std::fs::read(&path).unwrap();
        let elf = object::File::parse(&*bytes).unwrap();
        let functions = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 8);
        let mut all: Vec<u64> = functions.map(|symbol| symbol.address() + symbol.size() / 2).collect();
        all.sort_unstable();
        // Spread over the whole program: the dearest choice, since every compilation unit is come by.
        let step = (all.len() / wanted).max(1);
        let debug = elf.sections().filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug")));
        (all.into_iter().step_by(step).collect::<Vec<_>>(), debug.map(|section| section.size()).sum::<u64>())
    };
    let before = status("RssAnon:");
    let (stop, peak) = (AtomicBool::new(false), AtomicU64::new(before));
    let (named, took) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(status("RssAnon:"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let begin = Instant::now();
        let named = frames_at(Files { table: &file, debug: Some(&file) }, &addresses).unwrap();
        stop.store(true, Ordering::Relaxed);
        (named, begin.elapsed())
    });
    let inlined = named.frames.iter().filter(|frames| frames.len() > 1).count();
    println!(
        "{} MB of DWARF, {} addresses ({inlined} with inlined calls): {:.2} s, {} MB of memory of its own at most, {} MB after, \
         {} MB resident at most with the file's pages",
        debug_bytes / 1_000_000,
        addresses.len(),
        took.as_secs_f64(),
        (peak.into_inner() - before) / 1000,
        status("RssAnon:").saturating_sub(before) / 1000,
        status("VmHWM:") / 1000,
    );
    assert!(named.without_debug.is_none() && named.frames.iter().all(|frames| !frames.is_empty()));
}
