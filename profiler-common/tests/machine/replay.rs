//! Stories: events with times and what must come of them, as text in `tests/replay`, played through the same handlers.
//!
//! ```text
//! # a comment
//! TIME THREAD EVENT [OBJECT] [WORD]
//! TIME ? OBJECT running=N preempted=N blocked=N scheduled=N suspended=N [stopped=N] [unseen=N] [polls=N]
//! ? LOSS N
//! ```
//!
//! | event | object | word |
//! | --- | --- | --- |
//! | `in`, `wakeup` | | |
//! | `out` | | `preempted`, `asleep`, `stopped` |
//! | `spawn`, `start`, `complete`, `defer` | task | |
//! | `idle` | task | `notified`, `cancelled` |
//! | `return` (a poll function returns) | | |
//! | `wake` | task | the stamp, if the compare-exchange comes later |
//! | `enter`, `exit`, `end` | scope | |
//!
//! Threads are numbers, tasks begin with `t`, scopes with `r`. Times and states are ns; states not named are 0. A `?` line with a
//! time looks at the row as it would be then; without one, at the losses at the end, of which every one must be named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use profiler_common::clock::Snapshot;
use profiler_common::frame::FrameKind;
use profiler_common::states::States;
use profiler_common::task::state_word;

use crate::kernel::Kernel;
use crate::rules::{Machine, Real};

/// A place in the story that does not read or does not hold.
type Wrong = String;

struct Story<M> {
    kernel: Kernel<M>,
    losses: BTreeMap<String, u64>,
}

fn number<T: std::str::FromStr>(word: Option<&str>) -> Result<T, Wrong> {
    let word = word.ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("«{word}» is no number"))
}

/// The number in `t7` or `r7`.
fn object(word: Option<&str>) -> Result<(char, u64), Wrong> {
    let word = word.ok_or("an object is missing")?;
    let (kind, rest) = word.split_at_checked(1).ok_or("an object is missing")?;
    match kind {
        "t" => Ok(('t', number(Some(rest))?)),
        "r" => Ok(('r', number(Some(rest))?)),
        _ => Err(format!("«{word}» is neither a task nor a scope")),
    }
}

impl<M: Machine> Story<M> {
    fn line(&mut self, line: &str) -> Result<(), Wrong> {
        let mut words = line.split_whitespace();
        match words.next() {
            None => Ok(()),
            Some("?") => {
                let name = words.next().ok_or("a loss is missing")?;
                self.losses.insert(name.to_owned(), number(words.next())?);
                Ok(())
            }
            Some(time) => {
                let now_ns = number(Some(time))?;
                match words.next() {
                    Some("?") => self.look(now_ns, words),
                    thread => self.event(now_ns, number(thread)?, words),
                }
            }
        }
    }

    fn event<'word>(&mut self, now_ns: u64, tid: usize, mut words: impl Iterator<Item = &'word str>) -> Result<(), Wrong> {
        let event = words.next().ok_or("an event is missing")?;
        let kernel = &mut self.kernel;
        let thread = kernel.threads.get_mut(tid).ok_or("there are no more than 4 threads")?;
        let snapshot = Snapshot { now_ns, off: thread.off, torn: false };
        let frames = &thread.frames;
        let polls = frames.frames.iter().take(frames.depth as usize).filter(|frame| frame.kind == FrameKind::Poll as u32).count();
        let sp = 0x7000_0000 - polls as u64 * 0x1000;
        match event {
            "in" => M::switch_in(thread, now_ns),
            "wakeup" => thread.on_wakeup(now_ns),
            "out" => {
                let (preempt, state) = match words.next() {
                    Some("preempted") => (true, 1),
                    Some("asleep") => (false, 1),
                    Some("stopped") => (false, 0x108),
                    other => return Err(format!("{other:?} is no way to leave a CPU")),
                };
                M::switch_out(thread, now_ns, M::reason(preempt, state));
            }
            "return" => kernel.returned(tid, &snapshot),
            _ => {
                let (kind, key) = object(words.next())?;
                match (event, kind) {
                    ("spawn", 't') => kernel.spawn(tid, key, key, now_ns),
                    ("start", 't') => {
                        kernel.start_arrive(tid, key, sp, false);
                        kernel.task_row(key, key, now_ns);
                        let wake_ns = kernel.start_take(key);
                        kernel.start_open(tid, key, sp, &snapshot, wake_ns);
                    }
                    ("idle", 't') => {
                        let word = match words.next() {
                            None => 0,
                            Some("notified") => state_word::NOTIFIED,
                            Some("cancelled") => state_word::CANCELLED,
                            Some(other) => return Err(format!("«{other}» is no state")),
                        };
                        kernel.idle(tid, key, sp, word, &snapshot, true);
                    }
                    ("complete", 't') => kernel.complete(tid, key, sp, &snapshot),
                    ("defer", 't') => kernel.defer(key),
                    ("wake", 't') => {
                        let stamp = words.next().map_or(Ok(now_ns), |word| number(Some(word)))?;
                        kernel.wake_note(key, stamp);
                    }
                    ("enter", 'r') => kernel.enter(tid, key, &snapshot),
                    ("exit", 'r') => kernel.exit(tid, key, &snapshot),
                    ("end", 'r') => kernel.scope_end(tid, key, &snapshot),
                    _ => return Err(format!("«{event}» is no event of «{kind}»")),
                }
            }
        }
        match words.next() {
            Some(word) => Err(format!("«{word}» is too much")),
            None => self.kernel.identity(now_ns),
        }
    }

    fn look<'word>(&self, at_ns: u64, mut words: impl Iterator<Item = &'word str>) -> Result<(), Wrong> {
        let kernel = &self.kernel;
        let (states, polls) = match object(words.next())? {
            ('t', id) => {
                let live = kernel.tasks.get(&id).map(|row| row.projected(kernel.threads.get(row.tid as usize), at_ns));
                let row = live.or_else(|| kernel.finished.iter().rfind(|row| row.id == id).copied()).ok_or("no such task")?;
                (row.states, row.polls)
            }
            (_, sequence) => {
                let live = kernel
                    .scopes
                    .get(&sequence)
                    .map(|row| row.projected(kernel.threads.get(row.tid as usize), kernel.tasks.get(&row.task), at_ns));
                let ended = || kernel.requests.iter().rfind(|row| row.0 == sequence).map(|row| row.1);
                let row = live.or_else(ended).ok_or("no such scope")?;
                (row.states, row.polls)
            }
        };
        let mut must = States::default();
        let mut must_polls = polls;
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("«{word}» is no state=ns"))?;
            let value = number(Some(value))?;
            match name {
                "running" => must.running_ns = value,
                "preempted" => must.preempted_ns = value,
                "blocked" => must.blocked_ns = value,
                "scheduled" => must.scheduled_ns = value,
                "suspended" => must.suspended_ns = value,
                "stopped" => must.stopped_ns = value,
                "unseen" => must.unseen_ns = value,
                "polls" => must_polls = value,
                _ => return Err(format!("«{name}» is no state")),
            }
        }
        if (states, polls) == (must, must_polls) { Ok(()) } else { Err(format!("is {states:?}, polls {polls}")) }
    }
}

fn replay<M: Machine>(text: &str) -> Result<(), Wrong> {
    let mut story = Story::<M> { kernel: Kernel::new(4), losses: BTreeMap::new() };
    for (place, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        story.line(line).map_err(|why| format!("line {}, «{}»: {why}", place + 1, line.trim()))?;
    }
    let losses: BTreeMap<String, u64> = story.kernel.losses().into_iter().map(|(name, many)| (name.to_owned(), many)).collect();
    if losses == story.losses { Ok(()) } else { Err(format!("the losses are {losses:?}")) }
}

/// Check that every story comes out as it says.
#[test]
fn stories_come_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    let mut told = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        replay::<Real>(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        told += 1;
    }
    assert!(told >= 10, "only {told} stories were found");
}

/// Check that a story that does not hold, or does not read, is told.
#[test]
fn a_wrong_story_is_told() {
    for (text, why) in [
        ("100 1 spawn t1\n150 ? t1 suspended=50", "is States"),
        ("100 1 idle t1", "losses are"),
        ("100 1 dance t1", "no event"),
        ("100 9 in", "threads"),
        ("100 1 spawn x1", "neither"),
        ("100 1 in t1", "too much"),
        ("1oo 1 in", "no number"),
    ] {
        let told = replay::<Real>(text).expect_err(text);
        assert!(told.contains(why), "{text}: {told}");
    }
}
