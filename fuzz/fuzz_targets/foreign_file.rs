//! Any bytes as an ELF file with thread-locals, and as a process context's message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::foreign::{Access, at_fixed_offset, foreign_module, keys_of};

fuzz_target!(|data: &[u8]| {
    if let Some(keys) = keys_of(data) {
        assert!(keys.names.len() <= 256);
        let _ = (keys.is_known_scheme(), keys.index_of("request.id"));
    }
    let Ok(module) = foreign_module(data) else { return };
    for symbol in &module.symbols {
        if let (Some(segment), Some(value)) = (&module.tls, symbol.value)
            && let Some(Access::Static { offset }) = at_fixed_offset(module.machine, segment, value)
        {
            assert_ne!(offset, 0);
        }
        for reach in &symbol.reaches {
            let words = |address: u64| Some([address, address.rotate_left(17)]);
            let _ = Access::behind(module.machine, reach.model, reach.got, symbol.value, &words);
        }
    }
});
