//! Plans for made-up inspections.

use super::*;
use crate::inspect::{
    HeaderLayout, InstructionClass, NameSource, Note, Placement, Proof, Register, Role, Segment, Spot, TaskKind, TaskType,
    TokioVersion,
};

const MACHINE: Machine =
    Machine { kernel: (6, 18), uprobe_multi: MultiSupport::Yes, uretprobe_safe: true, virtual_machine: true };
const EVERYTHING: Wanted = Wanted { tasks: true, scopes: true, wakes: true, spawns: true, wakers: true, times: false };

fn site(role: Role, vaddr: u64, class: InstructionClass, task_type: Option<u32>) -> Site {
    Site {
        role,
        vaddr,
        file_offset: vaddr,
        class,
        header: (role != Role::PollReturn).then_some(Register::Rdi),
        sp_base: Register::Rsp,
        sp_adjust: 0,
        task_type,
        repeats: false,
        placement: Placement::Entry,
        function: vaddr & !0xff,
        function_name: None,
        instruction: "push rbp".to_owned(),
        proof: Proof::made_up(),
        plain: Vec::new(),
        candidates: Vec::new(),
    }
}

fn task_type(index: u64, kind: TaskKind) -> TaskType {
    TaskType {
        vtable: 0x10_0000 + index * 80,
        poll: 0x1000 + index * 0x100,
        body: 0x1000 + index * 0x100,
        body_end: Some(0x1100 + index * 0x100),
        shutdown: 0x8000,
        id_offset: Some(40),
        scheduler_offset: None,
        trailer_offset: None,
        kind,
        name: format!("app::task{index}"),
        raw_name: None,
        name_source: NameSource::Symbol,
    }
}

/// Two ordinary types with all their sites.
fn inspection() -> Inspection {
    let mut sites = vec![
        site(Role::PollComplete, 0x4000, InstructionClass::Push, None),
        site(Role::WakeByVal, 0x5000, InstructionClass::Push, None),
        site(Role::WakeByRef, 0x5100, InstructionClass::ConditionalJump, None),
        site(Role::Spawn, 0x6000, InstructionClass::Push, None),
    ];
    for index in 0..2 {
        let poll = 0x1000 + u64::from(index) * 0x100;
        sites.push(site(Role::PollStart, poll, InstructionClass::Push, Some(index)));
        sites.push(site(Role::PollIdle, poll + 0x40, InstructionClass::ConditionalJump, Some(index)));
        sites.push(site(Role::PollReturn, poll + 0x80, InstructionClass::SingleStepped, Some(index)));
    }
    Inspection {
        build_id: None,
        annotation_table: None,
        next_task_id: None,
        pie: true,
        shared_object: false,
        tokio: Some(TokioVersion { major: 1, minor: 54, patch: 1 }),
        has_symbols: true,
        has_debug_info: false,
        segments: Vec::new(),
        header: HeaderLayout { state: 0, vtable: 16 },
        task_types: vec![task_type(0, TaskKind::MultiThread), task_type(1, TaskKind::CurrentThread)],
        sites,
        usdt: Vec::new(),
        notes: Vec::new(),
    }
}

fn without(role: Role) -> Inspection {
    let mut inspection = inspection();
    inspection.sites.retain(|site| site.role != role);
    inspection
}

fn roles(plan: &Plan) -> Vec<(Role, ProbeKind)> {
    let mut roles: Vec<_> = plan.sites.iter().map(|planned| (planned.site.role, planned.probe)).collect();
    roles.dedup();
    roles
}

fn missing<'p>(plan: &'p Plan, what: &str) -> Option<&'p Missing> {
    plan.missing.iter().find(|missing| missing.what == what)
}

#[test]
fn ends_before_the_release_are_preferred() {
    let plan = plan(&inspection(), &MACHINE, &EVERYTHING).unwrap();
    assert_eq!(plan.poll_end, PollEndMethod::BeforeRelease);
    assert!(plan.sites.iter().all(|planned| planned.probe == ProbeKind::Entry && planned.link == LinkKind::Multi));
    assert!(!roles(&plan).iter().any(|(role, _)| *role == Role::PollReturn));
    assert_eq!(plan.cost.poll, CostRange { least_ns: 1_200, most_ns: 1_200 });
    assert!(missing(&plan, "await stacks").is_none());
    assert!(missing(&plan, "requests").is_some(), "the annotation is not linked");
}

#[test]
fn only_what_is_wanted_is_planned() {
    let wanted = Wanted { tasks: true, scopes: false, wakes: false, spawns: false, wakers: false, times: false };
    let plan = plan(&inspection(), &MACHINE, &wanted).unwrap();
    let kinds: Vec<Role> = roles(&plan).into_iter().map(|(role, _)| role).collect();
    assert_eq!(kinds, [Role::PollStart, Role::PollIdle, Role::PollComplete]);
    assert_eq!((plan.cost.wake, plan.cost.spawn), (None, None));
    assert_eq!(plan.missing, []);
}

#[test]
fn without_idle_sites_a_return_probe_serves_where_it_is_safe() {
    let plan = plan(&without(Role::PollIdle), &MACHINE, &EVERYTHING).unwrap();
    assert_eq!(plan.poll_end, PollEndMethod::ReturnProbe);
    assert!(roles(&plan).contains(&(Role::PollReturn, ProbeKind::Return)));
    assert_eq!(plan.cost.poll.least_ns, 600 + 430);
    assert!(missing(&plan, "await stacks").is_some());
    for planned in plan.sites.iter().filter(|planned| planned.probe == ProbeKind::Return) {
        assert_eq!(planned.site.header, None, "after the release the header must not be read");
        assert_eq!(planned.site.vaddr, planned.site.function, "a return probe sits at the entry");
    }
}

#[test]
fn a_return_probe_is_never_planned_where_it_may_kill() {
    let machine = Machine { uretprobe_safe: false, ..MACHINE };
    let plan = plan(&without(Role::PollIdle), &machine, &EVERYTHING).unwrap();
    assert_eq!(plan.poll_end, PollEndMethod::ReturnInstructions);
    assert!(plan.sites.iter().all(|planned| planned.probe == ProbeKind::Entry));
    let mut bare = without(Role::PollIdle);
    bare.sites.retain(|site| site.role != Role::PollReturn);
    let error = super::plan(&bare, &machine, &EVERYTHING).unwrap_err();
    assert_eq!(error, PlanError::NoPollEnd { name: "app::task0".to_owned() });
}

#[test]
fn a_return_probe_needs_the_entry_instruction() {
    let mut moved = without(Role::PollIdle);
    for site in moved.sites.iter_mut().filter(|site| site.role == Role::PollStart) {
        site.placement = Placement::AfterEntry;
    }
    let plan = plan(&moved, &MACHINE, &EVERYTHING).unwrap();
    assert_eq!(plan.poll_end, PollEndMethod::ReturnInstructions);
}

#[test]
fn one_unrecognised_type_does_not_spoil_the_others() {
    let mut inspection = inspection();
    inspection.notes.push(Note::IdleNotRecognised { types: vec![1] });
    let plan = plan(&inspection, &MACHINE, &EVERYTHING).unwrap();
    assert_eq!(plan.poll_end, PollEndMethod::BeforeRelease);
    assert_eq!(plan.other_ends, [(1, PollEndMethod::ReturnProbe)]);
    let returns: Vec<u64> =
        plan.sites.iter().filter(|planned| planned.probe == ProbeKind::Return).map(|planned| planned.site.vaddr).collect();
    assert_eq!(returns, [0x1100]);
    let told = missing(&plan, "await stacks of 1 of 2 task types").unwrap();
    assert!(told.why.contains("after the task was released"), "{told:?}");
    assert!(missing(&plan, "await stacks").is_none(), "those of the other type are seen");
}

#[test]
fn a_type_without_a_start_is_an_error() {
    let mut inspection = inspection();
    inspection.sites.retain(|site| site.vaddr != 0x1100);
    let error = plan(&inspection, &MACHINE, &EVERYTHING).unwrap_err();
    assert_eq!(error, PlanError::NoPollStart { name: "app::task1".to_owned(), poll: 0x1100 });
    assert!(error.to_string().contains("app::task1"));
}

#[test]
fn single_links_say_what_they_cost() {
    for support in [MultiSupport::No, MultiSupport::BrokenPidFilter] {
        let plan = plan(&inspection(), &Machine { uprobe_multi: support, ..MACHINE }, &EVERYTHING).unwrap();
        assert!(plan.sites.iter().all(|planned| planned.link == LinkKind::Single));
        assert!(missing(&plan, "a quick detach").is_some_and(|missing| missing.why.contains("8 single uprobes")));
    }
}

#[test]
fn metal_is_cheaper_and_single_steps_are_dear() {
    let metal = Machine { virtual_machine: false, ..MACHINE };
    assert_eq!(plan(&inspection(), &metal, &EVERYTHING).unwrap().cost.poll.least_ns, 2 * 324);
    let mut stepped = inspection();
    for site in stepped.sites.iter_mut().filter(|site| site.role == Role::PollIdle && site.task_type == Some(1)) {
        site.class = InstructionClass::SingleStepped;
    }
    let cost = plan(&stepped, &MACHINE, &EVERYTHING).unwrap().cost;
    assert_eq!(cost.poll, CostRange { least_ns: 1_200, most_ns: 10_600 });
}

#[test]
fn old_tokio_has_no_spawn_site() {
    let mut old = without(Role::Spawn);
    old.tokio = Some(TokioVersion { major: 1, minor: 28, patch: 2 });
    let plan = plan(&old, &MACHINE, &EVERYTHING).unwrap();
    assert!(missing(&plan, "spawns").is_some_and(|missing| missing.how_to_get.contains("1.38")));
}

fn spot(vaddr: u64, class: InstructionClass, repeats: bool) -> Spot {
    Spot {
        vaddr,
        class,
        instruction: format!("{class:?}"),
        header: Register::Rbx,
        sp_base: Register::Rsp,
        sp_adjust: 24,
        repeats,
        placement: Placement::AfterEntry,
        proof: Proof::made_up(),
    }
}

/// One wake site that begins with `sub rsp` and may move to a long nop, a call, and a jump in a loop.
fn moving() -> Inspection {
    let mut inspection = inspection();
    inspection.segments =
        vec![Segment { vaddr: 0, file_offset: 0x100, file_size: 0x10_000, mem_size: 0x10_000, executable: true }];
    let site = inspection.sites.iter_mut().find(|site| site.role == Role::WakeByRef).unwrap();
    site.plain = vec![spot(0x5100, InstructionClass::SingleStepped, false)];
    site.candidates = vec![
        spot(0x5100, InstructionClass::SingleStepped, false),
        spot(0x5104, InstructionClass::LongNop, false),
        spot(0x5108, InstructionClass::ConditionalJump, true),
        spot(0x510a, InstructionClass::Call, false),
    ];
    inspection
}

fn wake_by_ref(machine: &Machine, placing: Placing) -> PlannedSite {
    let plan = plan_placed(&moving(), machine, &EVERYTHING, placing).unwrap();
    let planned = plan.sites.into_iter().find(|planned| planned.site.role == Role::WakeByRef).unwrap();
    assert_eq!(planned.site.file_offset, planned.site.vaddr + 0x100);
    planned
}

#[test]
fn a_site_goes_where_a_hit_costs_least_on_this_machine() {
    let planned = wake_by_ref(&MACHINE, Placing::Cheapest);
    assert_eq!((planned.site.vaddr, planned.hit_ns, planned.emulated), (0x5104, 600, true), "of equals the one that is hit once");
    assert_eq!((planned.plain, planned.plain_ns), (vec![0x5100], 10_000));
    assert_eq!((planned.site.header, planned.site.sp_adjust), (Some(Register::Rbx), 24));
    let before_nops = Machine { kernel: (6, 12), ..MACHINE };
    assert_eq!(wake_by_ref(&before_nops, Placing::Cheapest).site.vaddr, 0x5108, "6.12 steps over a long nop");
}

#[test]
fn plain_sites_are_taken_where_they_are_asked_for() {
    let planned = wake_by_ref(&MACHINE, Placing::Plain);
    assert_eq!((planned.site.vaddr, planned.hit_ns, planned.emulated), (0x5100, 10_000, false));
}

#[test]
fn every_site_has_its_line() {
    let inspection = moving();
    let plan = plan(&inspection, &MACHINE, &EVERYTHING).unwrap();
    let text = SiteTable::new(&plan, &inspection).to_string();
    let expected = "\
SITE           ADDRESS  INSTRUCTION  KERNEL     MOVED      NS   PLAIN  PROOF, FUNCTION
poll start      0x1000  push rbp     emulated       -     600     600  the plain site, rdi intact, once; of app::task0
poll start      0x1100  push rbp     emulated       -     600     600  the plain site, rdi intact, once; of app::task1
poll idle       0x1040  push rbp     emulated       -     600     600  the plain site, rdi intact, once; of app::task0
poll idle       0x1140  push rbp     emulated       -     600     600  the plain site, rdi intact, once; of app::task1
task complete   0x4000  push rbp     emulated       -     600     600  the plain site, rdi intact, once
wake by value   0x5000  push rbp     emulated       -     600     600  the plain site, rdi intact, once
wake by ref     0x5104  LongNop      emulated      +4     600   10000  the plain site, rdi intact, once
spawn           0x6000  push rbp     emulated       -     600     600  the plain site, rdi intact, once
";
    assert_eq!(text, expected);
    let rows = SiteTable::new(&plan, &inspection).rows();
    assert_eq!((rows.len(), rows[6].moved, rows[6].plain), (8, 4, &[0x5100][..]));
}

#[test]
fn the_table_shows_every_line() {
    let text = plan(&inspection(), &MACHINE, &EVERYTHING).unwrap().to_string();
    let expected = "\
PROBE            SITES  INSTRUCTIONS                       LINK      STEPPED
poll start           2  push 2                             multi           0
poll idle            2  jcc 2                              multi           0
task complete        1  push 1                             multi           0
wake by value        1  push 1                             multi           0
wake by ref          1  jcc 1                              multi           0
spawn                1  push 1                             multi           0

end of poll      before the task is released (await stacks possible)
cost per poll    about 1200 ns
cost per wake    about 600 ns
cost per spawn   about 600 ns

missing: requests
  why:   the program does not link profiler-annotate, so nothing says which request is served
  get:   wrap the request's future in profiler_annotate::scope, or add its tower layer

missing: yields
  why:   the function that defers wakes was not found: a task that yields is `suspended` until its worker wakes it
  get:   build with symbols (strip = false), without fat LTO, with a later Tokio (1.38 has it)
";
    assert_eq!(text, expected);
}
