//! A scope allocates nothing: not when it is made, not when it is polled, not when it ends.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use profiler_annotate::{current_request_id, scope};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

// SAFETY: hands everything on to the system's allocator; the counter needs no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(of: impl FnOnce()) -> u32 {
    let before = ALLOCATIONS.get();
    of();
    ALLOCATIONS.get() - before
}

/// Pending for ever.
struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        assert!(current_request_id().is_some());
        Poll::Pending
    }
}

#[test]
fn a_scope_allocates_nothing() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1, "the counter counts");
    // The process's first scope publishes the process context, and that allocates.
    drop(scope(1_u64, Never));
    let scopes = allocations(|| {
        let mut future = pin!(scope(42_u64, scope(43_u64, Never)));
        for _ in 0..1000 {
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    });
    assert_eq!(scopes, 0);
}
