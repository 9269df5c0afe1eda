//! Coroutines: the bodies of `async fn`, `async` blocks and closures.
//!
//! Source: rustc's `debuginfo/metadata/enums/native.rs` (`build_coroutine_variant_part_di_node`) and `cpp_like.rs`, 1.95, and
//! `rustc_middle/src/ty/sty.rs` (`CoroutineArgs`): variants 0, 1 and 2 are `Unresumed`, `Returned` and `Panicked`, variant n is
//! `Suspend{n - 3}`; the tag is `__state`, and its value is the variant's number. What a coroutine awaits is the local `__awaitee` that
//! `rustc_ast_lowering` makes of an `.await`. All of this is checked: a compiler that does otherwise turns await stacks off.

use profiler_common::awaits::node::{COROUTINE, FRAME, NO_EDGE, target};
use profiler_common::awaits::{Edge, Node, NodeKind};

use super::Compiler;
use crate::inspect::awaits::dwarf::shape::{Member, Shape, Value};
use crate::inspect::awaits::dwarf::source::Die;
use crate::inspect::awaits::error::AwaitError;
use crate::inspect::awaits::layouts::{FrameKind, SuspendPoint};

/// The states before the first suspend point, by the names of their variants.
const BEFORE: [(&str, u32); 3] = [("Unresumed", target::UNSTARTED), ("Returned", target::SPENT), ("Panicked", target::SPENT)];

/// Whether a type is a coroutine.
pub(super) fn is_coroutine(shape: &Shape<'_>) -> bool {
    shape.variants.as_ref().and_then(|variants| variants.tag.as_ref()).is_some_and(|tag| tag.name == "__state")
}

impl<'s> Compiler<'_, 's> {
    /// Fills the node of a coroutine.
    pub(super) fn coroutine(&mut self, place: u32, die: Die, shape: &Shape<'s>) {
        let name = self.types.path(die, shape.name);
        match self.states(die, shape) {
            Ok((node, edges, points)) => {
                let (name, kind) = body(&name, shape.name);
                self.show(place, name, kind);
                if let Some(frame) = self.layouts.frames.get_mut(place as usize).and_then(Option::as_mut) {
                    frame.points = points;
                }
                self.fill_tagged(place, node, &edges);
            }
            Err(what) => {
                let producer = self.layouts.producer.clone().unwrap_or_default();
                self.failure.get_or_insert(AwaitError::Convention { producer, name, what });
            }
        }
    }

    fn states(&mut self, die: Die, shape: &Shape<'s>) -> Result<(Node, Vec<Edge>, Vec<SuspendPoint>), String> {
        let variants = shape.variants.as_ref().ok_or("it has no variants")?;
        let (mut edges, mut points) = (Vec::new(), Vec::new());
        for (number, variant) in variants.list.iter().enumerate() {
            if variant.value != Value::Is(number as u64) {
                return Err(format!("variant {number} has the state {:?}", variant.value));
            }
            let member = variant.member.ok_or_else(|| format!("variant {number} has no fields"))?;
            let of = member.of.ok_or_else(|| format!("variant {number} has no type"))?;
            let fields = self.types.shape(of);
            if let Some((name, leads_to)) = BEFORE.get(number) {
                if fields.name != *name {
                    return Err(format!("variant {number} is `{}`, not `{name}`", fields.name));
                }
                edges.push(Edge { offset: 0, node: *leads_to });
                if number == 0 {
                    // Where the coroutine itself begins.
                    points.extend(self.point(die, number, &member));
                }
                continue;
            }
            let expected = format!("Suspend{}", number - BEFORE.len());
            if fields.name != expected {
                return Err(format!("variant {number} is `{}`, not `{expected}`", fields.name));
            }
            edges.push(self.awaited(&member, &fields));
            points.extend(self.point(die, number, &member));
        }
        if edges.len() < BEFORE.len() {
            return Err(format!("it has {} variants", edges.len()));
        }
        let choice = self.choice(shape, &edges).ok_or("its tag is not understood")?;
        let node = Node { flags: FRAME | COROUTINE, aux: NO_EDGE, ..choice.node() };
        if node.kind != NodeKind::Tagged as u8 || node.base != 0 || node.count as usize != edges.len() {
            return Err("its states are not counted from 0 on".to_owned());
        }
        Ok((node, edges, points))
    }

    /// What is awaited at a suspend point.
    fn awaited(&mut self, variant: &Member<'s>, fields: &Shape<'s>) -> Edge {
        self.suspends.0 += 1;
        let mut awaitees = fields.members.iter().filter(|member| member.name == "__awaitee");
        match (awaitees.next(), awaitees.next()) {
            (Some(awaitee), None) => {
                self.suspends.1 += 1;
                self.member(awaitee, true, 0).inside(variant.offset).edge()
            }
            // A `yield`, or two awaits of which only one can be the current one.
            _ => Edge { offset: 0, node: target::UNKNOWN },
        }
    }

    fn point(&mut self, die: Die, state: usize, variant: &Member<'_>) -> Option<SuspendPoint> {
        let path = self.types.file(die, variant.file?)?;
        let files = &mut self.layouts.files;
        let next = u32::try_from(files.len()).ok()?;
        let file = *self.files.entry(path.clone()).or_insert_with(|| {
            files.push(path);
            next
        });
        Some(SuspendPoint { state: u32::try_from(state).ok()?, file, line: variant.line })
    }
}

/// What a coroutine is called, and its kind: `a::b::{async_fn_env#0}<T>` is the body `a::b::{async_fn#0}<T>`. `path` ends with `name`.
fn body(path: &str, name: &str) -> (String, FrameKind) {
    let kind = [("{async_fn_env#", FrameKind::AsyncFn), ("{async_block_env#", FrameKind::AsyncBlock)]
        .into_iter()
        .find_map(|(prefix, kind)| name.starts_with(prefix).then_some(kind));
    let is_closure = name.starts_with("{async_closure_env#") || name.starts_with("{closure_env#");
    let kind = kind.unwrap_or(if is_closure { FrameKind::AsyncClosure } else { FrameKind::Future });
    let before = path.strip_suffix(name).unwrap_or_default();
    (format!("{before}{}", name.replacen("_env#", "#", 1)), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that only the coroutine's own name loses its `_env`.
    #[test]
    fn a_body_is_called_as_its_function() {
        let named = body("a::b::{async_fn_env#0}<c::{async_block_env#1}>", "{async_fn_env#0}<c::{async_block_env#1}>");
        assert_eq!(named, ("a::b::{async_fn#0}<c::{async_block_env#1}>".to_owned(), FrameKind::AsyncFn));
        let named = body("a::b::{async_fn#0}::{async_block_env#0}", "{async_block_env#0}");
        assert_eq!(named, ("a::b::{async_fn#0}::{async_block#0}".to_owned(), FrameKind::AsyncBlock));
        assert_eq!(body("a::{closure#1}::{async_closure_env#0}", "{async_closure_env#0}").1, FrameKind::AsyncClosure);
    }
}
