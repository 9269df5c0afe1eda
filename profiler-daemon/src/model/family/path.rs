//! The critical path: what the wall time of a request consisted of, where an await on a task is that task's time.

use std::collections::HashMap;

use super::awaited::{For, Members};
use super::node::Node;
use super::timeline::{Doing, Piece, Unknown, timeline};
use crate::model::capture::AwaitIndex;
use crate::model::stacks::split_exactly;
use crate::model::states::State;

/// Tasks that await one another and are followed: as many as a chain of awaits has frames.
const MAX_DEPTH: usize = 32;

/// A critical path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Who waited for whom. The first is the root itself.
    pub chains: Vec<Chain>,
    /// In order of time, without a gap, from the root's start to its end.
    pub steps: Vec<Step>,
    /// The time of steps that lie in a poll of which only a part is on the path, and not all stretches were recorded: that part is divided as the
    /// whole poll is.
    pub divided_ns: u64,
    /// The time of steps in members that were found by the wake, and not by the await stack.
    pub by_wake_ns: u64,
}

/// A member that another one awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// Place of the chain of the one who waits. `None`: this is the root.
    pub parent: Option<usize>,
    /// Where that one waits.
    pub stack: Option<AwaitIndex>,
    /// Place of the member.
    pub node: usize,
    /// Whether it was found by the wake.
    pub by_wake: bool,
    /// Whether it, or one that waits for it, was.
    pub guessed: bool,
    /// How many wait for it, one for another.
    pub depth: usize,
}

/// A stretch of the request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Place of the chain.
    pub chain: usize,
    /// From here.
    pub start_ns: u64,
    /// To here.
    pub end_ns: u64,
    /// What the chain's member did.
    pub what: What,
}

/// What a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// It was in this state.
    In(State),
    /// It was suspended, here.
    Await(Option<AwaitIndex>),
    /// It is not known.
    Unknown(Unknown),
}

/// The critical path of the first node, which is the request.
#[must_use]
pub fn path(nodes: &[Node]) -> Path {
    let Some(root) = nodes.first() else { return Path::default() };
    let timelines = nodes.iter().map(|_| None).collect();
    let mut walk = Walk { nodes, members: Members::of(nodes), timelines, known: HashMap::new(), path: Path::default() };
    walk.path.chains.push(Chain { parent: None, stack: None, node: 0, by_wake: false, guessed: false, depth: 0 });
    walk.follow(0, root.start_ns, root.end_ns());
    walk.path
}

struct Walk<'n> {
    nodes: &'n [Node],
    members: Members<'n>,
    timelines: Vec<Option<std::rc::Rc<[Piece]>>>,
    known: HashMap<(usize, Option<AwaitIndex>, usize), usize>,
    path: Path,
}

impl Walk<'_> {
    /// The time of the chain's member from `from` to `to`, which lie inside its time.
    fn follow(&mut self, chain: usize, from: u64, to: u64) {
        let Some(node) = self.path.chains.get(chain).map(|chain| chain.node) else { return };
        let pieces = self.timeline(node);
        let first = pieces.partition_point(|piece| piece.end_ns <= from);
        let mut at = from;
        for piece in pieces.iter().skip(first).take_while(|piece| piece.start_ns < to) {
            let (start, end) = (piece.start_ns.max(from), piece.end_ns.min(to));
            self.piece(chain, node, piece, start, end);
            at = end;
        }
        self.step(chain, at, to, What::Unknown(Unknown::NotRecorded));
    }

    fn piece(&mut self, chain: usize, node: usize, piece: &Piece, start: u64, end: u64) {
        match piece.doing {
            Doing::In(state) => self.step(chain, start, end, What::In(state)),
            Doing::Poll { preempted_ns, blocked_ns } => self.poll(chain, piece, (preempted_ns, blocked_ns), start, end),
            Doing::Unknown(why) => self.step(chain, start, end, What::Unknown(why)),
            Doing::Suspended(None) => self.step(chain, start, end, What::Await(None)),
            Doing::Suspended(Some(place)) => self.suspended(chain, node, place, start, end),
        }
    }

    /// A poll of which it is not known when what was done.
    fn poll(&mut self, chain: usize, piece: &Piece, (preempted_ns, blocked_ns): (u64, u64), start: u64, end: u64) {
        let whole_ns = piece.end_ns.saturating_sub(piece.start_ns);
        let ns = end.saturating_sub(start);
        let running_ns = whole_ns.saturating_sub(preempted_ns).saturating_sub(blocked_ns);
        let parts = split_exactly(ns, &[running_ns, preempted_ns, blocked_ns]);
        if ns < whole_ns && running_ns != whole_ns {
            self.path.divided_ns = self.path.divided_ns.saturating_add(ns);
        }
        let mut at = start;
        for (state, part) in [State::Running, State::Preempted, State::Blocked].into_iter().zip(parts) {
            let to = at.saturating_add(part).min(end);
            self.step(chain, at, to, What::In(state));
            at = to;
        }
        self.step(chain, at, end, What::In(State::Running));
    }

    fn suspended(&mut self, chain: usize, node: usize, place: usize, start: u64, end: u64) {
        let Some(wait) = self.nodes.get(node).and_then(|node| node.waits.get(place)) else {
            return self.step(chain, start, end, What::Await(None));
        };
        let own = What::Await(wait.stack);
        let (child, told) = match self.members.awaited(node, wait) {
            For::Itself => return self.step(chain, start, end, own),
            For::Unknown(why) => return self.step(chain, start, end, What::Unknown(why)),
            For::Member(child, told) => (child, told),
        };
        let Some(of) = self.nodes.get(child) else { return };
        // Before its start and after its end there is nothing of it to wait for: what is left is the await's own.
        let (from, to) = (of.start_ns.clamp(start, end), of.end_ns().clamp(start, end));
        let to = to.max(from);
        self.step(chain, start, from, own);
        if to > from {
            if self.is_in(chain, child) {
                self.step(chain, from, to, What::Unknown(Unknown::Cycle));
            } else if self.path.chains.get(chain).is_some_and(|chain| chain.depth >= MAX_DEPTH) {
                self.step(chain, from, to, What::Unknown(Unknown::TooDeep));
            } else {
                let inner = self.chain(chain, wait.stack, child, !told);
                self.follow(inner, from, to);
            }
        }
        self.step(chain, to, end, own);
    }

    fn is_in(&self, chain: usize, node: usize) -> bool {
        let mut at = Some(chain);
        while let Some(one) = at.and_then(|at| self.path.chains.get(at)) {
            if one.node == node {
                return true;
            }
            at = one.parent;
        }
        false
    }

    fn chain(&mut self, parent: usize, stack: Option<AwaitIndex>, node: usize, by_wake: bool) -> usize {
        let depth = self.path.chains.get(parent).map_or(0, |chain| chain.depth.saturating_add(1));
        let guessed = by_wake || self.path.chains.get(parent).is_some_and(|chain| chain.guessed);
        let chains = &mut self.path.chains;
        *self.known.entry((parent, stack, node)).or_insert_with(|| {
            chains.push(Chain { parent: Some(parent), stack, node, by_wake, guessed, depth });
            chains.len().saturating_sub(1)
        })
    }

    fn step(&mut self, chain: usize, start_ns: u64, end_ns: u64, what: What) {
        if end_ns <= start_ns {
            return;
        }
        if self.path.chains.get(chain).is_some_and(|chain| chain.guessed) {
            self.path.by_wake_ns = self.path.by_wake_ns.saturating_add(end_ns.saturating_sub(start_ns));
        }
        match self.path.steps.last_mut() {
            Some(last) if last.chain == chain && last.what == what && last.end_ns == start_ns => last.end_ns = end_ns,
            _ => self.path.steps.push(Step { chain, start_ns, end_ns, what }),
        }
    }

    fn timeline(&mut self, node: usize) -> std::rc::Rc<[Piece]> {
        let of = || self.nodes.get(node).map(|node| timeline(node).into()).unwrap_or_default();
        match self.timelines.get_mut(node) {
            Some(known) => std::rc::Rc::clone(known.get_or_insert_with(of)),
            None => of(),
        }
    }
}

impl Step {
    /// Its length.
    #[must_use]
    pub const fn ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}
