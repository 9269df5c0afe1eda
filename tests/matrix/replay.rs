//! What a run's hits must look like if every site means what it claims.

use std::collections::{BTreeMap, HashMap, HashSet};

use profiler_daemon::inspect::{Inspection, Role, TaskKind};

use crate::tracer::Hit;

/// Bits of Tokio's state word (`state.rs`).
const RUNNING: u64 = 1;
const NOTIFIED: u64 = 4;
const CANCELLED: u64 = 32;

/// How often each role was seen.
pub(crate) type Seen = BTreeMap<Role, usize>;

/// Goes through the hits as the kernel side does, and panics at the first that does not fit.
pub(crate) fn check(name: &str, inspection: &Inspection, hits: &[Hit<'_>]) -> Seen {
    let mut replay = Replay {
        name,
        inspection,
        open: HashMap::new(),
        closed: HashMap::new(),
        live: HashSet::new(),
        ids: HashMap::new(),
        done: HashSet::new(),
    };
    let mut seen = Seen::new();
    for hit in hits {
        *seen.entry(hit.site.role).or_default() += 1;
        replay.step(hit);
    }
    let left: Vec<&Hit<'_>> = replay.open.values().flatten().collect();
    assert!(left.is_empty(), "{name}: polls that never ended: {left:x?}");
    assert!(replay.live.is_empty(), "{name}: tasks that never completed: {:x?}", replay.live);
    seen
}

struct Replay<'a, 'i> {
    name: &'a str,
    inspection: &'a Inspection,
    /// Open polls of each thread, the innermost last.
    open: HashMap<i32, Vec<Hit<'i>>>,
    /// The header whose poll each thread closed last.
    closed: HashMap<i32, u64>,
    /// Headers of the tasks that were polled and have not completed.
    live: HashSet<u64>,
    /// The id of each live task.
    ids: HashMap<u64, u64>,
    /// Ids of tasks that completed.
    done: HashSet<u64>,
}

impl<'i> Replay<'_, 'i> {
    fn step(&mut self, hit: &Hit<'i>) {
        let name = self.name;
        let task_type = self.inspection.task_types.iter().position(|task_type| task_type.vtable == hit.vtable);
        assert!(task_type.is_some(), "{name}: the header has no known vtable: {hit:x?}");
        if let (Some(of_site), Some(of_header)) = (hit.site.task_type, task_type) {
            assert_eq!(usize::try_from(of_site).ok(), Some(of_header), "{name}: a site of another type: {hit:x?}");
        }
        match hit.site.role {
            Role::PollStart => self.on_start(hit),
            Role::PollIdle => self.on_idle(hit),
            Role::PollComplete => self.on_complete(hit),
            _ => {}
        }
    }

    fn on_start(&mut self, hit: &Hit<'i>) {
        let name = self.name;
        assert!(hit.state & NOTIFIED != 0, "{name}: polled without being notified: {hit:x?}");
        assert!(hit.state & RUNNING == 0, "{name}: polled while running: {hit:x?}");
        if let Some(id) = hit.id {
            assert_ne!(id, 0, "{name}: {hit:x?}");
            assert!(!self.done.contains(&id), "{name}: polled after it completed: {hit:x?}");
            let known = *self.ids.entry(hit.header).or_insert(id);
            assert_eq!(known, id, "{name}: the id changed while the task lived: {hit:x?}");
        }
        self.live.insert(hit.header);
        self.open.entry(hit.thread).or_default().push(*hit);
    }

    fn on_idle(&mut self, hit: &Hit<'i>) {
        let name = self.name;
        let open = self.open.entry(hit.thread).or_default();
        let Some(start) = open.last().filter(|start| start.header == hit.header) else {
            let again = hit.site.repeats && self.closed.get(&hit.thread) == Some(&hit.header);
            assert!(again, "{name}: idle without a poll: {hit:x?}");
            return;
        };
        // The whole point: the task still belongs to this poll.
        assert!(hit.state & RUNNING != 0, "{name}: idle after the release: {hit:x?}");
        let in_body = self
            .inspection
            .task_types
            .iter()
            .any(|task_type| task_type.vtable == hit.vtable && [task_type.body, task_type.poll].contains(&hit.site.function));
        if in_body {
            assert_eq!(hit.entry_stack, start.entry_stack, "{name}: the entry's stack pointer: {hit:x?}");
        } else {
            assert!(hit.entry_stack < start.entry_stack, "{name}: a callee's frame lies below: {hit:x?}");
        }
        if hit.state & CANCELLED == 0 {
            open.pop();
            self.closed.insert(hit.thread, hit.header);
        }
    }

    fn on_complete(&mut self, hit: &Hit<'i>) {
        let open = self.open.entry(hit.thread).or_default();
        if open.last().is_some_and(|start| start.header == hit.header) {
            open.pop();
            self.closed.insert(hit.thread, hit.header);
        }
        self.live.remove(&hit.header);
        if let Some(id) = hit.id {
            self.ids.remove(&hit.header);
            self.done.insert(id);
        }
    }
}

/// The fixture polls, wakes and ends tasks of every kind; how often is up to its timers, but never less than this.
pub(crate) fn check_counts(name: &str, inspection: &Inspection, seen: &Seen) {
    let count = |role| seen.get(&role).copied().unwrap_or(0);
    let has = |role| inspection.sites_with(role).any(|site| site.class.is_emulated());
    // load, store, Countdown, the waiter, a detached, an aborted and a forgotten task, another load, two local tasks, a blocking closure.
    assert!(count(Role::PollStart) >= 11 + 8, "{name}: {seen:?}");
    assert!(count(Role::PollComplete) >= 11, "{name}: {seen:?}");
    // Countdown waits three times, the others that wait once, some of them by a timer that may have passed.
    assert!(count(Role::PollIdle) >= 8, "{name}: {seen:?}");
    // Countdown and `yield_now` wake their own task by reference. Link-time optimisation calls or inlines that directly, past the
    // waker's vtable; then the state word at idle tells it (NOTIFIED).
    let is_whole = !name.contains("fat") && !name.contains("thin");
    assert!(!is_whole || count(Role::WakeByRef) >= 3, "{name}: {seen:?}");
    // Timers and the channel wake other tasks, by value.
    assert!(!has(Role::WakeByVal) || count(Role::WakeByVal) >= 1, "{name}: {seen:?}");
    let spawns = inspection.task_types.iter().any(|task_type| task_type.kind == TaskKind::MultiThread);
    assert!(!(spawns && has(Role::Spawn)) || count(Role::Spawn) >= 1, "{name}: {seen:?}");
    assert!(!has(Role::SpawnBlocking) || count(Role::SpawnBlocking) >= 1, "{name}: {seen:?}");
}
