//! What the verifier walks in each program: `cargo xtask vm` shows it for each kernel, and `object/verified` holds it.

use std::collections::BTreeMap;
use std::fs;

use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::programs::probes_of_every_program;
use crate::session::{Session, Wish};

/// The kernel refuses a program in which it would walk a million (`BPF_COMPLEXITY_LIMIT_INSNS`). The next release may walk more of the same
/// program than this one.
const LIMIT: u32 = 900_000;

/// The counts that are committed beside the object: a line a program, a column a kernel.
const STORED: &str = include_str!("../../profiler-ebpf/object/verified");

/// A program may be walked so much longer than is stored, in hundredths, before it has to be looked at. Counts differ between two builds of one
/// series, for distributions take fixes back into theirs.
const TOLERANCE: u64 = 125;

/// The stored counts of the kernels of one series (`6.1`) by the program's name as the kernel has it, which is 15 bytes. `None`: there is no
/// column for it.
fn stored<'s>(text: &'s str, series: &str) -> Option<BTreeMap<&'s str, u32>> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let column = lines.next()?.iter().position(|name| *name == series)?;
    Some(lines.filter_map(|cells| Some((*cells.first()?, cells.get(column)?.parse().ok()?))).collect())
}

/// What is not as it is stored.
fn differing(counts: &BTreeMap<String, u32>, stored: &BTreeMap<&str, u32>) -> Vec<String> {
    let grown = counts.iter().filter_map(|(name, count)| match stored.get(name.as_str()) {
        None => Some(format!("{name}: {count}, and nothing is stored")),
        Some(was) if u64::from(*count) * 100 > u64::from(*was) * TOLERANCE => Some(format!("{name}: {count}, stored {was}")),
        Some(_) => None,
    });
    let gone = stored.keys().filter(|name| !counts.contains_key(**name)).map(|name| format!("{name}: stored, and not loaded"));
    grown.chain(gone).collect()
}

/// The running kernel's series.
fn series() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    release.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// Check that what has grown, is new or has gone is told, and that small changes are not.
#[test]
fn counts_are_held_against_their_column() {
    let text = "# words\nprogram 6.1 6.12\none 100 200\ntwo 1000 1000\n";
    assert_eq!(stored(text, "6.18"), None);
    let stored = stored(text, "6.12").unwrap();
    let counts = |one, name: &str| BTreeMap::from([("one".to_owned(), one), (name.to_owned(), 900)]);
    assert!(differing(&counts(250, "two"), &stored).is_empty());
    assert_eq!(differing(&counts(251, "two"), &stored), ["one: 251, stored 200"]);
    assert_eq!(differing(&counts(1, "six"), &stored), ["six: 900, and nothing is stored", "two: stored, and not loaded"]);
}

/// The programs that this process holds: the kernel's numbers of them.
fn held() -> Vec<u32> {
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())).collect()
}

/// Check that no program is near the limit, and tell how far each is from it.
#[test]
fn every_program_is_far_from_the_limit() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let session = Session::attach(&Wish { probes: probes_of_every_program(), rate_hz: Some(99), ..Wish::default() });
    let ours = held();
    let counts: BTreeMap<String, u32> = aya::programs::loaded_programs()
        // Others' programs come and go meanwhile.
        .filter_map(std::result::Result::ok)
        .filter(|program| ours.contains(&program.id()))
        .filter_map(|program| Some((program.name_as_str()?.to_owned(), program.verified_instruction_count()?)))
        .collect();
    drop(session);
    assert!(counts.len() >= 15, "{counts:?}");
    for (name, count) in &counts {
        println!("VERIFIED: {name} {count}");
    }
    let near: Vec<_> = counts.iter().filter(|(_, count)| **count > LIMIT).collect();
    assert!(near.is_empty(), "the verifier walks {near:?}");
    let series = series();
    match stored(STORED, &series) {
        Some(stored) => {
            let wrong = differing(&counts, &stored);
            assert!(wrong.is_empty(), "profiler-ebpf/object/verified has to be looked at: {wrong:#?}");
        }
        None => println!("profiler-ebpf/object/verified has no column for {series}"),
    }
    Ok(())
}
