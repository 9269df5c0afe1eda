//! What the verifier walks in each program: `cargo xtask vm` shows it for each kernel.

use std::collections::BTreeMap;
use std::fs;

use profiler_tests::serial::turn;
use profiler_tests::{Result, needs_root};

use crate::programs::probes_of_every_program;
use crate::session::{Session, Wish};

/// The kernel refuses a program in which it would walk a million (`BPF_COMPLEXITY_LIMIT_INSNS`). The next release may walk more of the same
/// program than this one.
const LIMIT: u32 = 900_000;

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
    Ok(())
}
