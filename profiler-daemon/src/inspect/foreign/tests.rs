//! Places of thread-locals against those that the compiler and loader of this very program use; hostile bytes; the annotation's message.

use proptest::prelude::*;

use super::*;

const X86: Machine = Machine::X86_64;

fn segment(vaddr: u64, size: u64, align: u64) -> TlsSegment {
    TlsSegment { vaddr, size, align }
}

/// Check the rounding: a block of 20 bytes at alignment 16 begins 32 below the thread pointer, and where the segment's address is
/// not aligned, so much lower that it is the same modulo the alignment.
#[test]
fn an_executables_block_ends_at_its_alignment() {
    let at = |segment: TlsSegment, value| at_fixed_offset(X86, &segment, value);
    assert_eq!(at(segment(0x1000, 20, 16), 0), Some(Access::Static { offset: -32 }));
    assert_eq!(at(segment(0x1000, 32, 16), 8), Some(Access::Static { offset: -24 }));
    assert_eq!(at(segment(0x1008, 24, 16), 0), Some(Access::Static { offset: -24 }));
    assert_eq!(at(segment(0x1008, 32, 16), 0), Some(Access::Static { offset: -40 }));
    assert_eq!(at(segment(0x1000, 20, 3), 0), None, "no power of two");
    assert_eq!(at(segment(0x1000, 20, 16), 20), None, "behind the segment");
    assert_eq!(at_fixed_offset(Machine::Aarch64, &segment(0x1000, 20, 8), 4), Some(Access::Static { offset: 20 }));
    assert_eq!(at_fixed_offset(Machine::Aarch64, &segment(0x1000, 20, 64), 0), Some(Access::Static { offset: 64 }));
}

/// Check each model's words, and words that are not what the model has.
#[test]
fn what_the_loader_wrote() {
    let negative = (-64_i64).cast_unsigned();
    let words = |address: u64| match address {
        0x100 => Some([negative, 0]),
        0x200 => Some([3, 0x40]),
        0x300 => Some([0x7f00_0000_0000, negative]),
        0x400 => Some([0x7f00_0000_0000, 0x200]),
        0x500 => Some([0x7f00_0000_0000, 0x600]),
        // A relocation that a lazy loader has not resolved yet.
        0x600 => Some([0x3fe0, 7 << 32 | 0x24]),
        _ => None,
    };
    let behind = |model, got, value| Access::behind(X86, model, got, value, &words);
    assert_eq!(behind(Model::InitialExec, 0x100, None), Some(Access::Static { offset: -64 }));
    assert_eq!(behind(Model::InitialExec, 0x200, None), None, "not relocated");
    assert_eq!(behind(Model::GeneralDynamic, 0x200, Some(0x40)), Some(Access::Dtv { module: 3, offset: 0x40 }));
    assert_eq!(behind(Model::GeneralDynamic, 0x200, Some(0x48)), None, "another thread-local's");
    assert_eq!(behind(Model::Descriptor, 0x300, None), Some(Access::Static { offset: -64 }));
    assert_eq!(behind(Model::Descriptor, 0x400, Some(0x40)), Some(Access::Dtv { module: 3, offset: 0x40 }));
    assert_eq!(behind(Model::Descriptor, 0x500, None), None);
    assert_eq!(behind(Model::Descriptor, 0x900, None), None);
}

/// Check the message as the annotation writes it (`profiler-annotate/src/process_context.rs`), and with what others add.
#[test]
fn the_names_of_attributes() {
    let schema = b"\x12\x2e\x0a\x1athreadlocal.schema_version\x12\x10\x0a\x0etlsdesc_v1_dev";
    let map = b"\x12\x31\x0a\x1dthreadlocal.attribute_key_map\x12\x10\x2a\x0e\x0a\x0c\x0a\x0arequest.id";
    let resource = b"\x0a\x04\x0a\x02\x0a\x00";
    let keys = keys_of(&[&resource[..], &schema[..], &map[..]].concat()).unwrap();
    assert_eq!((keys.is_known_scheme(), keys.index_of("request.id"), keys.index_of("other")), (true, Some(0), None));
    assert_eq!(keys_of(b""), Some(Keys::default()));
    assert_eq!(keys_of(b"\xff\xff"), None);
    let other = Keys { scheme: Some("go_pprof_labels_v1".to_owned()), names: Vec::new() };
    assert!(!other.is_known_scheme());
}

/// Check this very program, which has neither, and what is no program.
#[test]
fn files_without_any() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let module = foreign_module(&bytes).unwrap();
    assert_eq!((module.symbols.len(), module.machine, module.labels_version), (0, X86, None));
    assert!(module.tls.is_some() && module.interpreter.is_some());
    assert!(foreign_module(b"#!/bin/sh\n").is_err());
}

proptest! {
    /// A damaged file ends in an error or a result, and never in a panic.
    #[test]
    fn damaged_files_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24)) {
        let mut file = crate::inspect::specimen::elf(&[("main", &[0xc3])]).0;
        for (index, value) in flips {
            let at = index.index(file.len());
            file[at] = value;
        }
        let _ = foreign_module(&file);
    }

    /// Any bytes as a message.
    #[test]
    fn any_message_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = keys_of(&bytes);
    }
}
