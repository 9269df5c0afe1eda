//! How long a table takes to make, and how large it is: the fixture, and the largest ELF files that every Rust toolchain has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use profiler_common::unwind::Rule;
use profiler_daemon::inspect::unwind::unwind_table;
use profiler_tests::cells::{Cell, Debug, PROFILES};
use profiler_tests::{Failure, Result};

use crate::report::Table;

/// Runs of which the median is told.
const RUNS: usize = 5;
/// A row: four bytes of pc, two of its rule's place.
const ROW_BYTES: u64 = 6;

pub(crate) fn all() -> Result<Vec<Table>> {
    let mut files = Vec::new();
    for profile in PROFILES {
        let cell = Cell { profile, debug: Debug::None };
        files.push((format!("stack-fixture, {}", profile.name()), cell.program()?));
    }
    files.extend(of_toolchain()?.into_iter().map(|path| (name(&path), path)));
    files.into_iter().map(|(name, path)| table(name, &path)).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The compiler's own libraries: 150 MB and 200 MB of machine code, the first from Rust, the second from C++.
fn of_toolchain() -> Result<Vec<PathBuf>> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().map_err(Failure::io("rustc"))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()).join("lib");
    let entries = fs::read_dir(&folder).map_err(Failure::io(folder.display().to_string()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| {
        let large = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() > 50_000_000);
        large && (name(path).starts_with("librustc_driver") || name(path).starts_with("libLLVM"))
    });
    paths.sort();
    Ok(paths)
}

fn table(file: String, path: &Path) -> Result<Table> {
    let bytes = fs::read(path).map_err(Failure::io(path.display().to_string()))?;
    let mut times = Vec::with_capacity(RUNS);
    let mut made = None;
    for _ in 0..RUNS {
        let started = Instant::now();
        let table = unwind_table(&bytes)
            .map_err(|error| Failure::Form { path: path.to_owned(), why: profiler_tests::failure::chain(&error) })?;
        times.push(started.elapsed());
        made = Some(table);
    }
    times.sort();
    let table = made.ok_or_else(|| Failure::Wrong(vec!["no run".to_owned()]))?;
    let (rows, rules) = (table.rows.len() as u64, table.rules.len() as u64);
    let coverage = table.coverage;
    Ok(Table {
        file,
        file_bytes: bytes.len() as u64,
        entries: coverage.entries,
        rows,
        rules,
        bytes: rows * ROW_BYTES + rules * size_of::<Rule>() as u64,
        build_ns: times.get(RUNS / 2).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        unsupported_ppm: coverage.unsupported_bytes * 1_000_000 / coverage.described_bytes.max(1),
    })
}
