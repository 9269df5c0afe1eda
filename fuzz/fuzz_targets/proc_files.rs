//! Any bytes as `/proc/PID/maps`, in which names are the target's, and any memory behind it as a process context (OTEP 4719).
//!
//! What stands before the first zero is the text, what stands behind it the memory from 0x1000 on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::foreign::keys_of;
use profiler_daemon::target::maps::{modules, parse, parse_lines};
use profiler_daemon::target::memory::{Span, Spans};
use profiler_daemon::target::process_context::{find, read};

const BASE: u64 = 0x1000;

struct Bytes<'a>(&'a [u8]);

impl Spans for Bytes<'_> {
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
        let mut rest = bytes;
        let mut whole = Vec::new();
        for span in spans {
            let Some((here, after)) = rest.split_at_mut_checked(span.length) else { break };
            let at = span.address.checked_sub(BASE).and_then(|at| usize::try_from(at).ok());
            let found = at.and_then(|at| self.0.get(at..at.checked_add(span.length)?));
            whole.push(found.map(|found| here.copy_from_slice(found)).is_some());
            rest = after;
        }
        whole.resize(spans.len(), false);
        whole
    }
}

fuzz_target!(|bytes: &[u8]| {
    let zero = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, memory) = bytes.split_at(zero);
    let memory = Bytes(memory.get(1..).unwrap_or_default());
    let (mappings, unreadable) = parse_lines(text);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert!(mappings.len() + unreadable <= lines);
    assert_eq!(parse(text).is_some(), unreadable == 0);
    assert!(mappings.iter().all(|mapping| mapping.start < mapping.end || mapping.start == mapping.end));
    assert!(modules(&mappings).len() <= mappings.len());
    for address in find(text).into_iter().chain([BASE]) {
        if let Ok(published) = read(&memory, address) {
            assert!(published.payload.len() <= memory.0.len(), "no more than there is");
            let _ = keys_of(&published.payload);
        }
    }
});
