//! Where walks begin: tasks, `dyn` futures, and futures in an annotation's scope.
//!
//! An address stands for one type only as long as the compiler has not merged the equal code of several. Where types share an address,
//! and what is compiled of them differs, it leads nowhere.

use std::collections::{BTreeMap, HashMap, HashSet};

use profiler_common::awaits::node::target;
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::{Compiler, Held};
use crate::inspect::awaits::dwarf::scan::{Instance, joined};
use crate::inspect::awaits::dwarf::shape::{Kind, Shape};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::error::{AwaitError, AwaitNote};
use crate::inspect::awaits::layouts::AwaitLayouts;
use crate::inspect::awaits::share;
use crate::inspect::image::Image;
use crate::inspect::symbols::Symbols;
use crate::inspect::{Inspection, TaskType};

/// References followed from a function to the entry that has its parameters.
const MAX_ORIGINS: usize = 4;
/// Wrappers between a task's core and its stage.
const MAX_WRAPPERS: usize = 6;
/// Words of a task vtable, at most (eight functions and four offsets in 1.54).
const VTABLE_WORDS: u64 = 8;

/// The nodes that an address may lead to. Several: it is shared. None: it is known to be shared with a type that left no trace.
type Found = BTreeMap<u64, Vec<u32>>;

/// A poll of a future.
struct Poll {
    future: Die,
    hash: u64,
}

impl<'s> Compiler<'_, 's> {
    /// Compiles what tasks, `dyn` futures and scopes reach.
    pub(in crate::inspect::awaits) fn run(
        mut self,
        inspection: &Inspection,
        image: &Image<'_>,
        symbols: &Symbols<'_>,
    ) -> Result<AwaitLayouts, AwaitError> {
        let polls = self.polls();
        self.futures = polls.values().map(|poll| poll.hash).collect();
        let mut without_type = Vec::new();
        let tasks = self.tasks(inspection, image, symbols, &mut without_type)?;
        let dynamic = self.dynamic();
        let scopes = self.scopes(&polls, symbols);
        self.work()?;
        self.layouts.keys = self.keys();
        if let (1.., 0) = self.suspends {
            let producer = self.layouts.producer.clone().unwrap_or_default();
            let what = "no suspend point has an `__awaitee`".to_owned();
            return Err(AwaitError::Convention { producer, name: "every coroutine".to_owned(), what });
        }
        if !without_type.is_empty() {
            self.layouts.notes.push(AwaitNote::TasksWithoutType { vtables: without_type });
        }
        let mut layouts = self.finish();
        let nodes = share::share(&mut layouts);
        let mut shared = Vec::new();
        layouts.tasks = settled(tasks, &nodes, &mut shared);
        layouts.dynamic = settled(dynamic, &nodes, &mut shared);
        layouts.scopes = settled(scopes, &nodes, &mut shared);
        if !shared.is_empty() {
            layouts.notes.push(AwaitNote::Shared { addresses: shared });
        }
        share::drop_unreached(&mut layouts);
        Ok(layouts)
    }

    /// The polls among the candidates, by their entry: those that return a `Poll` and begin with a `Pin<&mut T>`.
    fn polls(&self) -> HashMap<Die, Poll> {
        let (pin, poll) = (joined(0, "core::pin"), joined(0, "core::task::poll"));
        let mut results: HashMap<Die, bool> = HashMap::new();
        let mut parameters: HashMap<Die, Option<(Die, u64)>> = HashMap::new();
        // In the order of the units, which are read one at a time.
        let mut candidates: Vec<_> = self.index.candidates.iter().map(|(die, candidate)| (*die, *candidate)).collect();
        candidates.sort_unstable_by_key(|(die, _)| *die);
        let mut polls = HashMap::new();
        for (die, candidate) in candidates {
            let is_poll = *results.entry(candidate.result).or_insert_with(|| {
                let shape = self.types.shape(candidate.result);
                shape.name.starts_with("Poll<") && self.types.path_hash(candidate.result, "") == joined(poll, "")
            });
            if !is_poll {
                continue;
            }
            let pinned = *parameters.entry(candidate.parameter).or_insert_with(|| {
                let shape = self.types.shape(candidate.parameter);
                let is_pin =
                    shape.name.starts_with("Pin<&mut ") && self.types.path_hash(candidate.parameter, "") == joined(pin, "");
                let pointer = self.types.shape(shape.members.first().filter(|_| is_pin)?.of?);
                let future = pointer.to.filter(|_| pointer.kind == Kind::Pointer)?;
                Some((future, self.types.path_hash(future, self.types.shape(future).name)))
            });
            if let Some((future, hash)) = pinned {
                polls.insert(die, Poll { future, hash });
            }
        }
        polls
    }

    fn tasks(
        &mut self,
        inspection: &Inspection,
        image: &Image<'_>,
        symbols: &Symbols<'_>,
        without_type: &mut Vec<u64>,
    ) -> Result<Found, AwaitError> {
        let mut by_address: HashMap<u64, Vec<Instance>> = HashMap::new();
        for instance in &self.index.wanted {
            by_address.entry(instance.address).or_default().push(*instance);
        }
        let ambiguous = sharing(inspection, image);
        let mut found = Found::new();
        let mut is_any_typed = false;
        for task in &inspection.task_types {
            let mut cells = None;
            for address in [task.poll, task.body] {
                let instances = by_address.get(&address).map(Vec::as_slice).unwrap_or_default();
                if let Some(named) = self.cells(instances) {
                    cells = Some((named, self.is_shared(instances, address, symbols)));
                    break;
                }
            }
            let Some((cells, is_shared)) = cells else {
                without_type.push(task.vtable);
                continue;
            };
            is_any_typed = true;
            let mut nodes = Vec::new();
            for cell in cells {
                nodes.extend(self.task_root(cell, task)?);
            }
            if is_shared || ambiguous.contains(&task.vtable) {
                nodes.clear();
            }
            found.insert(task.vtable, nodes);
        }
        if !is_any_typed {
            return Err(AwaitError::NoTypes);
        }
        Ok(found)
    }

    /// The cells of the tasks that the functions at one address poll, by their type parameters.
    fn cells(&self, instances: &[Instance]) -> Option<Vec<Die>> {
        let mut cells = Vec::new();
        for instance in instances {
            let Some((arguments, future)) = self.arguments(instance.own) else { continue };
            let all = self.index.cells.get(&joined(0, arguments)).map(Vec::as_slice).unwrap_or_default();
            // Types of one name may differ where two versions of a crate are linked; the same entry is the same type.
            let same = all.iter().find(|cell| self.types.shape(**cell).parameters.first().map(|(_, of)| *of) == Some(future));
            match same {
                Some(cell) => cells.push(*cell),
                None => cells.extend(all),
            }
        }
        (!cells.is_empty()).then_some(cells)
    }

    /// What stands between the brackets of a function's name, without the first, and its first type parameter.
    fn arguments(&self, die: Die) -> Option<(&'s str, Die)> {
        let mut at = die;
        for _ in 0..MAX_ORIGINS {
            let shape = self.types.shape(at);
            if let Some((_, future)) = shape.parameters.first() {
                let (_, arguments) = shape.name.split_once('<')?;
                return Some((arguments, *future));
            }
            at = shape.origin?;
        }
        None
    }

    /// Whether symbols name a function at the address that the debug information does not describe: one that was merged into it.
    fn is_shared(&self, instances: &[Instance], address: u64, symbols: &Symbols<'_>) -> bool {
        let described: HashSet<&str> = instances.iter().filter_map(|instance| self.symbol(instance.own)).collect();
        // A renamed one (`.llvm.1234`) is the same function.
        symbols.at(address).any(|name| !described.contains(name.split(".llvm.").next().unwrap_or(name)))
    }

    fn symbol(&self, die: Die) -> Option<&'s str> {
        let mut at = die;
        for _ in 0..MAX_ORIGINS {
            let shape = self.types.shape(at);
            if !shape.symbol.is_empty() {
                return Some(shape.symbol);
            }
            at = shape.origin?;
        }
        None
    }

    /// The node of a task, from its header. `None`: it is another task's layout than its vtable says.
    fn task_root(&mut self, cell: Die, task: &TaskType) -> Result<Option<u32>, AwaitError> {
        let shape = self.types.shape(cell);
        let convention = |compiler: &Self, what: &str| AwaitError::Convention {
            producer: compiler.layouts.producer.clone().unwrap_or_default(),
            name: compiler.types.path(cell, shape.name),
            what: what.to_owned(),
        };
        for (known, field) in [(task.id_offset, "core.task_id"), (task.trailer_offset, "trailer")] {
            if let (Some(known), Some(described)) = (known, self.field(&shape, field))
                && described.offset != Some(u64::from(known))
            {
                return Ok(None);
            }
        }
        let Some(mut at) = self.field(&shape, "core.stage") else { return Err(convention(self, "it has no `core.stage`")) };
        // `CoreStage` and `UnsafeCell`, of Tokio's and of std's.
        for _ in 0..MAX_WRAPPERS {
            let Some(of) = at.of else { break };
            let stage = self.types.shape(of);
            if stage.variants.is_some() {
                let Some(edges) = self.stages(&stage) else { return Err(convention(self, "its stage has other variants")) };
                let Some(choice) = self.choice(&stage, &edges) else { return Err(convention(self, "its stage has no tag")) };
                let Some(place) = self.place() else { return Ok(None) };
                self.fill_tagged(place, choice.node(), choice.edges());
                let Held::At(edge) = Held::At(Edge { offset: 0, node: place }).inside(at.offset) else { return Ok(None) };
                return Ok(self.beginning_at(edge));
            }
            let Some(inner) =
                stage.members.iter().find(|member| member.of.is_some_and(|of| self.types.shape(of).size != Some(0)))
            else {
                break;
            };
            let offset = at.offset.and_then(|offset| offset.checked_add(inner.offset?));
            at = crate::inspect::awaits::dwarf::shape::Member { offset, ..*inner };
        }
        Err(convention(self, "its stage is no enum"))
    }

    /// Where each variant of a task's stage leads: only a running one has a future.
    fn stages(&mut self, stage: &Shape<'s>) -> Option<Vec<Edge>> {
        let variants = stage.variants.as_ref()?;
        let mut edges = Vec::new();
        for variant in &variants.list {
            let member = variant.member?;
            edges.push(match member.name {
                "Running" => {
                    let fields = self.types.shape(member.of?);
                    let [future] = fields.members[..] else { return None };
                    self.member(&future, true, 0).inside(member.offset).edge()
                }
                "Finished" | "Consumed" => Edge { offset: 0, node: target::SPENT },
                _ => return None,
            });
        }
        Some(edges)
    }

    /// A node that stands for what an edge leads to.
    fn beginning_at(&mut self, edge: Edge) -> Option<u32> {
        if edge.node >= target::FIRST {
            return None;
        }
        if edge.offset == 0 {
            return Some(edge.node);
        }
        match self.passed(Node { kind: NodeKind::Inside as u8, ..Node::default() }, &[edge]) {
            Held::At(edge) if edge.node < target::FIRST => Some(edge.node),
            _ => None,
        }
    }

    /// The node of a type that is awaited as a whole.
    fn awaited_root(&mut self, future: Die) -> Option<u32> {
        let edge = self.held(future, true, 0).edge();
        self.beginning_at(edge)
    }

    fn dynamic(&mut self) -> Found {
        let mut found = Found::new();
        for vtable in &self.index.vtables {
            if vtable.address == 0 || !(vtable.awaited || self.futures.contains(&vtable.of)) {
                continue;
            }
            let Some(future) = self.types.shape(vtable.structure).containing else { continue };
            let node = self.awaited_root(future);
            found.entry(vtable.address).or_default().extend(node);
        }
        found
    }

    fn scopes(&mut self, polls: &HashMap<Die, Poll>, symbols: &Symbols<'_>) -> Found {
        let mut at: BTreeMap<u64, Vec<(Instance, Die)>> = BTreeMap::new();
        for instance in &self.index.instances {
            let poll = polls.get(&instance.of).or_else(|| polls.get(&instance.own));
            if let Some(poll) = poll {
                at.entry(instance.address).or_default().push((*instance, poll.future));
            }
        }
        let wrapped = |future: Die| {
            let shape = self.types.shape(future);
            self.index.scopes.contains(&self.types.path_hash(future, shape.name))
        };
        at.retain(|_, instances| instances.iter().any(|(_, future)| wrapped(*future)));
        let mut found = Found::new();
        for (address, instances) in at {
            let own: Vec<Instance> = instances.iter().map(|(instance, _)| *instance).collect();
            let nodes = if self.is_shared(&own, address, symbols) {
                Vec::new()
            } else {
                instances.iter().filter_map(|(_, future)| self.awaited_root(*future)).collect()
            };
            found.insert(address, nodes);
        }
        found
    }
}

/// Vtables that share a poll although they differ: those of different types whose polls were merged. (Equal ones are copies of one, made by
/// units that were compiled apart.)
fn sharing(inspection: &Inspection, image: &Image<'_>) -> HashSet<u64> {
    let mut by_poll: HashMap<u64, Vec<&TaskType>> = HashMap::new();
    for task in &inspection.task_types {
        by_poll.entry(task.poll).or_default().push(task);
    }
    let content = |task: &TaskType| {
        let words: Vec<Option<u64>> = (0..VTABLE_WORDS).map(|word| image.word(task.vtable.checked_add(8 * word)?)).collect();
        (task.shutdown, task.id_offset, words)
    };
    let groups = by_poll.into_values().filter(|tasks| tasks.windows(2).any(|pair| content(pair[0]) != content(pair[1])));
    groups.flatten().map(|task| task.vtable).collect()
}

/// The entries that lead to one node, by the nodes' new places. The others go to `shared`.
fn settled(found: Found, nodes: &[u32], shared: &mut Vec<u64>) -> Vec<(u64, u32)> {
    let mut entries = Vec::with_capacity(found.len());
    for (address, places) in found {
        let mut places: Vec<u32> = places.iter().filter_map(|place| nodes.get(*place as usize).copied()).collect();
        places.sort_unstable();
        places.dedup();
        match places[..] {
            [place] => entries.push((address, place)),
            _ => shared.push(address),
        }
    }
    entries
}
