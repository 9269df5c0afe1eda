//! Any bytes as the target's program: no panic, and nothing is planned that lies outside the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use profiler_daemon::inspect::{inspect, owned_lists};
use profiler_daemon::plan::{Machine, MultiSupport, Wanted, plan};

/// More probe sites than a file can explain: every word of it a task's vtable, and its sites.
const SITES_PER_BYTE: usize = 8;

fuzz_target!(|file: &[u8]| {
    let Ok(found) = inspect(file) else { return };
    assert!(found.task_types.len() <= file.len() / 8, "a vtable takes a word at least");
    assert!(found.sites.len() <= 64 + SITES_PER_BYTE * file.len());
    let _ = owned_lists(file, &found);
    for uprobe_multi in [MultiSupport::Yes, MultiSupport::No] {
        let machine = Machine { kernel: (6, 6), uprobe_multi, uretprobe_safe: true, virtual_machine: false };
        let wanted = Wanted { tasks: true, scopes: found.is_annotated(), wakes: true, spawns: true, times: false, wakers: true };
        let Ok(planned) = plan(&found, &machine, &wanted) else { continue };
        for site in planned.sites.iter().map(|planned| planned.site.file_offset) {
            assert!(usize::try_from(site).is_ok_and(|site| site < file.len()), "{site:#x} is not in the file");
        }
        for scope in &planned.scopes {
            assert!(usize::try_from(scope.probe.file_offset).is_ok_and(|offset| offset < file.len()));
        }
    }
});
