//! A future that measures the future inside it: every poll, every gap between two, every wake.
//!
//! It hands the inner future a waker of its own that notes the time and passes the wake on, so
//! that the gap between two polls splits into suspended and scheduled without the profiler's help.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::clock;
use crate::truth::{Kind, Outcome, Row};

/// Where the rows of ended tasks gather.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Row>>>);

impl Recorder {
    /// Takes the rows so far.
    #[must_use]
    pub fn drain(&self) -> Vec<Row> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, row: Row) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// A future to spawn at once: its row begins now.
    pub fn task<F: Future>(&self, step: &str, future: F) -> Measured<F> {
        Measured::new(self, Kind::Task, step, None, future)
    }

    /// A future to spawn at once, which is part of a request.
    pub fn child<F: Future>(&self, step: &str, request: &str, future: F) -> Measured<F> {
        Measured::new(self, Kind::Task, step, Some(request), future)
    }

    /// A future to put into a scope: its row begins with its first poll and ends as it returns.
    pub fn scope<F: Future>(&self, step: &str, request: &str, future: F) -> Measured<F> {
        Measured::new(self, Kind::Scope, step, Some(request), future)
    }

    /// A closure for `spawn_blocking`: its row begins now.
    pub fn blocking<F: FnOnce() -> R, R>(&self, step: &str, call: F) -> impl FnOnce() -> R + use<F, R> {
        let meter = Meter::new(self, Kind::Blocking, step, None);
        move || {
            let mut meter = meter;
            meter.poll_started();
            let result = call();
            meter.outcome = Outcome::Done;
            result
        }
    }
}

/// The measured future. Its row goes to the [`Recorder`] when it ends.
pub struct Measured<F> {
    inner: Pin<Box<F>>,
    meter: Meter,
}

impl<F: Future> Measured<F> {
    fn new(recorder: &Recorder, kind: Kind, step: &str, request: Option<&str>, future: F) -> Self {
        Self { inner: Box::pin(future), meter: Meter::new(recorder, kind, step, request) }
    }
}

impl<F> Drop for Measured<F> {
    /// Ends the row. The type's own name also keeps the compiler from merging the drop functions of different futures: a
    /// profiler finds the name of a spawned type by that function where there is no debug information.
    fn drop(&mut self) {
        std::any::type_name::<F>().clone_into(&mut self.meter.row.type_name);
        self.meter.finish();
    }
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.meter.wakes.forward_to(context.waker());
        this.meter.poll_started();
        let waker = Waker::from(Arc::clone(&this.meter.wakes));
        let result = this.inner.as_mut().poll(&mut Context::from_waker(&waker));
        if result.is_pending() {
            this.meter.poll_ended();
        } else {
            this.meter.outcome = Outcome::Done;
            if this.meter.row.kind == Kind::Scope {
                // The scope is over now; whoever owns the future may keep it for longer.
                std::any::type_name::<F>().clone_into(&mut this.meter.row.type_name);
                this.meter.finish();
            }
        }
        result
    }
}

/// The clocks at the start of a poll.
struct Start {
    wall: u64,
    cpu: u64,
    delay: u64,
    slept: u64,
    switches: u64,
}

/// The measuring itself: what a poll, a wake and the end add to the row.
struct Meter {
    recorder: Recorder,
    wakes: Arc<Wakes>,
    row: Row,
    outcome: Outcome,
    poll: Option<Start>,
    last_end: Option<u64>,
    finished: bool,
}

impl Meter {
    fn new(recorder: &Recorder, kind: Kind, step: &str, request: Option<&str>) -> Self {
        Self {
            recorder: recorder.clone(),
            wakes: Arc::new(Wakes::default()),
            row: Row {
                kind,
                step: step.to_owned(),
                type_name: String::new(),
                request: request.map(str::to_owned),
                task_id: None,
                outcome: Outcome::Dropped,
                spawned_ns: clock::monotonic(),
                ended_ns: 0,
                polls: 0,
                wakes: 0,
                first_delay_ns: 0,
                scheduled_ns: 0,
                suspended_ns: 0,
                unwoken_ns: 0,
                poll_wall_ns: 0,
                longest_poll_ns: 0,
                cpu_ns: 0,
                run_delay_ns: 0,
                slept_ns: 0,
                switches: 0,
            },
            outcome: Outcome::Dropped,
            poll: None,
            last_end: None,
            finished: false,
        }
    }

    fn poll_started(&mut self) {
        let wall = clock::monotonic();
        if self.row.polls == 0 {
            self.row.task_id = tokio::task::try_id().and_then(|id| id.to_string().parse().ok());
            if self.row.kind == Kind::Scope {
                self.row.spawned_ns = wall;
            }
        }
        self.row.polls += 1;
        self.gap_ended(wall);
        self.poll = Some(Start {
            wall,
            cpu: clock::thread_cpu(),
            delay: clock::run_delay().unwrap_or(0),
            slept: clock::slept(),
            switches: clock::switches(),
        });
    }

    /// The clocks are read in the mirrored order of [`Self::poll_started`], so that the CPU time covers the other reads.
    /// Returns when the poll ended.
    fn poll_ended(&mut self) -> Option<u64> {
        let start = self.poll.take()?;
        let row = &mut self.row;
        row.switches += clock::switches() - start.switches;
        row.slept_ns += clock::slept() - start.slept;
        row.run_delay_ns += clock::run_delay().unwrap_or(0) - start.delay;
        row.cpu_ns += clock::thread_cpu() - start.cpu;
        let now = clock::monotonic();
        row.poll_wall_ns += now - start.wall;
        row.longest_poll_ns = row.longest_poll_ns.max(now - start.wall);
        self.last_end = Some(now);
        Some(now)
    }

    /// Splits the time since the last poll at its first wake.
    fn gap_ended(&mut self, now: u64) {
        let wake = self.wakes.first.swap(0, Ordering::AcqRel);
        let row = &mut self.row;
        match self.last_end {
            None => row.first_delay_ns = now - row.spawned_ns,
            Some(end) if wake == 0 => {
                row.suspended_ns += now - end;
                row.unwoken_ns += now - end;
            }
            Some(end) => {
                let wake = wake.clamp(end, now);
                row.suspended_ns += wake - end;
                row.scheduled_ns += now - wake;
            }
        }
    }

    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let now = self.poll_ended().unwrap_or_else(|| {
            let now = clock::monotonic();
            self.gap_ended(now);
            now
        });
        self.row.ended_ns = now;
        self.row.wakes = self.wakes.count.load(Ordering::Acquire);
        self.row.outcome = if std::thread::panicking() { Outcome::Panicked } else { self.outcome };
        self.recorder.push(self.row.clone());
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The waker in the middle.
#[derive(Default)]
struct Wakes {
    next: Mutex<Option<Waker>>,
    first: AtomicU64,
    count: AtomicU64,
}

impl Wakes {
    fn forward_to(&self, waker: &Waker) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if !next.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *next = Some(waker.clone());
        }
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.count.fetch_add(1, Ordering::AcqRel);
        // Only the first wake of a gap moves the task; a lost exchange is the point.
        let _ = self.first.compare_exchange(0, clock::monotonic(), Ordering::AcqRel, Ordering::Acquire);
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(next) = next {
            next.wake();
        }
    }
}
