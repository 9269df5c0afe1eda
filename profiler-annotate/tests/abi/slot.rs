//! The thread-local slot, the table that tells where it is, and the process context that explains what it holds.

use std::pin::pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

use profiler_annotate::{RequestId, request_id, scope};

use crate::elf;

fn run(future: impl Future<Output = ()>) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// The table of this process, as a profiler finds it: by its section.
pub(crate) fn table() -> &'static [u8; 2624] {
    let address = elf::load_bias() + elf::writable_section(&elf::this_program(), ".profiler_annotate");
    // SAFETY: the section holds the table, for as long as the process lives; the tests read what never changes again.
    unsafe { &*(address as *const [u8; 2624]) }
}

/// This thread's slot, found through the table.
fn slot() -> *mut *const u8 {
    let offset = isize::from_ne_bytes(table()[16..24].try_into().unwrap());
    // SAFETY: pthread_self has no conditions. On x86-64 it is the thread pointer (glibc and musl).
    let thread_pointer = unsafe { libc::pthread_self() } as *mut u8;
    thread_pointer.wrapping_offset(offset).cast()
}

fn current_record() -> *const u8 {
    // SAFETY: the slot is this thread's.
    unsafe { slot().read() }
}

/// Length and bytes of the id in a record.
fn id_in(record: *const u8) -> RequestId {
    // SAFETY: 94 bytes of a record that is being polled.
    let bytes = unsafe { std::slice::from_raw_parts(record, 94) };
    assert_eq!(bytes[24], 1, "valid");
    assert_eq!(usize::from(u16::from_ne_bytes([bytes[26], bytes[27]])), 2 + usize::from(bytes[29]));
    RequestId::try_from(&bytes[30..30 + usize::from(bytes[29])]).unwrap()
}

#[test]
fn the_slot_holds_the_innermost_record_while_it_is_polled() {
    run(scope(request_id!("outer"), async {
        let outer = current_record();
        assert_eq!(id_in(outer), request_id!("outer"));
        scope(request_id!("inner"), async {
            assert_eq!(id_in(current_record()), request_id!("inner"));
        })
        .await;
        assert_eq!(current_record(), outer);
        assert_eq!(std::thread::spawn(|| current_record().is_null()).join().ok(), Some(true));
    }));
    assert!(current_record().is_null());
}

#[test]
fn another_librarys_record_is_put_back_as_it_was() {
    run(scope(1_u64, async {}));
    let foreign = [0xaa_u8; 28];
    let before = foreign;
    // SAFETY: the slot is this thread's.
    unsafe { slot().write(foreign.as_ptr()) };
    let mut pending = pin!(scope(2_u64, std::future::pending::<()>()));
    assert_eq!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    run(scope(2_u64, async { assert_eq!(id_in(current_record()), RequestId::from(2_u64)) }));
    assert_eq!(current_record(), foreign.as_ptr());
    assert_eq!(foreign, before);
    // SAFETY: the slot is this thread's.
    unsafe { slot().write(ptr::null()) };
}

#[test]
fn the_table_describes_this_process() {
    run(scope(1_u64, async {}));
    let table = table();
    assert_eq!(&table[..8], b"PRFANNOT");
    let word = |at: usize| u32::from_ne_bytes(table[at..at + 4].try_into().unwrap());
    assert_eq!((word(8), word(12), word(24)), (2, 2624, 1));
    assert_eq!(table[28..30], [0, 1], "request.id is key 0 of our own process context");
    assert_eq!(table[30..32], [0; 2], "reserved");
    assert_ne!(table[32..40], [0; 8], "where the times of a thread's scope are");
    assert_eq!(table[40..64], [0; 24], "reserved");
    assert!(u64::from_ne_bytes(table[2560..2568].try_into().unwrap()) >= 1, "a scope was numbered");
}

#[test]
fn the_process_context_is_published_once_and_named() {
    run(scope(1_u64, async {}));
    run(scope(2_u64, async {}));
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let contexts: Vec<_> = maps.lines().filter(|line| line.contains("OTEL_CTX")).collect();
    let [context] = contexts[..] else { panic!("one mapping: {contexts:?}") };
    let start = u64::from_str_radix(context.split('-').next().unwrap(), 16).unwrap();
    // SAFETY: the first page of a mapping that stays.
    let page = unsafe { &*(start as *const [u8; 4096]) };
    assert_eq!(&page[..8], b"OTEL_CTX");
    assert_eq!(page[8..12], 2_u32.to_ne_bytes());
    let size = u32::from_ne_bytes(page[12..16].try_into().unwrap()) as usize;
    assert_ne!(page[16..24], [0; 8], "published");
    assert_eq!(page[24..32], (start + 32).to_ne_bytes(), "the payload stands behind the header");
    let payload = &page[32..32 + size];
    assert!(payload.ends_with(b"request.id"));
    assert!(payload.windows(26).any(|window| window == b"threadlocal.schema_version"));
}
