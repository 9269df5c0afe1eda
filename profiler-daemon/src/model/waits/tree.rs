//! An await stack as a tree: its trunk, and the branches where several futures are awaited at once.

use super::frames::WaitFrame;

/// A trunk with its branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree<'f> {
    /// Frames that lie in one another, outermost first, up to the one in which several others lie side by side.
    pub(super) trunk: &'f [WaitFrame],
    /// Those, each with what lies in it. Empty: the stack is a chain.
    pub(super) branches: Vec<&'f [WaitFrame]>,
}

pub(super) fn tree(frames: &[WaitFrame]) -> Tree<'_> {
    for (at, _) in frames.iter().enumerate() {
        let (trunk, rest) = frames.split_at(at);
        let branches = side_by_side(rest);
        if branches.len() > 1 {
            return Tree { trunk, branches };
        }
    }
    Tree { trunk: frames, branches: Vec::new() }
}

/// Splits frames in pre-order where one begins that does not lie in the first before it.
fn side_by_side(frames: &[WaitFrame]) -> Vec<&[WaitFrame]> {
    let mut pieces = Vec::new();
    let mut rest = frames;
    while let Some((first, inside)) = rest.split_first() {
        let length = inside.iter().take_while(|frame| frame.depth > first.depth).count();
        let (piece, after) = rest.split_at(length.saturating_add(1));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Which branch of the one wait led to the next: the only one that has gone on, or is gone. `None`: it cannot be told.
pub(super) fn woken<'f>(before: &'f [WaitFrame], after: &[WaitFrame]) -> Option<&'f [WaitFrame]> {
    let Tree { trunk, branches } = tree(before);
    if branches.is_empty() || after.get(..trunk.len())? != trunk {
        return None;
    }
    let rest = after.get(trunk.len()..)?;
    // All of the rest must lie where the branches lay.
    if trunk.last().is_some_and(|around| rest.iter().any(|frame| frame.depth <= around.depth)) {
        return None;
    }
    let later = side_by_side(rest);
    let changed = branches.iter().zip(&later).position(|(one, other)| one != other);
    let at = changed.unwrap_or(later.len());
    let branch = *branches.get(at)?;
    let others = branches.get(at.saturating_add(1)..)?;
    let is_gone = others == later.get(at..)?;
    let went_on = || {
        let (now, same) = later.get(at..)?.split_first()?;
        Some(others == same && is_same_future(branch.first()?, now.first()?))
    };
    (is_gone || went_on().unwrap_or(false)).then_some(branch)
}

/// Whether two frames at one place are the same future, perhaps at another of its awaits.
fn is_same_future(one: &WaitFrame, other: &WaitFrame) -> bool {
    one.depth == other.depth && one.kind == other.kind && one.name == other.name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::AwaitFrameKind;
    use proptest::prelude::*;

    /// `0:a 1:b` and so on, depth and name.
    fn frames(text: &str) -> Vec<WaitFrame> {
        let frame = |word: &str| {
            let (depth, name) = word.split_once(':').unwrap();
            let (name, line) = name.split_once('@').map_or((name, None), |(name, line)| (name, line.parse().ok()));
            let depth = depth.parse().unwrap();
            WaitFrame { depth, name: name.to_owned(), kind: AwaitFrameKind::AsyncFn, file: None, line, begins: None }
        };
        text.split_whitespace().map(frame).collect()
    }

    fn woken_by(before: &str, after: &str) -> Option<String> {
        woken(&frames(before), &frames(after)).map(|branch| branch[0].name.clone())
    }

    #[test]
    fn a_chain_has_no_branches_and_a_tree_has_them_whole() {
        assert_eq!(tree(&frames("0:a 1:b 2:c")), Tree { trunk: &frames("0:a 1:b 2:c"), branches: Vec::new() });
        let all = frames("0:a 1:join 2:b 3:c 3:d 2:e");
        let tree = tree(&all);
        assert_eq!(tree.trunk, &frames("0:a 1:join")[..]);
        assert_eq!(tree.branches, [&frames("2:b 3:c 3:d")[..], &frames("2:e")[..]]);
    }

    #[test]
    fn the_branch_that_went_on_or_is_gone() {
        let before = "0:a 1:join 2:b@1 3:x 2:c 3:y";
        for (after, by) in [
            ("0:a 1:join 2:b@2 3:x 2:c 3:y", Some("b")),
            ("0:a 1:join 2:b@1 3:x 2:c 3:z", Some("c")),
            ("0:a 1:join 2:c 3:y", Some("b")),
            ("0:a 1:join 2:b@1 3:x", Some("c")),
            // Both, neither, another future in its place, the whole join gone, another join, and one beside it.
            ("0:a 1:join 2:b@2 3:x 2:c 3:z", None),
            (before, None),
            ("0:a 1:join 2:d 3:x 2:c 3:y", None),
            ("0:a 1:x", None),
            ("0:a@7 1:join 2:c 3:y", None),
            ("0:a 1:join 1:c 2:y", None),
            ("0:a 1:join", None),
            ("", None),
        ] {
            assert_eq!(woken_by(before, after), by.map(str::to_owned), "{after}");
        }
        assert_eq!(woken_by("0:a 1:b", "0:a 1:c"), None, "nothing is awaited at once");
        assert_eq!(woken_by("0:all 1:leaf 1:leaf 1:leaf", "0:all 1:leaf 1:leaf"), Some("leaf".to_owned()));
    }

    proptest! {
        /// Check that whatever the depths, trunk and branches are all of the frames, in order.
        #[test]
        fn nothing_is_lost(depths in prop::collection::vec(0_u32..5, 0..12), other in prop::collection::vec(0_u32..5, 0..12)) {
            let of = |depths: &[u32]| frames(&depths.iter().map(|depth| format!("{depth}:f")).collect::<Vec<_>>().join(" "));
            let (all, other) = (of(&depths), of(&other));
            let parts = tree(&all);
            prop_assert_eq!([parts.trunk.to_vec(), parts.branches.concat()].concat(), all.clone());
            prop_assert!(parts.branches.len() != 1);
            let _ = woken(&all, &other);
            prop_assert!(woken(&all, &all).is_none());
        }
    }
}
