//! Probe sites in every Tokio version and profile that the profiler promises to work with.
//!
//! The fixture is built 35 times, stripped 14 times, and built in some more ways with the newest Tokio. Each binary is inspected, checked against its own symbols and
//! instruction bytes, and summed up in a row of `expected.txt` (`MATRIX_BLESS=1` rewrites that file); then it is run with breakpoints on
//! its sites, and what they tell must be true.

#[cfg(test)]
mod builds;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tracer;
#[cfg(test)]
mod truth;

use std::fs;
use std::path::Path;

use profiler_daemon::inspect::inspect;
use truth::Truth;

#[test]
fn every_build_has_its_sites() {
    let mut rows = vec![table::heading()];
    for build in builds::all() {
        let bytes = fs::read(&build.path).unwrap();
        let inspection = inspect(&bytes).unwrap_or_else(|error| panic!("{}: {error}", build.name()));
        rows.push(table::row(&build.name(), &inspection).trim_end().to_owned());
        checks::target(build, &inspection);
        checks::types(build, &inspection);
        checks::instructions(build, &inspection, &bytes);
        checks::plan(build, &inspection);
        if build.stripped {
            checks::against_unstripped(build, &inspection);
        } else {
            checks::against_symbols(build, &inspection, &Truth::read(&bytes));
        }
    }
    let found = rows.join("\n") + "\n";
    println!("{found}");
    let expected_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("matrix/expected.txt");
    if std::env::var_os("MATRIX_BLESS").is_some() {
        fs::write(&expected_file, &found).unwrap();
    }
    let expected = fs::read_to_string(&expected_file).unwrap_or_default();
    assert_eq!(found, expected, "the matrix changed; MATRIX_BLESS=1 accepts it");
}

/// Each program runs with a breakpoint on every site that the kernel would emulate: polls start and end in pairs, before the task is
/// released, with the header, its vtable, its id and the stack pointer where inspection said.
#[test]
fn every_site_means_what_it_claims() {
    // A tracer waits for any child of this process.
    let _turn = profiler_tests::serial::turn();
    for build in builds::all() {
        let inspection = inspect(&fs::read(&build.path).unwrap()).unwrap();
        let hits = match tracer::run(&build.path, &inspection) {
            Ok(hits) => hits,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                eprintln!("SKIPPED: this machine forbids tracing a child: {error}");
                return;
            }
            Err(error) => panic!("{}: {error}", build.name()),
        };
        let seen = replay::check(&build.name(), &inspection, &hits);
        replay::check_counts(&build.name(), &inspection, &seen);
        println!("{}: {seen:?}", build.name());
    }
}

/// Wherever a site may move to, the same events are seen there, with the same task, as at the function's entry or the exchange's load.
#[test]
fn moved_sites_tell_what_plain_sites_tell() -> profiler_tests::Result<()> {
    profiler_tests::needs_root!();
    let _turn = profiler_tests::serial::turn();
    if profiler_daemon::attach::uprobe_multi() != profiler_daemon::attach::UprobeMulti::Works {
        profiler_tests::skip!("this kernel has no uprobe-multi links");
    }
    let mut hits = 0;
    for build in builds::all() {
        let inspection = inspect(&fs::read(&build.path).unwrap()).unwrap();
        let compared = differential::run(&build.name(), &build.path, &inspection)
            .unwrap_or_else(|error| panic!("{}: {error}", build.name()));
        let compared = compared.unwrap_or_else(|wrong| panic!("{wrong}"));
        println!("{}: {compared:?}", build.name());
        hits += compared.hits.values().sum::<usize>();
    }
    assert!(hits > 1_000, "{hits} hits were compared");
    Ok(())
}

/// A real program, damaged: cut short, and with bytes changed where headers, tables, vtables and code are.
#[test]
fn damaged_programs_are_survived() {
    let build = builds::all().iter().find(|build| build.name() == "1.54.1 fat stripped").unwrap();
    let whole = fs::read(&build.path).unwrap();
    for length in (0..whole.len()).step_by(whole.len() / 40) {
        let _ = inspect(&whole[..length]);
    }
    // xorshift: the same damage each time.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let sections = whole.len() - 40 * 64;
    let ranges = [0..0x400, 0x1000..0x6000, sections..whole.len(), 0..whole.len()];
    for round in 0..60 {
        let mut damaged = whole.clone();
        let range = ranges[round % ranges.len()].clone();
        for _ in 0..=random(200) {
            damaged[range.start + random(range.len())] = u8::try_from(random(256)).unwrap();
        }
        let _ = inspect(&damaged);
    }
}
