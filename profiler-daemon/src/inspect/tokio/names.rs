//! Names of task types from symbols, and how they read.
//!
//! Legacy mangling drops generics, but `drop_in_place::<Cell<T, S>>` spells its type out in its path, and the vtable's
//! `dealloc` reaches it. In v0 mangling `raw::poll::<T, S>` itself names both.

use std::collections::HashSet;

use super::vtables::Vtable;
use crate::inspect::code::Function;
use crate::inspect::functions::Functions;
use crate::inspect::image::Image;
use crate::inspect::inspection::TaskKind;
use crate::inspect::symbols::{Symbols, demangle};

/// Calls between `raw::dealloc` and `drop_in_place::<Cell<T, S>>` in an unoptimised build.
const MAX_DEPTH: usize = 6;
/// Functions looked at for one name.
const MAX_REACHED: usize = 64;

/// How the types that own a future are written: the task, its core, then (naming no scheduler) what holds the future or its output.
const OWNERS: [&str; 4] = ["task::core::Cell<", "task::core::Core<", "task::core::Stage<", "task::core::CoreStage<"];

/// The wrapper of a blocking task's closure.
const BLOCKING: [&str; 2] = ["blocking::task::BlockingTask<", "blocking::BlockingTask<"];

/// A future and its scheduler, as the compiler writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypePair {
    pub(crate) future: String,
    pub(crate) scheduler: String,
}

/// The types of a vtable; several where the linker merged them. Its functions are asked in turn: dealloc and the
/// others that may free the task first, the poll last (what it calls may belong to other tasks).
pub(crate) fn from_symbols(
    image: &Image<'_>,
    functions: &Functions<'_>,
    symbols: &Symbols<'_>,
    vtable: &Vtable,
) -> Vec<TypePair> {
    if symbols.is_empty() {
        return Vec::new();
    }
    let named = symbols.at(vtable.poll).filter_map(|name| pair_of_poll(&demangle(name)));
    let mut best = fitting(named.collect(), vtable);
    let roots = [vtable.dealloc].into_iter().chain(vtable.pointers.iter().copied().skip(1)).chain([vtable.poll]);
    for pattern in OWNERS {
        for root in roots.clone() {
            // Drop glue of different types may be merged; another function of the vtable then says which it is.
            if best.len() == 1 {
                return best;
            }
            let pairs = fitting(drops_reached(image, functions, symbols, root, pattern), vtable);
            if best.is_empty() || (!pairs.is_empty() && pairs.len() < best.len()) {
                best = pairs;
            }
        }
    }
    best
}

/// The pairs that can be this vtable's, sorted, each once: blocking tasks are known by the size of their scheduler.
fn fitting(mut pairs: Vec<TypePair>, vtable: &Vtable) -> Vec<TypePair> {
    pairs.sort_unstable();
    pairs.dedup();
    if let Some(is_blocking_task) = vtable.is_blocking() {
        pairs.retain(|pair| is_blocking(&pair.future) == is_blocking_task);
    }
    pairs
}

/// The scheduler that `raw::schedule::<S>` hands a task to, by the names of the functions it calls.
pub(crate) fn kind_of_schedule(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>, schedule: u64) -> TaskKind {
    let Some(decoded) = Function::decode(image, functions, schedule) else {
        return TaskKind::Unknown;
    };
    let callees = decoded.callees(image);
    let names = callees.iter().flat_map(|callee| symbols.at(*callee));
    let mut kinds = names.map(|name| kind_of(&demangle(name))).filter(|kind| *kind != TaskKind::Unknown);
    match kinds.next() {
        Some(first) if kinds.all(|kind| kind == first) => first,
        _ => TaskKind::Unknown,
    }
}

/// The types in the nearest `drop_in_place` symbols that contain `pattern`, breadth first from `root`.
fn drops_reached(image: &Image<'_>, functions: &Functions<'_>, symbols: &Symbols<'_>, root: u64, pattern: &str) -> Vec<TypePair> {
    let mut reached: HashSet<u64> = HashSet::from([root]);
    let mut level = vec![root];
    for _ in 0..MAX_DEPTH {
        let mut pairs = Vec::new();
        let mut next = Vec::new();
        for function in level {
            pairs.extend(symbols.at(function).filter_map(|name| pair_of_drop(&demangle(name), pattern)));
            if let Some(decoded) = Function::decode(image, functions, function) {
                next.extend(decoded.callees(image).into_iter().filter(|callee| reached.insert(*callee)));
            }
        }
        if !pairs.is_empty() || reached.len() > MAX_REACHED {
            return pairs;
        }
        level = next;
    }
    Vec::new()
}

/// `core::ptr::drop_in_place<..Cell<T, S>..>`, boxed or not; or the same of `Stage<T>`, which names no scheduler.
fn pair_of_drop(name: &str, pattern: &str) -> Option<TypePair> {
    name.strip_prefix("core::ptr::drop_in_place")?;
    let (_, arguments) = name.split_once(pattern)?;
    pair(arguments)
}

/// `tokio::runtime::task::raw::poll::<T, S>`.
fn pair_of_poll(name: &str) -> Option<TypePair> {
    let (_, arguments) = name.split_once("runtime::task::raw::poll::<")?;
    pair(arguments)
}

/// The two arguments at the beginning of `T, S>...`.
fn pair(arguments: &str) -> Option<TypePair> {
    let (future, rest) = split_argument(arguments)?;
    let (scheduler, _) = rest.strip_prefix(',').and_then(split_argument).unwrap_or_default();
    Some(TypePair { future: future.trim().to_owned(), scheduler: scheduler.trim().to_owned() })
}

/// Splits before the `,` or `>` that ends the first argument.
fn split_argument(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut previous = ' ';
    for (at, character) in text.char_indices() {
        match character {
            '<' | '(' | '[' => depth += 1,
            '>' if previous == '-' => {} // `->` in a function type
            '>' | ')' | ']' if depth > 0 => depth -= 1,
            ',' | '>' if depth == 0 => return Some((text.get(..at)?, text.get(at..)?)),
            _ => {}
        }
        previous = character;
    }
    None
}

/// Which scheduler a type name is.
pub(crate) fn kind_of(scheduler: &str) -> TaskKind {
    if scheduler.contains("BlockingSchedule") || scheduler.contains("NoopSchedule") {
        TaskKind::Blocking
    } else if scheduler.contains("task::local::") {
        TaskKind::Local
    } else if scheduler.contains("multi_thread") || scheduler.contains("thread_pool") {
        TaskKind::MultiThread
    } else if scheduler.contains("current_thread") || scheduler.contains("basic_scheduler") {
        TaskKind::CurrentThread
    } else {
        TaskKind::Unknown
    }
}

/// Whether it is the wrapper of `spawn_blocking`.
pub(crate) fn is_blocking(future: &str) -> bool {
    BLOCKING.iter().any(|wrapper| future.contains(wrapper))
}

/// A future's type as its author would write it: without the wrapper of blocking tasks, without the
/// compiler's name for the body of an `async fn`.
pub(crate) fn readable(future: &str) -> String {
    let inner = BLOCKING
        .iter()
        .find_map(|wrapper| future.split_once(wrapper))
        .and_then(|(_, inner)| split_argument(inner))
        .map_or(future, |(inner, _)| inner);
    let inner = unboxed(inner);
    let mut name = String::with_capacity(inner.len());
    let mut rest = inner;
    // In every path of the type, the first closure after a function's name is that function's body.
    while let Some(at) = rest.find(BODY) {
        let (before, after) = rest.split_at(at);
        let after = after.get(BODY.len()..).unwrap_or_default();
        name.push_str(before);
        let nested = after.strip_prefix(BODY);
        if nested.is_some() {
            name.push_str("::{closure}");
        }
        rest = nested.unwrap_or(after);
        while let Some(deeper) = rest.strip_prefix(BODY) {
            name.push_str("::{closure}");
            rest = deeper;
        }
    }
    name.push_str(rest);
    // DWARF says what they are (`{async_fn_env#0}`, `{async_fn#0}` around others); v0 only counts (`{closure#0}`).
    for body in ["::{async_fn_env#0}", "::{async_fn#0}"] {
        name = name.replace(body, "");
    }
    without_bodies(&without_impl(&name))
        .replace("_env#", "#")
        .replace("{async_", "{async ")
        .replace(',', ", ")
        .replace(",  ", ", ")
}

/// `<app::Server>::run` of v0 mangling as `app::Server::run`; a trait's method (`<A as B>::c`) stays.
fn without_impl(name: &str) -> String {
    let split = name.strip_prefix('<').and_then(split_argument);
    match split.filter(|(of, _)| !of.contains(" as ")) {
        Some((of, rest)) => format!("{of}{}", rest.strip_prefix('>').unwrap_or(rest)),
        None => name.to_owned(),
    }
}

/// The future in `Pin<Box<F>>`: Tokio boxes large ones itself (`BOX_FUTURE_THRESHOLD`, 2 or 16 KiB). A `dyn Future` stays.
fn unboxed(future: &str) -> &str {
    let boxed = future.strip_prefix("core::pin::Pin<alloc::boxed::Box<").filter(|inner| !inner.starts_with("dyn "));
    boxed.and_then(split_argument).map_or(future, |(inner, _)| inner)
}

/// Drops `::{closure#0}` where it follows a function's name, not another closure.
fn without_bodies(name: &str) -> String {
    const COUNTED: &str = "::{closure#0}";
    let mut kept = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(COUNTED) {
        let (before, found) = rest.split_at(at);
        kept.push_str(before);
        let (body, after) = found.split_at(COUNTED.len());
        // A closure right before is kept in `kept` or was the body dropped last time round.
        if before.is_empty() || kept.ends_with('}') {
            kept.push_str(body);
        }
        rest = after;
    }
    kept + rest
}

const BODY: &str = "::{{closure}}";

#[cfg(test)]
mod tests {
    use super::*;

    const DROP: &str = "core::ptr::drop_in_place<alloc::boxed::Box<tokio::runtime::task::core::Cell<\
        app::orders::load::{{closure}},alloc::sync::Arc<tokio::task::local::Shared>>>>";

    #[test]
    fn a_drop_names_future_and_scheduler() {
        let pair = pair_of_drop(DROP, OWNERS[0]).unwrap();
        assert_eq!(pair.future, "app::orders::load::{{closure}}");
        assert_eq!(kind_of(&pair.scheduler), TaskKind::Local);
        assert_eq!(readable(&pair.future), "app::orders::load");
    }

    #[test]
    fn a_v0_poll_names_both() {
        let name = "tokio::runtime::task::raw::poll::<app::orders::load::{closure#0}, \
            alloc::sync::Arc<tokio::runtime::scheduler::multi_thread::handle::Handle>>";
        let pair = pair_of_poll(name).unwrap();
        assert_eq!(readable(&pair.future), "app::orders::load");
        assert_eq!(kind_of(&pair.scheduler), TaskKind::MultiThread);
    }

    #[test]
    fn names_read_as_written() {
        assert_eq!(readable("app::Countdown"), "app::Countdown");
        assert_eq!(readable("core::pin::Pin<alloc::boxed::Box<app::large::{{closure}}>>"), "app::large");
        assert_eq!(readable("<app::Server<u8>>::run::{closure#0}"), "app::Server<u8>::run");
        let any = "core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future>>";
        assert_eq!(readable(any), any);
        assert_eq!(readable("app::main::{{closure}}::{{closure}}"), "app::main::{closure}");
        assert_eq!(
            readable("tokio::runtime::blocking::task::BlockingTask<app::work::{{closure}}::{{closure}}>"),
            "app::work::{closure}"
        );
        assert_eq!(readable("app::orders::load::{async_fn_env#0}"), "app::orders::load");
        assert_eq!(readable("app::main::{async_block_env#1}"), "app::main::{async block#1}");
        assert_eq!(readable("app::main::{closure#0}::{closure#0}"), "app::main::{closure#0}");
        assert_eq!(readable("app::main::{async_fn#0}::{async_block_env#0}"), "app::main::{async block#0}");
        assert_eq!(readable("app::Pair<app::a::{{closure}},fn(u8) -> u8>"), "app::Pair<app::a, fn(u8) -> u8>");
    }

    #[test]
    fn arguments_end_at_their_own_bracket() {
        assert_eq!(split_argument("fn(u8) -> A<B,C>,D>"), Some(("fn(u8) -> A<B,C>", ",D>")));
        assert_eq!(split_argument("A<B,C"), None);
    }
}
