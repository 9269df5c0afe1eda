//! A session over this process: what is attached, and rows that are checked as they are read.

use std::collections::HashSet;
use std::path::Path;

use aya::maps::Array;
use profiler_common::awaits::RequestKey;
use profiler_common::gate::{TELL_BEGIN, TELL_END};
use profiler_common::loss::Loss;
use profiler_common::scope::{ScopeRow, ScopeSlot};
use profiler_common::site::{NO_TYPE, Register, Site, SiteRole, more_registers};
use profiler_common::states::States;
use profiler_common::task::TaskRow;
use profiler_common::totals::TypeTotals;
use profiler_daemon::attach::{
    Attached, AwaitTables, AwaitsOf, Handlers, LinkKind, Order, Pace, Probe, Rate, Room, UprobeMulti, uprobe_multi,
};
use profiler_daemon::collect::{Collected, Collector, LiveTask};

use crate::player::clock::now;
use crate::player::places::file_offset;
use crate::player::scope::Scope;
use crate::player::task::{KNOWN_KINDS, Kind, Task, VTABLE_OFFSET};
use crate::player::triggers;

/// What a test may want otherwise than usual.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) pid: u32,
    pub(crate) links: LinkKind,
    pub(crate) probes: Vec<Probe>,
    pub(crate) rate_hz: Option<u32>,
    /// `None` for every request.
    pub(crate) wanted: Option<Vec<Vec<u8>>>,
    pub(crate) wanted_traces: Vec<[u8; 16]>,
    pub(crate) sample_all: bool,
    pub(crate) poll_record_ns: u64,
    pub(crate) wake_all: bool,
    pub(crate) awaits: AwaitsOf,
    pub(crate) await_tables: Option<AwaitTables<'static>>,
    pub(crate) request_key: RequestKey,
    pub(crate) requests_only: bool,
    /// Where the counter of task ids stands.
    pub(crate) task_ids: Option<u64>,
    pub(crate) handlers: Handlers,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            pid: std::process::id(),
            links: links(),
            probes: task_probes(),
            rate_hz: None,
            wanted: None,
            wanted_traces: Vec::new(),
            sample_all: true,
            poll_record_ns: u64::MAX,
            wake_all: false,
            awaits: AwaitsOf::Nobody,
            await_tables: None,
            request_key: RequestKey::NONE,
            requests_only: false,
            task_ids: None,
            handlers: Handlers::Accounting,
        }
    }
}

impl Wish {
    /// Makes an order of it.
    pub(crate) fn with_order<T>(&self, act: impl FnOnce(&Order<'_>) -> T) -> T {
        let exe = format!("/proc/{}/exe", self.pid);
        act(&Order {
            pid: self.pid,
            exe: Path::new(&exe),
            probes: &self.probes,
            links: self.links,
            types: &Kind::known(),
            type_count: KNOWN_KINDS,
            header_vtable_offset: VTABLE_OFFSET,
            rate: self.rate_hz.map(|hz| Rate { slow_hz: hz, fast_hz: hz }),
            pace: Pace::Slow,
            tell: TELL_BEGIN | TELL_END,
            all_requests: self.wanted.is_none(),
            sample_all: self.sample_all,
            poll_record_ns: self.poll_record_ns,
            wake_all: self.wake_all,
            requests_only: self.requests_only,
            task_ids: self.task_ids,
            chosen_there: self.requests_only,
            keep_times: false,
            room: Room::default(),
            wanted: self.wanted.as_deref().unwrap_or_default(),
            wanted_traces: &self.wanted_traces,
            awaits: self.awaits,
            await_tables: self.await_tables,
            request_key: self.request_key,
            handlers: self.handlers,
        })
    }
}

/// What the product would choose on this kernel: 6.1 has no link for many sites.
fn links() -> LinkKind {
    if uprobe_multi() == UprobeMulti::Works { LinkKind::Multi } else { LinkKind::Single }
}

/// A probe on a function of ours, its arguments where the calling convention puts them.
pub(crate) fn probe(role: SiteRole, function: *const ()) -> Probe {
    Probe {
        offset: file_offset(function as u64),
        site: Site { role, first: Register::Rdi, second: Register::Rsi, repeats: false, pushed: 0, task_type: NO_TYPE },
        semaphore: 0,
        on_return: false,
    }
}

/// One site of each role of a task, its end seen before it is released.
pub(crate) fn task_probes() -> Vec<Probe> {
    let idle_retried = probe(SiteRole::PollIdle, triggers::trigger_idle_retried as *const ());
    vec![
        probe(SiteRole::PollStart, triggers::trigger_poll as *const ()),
        probe(SiteRole::PollIdle, triggers::trigger_idle as *const ()),
        Probe { site: Site { repeats: true, ..idle_retried.site }, ..idle_retried },
        probe(SiteRole::TaskComplete, triggers::trigger_complete as *const ()),
        probe(SiteRole::Wake, triggers::trigger_wake as *const ()),
        probe(SiteRole::Defer, triggers::trigger_defer as *const ()),
        probe(SiteRole::WakerStored, triggers::trigger_waker_stored as *const ()),
        probe(SiteRole::Spawn, triggers::trigger_spawn as *const ()),
        probe(SiteRole::LocalScheduled, triggers::trigger_local_scheduled as *const ()),
    ]
}

/// The annotation's.
pub(crate) fn scope_probes() -> Vec<Probe> {
    let enter = probe(SiteRole::ScopeEnter, triggers::trigger_scope_enter as *const ());
    let spawn = probe(SiteRole::ScopeSpawn, triggers::trigger_scope_spawn as *const ());
    let exit = probe(SiteRole::ScopeExit, triggers::trigger_scope_exit as *const ());
    vec![
        Probe { site: Site { pushed: more_registers(Register::Rdx, Register::Rcx, Register::R8), ..enter.site }, ..enter },
        Probe { site: Site { pushed: more_registers(Register::Rdx, Register::Rcx, Register::R8), ..exit.site }, ..exit },
        probe(SiteRole::ScopeEnd, triggers::trigger_scope_end as *const ()),
        probe(SiteRole::ScopeWake, triggers::trigger_scope_wake as *const ()),
        Probe { site: Site { pushed: more_registers(Register::Rdx, Register::Rcx, Register::R8), ..spawn.site }, ..spawn },
        probe(SiteRole::ScopeTask, triggers::trigger_scope_task as *const ()),
    ]
}

/// What tests of tasks and requests together need.
pub(crate) fn all_probes() -> Vec<Probe> {
    [task_probes(), scope_probes()].concat()
}

/// A session. Its probes leave with it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) attached: Attached,
    collector: Collector,
    closed_ns: Option<u64>,
}

impl Session {
    /// Attached as usual, the window open.
    pub(crate) fn open() -> Self {
        Self::open_with(&Wish::default())
    }

    /// The same for tasks and every request.
    pub(crate) fn open_for_requests() -> Self {
        Self::open_with(&Wish { probes: all_probes(), ..Wish::default() })
    }

    /// The window open.
    pub(crate) fn open_with(wish: &Wish) -> Self {
        let mut session = Self::attach(wish);
        session.attached.open().unwrap_or_else(|error| panic!("{error}"));
        session
    }

    /// The window still shut.
    pub(crate) fn attach(wish: &Wish) -> Self {
        let attached = wish.with_order(Attached::new).unwrap_or_else(|error| panic!("{error}"));
        Self { attached, collector: Collector::default(), closed_ns: None }
    }

    /// Ends the window.
    pub(crate) fn close(&mut self) -> u64 {
        let at_ns = self.attached.close().unwrap();
        self.closed_ns = Some(at_ns);
        at_ns
    }

    /// The ids of the requests that have ended since the last call.
    pub(crate) fn take_ended_ids(&mut self) -> Vec<Vec<u8>> {
        self.collector.take_ended_ids()
    }

    /// Whether the daemon believes that a wanted request is in flight, and so samples fast.
    pub(crate) fn is_request_in_flight(&mut self) -> bool {
        self.collector.drain(&mut self.attached).unwrap();
        self.collector.is_request_in_flight()
    }

    /// Takes the row of a scope out of the kernel's map, as its end does, without the record that an end sends.
    pub(crate) fn lose_row(&mut self, scope: &Scope) {
        let map = self.attached.ebpf().map_mut("SCOPE_SLOTS").unwrap();
        let mut slots: Array<_, ScopeSlot> = Array::try_from(map).unwrap();
        let place = ScopeSlot::place(scope.sequence);
        let slot = slots.get(&place, 0).unwrap();
        assert_eq!(slot.scope, scope.sequence);
        slots.set(place, ScopeSlot { scope: 0, ..slot }, 0).unwrap();
    }

    /// Every row, divided up to the window's end or to now.
    pub(crate) fn collect(&mut self) -> View {
        let at_ns = self.closed_ns.unwrap_or_else(now);
        View::checked(self.collector.collect(&mut self.attached, at_ns).unwrap_or_else(|error| panic!("{error}")))
    }
}

/// What was collected. Every row adds up.
#[derive(Clone, Debug)]
pub(crate) struct View(pub(crate) Collected);

impl View {
    fn checked(collected: Collected) -> Self {
        let mut headers = HashSet::new();
        for LiveTask { header, row, .. } in &collected.tasks {
            assert!(headers.insert(header), "task {header:#x} is there twice");
            adds_up("live task", row.first_ns, row.last_ns, row.states);
        }
        let mut scopes = HashSet::new();
        for (scope, row) in collected.live_requests.iter().chain(&collected.ended_requests) {
            assert!(scopes.insert(scope), "scope {scope} is there twice");
            adds_up("request", row.first_ns, row.last_ns, row.states);
        }
        for row in &collected.ended_children {
            adds_up("child", row.first_ns, row.last_ns, row.states);
        }
        Self(collected)
    }

    /// The live task, which must be there.
    pub(crate) fn task(&self, task: &Task) -> TaskRow {
        self.live(task).unwrap_or_else(|| panic!("no row for {task:?} among {:?}", self.0.tasks)).row
    }

    /// The live task, if it is there.
    pub(crate) fn live(&self, task: &Task) -> Option<LiveTask> {
        self.0.tasks.iter().find(|live| live.header == task.header()).copied()
    }

    /// The request that goes on, which must be there.
    pub(crate) fn request(&self, scope: &Scope) -> ScopeRow {
        let found = self.0.live_requests.iter().find(|(sequence, _)| *sequence == scope.sequence);
        found.unwrap_or_else(|| panic!("no row for {scope:?}")).1
    }

    /// The request that has ended, which must be there.
    pub(crate) fn ended(&self, scope: &Scope) -> ScopeRow {
        let found = self.0.ended_requests.iter().find(|(sequence, _)| *sequence == scope.sequence);
        found.unwrap_or_else(|| panic!("{scope:?} has not ended")).1
    }

    /// The finished tasks of a type.
    pub(crate) fn totals(&self, kind: Kind) -> TypeTotals {
        self.0.totals[kind as usize]
    }

    /// Whether the kernel hid a switch, which is said as the reason of a skip: the time around it is placed as well as can be, and counted, but not
    /// to be compared with a clock.
    pub(crate) fn hides_a_switch(&self) -> bool {
        let hidden = self.0.losses.iter().any(|(loss, count)| *loss == Loss::SwitchInUnseen && *count != 0);
        if hidden {
            profiler_tests::skip::announce("the kernel hid a switch of the thread, so its times are not compared");
        }
        hidden
    }

    /// Exactly these losses were counted, and no others.
    #[track_caller]
    pub(crate) fn lost(&self, expected: &[(Loss, u64)]) {
        // A switch that the kernel hides from tracing programs is no fault of the test's: some machines have them, at any moment.
        // And no unwind tables are loaded here, so every stack is cut: the target `stacks` is about them.
        let beside = [Loss::SwitchInUnseen, Loss::UnwindNoMapping];
        let counted = self.0.losses.iter().copied().filter(|(loss, count)| !beside.contains(loss) && *count != 0);
        assert_eq!(counted.collect::<Vec<_>>(), expected);
    }
}

/// To the nanosecond.
fn adds_up(what: &str, first_ns: u64, last_ns: u64, states: States) {
    assert_eq!(Some(states.wall_ns()), last_ns.checked_sub(first_ns), "{what}: {states:?}");
    assert!(states.stopped_ns <= states.blocked_ns && states.unseen_ns <= states.suspended_ns, "{what}: {states:?}");
}
