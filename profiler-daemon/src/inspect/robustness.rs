//! Damaged and hostile files: an error or a smaller result, never a panic, never endless work.

use proptest::prelude::*;

use super::specimen::{COMPLETE, IDLE, RUNNING, SHUTDOWN, bytes, elf};
use super::{InspectError, inspect};

/// A small file with Tokio's names in it, so that damage reaches the code behind them.
fn specimen() -> Vec<u8> {
    let state = "_ZN5tokio7runtime4task5state5State";
    let names = [
        format!("{state}18transition_to_idle17h0123456789abcdefE"),
        format!("{state}21transition_to_running17h0123456789abcdefE"),
        format!("{state}22transition_to_complete17h0123456789abcdefE"),
        "_ZN5tokio7runtime4task3raw4poll17h0123456789abcdefE".to_owned(),
    ];
    let code = [IDLE, RUNNING, COMPLETE, SHUTDOWN].map(bytes);
    let functions: Vec<(&str, &[u8])> = names.iter().zip(&code).map(|(name, code)| (name.as_str(), &code[..])).collect();
    elf(&functions).0
}

#[test]
fn errors_tell_files_apart() {
    assert!(matches!(inspect(b""), Err(InspectError::NotElf(_))));
    assert!(matches!(inspect(b"#!/bin/sh\n"), Err(InspectError::NotElf(_))));
    let (no_tokio, _) = elf(&[("main", &[0xc3])]);
    assert_eq!(inspect(&no_tokio), Err(InspectError::NotTokio));
    let version = "of unknown version".to_owned();
    assert_eq!(inspect(&specimen()), Err(InspectError::NoTaskVtable { version }));
    let mut other_machine = no_tokio.clone();
    other_machine[18] = 183; // EM_AARCH64
    assert!(matches!(inspect(&other_machine), Err(InspectError::WrongArchitecture(_))));
    let mut big_endian = no_tokio;
    big_endian[5] = 2;
    assert!(matches!(inspect(&big_endian), Err(InspectError::WrongArchitecture(_))), "{:?}", inspect(&big_endian));
}

#[test]
fn every_truncation_is_survived() {
    let file = specimen();
    for length in (0..file.len()).step_by(7) {
        assert!(inspect(&file[..length]).is_err(), "cut at {length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Headers and tables are where offsets and counts are; the rest of the first page is empty.
    #[test]
    fn flipped_bytes_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24)) {
        let mut file = specimen();
        let headers = 120;
        let tables = file.len() - 0x1000;
        for (index, value) in flips {
            let at = index.index(headers + tables);
            file[if at < headers { at } else { at - headers + 0x1000 }] = value;
        }
        let _ = inspect(&file);
    }

    /// A header that is right, and anything after it.
    #[test]
    fn anything_after_a_header_is_survived(tail in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut file = specimen();
        file.truncate(64);
        file.extend(tail);
        let _ = inspect(&file);
    }

    /// Any bytes as the code of a function that has a name of Tokio's.
    #[test]
    fn any_code_is_survived(code in prop::collection::vec(any::<u8>(), 1..200)) {
        let idle = "_ZN5tokio7runtime4task5state5State18transition_to_idle17h0123456789abcdefE";
        super::specimen::with_image(&[(idle, &code)], |image, functions, starts| {
            let function = super::code::Function::decode(image, functions, starts[0]).unwrap();
            let roots = [super::flow::Root::new(starts[0], iced_x86::Register::RDI)];
            let role = super::Role::PollComplete;
            let claim = super::proof::Claim { role, roots: &roots, exchange: None, after_will_do: true };
            let _ = super::placement::places(functions, &function, &claim);
            let known = [(iced_x86::Register::RDI, super::machine::HEADER)];
            let _ = super::interpreter::exchanges(image, starts[0], &known, 0x241, 4);
            let _ = function.callees(image);
            let _ = function.single_jump(image);
        });
    }
}
