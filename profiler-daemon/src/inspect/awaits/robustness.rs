//! Damaged and hostile debug information: an error or a smaller table that holds together, never a panic, never endless work.

use profiler_common::awaits::node::target;
use proptest::prelude::*;

use super::await_layouts;
use super::specimen::{Program, program};

/// A type that holds itself, which no compiler makes.
#[test]
fn a_type_inside_itself_ends() {
    let mut program = Program::new();
    let strange = program.structure("app", "Strange", 16);
    program.member(strange, "itself", strange, 0);
    program.member(strange, "again", strange, 8);
    let root = program.coroutine("app::root", "{async_fn_env#0}", &[(3, Some((strange, 8)))]);
    program.task(root, "app::root::{async_fn_env#0}", 0x1000);
    let layouts = program.layouts().unwrap();
    assert_eq!(layouts.check(), Ok(()));
    assert!(layouts.edges.iter().any(|edge| edge.node == target::UNKNOWN));
}

#[test]
fn every_truncation_is_survived() {
    let mut program = program();
    let (file, inspection) = (program.elf(), program.inspection());
    for length in (0..file.len()).step_by(3) {
        let _ = await_layouts(&file[..length], &inspection, &mut |_| {});
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn flipped_bytes_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)) {
        let mut program = program();
        let (mut file, inspection) = (program.elf(), program.inspection());
        for (index, value) in flips {
            let at = index.index(file.len());
            file[at] = value;
        }
        if let Ok(layouts) = await_layouts(&file, &inspection, &mut |_| {}) {
            prop_assert_eq!(layouts.check(), Ok(()));
        }
    }
}
