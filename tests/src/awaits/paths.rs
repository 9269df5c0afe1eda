//! An await stack held against what was awaited in truth.

use await_fixture::truth::{Branch, Place};

use super::answer::Frame;

/// What the corpus's own functions begin with.
const OWN: &str = "await_fixture::cases::";
/// Kinds of frames that have an `.await` in the source.
const COROUTINES: [&str; 3] = ["async_fn", "async_block", "async_closure"];

/// Whether the stack shows exactly what was awaited: each branch to its leaf, and nothing of ours besides.
#[must_use]
pub fn shows(stack: &[Frame], branches: &[Branch]) -> bool {
    let paths = paths(stack);
    let is_whole = branches.iter().all(|branch| paths.iter().any(|path| leads_to(path, branch)));
    is_whole && !paths.is_empty() && paths.iter().all(|path| branches.iter().any(|branch| begins(path, &branch.chain)))
}

/// Whether what is there of a cut stack is part of what was awaited.
#[must_use]
pub fn may_become(stack: &[Frame], branches: &[Branch]) -> bool {
    paths(stack).iter().all(|path| branches.iter().any(|branch| begins(path, &branch.chain)))
}

/// From the root to each frame in which no other lies. What another task awaits is not part of it.
fn paths(stack: &[Frame]) -> Vec<Vec<&Frame>> {
    let mut paths = Vec::new();
    let mut path: Vec<&Frame> = Vec::new();
    for (place, frame) in stack.iter().enumerate() {
        while path.last().is_some_and(|last| last.depth >= frame.depth) {
            path.pop();
        }
        path.push(frame);
        if stack.get(place + 1).is_none_or(|next| next.depth <= frame.depth) {
            let end = path.iter().position(|frame| frame.kind == "task").map_or(path.len(), |task| task + 1);
            paths.push(path.iter().take(end).copied().collect());
        }
    }
    paths
}

/// Whether a path goes through the whole chain and from there to the thing itself.
fn leads_to(path: &[&Frame], branch: &Branch) -> bool {
    let own = own(path);
    let last = own.last().map_or(0, |(place, _)| place + 1);
    own.len() == branch.chain.len()
        && begins(path, &branch.chain)
        && path.iter().skip(last).any(|frame| branch.label.split('|').any(|label| frame.name.contains(label)))
}

/// Whether the corpus's own frames on a path are the first of the chain.
fn begins(path: &[&Frame], chain: &[Place]) -> bool {
    let own = own(path);
    own.len() <= chain.len() && own.iter().zip(chain).all(|((_, frame), place)| is_at(frame, place))
}

/// The coroutines of the corpus that have begun, and their places on the path. One that has not is not awaited yet, whatever holds it; a
/// pending one that lacks its place is missed by [`leads_to`].
fn own<'a>(path: &[&'a Frame]) -> Vec<(usize, &'a Frame)> {
    let ours = path.iter().enumerate().filter(|(_, frame)| COROUTINES.contains(&&*frame.kind) && frame.name.starts_with(OWN));
    ours.map(|(place, frame)| (place, *frame)).take_while(|(_, frame)| frame.line.is_some()).collect()
}

/// Whether a coroutine waits at that place.
fn is_at(frame: &Frame, place: &Place) -> bool {
    let file = frame.file.as_deref().unwrap_or_default();
    let is_in_macro = || place.in_macro.as_ref().is_some_and(|end| file.ends_with(&**end));
    let is_in_file = || is_same_file(file, &place.file) && frame.line == Some(place.line);
    named(&frame.name) == place.function && (is_in_file() || is_in_macro())
}

/// Whether the one path ends with the other, folder by folder. `short` is from the root of the repository.
fn is_same_file(file: &str, short: &str) -> bool {
    file.strip_suffix(short).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// A function's path without generic arguments and without the parts that have no name: `load::{async_fn#0}<u8>` is `load`.
fn named(name: &str) -> String {
    let mut depth = 0_usize;
    let mut before = ' ';
    let bare = name.chars().filter(|letter| {
        let is_arrow = *letter == '>' && before == '-';
        before = *letter;
        match letter {
            '<' => depth += 1,
            '>' if !is_arrow => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    let bare: String = bare.collect();
    bare.split("::").filter(|part| !part.starts_with('{')).collect::<Vec<_>>().join("::")
}

/// A stack as one reads it, for whoever reads the failure.
#[must_use]
pub fn described(stack: &[Frame]) -> String {
    let lines = stack.iter().map(|frame| {
        let indent = "  ".repeat(frame.depth as usize);
        let place = frame.line.map(|line| format!(" ({}:{line})", frame.file.as_deref().unwrap_or("?")));
        format!("      {indent}{} [{}]{}", frame.name, frame.kind, place.unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What was awaited, likewise.
#[must_use]
pub fn told(branches: &[Branch]) -> String {
    let lines = branches.iter().map(|branch| {
        let chain = branch.chain.iter().map(|place| {
            let of_macro = place.in_macro.as_ref().map(|file| format!(" or {file}"));
            format!("{} ({}:{}{})", place.function, place.file, place.line, of_macro.unwrap_or_default())
        });
        format!("      {} > {}", chain.collect::<Vec<_>>().join(" > "), branch.label)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
