//! What the annotation leaves in a thread is what OTEP 4947 and 4719 say, byte by byte, and our reader of other libraries' contexts finds it
//! like anybody's. The test's own process is the one that is read.

use std::pin::pin;
use std::task::{Context, Waker};

use profiler_annotate::{RequestId, scope};
use profiler_common::foreign::{ACCESS_STATIC, ForeignLook, ForeignSlot, ForeignSlots, SLOT_OTEL};
use profiler_common::unwind::Memory;
use profiler_daemon::inspect::foreign::{Access, Context as Library, at_fixed_offset, foreign_module, keys_of};
use profiler_daemon::target::memory::{Span, Spans};
use profiler_daemon::target::process_context;

/// This very process, as a reader from outside sees it.
struct Own;

impl Spans for Own {
    fn read_spans(&self, spans: &[Span], bytes: &mut [u8]) -> Vec<bool> {
        let mut rest = bytes;
        let read = |span: &Span| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(span.length);
            rest = after;
            let local = libc::iovec { iov_base: here.as_mut_ptr().cast(), iov_len: here.len() };
            let remote = libc::iovec { iov_base: span.address as *mut _, iov_len: span.length };
            let pid = std::process::id().cast_signed();
            // SAFETY: the local vector is `here`; the kernel checks the other.
            let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
            usize::try_from(read) == Ok(span.length)
        };
        spans.iter().map(read).collect()
    }
}

impl Memory for Own {
    fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).then(|| u64::from_ne_bytes(bytes))
    }
}

fn run(future: impl Future<Output = ()>) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// The slot as a reader finds it: by its symbol, in the file alone.
fn slot() -> ForeignSlot {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let module = foreign_module(&bytes).unwrap();
    let symbol = module.symbols.iter().find(|symbol| symbol.context == Library::OpenTelemetry).unwrap();
    let place = at_fixed_offset(module.machine, &module.tls.unwrap(), symbol.value.unwrap());
    let Some(Access::Static { offset }) = place else { panic!("{place:?}") };
    ForeignSlot { kind: SLOT_OTEL, access: ACCESS_STATIC, offset: offset.cast_unsigned(), ..ForeignSlot::NONE }
}

fn thread_pointer() -> u64 {
    // SAFETY: no conditions. On x86-64 it is the thread pointer (glibc and musl).
    unsafe { libc::pthread_self() }
}

/// The keys that the process context names.
fn slots() -> ForeignSlots {
    let address = process_context::find(&std::fs::read("/proc/self/maps").unwrap()).unwrap();
    let keys = keys_of(&process_context::read(&Own, address).unwrap().payload).unwrap();
    assert!(keys.is_known_scheme(), "{keys:?}");
    let key_index = keys.index_of("request.id").unwrap();
    ForeignSlots { count: 1, key_index, keys_known: u32::try_from(keys.names.len()).unwrap(), ..ForeignSlots::NONE }
}

/// Check every byte of the OTEP's head and of the one attribute.
#[test]
fn a_record_is_the_oteps_byte_by_byte() {
    let slot = slot();
    assert_eq!(slot.pointer(thread_pointer(), &Own), Some(0), "outside of any scope");
    run(scope(RequestId::try_from("order-42").unwrap(), async {
        let record = slot.pointer(thread_pointer(), &Own).unwrap();
        assert_eq!(record % 2, 0, "aligned");
        let mut bytes = [0; 38];
        assert!(Own.read(record, &mut bytes));
        let mut expected = vec![0; 24];
        expected.extend([1, 0]);
        expected.extend(10_u16.to_ne_bytes());
        expected.extend([0, 8]);
        expected.extend(b"order-42");
        assert_eq!(bytes.to_vec(), expected);
    }));
    assert_eq!(slot.pointer(thread_pointer(), &Own), Some(0), "left as it was");
}

/// Check that the reader of others' contexts finds ids of every length, and of the innermost scope.
#[test]
fn our_reader_finds_it_like_anybodys() {
    let slot = slot();
    for length in [1, 7, 8, 63, 64] {
        let id = "x".repeat(length);
        run(scope(RequestId::try_from(id.as_str()).unwrap(), async {
            scope(RequestId::try_from("inner").unwrap(), async {
                assert_eq!(seen(&slot), "inner");
            })
            .await;
            assert_eq!(seen(&slot), id);
        }));
    }
}

fn seen(slot: &ForeignSlot) -> String {
    let mut look = ForeignLook::NEW;
    look.whole(slot, &slots(), thread_pointer(), &Own);
    assert_eq!((look.kind, look.flags), (SLOT_OTEL, 0));
    let bytes: Vec<u8> = look.id.iter().flat_map(|word| word.to_ne_bytes()).take(look.id_len as usize).collect();
    String::from_utf8(bytes).unwrap()
}
