//! A Perfetto trace (ui.perfetto.dev): a track for each worker thread, each task and each request, wakes as arrows.
//!
//! Times are those of `CLOCK_MONOTONIC`, as the kernel side took them, so that a trace of the machine can stand beside it.

mod packets;
mod proto;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use self::packets::{Event, Note, Packets};
use self::proto::{
    BUILTIN_CLOCK_MONOTONIC, BUILTIN_CLOCK_REALTIME, Clock, ClockSnapshot, ProcessDescriptor, ThreadDescriptor, TracePacket,
    TrackDescriptor, Type,
};
use super::ExportError;
use super::timeline::{AwaitTexts, Edge, PollKey, Span, Stacks, Timeline, What, Whose, lanes, owner};
use crate::model::syscalls::syscall_name;
use crate::model::text::printable;
use crate::model::{AwaitSpan, Capture, PollSpan, RequestRow, ScopeSeq, Selection, State, Symbolize};

/// Track of the process; others are numbered from here.
const PROCESS: u64 = 1;
/// Track that the tasks' tracks stand under.
const TASKS: u64 = 2;
const FIRST: u64 = 16;

/// Writes what happened in the time of `selection`.
pub fn write(capture: &Capture, selection: &Selection, symbols: &mut dyn Symbolize, out: impl Write) -> Result<(), ExportError> {
    let timeline = Timeline::of(capture, selection)?;
    let seen = timeline.samples().map(|sample| &sample.stack).chain(timeline.off_cpu().map(|off| &off.stack));
    let stacks = Stacks::of(seen, symbols);
    let by_scope = capture.requests.iter().map(|row| (row.scope, row)).collect();
    let awaits = AwaitTexts::of(capture, symbols);
    let mut writer = Writer { capture, timeline: &timeline, stacks, awaits, by_scope, packets: Packets::new(out), next: FIRST };
    writer.begin()?;
    writer.threads()?;
    writer.tasks()?;
    Ok(writer.packets.end()?)
}

struct Writer<'t, 'c, W> {
    capture: &'c Capture,
    timeline: &'t Timeline<'c>,
    stacks: Stacks,
    awaits: AwaitTexts,
    by_scope: HashMap<ScopeSeq, &'c RequestRow>,
    packets: Packets<W>,
    next: u64,
}

impl<'c, W: Write> Writer<'_, 'c, W> {
    fn begin(&mut self) -> io::Result<()> {
        let window = &self.capture.window;
        let clock = |id, at_ns| Clock { clock_id: Some(id), timestamp: Some(at_ns) };
        let clocks = vec![clock(BUILTIN_CLOCK_MONOTONIC, window.start_ns), clock(BUILTIN_CLOCK_REALTIME, window.start_unix_ns)];
        let clock_snapshot = Some(ClockSnapshot { clocks, primary_trace_clock: Some(BUILTIN_CLOCK_MONOTONIC) });
        self.packets.packet(TracePacket { clock_snapshot, ..TracePacket::default() })?;
        let process_name = Some(printable(self.capture.target.exe.as_bytes()));
        let process = ProcessDescriptor { pid: Some(self.pid()), process_name };
        self.packets.track(TrackDescriptor { uuid: Some(PROCESS), process: Some(process), ..TrackDescriptor::default() })?;
        self.named(TASKS, PROCESS, "tasks".to_owned())
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.capture.target.pid).unwrap_or(i32::MAX)
    }

    const fn uuid(&mut self) -> u64 {
        self.next = self.next.saturating_add(1);
        self.next
    }

    fn named(&mut self, uuid: u64, parent: u64, name: String) -> io::Result<()> {
        let (uuid, parent_uuid) = (Some(uuid), Some(parent));
        self.packets.track(TrackDescriptor { uuid, parent_uuid, name: Some(name), ..TrackDescriptor::default() })
    }

    /// Polls, what they were off the CPU for, samples, and the wakes that began here.
    fn threads(&mut self) -> io::Result<()> {
        let led = self.timeline.led_to();
        let mut tracks = HashMap::new();
        for (tid, spans) in self.timeline.threads() {
            let uuid = self.uuid();
            tracks.insert(tid, uuid);
            let thread_name = Some(format!("thread {tid}"));
            let thread = ThreadDescriptor { pid: Some(self.pid()), tid: Some(i64::from(tid)), thread_name };
            let (parent_uuid, thread) = (Some(PROCESS), Some(thread));
            self.packets.track(TrackDescriptor { uuid: Some(uuid), parent_uuid, thread, ..TrackDescriptor::default() })?;
            self.spans(uuid, spans, |what, event| {
                if let What::Poll(poll) = what {
                    event.ends_flows = led.get(&PollKey::of(poll)).cloned().unwrap_or_default();
                }
            })?;
        }
        let drawn: HashSet<u64> = led.into_values().flatten().collect();
        for (wake, number) in self.timeline.wakes().zip(1..) {
            let Some(&track) = tracks.get(&wake.tid) else { continue };
            let name = format!("wake {}", self.timeline.type_name(wake.task_type));
            let mut event = Event::new(wake.at_ns, track, Type::Instant, name);
            event.notes.extend(wake.task_id.map(|id| Note::Number("task_id", id)));
            event.flows.extend(drawn.contains(&number).then_some(number));
            self.packets.event(event)?;
        }
        for sample in self.timeline.samples() {
            let Some(&track) = tracks.get(&sample.stack.tid) else { continue };
            let functions = self.stacks.functions(&sample.stack);
            let name = format!("sample in {}", functions.last().map_or("[no stack]", String::as_str));
            let mut event = Event::new(sample.ts_ns, track, Type::Instant, name);
            event.notes = vec![Note::Number("cpu_ns", sample.period_ns), Note::Text("stack", functions.join("\n"))];
            self.packets.event(event)?;
        }
        Ok(())
    }

    /// Polls, waits for a worker and awaits; requests on a track under it, since they begin and end inside of polls.
    fn tasks(&mut self) -> io::Result<()> {
        let mut requests: HashMap<Whose, Vec<Span<What<'c>>>> = HashMap::new();
        for row in self.timeline.requests() {
            let end_ns = row.start_ns.saturating_add(row.states.wall_ns());
            requests.entry(owner(row)).or_default().push(Span { start_ns: row.start_ns, end_ns, what: What::Request(row) });
        }
        for (whose, (task_type, spans)) in self.timeline.tasks() {
            let name = match whose {
                Whose::Task(id) => format!("task {id}, {}", self.timeline.type_name(task_type)),
                Whose::Scope(_) => self.timeline.type_name(task_type),
            };
            let uuid = self.uuid();
            self.named(uuid, TASKS, name)?;
            self.spans(uuid, spans, |_, _| ())?;
            if let Some(requests) = requests.remove(&whose) {
                let track = self.uuid();
                self.named(track, uuid, "requests".to_owned())?;
                self.spans(track, requests, |_, _| ())?;
            }
        }
        Ok(())
    }

    fn spans(&mut self, uuid: u64, spans: Vec<Span<What<'c>>>, mut more: impl FnMut(What<'c>, &mut Event)) -> io::Result<()> {
        for (lane, number) in lanes(spans).into_iter().zip(0_u32..) {
            let mut track = uuid;
            if number > 0 {
                track = self.uuid();
                self.named(track, uuid, "overlapping".to_owned())?;
            }
            for edge in lane {
                let event = match edge {
                    Edge::Begin(at_ns, what) => {
                        let mut event = self.slice(at_ns, track, what);
                        more(what, &mut event);
                        event
                    }
                    Edge::End(at_ns) => Event::new(at_ns, track, Type::SliceEnd, String::new()),
                };
                self.packets.event(event)?;
            }
        }
        Ok(())
    }

    fn slice(&self, at_ns: u64, track: u64, what: What<'_>) -> Event {
        let (name, notes) = match what {
            What::Poll(poll) => (self.poll_name(poll), poll_notes(poll)),
            What::Off(off, state) => {
                let call = off.syscall.filter(|_| state == State::Blocked).map(|number| format!(" in {}", syscall_name(number)));
                let stack = Note::Text("stack", self.stacks.functions(&off.stack).join("\n"));
                (format!("{}{}", state.name(), call.unwrap_or_default()), vec![stack])
            }
            What::Scheduled(_) => (State::Scheduled.name().to_owned(), Vec::new()),
            What::Suspended(span) => (self.awaits.text(span).to_owned(), wait_notes(span)),
            What::Request(row) => (row.title(), Vec::new()),
        };
        Event { notes, ..Event::new(at_ns, track, Type::SliceBegin, name) }
    }

    fn poll_name(&self, poll: &PollSpan) -> String {
        let inside = poll.scope.and_then(|scope| self.by_scope.get(&scope).copied());
        inside.map_or_else(|| self.timeline.type_name(poll.task_type), RequestRow::title)
    }
}

fn wait_notes(span: &AwaitSpan) -> Vec<Note> {
    let awaited = span.awaited_task.map(|id| Note::Number("awaited_task_id", id));
    [Note::Number("suspended_ns", span.suspended_ns), Note::Number("scheduled_ns", span.scheduled_ns)]
        .into_iter()
        .chain(awaited)
        .collect()
}

fn poll_notes(poll: &PollSpan) -> Vec<Note> {
    let mut notes = vec![Note::Number("running_ns", poll.running_ns())];
    notes.extend(poll.task_id.map(|id| Note::Number("task_id", id)));
    let waited = poll.ready_ns.map(|ready_ns| poll.start_ns.saturating_sub(ready_ns));
    notes.extend(waited.map(|ns| Note::Number("scheduled_ns", ns)));
    notes.push(Note::Number("tid", u64::from(poll.tid)));
    notes
}
