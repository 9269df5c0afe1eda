//! The times that a scope keeps of itself, as they are delivered at its end, and where a reader finds them while it is polled.

use std::time::{Duration, Instant};

use super::*;

/// Where words stand in a block.
const SEQ: usize = 1;
const PARENT: usize = 2;
const FLAGS: usize = 3;
const FIRST: usize = 4;
const LAST: usize = 5;
const IN_POLL: usize = 6;
const SCHEDULED: usize = 7;
const SUSPENDED: usize = 8;
const POLLS: usize = 9;
const WAKES: usize = 10;
const WAKES_UNSEEN: usize = 11;
const LONGEST: usize = 12;

impl Tracer {
    /// Every scope keeps its times from now on, and nothing else is asked for.
    fn times(&self, since_ns: u64) {
        self.only_wanted(&[], false);
        let table = ptr::from_ref(slot::table()) as u64;
        poke(table + 88, &since_ns.to_ne_bytes());
        poke(table + 68, &4_u32.to_ne_bytes());
        let generation = u32::from_ne_bytes(slot::table()[64..68].try_into().unwrap());
        poke(table + 64, &(generation + 1).to_ne_bytes());
    }

    /// The only event, which must be a delivery.
    fn block(&self) -> [u64; 16] {
        let events = self.events();
        let [Times { record, seq, block }] = events[..] else { panic!("{events:?}") };
        assert!(record != 0 && block[0] == u64::from_ne_bytes(*b"PRFTIMES") && block[SEQ] == seq);
        assert_eq!(block[IN_POLL] + block[SCHEDULED] + block[SUSPENDED], block[LAST] - block[FIRST], "{block:?}");
        block
    }
}

/// The block of the innermost scope that keeps its times, as a reader finds it: through the thread-local that the table names.
fn inside() -> *const [u64; 16] {
    let offset = isize::from_ne_bytes(slot::table()[32..40].try_into().unwrap());
    // SAFETY: pthread_self has no conditions. On x86-64 it is the thread pointer (glibc and musl).
    let thread_pointer = unsafe { libc::pthread_self() } as *const u8;
    let word: *const *const [u64; 16] = thread_pointer.wrapping_offset(offset).cast_mut().cast();
    // SAFETY: this thread's own word, aligned as the linker was told.
    unsafe { word.read() }
}

fn seq_inside() -> Option<u64> {
    // SAFETY: null, or a block that is being polled.
    unsafe { inside().as_ref() }.map(|block| block[SEQ])
}

/// Lets time pass, on a CPU.
fn after(pause: Duration) {
    let start = Instant::now();
    while start.elapsed() < pause {
        std::hint::spin_loop();
    }
}

const PAUSE: Duration = Duration::from_micros(300);

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

/// Wakes itself in its first poll, hands its waker out in the second, and is done in the third.
struct Steps(u32, std::rc::Rc<RefCell<Option<Waker>>>);

impl Future for Steps {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        after(PAUSE);
        self.0 += 1;
        match self.0 {
            1 => cx.waker().wake_by_ref(),
            2 => drop(self.1.replace(Some(cx.waker().clone()))),
            _ => return Poll::Ready(()),
        }
        Poll::Pending
    }
}

#[test]
fn are_divided_by_the_scopes_own_wakes_and_delivered_once() {
    let tracer = Tracer::attach();
    tracer.times(1);
    let waker = std::rc::Rc::new(RefCell::new(None));
    let start = Instant::now();
    let mut future = pin!(scope(1_u64, Steps(0, std::rc::Rc::clone(&waker))));
    assert!(poll(future.as_mut()).is_pending());
    // Ready since the poll.
    after(PAUSE);
    assert!(poll(future.as_mut()).is_pending());
    // It waits, and is ready then.
    after(PAUSE);
    waker.take().unwrap().wake();
    after(PAUSE);
    assert!(poll(future.as_mut()).is_ready());
    let whole = ns(start.elapsed());
    let block = tracer.block();
    assert_eq!((block[POLLS], block[WAKES], block[WAKES_UNSEEN], block[FLAGS]), (3, 2, 0, 1));
    let pause = ns(PAUSE);
    assert!(block[IN_POLL] >= 3 * pause && block[SCHEDULED] >= 2 * pause && block[SUSPENDED] >= pause, "{block:?}");
    assert!(block[LONGEST] >= pause && block[LAST] - block[FIRST] <= whole, "{block:?}");
}

#[test]
fn of_a_scope_that_is_dropped_end_with_it() {
    let tracer = Tracer::attach();
    tracer.times(1);
    let mut waits = Box::pin(scope(1_u64, PendingFor(9)));
    assert!(poll(waits.as_mut()).is_pending());
    assert!(poll(waits.as_mut()).is_pending());
    after(PAUSE);
    drop(waits);
    let block = tracer.block();
    assert_eq!((block[POLLS], block[WAKES], block[WAKES_UNSEEN]), (2, 0, 1), "a poll that nothing was seen to lead to");
    assert!(block[SUSPENDED] >= ns(PAUSE), "{block:?}");
    drop(scope(1_u64, PendingFor(9)));
    assert_eq!(tracer.events(), [], "never polled, nothing kept");
}

#[test]
fn begin_at_the_next_poll_of_a_scope_that_goes_on_and_anew_for_another_reader() {
    let tracer = Tracer::attach();
    tracer.only_wanted(&[], false);
    let mut future = Box::pin(scope(1_u64, PendingFor(9)));
    let poll = |future: &mut Pin<Box<_>>| assert!(poll(Pin::as_mut(future)).is_pending());
    poll(&mut future);
    for since in [1, 2] {
        tracer.times(since);
        poll(&mut future);
        poll(&mut future);
    }
    // Rules that change meanwhile change no times.
    tracer.times(2);
    poll(&mut future);
    drop(future);
    let block = tracer.block();
    assert_eq!((block[POLLS], block[FLAGS]), (3, 0), "the first poll was before");
}

#[test]
fn of_another_time_are_not_delivered() {
    let tracer = Tracer::attach();
    for leaves in [true, false] {
        tracer.times(1);
        let mut future = Box::pin(scope(1_u64, PendingFor(9)));
        assert!(poll(future.as_mut()).is_pending());
        if leaves {
            tracer.only_wanted(&[], false);
        } else {
            tracer.times(2);
        }
        drop(future);
        assert_eq!(tracer.events(), []);
    }
}

#[test]
fn are_found_through_the_thread_local_while_the_scope_is_polled() {
    let tracer = Tracer::attach();
    tracer.times(1);
    assert!(inside().is_null());
    let mut inner = Box::pin(scope(2_u64, async {
        // SAFETY: it is being polled.
        let own = unsafe { &*inside() };
        // SAFETY: so is the one around it.
        let around = unsafe { &*(own[PARENT] as *const [u64; 16]) };
        (own[SEQ], around[SEQ])
    }));
    let outer = scope(1_u64, async {
        let own = seq_inside().unwrap();
        let Poll::Ready((inner, parent)) = poll(inner.as_mut()) else { panic!("never pending") };
        assert_eq!((parent, inner), (own, own + 1));
        assert_eq!(seq_inside(), Some(own));
        // Of the same request: no times of its own.
        assert!(poll(pin!(scope(1_u64, async { assert_eq!(seq_inside(), Some(own)) }))).is_ready());
    });
    assert!(poll(pin!(outer)).is_ready());
    assert!(inside().is_null());
    let panics = scope(3_u64, async { panic!("on purpose") });
    assert!(catch_unwind(AssertUnwindSafe(|| poll(pin!(panics)))).is_err());
    assert!(inside().is_null());
}
