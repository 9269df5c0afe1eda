//! The function that a coroutine belongs to: one name for what symbols, debug information and await stacks write in different ways.
//!
//! A symbol calls an async block `load::{{closure}}` as it calls the body of an `async fn`, debug information says
//! `load::{async_block#0}`; legacy symbols have no generic arguments behind a function, v0 symbols and debug information have them;
//! debug information says `{impl#0}` where a symbol has a type. What is left here is what all of them say.

/// A name without its closures, its blocks and its generic arguments: `orders::load` of `orders::load::{async_block#0}<i32>`.
///
/// Two frames with the same text are parts of one function. A name whose brackets do not match keeps them.
#[must_use]
pub fn function_of(name: &str) -> String {
    without_arguments(&without_bodies(name)).replace("::{impl}::", "::")
}

/// Takes out the segments that stand for a body (`{{closure}}`, `{async_fn#0}`, `{async block 0}`), and the numbers of `{impl#0}`.
fn without_bodies(name: &str) -> String {
    let mut rest = name;
    let mut kept = String::with_capacity(name.len());
    while let Some((before, segment, after)) = super::next_segment(rest) {
        kept.push_str(before);
        let inner = segment.trim_start_matches('{').trim_end_matches('}');
        if inner.starts_with("impl#") {
            kept.push_str("::{impl}");
        } else if !BODIES.iter().any(|body| is_numbered(inner, body)) {
            kept.push_str("::");
            kept.push_str(segment);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// What the compiler and [`super::as_written`] call the nameless parts of a function.
const BODIES: [&str; 10] = [
    "closure",
    "closure_env",
    "async_fn",
    "async_fn_env",
    "async_block",
    "async_block_env",
    "async_closure",
    "async_closure_env",
    "async block",
    "async closure",
];

/// `closure`, `closure#0`, `closure 0`.
fn is_numbered(inner: &str, body: &str) -> bool {
    let Some(rest) = inner.strip_prefix(body) else { return false };
    rest.is_empty() || (rest.starts_with(['#', ' ']) && rest.len() > 1 && rest.bytes().skip(1).all(|byte| byte.is_ascii_digit()))
}

/// Takes out `<..>` and `::<..>` where they follow a name. Those around a type (`<T as Trait>::f`) stay, around a type alone the brackets
/// go, as [`super::shortened`] has it. One pass.
fn without_arguments(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    // For each open `<`: where its content began to be dropped, or `None` where it stays.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut before = ' ';
    for character in name.chars() {
        match character {
            '<' => {
                let follows = kept.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | ':' | '}' | '>'));
                open.push(follows.then_some(kept.len()));
                kept.push('<');
            }
            '>' if before != '-' => match open.pop() {
                None => return name.to_owned(),
                Some(None) => kept.push('>'),
                Some(Some(at)) => {
                    kept.truncate(at);
                    if kept.ends_with("::") {
                        kept.truncate(kept.len() - 2);
                    }
                }
            },
            _ => kept.push(character),
        }
        before = character;
    }
    if open.is_empty() { of_type_alone(kept) } else { name.to_owned() }
}

/// `<orders::Db>::load` to `orders::Db::load`.
fn of_type_alone(name: String) -> String {
    let Some((inside, after)) = name.strip_prefix('<').and_then(|rest| rest.split_once(">::")) else { return name };
    let is_path = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'));
    if is_path { format!("{inside}::{after}") } else { name }
}

/// The last segment of a path: `load` of `orders::Db::load` and of `<orders::Db as store::Load>::load`.
#[must_use]
pub fn last_segment(function: &str) -> &str {
    let end = function.rfind('>').filter(|&at| !function.get(..at).is_some_and(|before| before.ends_with('-')));
    let tail = end.and_then(|at| function.get(at.saturating_add(1)..)).filter(|tail| tail.starts_with("::")).unwrap_or(function);
    match tail.rsplit_once("::") {
        // Inside of brackets it is no segment of this path.
        Some((_, last)) if !last.is_empty() && !last.contains('>') => last,
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::{as_written, shortened};
    use proptest::prelude::*;

    /// Check that the spellings of one function read the same, raw and as they are shown of code.
    #[test]
    fn one_function_has_one_name() {
        for (spellings, function) in [
            (
                &[
                    "orders::load_order::{{closure}}::h0123456789abcdef",
                    "orders::load_order::{async_fn#0}",
                    "orders::load_order::{async_fn_env#0}<i32>",
                    "orders::load_order::<i32>::{closure#0}",
                    "orders::load_order::{closure#0}::<alloc::string::String>",
                    "orders::load_order::{async_fn#0}::{async_block_env#1}",
                    "orders::load_order",
                ][..],
                "orders::load_order",
            ),
            (&["<orders::Db>::load::{closure#0}", "orders::Db::load::{{closure}}", "orders::Db<T>::load"], "orders::Db::load"),
            (
                &["<orders::Db as store::Load<A>>::load::{{closure}}", "<orders::Db<B> as store::Load<_>>::load"],
                "<orders::Db as store::Load>::load",
            ),
            (&["tokio::sync::semaphore::{impl#1}::acquire::{async_fn#0}"], "tokio::sync::semaphore::acquire"),
            (&["a::call<fn(u8) -> alloc::string::String>"], "a::call"),
        ] {
            for spelling in spellings {
                assert_eq!(function_of(&as_written(spelling)), function, "{spelling}");
                assert_eq!(function_of(&shortened(&as_written(spelling))), function, "{spelling}");
            }
        }
    }

    #[test]
    fn other_names_stay() {
        for name in ["", "a<b", "operator>>", "<", "<[u8]>::sort", "<&mut F as Future>::poll", "[tokio]", "a::{{vtable.shim}}"] {
            assert_eq!(function_of(name), name);
        }
    }

    #[test]
    fn the_last_segment_of_a_path() {
        for (path, last) in [
            ("orders::Db::load", "load"),
            ("<orders::Db as store::Load>::load", "load"),
            ("<orders::Db>", "<orders::Db>"),
            ("load", "load"),
            ("", ""),
            ("a::", "a::"),
            ("fn() -> a::B", "B"),
        ] {
            assert_eq!(last_segment(path), last);
        }
    }

    proptest! {
        #[test]
        fn any_name_is_survived_and_said_once(parts in prop::collection::vec(prop::sample::select(vec![
            "a", "::", "{{closure}}", "{closure#0}", "{async_block#1}", "{impl#2}", "{", "}", "<", ">", " as ", "->", "é",
        ]), 0..12)) {
            let name = parts.concat();
            let function = function_of(&name);
            prop_assert!(function.len() <= name.len());
            let _ = last_segment(&function);
        }
    }
}
