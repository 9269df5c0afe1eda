//! Any bytes as a file with debug information, and as a kept table: no panic, and only tables that hold together.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::awaits::{AwaitLayouts, await_layouts};
use profiler_daemon::inspect::{HeaderLayout, Inspection, NameSource, TaskKind, TaskType};

/// What an inspection of the seeds says: one task type, polled at 0x1000.
fn inspection() -> Inspection {
    let task = TaskType {
        vtable: 0x2000,
        poll: 0x1000,
        body: 0x1000,
        body_end: None,
        shutdown: 0x1000,
        id_offset: None,
        scheduler_offset: None,
        trailer_offset: None,
        kind: TaskKind::MultiThread,
        name: "app::outer".to_owned(),
        raw_name: None,
        name_source: NameSource::DebugInfo,
    };
    Inspection {
        build_id: None,
        pie: true,
        shared_object: false,
        tokio: None,
        has_symbols: false,
        has_debug_info: true,
        segments: Vec::new(),
        header: HeaderLayout { state: 0, vtable: 16 },
        task_types: vec![task],
        sites: Vec::new(),
        usdt: Vec::new(),
        annotation_table: None,
        next_task_id: None,
        notes: Vec::new(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(kept) = AwaitLayouts::from_bytes(bytes) {
        assert_eq!(kept.check(), Ok(()));
        assert_eq!(AwaitLayouts::from_bytes(&kept.to_bytes()).as_ref(), Ok(&kept));
    }
    if let Ok(layouts) = await_layouts(bytes, &inspection(), &mut |_| {}) {
        assert_eq!(layouts.check(), Ok(()));
        assert_eq!(AwaitLayouts::from_bytes(&layouts.to_bytes()).as_ref(), Ok(&layouts));
    }
});
