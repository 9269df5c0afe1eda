//! Whether a layout table holds together: whatever it was read from, a walk by it stays inside of it.

use profiler_common::awaits::key::{KEY_INLINE, KEY_TEXT};
use profiler_common::awaits::node::{COROUTINE, FRAME, NO_EDGE, TASK_LOCAL, target};
use profiler_common::awaits::{Node, NodeKind};

use super::error::AwaitError;
use super::keys::{KeyLayout, TaskLocalKey};
use super::layouts::AwaitLayouts;
use super::share::edges_of;

/// Bits of the widest mask.
const MASK_BITS: u32 = 64;

impl AwaitLayouts {
    /// Checks that every node, edge, frame and entry is one that a walk can follow.
    ///
    /// # Errors
    /// [`AwaitError::Damaged`] names the first that is not.
    pub fn check(&self) -> Result<(), AwaitError> {
        let damaged = |what: String| Err(AwaitError::Damaged(what));
        let count = self.nodes.len();
        if count > target::FIRST as usize || self.edges.len() >= u32::MAX as usize {
            return damaged(format!("{count} nodes and {} edges are more than there are numbers for", self.edges.len()));
        }
        if self.frames.len() != count {
            return damaged(format!("{count} nodes have {} frames", self.frames.len()));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            if let Err(what) = self.check_node(node) {
                return damaged(format!("node {place}: {what}"));
            }
            let frame = self.frames.get(place).and_then(Option::as_ref);
            let is_shown = node.flags & FRAME != 0 || node.kind == NodeKind::Task as u8;
            if is_shown != frame.is_some() {
                return damaged(format!("node {place} is shown and has no frame, or the other way round"));
            }
            let points = frame.map(|frame| &frame.points[..]).unwrap_or_default();
            if points.iter().any(|point| point.file as usize >= self.files.len()) {
                return damaged(format!("node {place} waits in a file that is not there"));
            }
        }
        let is_edge = |node: u32| (node as usize) < count || (target::UNSTARTED..=target::NOTHING).contains(&node);
        if let Some(edge) = self.edges.iter().find(|edge| !is_edge(edge.node)) {
            return damaged(format!("an edge leads to node {}", edge.node));
        }
        for entries in [&self.tasks, &self.dynamic, &self.scopes] {
            if let Some((address, node)) = entries.iter().find(|(_, node)| *node as usize >= count) {
                return damaged(format!("the entry of {address:#x} leads to node {node}"));
            }
            if !entries.is_sorted_by(|one, next| one.0 < next.0) {
                return damaged("an address has two entries".to_owned());
            }
        }
        let is_readable = |key: &TaskLocalKey| {
            key.value.is_none_or(|KeyLayout { recipe, .. }| {
                matches!(recipe.tag_width, 0 | 1 | 2 | 4 | 8)
                    && (recipe.kind == KEY_TEXT || recipe.kind == KEY_INLINE && matches!(recipe.width, 1 | 2 | 4 | 8 | 16))
            })
        };
        if let Some(key) = self.keys.iter().find(|key| !is_readable(key)) {
            return damaged(format!("the values of the key {} cannot be read so", key.name));
        }
        Ok(())
    }

    fn check_node(&self, node: &Node) -> Result<(), &'static str> {
        let is = |kind: NodeKind| node.kind == kind as u8;
        if node.kind > NodeKind::Task as u8 {
            return Err("a kind that there is not");
        }
        if node.flags & !(FRAME | COROUTINE | TASK_LOCAL) != 0 || node.padding != 0 {
            return Err("flags that there are not");
        }
        if node.flags & COROUTINE != 0 && !(is(NodeKind::Tagged) && node.flags & FRAME != 0) {
            return Err("a coroutine without states");
        }
        if node.flags & TASK_LOCAL != 0 && !(is(NodeKind::Inside) || is(NodeKind::Leaf)) {
            return Err("a key's value in what is no future with one inside");
        }
        let has_other = is(NodeKind::Tagged) && node.aux != NO_EDGE;
        if has_other && node.first.checked_add(node.count) != Some(node.aux) {
            return Err("the edge for other tags is not behind the rest");
        }
        let expected = node.count as usize + usize::from(has_other);
        if edges_of(node, &self.edges).len() != expected {
            return Err("edges that are not there");
        }
        let is_one = is(NodeKind::Inside) || is(NodeKind::Pointer) || is(NodeKind::Slice) || is(NodeKind::List);
        if is_one && node.count != 1 {
            return Err("not one edge");
        }
        let is_power = matches!(node.width, 1 | 2 | 4 | 8);
        if is(NodeKind::Tagged) && !is_power {
            return Err("a tag of that width");
        }
        if is(NodeKind::Branches) && node.width != 0 && !(is_power && node.count <= MASK_BITS.min(8 * u32::from(node.width))) {
            return Err("a mask of that width");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::specimen;
    use super::*;

    /// Check that a good table passes, and that every kind of damage is found.
    #[test]
    fn damage_is_found() {
        let good = specimen::layouts();
        assert_eq!(good.check(), Ok(()));
        let damages: [fn(&mut AwaitLayouts); 9] = [
            |table| table.nodes[0].kind = 9,
            |table| table.nodes[0].count = 1000,
            |table| table.nodes[0].first = u32::MAX,
            |table| table.nodes[0].width = 3,
            |table| table.edges[3].node = 77,
            |table| drop(table.frames.pop()),
            |table| *table.frames.iter_mut().find(|frame| frame.is_some()).unwrap() = None,
            |table| table.tasks[0].1 = 1 << 20,
            |table| table.files.clear(),
        ];
        for (number, damage) in damages.iter().enumerate() {
            let mut table = good.clone();
            damage(&mut table);
            assert!(matches!(table.check(), Err(AwaitError::Damaged(_))), "damage {number}");
        }
    }
}
