//! A processed profile for the Firefox Profiler (profiler.firefox.com), built by samply's library.
//!
//! A thread for each worker, with its samples; polls, stretches off the CPU and wakes are markers. Requests and what they
//! await are markers of a first thread of their own, since they move between workers.

mod markers;

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use fxprof_processed_profile::{
    CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, MarkerTiming, ProcessHandle, Profile, ReferenceTimestamp,
    SamplingInterval, StackHandle, ThreadHandle, Timestamp, WeightType,
};

use self::markers::{Poll, Told};
use super::ExportError;
use super::timeline::{AwaitTexts, Span, Stacks, Timeline, What};
use crate::model::syscalls::syscall_name;
use crate::model::text::printable;
use crate::model::{AwaitOwner, AwaitSpan, Capture, PollSpan, RequestRow, Sample, ScopeSeq, Selection, Stack, State, Symbolize};

/// Writes what happened in the time of `selection`.
pub fn write(
    capture: &Capture,
    selection: &Selection,
    symbols: &mut dyn Symbolize,
    mut out: impl Write,
) -> Result<(), ExportError> {
    let timeline = Timeline::of(capture, selection)?;
    let seen = timeline.samples().map(|sample| &sample.stack).chain(timeline.off_cpu().map(|off| &off.stack));
    let stacks = Stacks::of(seen, symbols);
    let started = ReferenceTimestamp::from_duration_since_unix_epoch(Duration::from_nanos(capture.window.start_unix_ns));
    // One sample weighs as much as the shortest period: at two rates, samples stand for different times.
    let unit_ns = timeline.samples().map(|sample| sample.period_ns).filter(|&ns| ns > 0).min().unwrap_or(1_000_000);
    let name = printable(capture.target.exe.as_bytes());
    let mut profile = Profile::new(&name, started, SamplingInterval::from_nanos(unit_ns));
    let process = profile.add_process(&name, capture.target.pid, Timestamp::from_nanos_since_reference(0));
    let by_scope = capture.requests.iter().map(|row| (row.scope, row)).collect();
    let awaits = AwaitTexts::of(capture, symbols);
    let mut writer = Writer { capture, timeline, stacks, awaits, by_scope, unit_ns, profile, process };
    writer.requests();
    writer.threads();
    writer.profile.set_symbolicated(true);
    serde_json::to_writer(&mut out, &writer.profile)?;
    Ok(out.flush()?)
}

struct Writer<'c> {
    capture: &'c Capture,
    timeline: Timeline<'c>,
    stacks: Stacks,
    awaits: AwaitTexts,
    by_scope: HashMap<ScopeSeq, &'c RequestRow>,
    unit_ns: u64,
    profile: Profile,
    process: ProcessHandle,
}

impl<'c> Writer<'c> {
    /// Times are told from the window's begin. What began before it begins with it.
    fn at(&self, at_ns: u64) -> Timestamp {
        Timestamp::from_nanos_since_reference(at_ns.saturating_sub(self.capture.window.start_ns))
    }

    fn thread(&mut self, tid: u32, name: &str, is_main: bool) -> ThreadHandle {
        let thread = self.profile.add_thread(self.process, tid, Timestamp::from_nanos_since_reference(0), is_main);
        self.profile.set_thread_name(thread, name);
        self.profile.set_thread_samples_weight_type(thread, WeightType::Samples);
        self.profile.set_thread_show_markers_in_timeline(thread, true);
        thread
    }

    fn told(
        &mut self,
        thread: ThreadHandle,
        timing: MarkerTiming,
        name: &str,
        text: &str,
    ) -> fxprof_processed_profile::MarkerHandle {
        let (name, text) = (self.profile.intern_string(name), self.profile.intern_string(text));
        self.profile.add_marker(thread, timing, Told { name, text })
    }

    fn requests(&mut self) {
        let rows: Vec<&RequestRow> = self.timeline.requests().collect();
        let thread = self.thread(self.capture.target.pid, "requests", true);
        self.profile.add_initial_visible_thread(thread);
        for row in rows {
            let end_ns = row.start_ns.saturating_add(row.states.wall_ns());
            let timing = MarkerTiming::Interval(self.at(row.start_ns), self.at(end_ns));
            let text = row.title();
            self.told(thread, timing, "Request", &text);
        }
        let awaits: Vec<_> = self.timeline.awaits().collect();
        for span in awaits {
            let timing = MarkerTiming::Interval(self.at(span.start_ns), self.at(span.end_ns));
            let text = format!("{}: {}", self.waiting(span.what), self.awaits.text(span.what));
            self.told(thread, timing, "Await", &text);
        }
    }

    /// Who waits: a request, or a task that one spawned.
    fn waiting(&self, span: &AwaitSpan) -> String {
        match span.owner {
            AwaitOwner::Scope(scope) => self.by_scope.get(&scope).map_or_else(|| "a request".to_owned(), |row| row.title()),
            AwaitOwner::Child { task_id, .. } => {
                let name = self.timeline.type_name(span.task_type);
                task_id.map_or_else(|| format!("task {name}"), |id| format!("task {id}, {name}"))
            }
        }
    }

    fn threads(&mut self) {
        let mut samples: BTreeMap<u32, Vec<&Sample>> = BTreeMap::new();
        for sample in self.timeline.samples() {
            samples.entry(sample.stack.tid).or_default().push(sample);
        }
        let mut threads = HashMap::new();
        for (tid, mut spans) in self.timeline.threads() {
            let thread = self.thread(tid, &format!("thread {tid}"), false);
            self.profile.add_initial_visible_thread(thread);
            threads.insert(tid, thread);
            self.samples(thread, samples.remove(&tid).unwrap_or_default());
            spans.sort_by_key(|span| (span.start_ns, span.end_ns));
            for span in spans {
                self.span(thread, span);
            }
        }
        let wakes: Vec<_> = self.timeline.wakes().collect();
        for wake in wakes {
            let Some(&thread) = threads.get(&wake.tid) else { continue };
            let woken = self.timeline.type_name(wake.task_type);
            let text = wake.task_id.map_or_else(|| woken.clone(), |id| format!("task {id}, {woken}"));
            let timing = MarkerTiming::Instant(self.at(wake.at_ns));
            self.told(thread, timing, "Wake", &text);
        }
    }

    fn samples(&mut self, thread: ThreadHandle, mut samples: Vec<&Sample>) {
        samples.sort_by_key(|sample| sample.ts_ns);
        let mut before_ns = self.capture.window.start_ns;
        for sample in samples {
            let stack = self.stack(thread, &sample.stack);
            // CPU time since the sample before: not more than what passed.
            let cpu = CpuDelta::from_nanos(sample.period_ns.min(sample.ts_ns.saturating_sub(before_ns)));
            before_ns = sample.ts_ns;
            let units = sample.period_ns.saturating_add(self.unit_ns / 2).checked_div(self.unit_ns).unwrap_or(1);
            let weight = i32::try_from(units.max(1)).unwrap_or(i32::MAX);
            self.profile.add_sample(thread, self.at(sample.ts_ns), stack, cpu, weight);
        }
    }

    fn stack(&mut self, thread: ThreadHandle, stack: &Stack) -> Option<StackHandle> {
        let names = self.stacks.functions(stack).into_iter().map(|name| self.profile.intern_string(&name));
        let category_pair = CategoryHandle::OTHER.into();
        let frames = names.map(|name| FrameInfo { frame: Frame::Label(name), category_pair, flags: FrameFlags::empty() });
        let frames: Vec<FrameInfo> = frames.collect();
        self.profile.intern_stack_frames(thread, frames.into_iter())
    }

    fn span(&mut self, thread: ThreadHandle, span: Span<What<'c>>) {
        let timing = MarkerTiming::Interval(self.at(span.start_ns), self.at(span.end_ns));
        match span.what {
            What::Poll(poll) => self.poll(thread, timing, poll),
            What::Off(off, State::Blocked) => {
                let call = off.syscall.map_or_else(|| "no system call".to_owned(), syscall_name);
                let marker = self.told(thread, timing, "Blocked", &call);
                let stack = self.stack(thread, &off.stack);
                self.profile.set_marker_stack(thread, marker, stack);
            }
            What::Off(off, _) => {
                let marker = self.told(thread, timing, "Preempted", "runnable without a CPU");
                let stack = self.stack(thread, &off.stack);
                self.profile.set_marker_stack(thread, marker, stack);
            }
            // Threads have neither: a task waits on none.
            What::Scheduled(_) | What::Suspended(_) | What::Request(_) => {}
        }
    }

    fn poll(&mut self, thread: ThreadHandle, timing: MarkerTiming, poll: &PollSpan) {
        let row = poll.scope.or(poll.parent_request).and_then(|scope| self.by_scope.get(&scope).copied());
        let request = row.map_or_else(|| "none".to_owned(), RequestRow::title);
        let name = self.timeline.type_name(poll.task_type);
        let (name, request) = (self.profile.intern_string(&name), self.profile.intern_string(&request));
        let waited = poll.ready_ns.map(|ready_ns| poll.start_ns.saturating_sub(ready_ns));
        let numbers = [poll.task_id, waited, Some(poll.running_ns()), Some(poll.blocked_ns), Some(poll.preempted_ns)];
        self.profile.add_marker(thread, timing, Poll { name, request, numbers });
    }
}
