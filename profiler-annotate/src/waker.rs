//! A waker of a wanted scope's own: it says from outside when the scope was woken, so that nobody else's wakes need a probe.

use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::abi;

/// Wakes the task around the scope, and says so first.
struct Signal {
    seq: u64,
    task: Waker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the task's wake: behind it the scope may be entered already.
        abi::scope_wake(self.seq);
        self.task.wake_by_ref();
    }
}

/// The waker that a wanted scope hands on, and what it stands for.
pub(crate) struct OwnWaker {
    signal: Arc<Signal>,
    waker: Waker,
}

impl OwnWaker {
    /// The waker for scope `seq` in the task of `task`: the one in `kept` as long as the task is the same, so that leaves see that they
    /// hold it already.
    pub(crate) fn of<'a>(kept: &'a mut Option<Box<Self>>, seq: u64, task: &Waker) -> &'a Waker {
        if !kept.as_ref().is_some_and(|own| own.signal.task.will_wake(task)) {
            *kept = None;
        }
        let own = kept.get_or_insert_with(|| {
            let signal = Arc::new(Signal { seq, task: task.clone() });
            let waker = Waker::from(Arc::clone(&signal));
            Box::new(Self { signal, waker })
        });
        &own.waker
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_the_task_and_stays_the_same_while_the_task_does() {
        let (one, other) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (task, another) = (Waker::from(Arc::clone(&one)), Waker::from(Arc::clone(&other)));
        let mut kept = None;
        let first = OwnWaker::of(&mut kept, 1, &task).clone();
        assert!(OwnWaker::of(&mut kept, 1, &task.clone()).will_wake(&first));
        first.wake_by_ref();
        let moved = OwnWaker::of(&mut kept, 1, &another).clone();
        assert!(!moved.will_wake(&first));
        moved.wake();
        assert_eq!((one.0.load(Ordering::Relaxed), other.0.load(Ordering::Relaxed)), (1, 1));
    }
}
