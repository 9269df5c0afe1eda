//! Lets the kernel stock up on memory for maps that are not allocated before use, so that the first events pay no more than the next.
//!
//! Each map keeps spare elements for each CPU. They begin nearly empty, and where few are left the CPU interrupts itself to fetch a batch
//! (kernel/bpf/memalloc.c, `unit_alloc` and `irq_work_raise`): some 20 µs under a hypervisor, in the poll that made the first row. An
//! entry made and removed on each CPU fetches that batch now.

use aya::Ebpf;
use aya::maps::Map;
use std::os::fd::AsFd as _;

use super::sys;

/// Maps in which programs make entries while the target runs.
const MAPS: [&str; 6] = ["TASKS", "SCOPES", "AWAIT_WALKS", "WAKER_WALKS", "AWAIT_STACKS", "AWAIT_SUMS"];

/// Stocks up on the CPUs that this thread may run on. What fails here leaves events as dear as they were: it is no error.
pub(super) fn up(ebpf: &Ebpf) {
    // A thread of its own, which takes its affinity with it.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for cpu in sys::allowed_cpus() {
                if sys::run_on(cpu).is_ok() {
                    for name in MAPS {
                        touch(ebpf, name);
                    }
                }
            }
        });
    });
}

/// Makes an entry in the map, and removes it. No address and no thread has a key of ones.
fn touch(ebpf: &Ebpf, name: &str) {
    let Some(Map::HashMap(map)) = ebpf.map(name) else { return };
    let Ok(info) = map.info() else { return };
    let bytes = |size: u32, byte: u8| vec![byte; usize::try_from(size).unwrap_or(0)];
    let (key, value) = (bytes(info.key_size(), 0xff), bytes(info.value_size(), 0));
    if sys::put(map.fd().as_fd(), &key, &value).is_ok() {
        let _: std::io::Result<()> = sys::remove(map.fd().as_fd(), &key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::object;

    /// Check that every map takes an entry, and has none left after it.
    #[test]
    fn nothing_is_left_in_the_maps() {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            println!("SKIPPED: nothing_is_left_in_the_maps: needs root");
            return;
        }
        let ebpf = aya::EbpfLoader::new().load(&object::bytes().unwrap()).unwrap();
        for name in MAPS {
            let Some(Map::HashMap(map)) = ebpf.map(name) else { panic!("no map {name}") };
            let info = map.info().unwrap();
            let (key, value) = (vec![0xff; info.key_size() as usize], vec![0; info.value_size() as usize]);
            sys::put(map.fd().as_fd(), &key, &value).unwrap();
            sys::remove(map.fd().as_fd(), &key).unwrap();
            up(&ebpf);
            let left = sys::remove(map.fd().as_fd(), &key).unwrap_err();
            assert_eq!(left.raw_os_error(), Some(libc::ENOENT), "{name}");
        }
    }
}
