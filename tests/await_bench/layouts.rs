//! What the layouts of a program cost: time by MB of debug information, and memory beyond the file itself.
//!
//! Each program is measured in a process of its own, whose peak of memory is nothing else's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use object::{Object as _, ObjectSection as _};
use profiler_daemon::inspect::awaits::await_layouts;
use profiler_daemon::inspect::inspect;
use profiler_tests::failure::chain;
use profiler_tests::recipe::Recipe;
use profiler_tests::{Failure, Result, binaries};

use crate::report::Layouts;
use crate::stored;

/// Names programs to be measured too, with colons between them.
const PROGRAM_VARIABLE: &str = "PROFILER_PROGRAM";
/// Runs of which the median is told. The first one's memory is.
const RUNS: usize = 3;

/// Builds what is measured, so that whoever measures as root need not.
pub(crate) fn build() -> Result<()> {
    let _: PathBuf = profiler_tests::beating::program()?;
    let _: PathBuf = stored::program()?;
    let _: PathBuf = daemon()?;
    Ok(())
}

/// The profiler itself, with full debug information.
fn daemon() -> Result<PathBuf> {
    let recipe = Recipe {
        packages: &["profiler-daemon"],
        files: &["profiler-daemon"],
        // What it is exactly is no matter here; its dependencies are most of it.
        sources: &[],
        folder: binaries::target().join("await-costs/profiler-daemon"),
        is_release: true,
        settings: vec![("CARGO_PROFILE_RELEASE_DEBUG", "full")],
    };
    recipe.program(|_| Ok(()))
}

/// `quick`: of the fixture and of what is named only.
pub(crate) fn all(quick: bool) -> Result<Vec<Layouts>> {
    let mut programs = vec![profiler_tests::beating::program()?];
    if !quick {
        programs.push(daemon()?);
    }
    let named = env::var_os(PROGRAM_VARIABLE);
    let named = named.iter().flat_map(env::split_paths).filter(|path| !path.as_os_str().is_empty());
    programs.into_iter().chain(named).map(|path| in_own_process(&path)).collect()
}

fn in_own_process(path: &Path) -> Result<Layouts> {
    eprintln!("layouts of {}", path.display());
    let own = env::current_exe().map_err(Failure::io("this program"))?;
    let output = Command::new(own).arg("--layouts").arg(path).output().map_err(Failure::io("this program"))?;
    if !output.status.success() {
        return Err(Failure::Wrong(vec![String::from_utf8_lossy(&output.stderr).into_owned()]));
    }
    serde_json::from_slice(&output.stdout).map_err(|why| Failure::Form { path: path.to_owned(), why: why.to_string() })
}

/// Measures one program, in this process.
pub(crate) fn measure(path: &Path) -> Result<Layouts> {
    let bytes = fs::read(path).map_err(Failure::io(path.display().to_string()))?;
    let form = |why: String| Failure::Form { path: path.to_owned(), why };
    let mut row = Layouts { program: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), ..Layouts::default() };
    let elf = object::File::parse(&*bytes).map_err(|why| form(why.to_string()))?;
    for section in elf.sections() {
        let name = section.name().unwrap_or_default();
        row.debug_bytes += if name.starts_with(".debug") { section.size() } else { 0 };
        row.info_bytes += if name == ".debug_info" { section.size() } else { 0 };
    }
    let inspection = match inspect(&bytes) {
        Ok(inspection) => inspection,
        Err(error) => return Ok(Layouts { absent: Some(chain(&error)), ..row }),
    };
    let mut times = Vec::with_capacity(RUNS);
    for run in 0..RUNS {
        let before = if run == 0 { forget_peak()? } else { 0 };
        let (started, cpu_before) = (Instant::now(), process_cpu());
        let mut scanned_at = cpu_before;
        let layouts = match await_layouts(&bytes, &inspection, &mut |_| scanned_at = process_cpu()) {
            Ok(layouts) => layouts,
            Err(error) => return Ok(Layouts { absent: Some(chain(&error)), ..row }),
        };
        let wall_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        times.push((process_cpu() - cpu_before, scanned_at - cpu_before, wall_ns));
        if run == 0 {
            row.peak_bytes = status("VmHWM:")?.saturating_sub(before);
        }
        (row.nodes, row.edges) = (layouts.nodes.len(), layouts.edges.len());
        row.entries = layouts.tasks.len() + layouts.dynamic.len() + layouts.scopes.len();
    }
    times.sort_unstable();
    if let Some((cpu_ns, scan_ns, wall_ns)) = times.get(RUNS / 2) {
        (row.cpu_ns, row.scan_ns, row.wall_ns) = (*cpu_ns, *scan_ns, *wall_ns);
    }
    Ok(row)
}

/// Has the kernel count the peak of this process's memory from now on (`CLEAR_REFS_MM_HIWATER_RSS`, fs/proc/task_mmu.c). What it takes now.
fn forget_peak() -> Result<u64> {
    // SAFETY: gives free memory back; nothing that is in use is touched.
    unsafe { libc::malloc_trim(0) };
    fs::write("/proc/self/clear_refs", "5").map_err(Failure::io("/proc/self/clear_refs"))?;
    status("VmRSS:")
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> Result<u64> {
    let path = PathBuf::from("/proc/self/status");
    let text = fs::read_to_string(&path).map_err(Failure::io(path.display().to_string()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::Form { path, why: format!("it has no {name}") })
}

/// CPU time of all threads of this process (ns).
fn process_cpu() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live timespec; the clock exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
