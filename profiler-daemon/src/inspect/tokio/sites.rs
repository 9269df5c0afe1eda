//! All probe sites of Tokio in a file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iced_x86::{FlowControl, Register as Iced};

use super::ends::{EndFinder, Ends};
use super::spawns;
use super::transitions::Transition;
use super::wakers;
use crate::inspect::code::{Function, text};
use crate::inspect::flow::Root;
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::{InstructionClass, Placement, Register, Role, Site, TaskKind, TaskType, TokioVersion};
use crate::inspect::note::Note;
use crate::inspect::placement::{Places, entry_stack, places};
use crate::inspect::proof::{Claim, Proof, StackFrom};
use crate::inspect::symbols::{Symbols, demangle};

/// Gathers sites, each address once per role.
pub(crate) struct Collector<'a, 'd> {
    image: &'a Image<'d>,
    functions: &'a Functions<'d>,
    symbols: &'a Symbols<'d>,
    sites: BTreeMap<(Role, u64), Site>,
}

/// Finds every site the vtables and symbols lead to.
pub(crate) fn collect(
    image: &Image<'_>,
    functions: &Functions<'_>,
    symbols: &Symbols<'_>,
    version: Option<TokioVersion>,
    types: &[TaskType],
) -> (Vec<Site>, Vec<Note>) {
    let mut collector = Collector { image, functions, symbols, sites: BTreeMap::new() };
    let owners = Owners::new(types);
    for (poll, types) in &owners.by_poll {
        collector.add_entry(Role::PollStart, *poll, Iced::RDI, only(types));
    }
    let notes = collector.add_ends(symbols, ends_of(version), types, &owners);
    for (body, types) in &owners.by_body {
        collector.add_returns(*body, only(types));
    }
    let waker = wakers::find(image, functions, symbols, types);
    for function in waker.by_val {
        collector.add_entry(Role::WakeByVal, function, Iced::RDI, None);
    }
    for function in waker.by_ref {
        collector.add_entry(Role::WakeByRef, function, Iced::RDI, None);
    }
    for function in waker.clones {
        collector.add_entry(Role::CloneWaker, function, Iced::RDI, None);
    }
    // Both `yield_now` and a spent budget end in `Defer::defer(&self, &waker)` of runtime/scheduler/defer.rs (1.38), whatever
    // is inlined above it. 1.28 has one in runtime/defer.rs, which takes a waker by value and not a pointer to one.
    for function in symbols.ending_with(&["scheduler", "defer", "Defer", "defer"]) {
        collector.add_entry(Role::Defer, function, Iced::RSI, None);
    }
    for function in spawns::binds(image, functions, symbols) {
        collector.add_entry(Role::Spawn, function, Iced::RSI, None);
    }
    for function in spawns::blocking(symbols) {
        collector.add_entry(Role::SpawnBlocking, function, Iced::RSI, None);
    }
    for function in spawns::local(symbols) {
        collector.add_entry(Role::LocalScheduled, function, Iced::RSI, None);
    }
    (collector.sites.into_values().collect(), notes)
}

/// The transitions that end a poll or a task, with the functions' names. Before 1.10 a task that nobody joins skips
/// `transition_to_complete` and is completed by `transition_to_terminal` (`harness.rs` of 1.8.5 and 1.9.0, `Harness::complete`).
fn ends_of(version: Option<TokioVersion>) -> (&'static [Transition], &'static [&'static str]) {
    const TRANSITIONS: [Transition; 3] = [Transition::Idle, Transition::Complete, Transition::Terminal];
    const NAMES: [&str; 3] = ["transition_to_idle", "transition_to_complete", "transition_to_terminal"];
    match version {
        Some(version) if version.minor < 10 => (&TRANSITIONS, &NAMES),
        _ => (&[Transition::Idle, Transition::Complete], &["transition_to_idle", "transition_to_complete"]),
    }
}

/// Which types share a poll function or a body.
struct Owners {
    by_poll: BTreeMap<u64, Vec<u32>>,
    by_body: BTreeMap<u64, Vec<u32>>,
}

impl Owners {
    fn new(types: &[TaskType]) -> Self {
        let mut owners = Self { by_poll: BTreeMap::new(), by_body: BTreeMap::new() };
        for (index, task_type) in (0_u32..).zip(types) {
            owners.by_poll.entry(task_type.poll).or_default().push(index);
            owners.by_body.entry(task_type.body).or_default().push(index);
        }
        owners
    }

    /// The only type whose polls run `function`, where there is exactly one.
    fn of(&self, function: u64) -> Option<u32> {
        self.by_body.get(&function).or_else(|| self.by_poll.get(&function)).and_then(|types| only(types))
    }
}

/// Types with an end that was not found.
#[derive(Default)]
struct Unseen {
    idle: Vec<u32>,
    never_idle: Vec<u32>,
    complete: Vec<u32>,
}

impl Unseen {
    fn into_notes(self) -> Vec<Note> {
        let notes = [
            Note::IdleNotRecognised { types: self.idle },
            Note::NeverIdle { types: self.never_idle },
            Note::CompleteNotFound { types: self.complete },
        ];
        let is_empty = |note: &Note| match note {
            Note::IdleNotRecognised { types } | Note::NeverIdle { types } | Note::CompleteNotFound { types } => types.is_empty(),
            _ => false,
        };
        notes.into_iter().filter(|note| !is_empty(note)).collect()
    }
}

fn has(ends: &[(u64, Ends)], transition: Transition) -> bool {
    ends.iter().any(|(_, ends)| ends.spots.iter().any(|(found, _)| *found == transition))
}

fn only(types: &[u32]) -> Option<u32> {
    match types {
        [one] => Some(*one),
        _ => None,
    }
}

impl Collector<'_, '_> {
    fn name_of(&self, function: u64) -> Option<String> {
        let names: BTreeSet<String> = self.symbols.at(function).map(demangle).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(" | "))
    }

    fn add(&mut self, role: Role, function: u64, places: Places, task_type: Option<u32>) {
        let Some(spot) = places.usual() else {
            return;
        };
        let Some(file_offset) = self.image.file_offset(spot.vaddr) else {
            return;
        };
        let site = Site {
            role,
            vaddr: spot.vaddr,
            file_offset,
            class: spot.class,
            instruction: spot.instruction.clone(),
            header: Some(spot.header),
            sp_base: spot.sp_base,
            sp_adjust: spot.sp_adjust,
            task_type,
            repeats: spot.repeats,
            placement: spot.placement,
            function,
            function_name: self.name_of(function),
            proof: spot.proof.clone(),
            plain: Vec::new(),
            candidates: Vec::new(),
        };
        // What several types reach is no single one's, and the kernel side refuses tasks of others there.
        let shared = |known: &mut Site| known.task_type = known.task_type.filter(|of| Some(*of) == task_type);
        let entry = self.sites.entry((role, spot.vaddr)).and_modify(shared);
        entry.or_insert(Site { plain: places.plain, candidates: places.candidates, ..site });
    }

    /// The site for the entry of `function`, whose argument in `header` is the task.
    fn add_entry(&mut self, role: Role, function: u64, header: Iced, task_type: Option<u32>) {
        let Some(decoded) = Function::decode(self.image, self.functions, function) else {
            return;
        };
        let claim = Claim {
            role,
            roots: &[Root::new(function, header)],
            exchange: None,
            // Who wakes by reference or clones a waker has one, and keeps it: the task outlives the exchange.
            after_will_do: matches!(role, Role::WakeByRef | Role::CloneWaker),
        };
        for places in places(self.functions, &decoded, &claim) {
            self.add(role, function, places, task_type);
        }
    }

    /// Idle and complete sites: of the transitions that stand as functions, then of whatever the types' code reaches.
    fn add_ends(
        &mut self,
        symbols: &Symbols<'_>,
        (transitions, titles): (&'static [Transition], &[&str]),
        types: &[TaskType],
        owners: &Owners,
    ) -> Vec<Note> {
        let mut named = HashMap::new();
        for (transition, name) in transitions.iter().zip(titles) {
            let functions = symbols.ending_with(&["State", name]);
            named.extend(functions.into_iter().map(|function| (function, *transition)));
        }
        let stands = |transition| named.values().any(|standing| *standing == transition);
        let mut finder = EndFinder::new(self.image, self.functions, &named, transitions);
        let mut unseen = Unseen::default();
        for (index, task_type) in (0_u32..).zip(types) {
            let polled = finder.reached_from(task_type.body);
            let shut = finder.reached_from(task_type.shutdown);
            let is_unknown = polled.iter().any(|(function, ends)| *function == task_type.body && ends.unknown_exchange);
            let completes = |transition| stands(transition) || has(&polled, transition) && has(&shut, transition);
            if !transitions.iter().skip(1).all(|transition| completes(*transition)) {
                unseen.complete.push(index);
            }
            if has(&polled, Transition::Idle) || stands(Transition::Idle) || task_type.kind == TaskKind::Blocking {
                // A blocking task never goes idle: its future is ready at once.
            } else if is_unknown {
                unseen.idle.push(index);
            } else {
                unseen.never_idle.push(index);
            }
            for (function, ends) in polled.into_iter().chain(shut) {
                self.add_spots(function, ends, owners);
            }
        }
        for function in named.keys() {
            if let Some(ends) = finder.ends_of(*function) {
                self.add_spots(*function, ends, owners);
            }
        }
        unseen.into_notes()
    }

    fn add_spots(&mut self, function: u64, ends: Ends, owners: &Owners) {
        for (transition, places) in ends.spots {
            let role = match transition {
                Transition::Idle => Role::PollIdle,
                Transition::Complete | Transition::Terminal => Role::PollComplete,
                _ => continue,
            };
            self.add(role, function, places, owners.of(function));
        }
    }

    /// Every `ret`, and every jump out, of a function that polls.
    fn add_returns(&mut self, function: u64, task_type: Option<u32>) {
        let Some(decoded) = Function::decode(self.image, self.functions, function) else {
            return;
        };
        let name = self.name_of(function);
        for instruction in decoded.instructions() {
            let leaves = match instruction.flow_control() {
                FlowControl::Return => true,
                FlowControl::UnconditionalBranch => {
                    let target = instruction.near_branch_target();
                    target < decoded.extent.start || target >= decoded.extent.end
                }
                _ => false,
            };
            let class = decoded.class_at(instruction.ip());
            let Some(file_offset) = self.image.file_offset(instruction.ip()) else {
                continue;
            };
            if !leaves || class == InstructionClass::Refused {
                continue;
            }
            // At a `ret` and at a tail call the frame is gone again.
            let returned = (Register::Rsp, 0, StackFrom::Returned);
            let (sp_base, sp_adjust, from) = entry_stack(self.functions, &decoded, instruction.ip()).unwrap_or(returned);
            self.sites.entry((Role::PollReturn, instruction.ip())).or_insert(Site {
                role: Role::PollReturn,
                vaddr: instruction.ip(),
                file_offset,
                class,
                instruction: text(instruction),
                header: None,
                sp_base,
                sp_adjust,
                task_type,
                repeats: false,
                placement: Placement::Return,
                function,
                function_name: name.clone(),
                proof: Proof::of_exit(from),
                plain: Vec::new(),
                candidates: Vec::new(),
            });
        }
    }
}
