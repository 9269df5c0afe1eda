//! Any bytes as a file: no panic, and a table that holds together and is no larger than its file explains.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::unwind::unwind_table;

fuzz_target!(|file: &[u8]| {
    let Ok(table) = unwind_table(file) else { return };
    assert!(table.rows.is_sorted_by(|one, next| one.pc < next.pc), "sorted, no pc twice");
    assert!(table.rows.iter().all(|row| usize::from(row.rule) < table.rules.len()), "every rule is there");
    assert_eq!(table.rows.first().map(|row| row.pc), Some(0));
    assert!(table.rows.len() <= 2 * file.len(), "a row takes an instruction, a gap an entry");
    assert!(table.rules.len() <= table.rows.len() + 2);
    assert!(table.coverage.unsupported_bytes <= table.coverage.described_bytes);
});
