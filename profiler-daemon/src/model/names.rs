//! Names of functions and types as the user wrote them.
//!
//! The compiler names what has no name of its own in the source: the body of an `async fn`, a closure, the type that
//! holds their state. Spellings, rustc 1.95: legacy symbols say `load::{{closure}}` for all of them, v0 symbols
//! `load::{closure#0}`, debug information `load::{async_fn_env#0}` for the type and `load::{async_fn#0}` for the scope
//! (rustc `compiler/rustc_codegen_ssa/src/debuginfo/type_names.rs`, `push_closure_or_coroutine_name`).

mod file;
mod function;
mod owner;
mod short;

use std::borrow::Cow;

pub use file::{file_name, without_home};
pub use function::{function_of, last_segment};
pub use owner::crate_of;
pub use short::shortened;

/// A demangled name without what the compiler added.
///
/// Removed: the segment that stands for an `async fn`'s body and for closures, the legacy hash (`::h` and 16 hex
/// digits), suffixes of LLVM passes. Kept, but in words: types of async blocks (`{async block 0}`) and closures
/// (`{closure 0}`), since several of them in one function are different things.
#[must_use]
pub fn as_written(name: &str) -> String {
    let mut rest = without_hash(without_pass_suffix(name));
    let mut written = String::with_capacity(rest.len());
    while let Some((before, segment, after)) = next_segment(rest) {
        written.push_str(before);
        match in_words(segment) {
            Segment::Gone => {}
            Segment::Kept => {
                written.push_str("::");
                written.push_str(segment);
            }
            Segment::Said { what, number } => {
                written.push_str("::{");
                written.push_str(what);
                written.push(' ');
                written.push_str(number);
                written.push('}');
            }
        }
        rest = after;
    }
    written.push_str(rest);
    written
}

/// Adds the source file to a name that is only the compiler's word for the nameless, as `{async_fn#0}`: all that
/// line tables alone tell of an inlined `async fn`'s body. Other names stay.
#[must_use]
pub fn with_file<'n>(name: &'n str, file: Option<&str>) -> Cow<'n, str> {
    let Some((kind, _)) = name.strip_prefix('{').and_then(|inner| inner.split_once('#')) else {
        return Cow::Borrowed(name);
    };
    let kind = kind.replace('_', " ");
    Cow::Owned(file.map_or_else(|| format!("{{{kind}}}"), |file| format!("{{{kind} in {file}}}")))
}

enum Segment<'n> {
    Gone,
    Kept,
    Said { what: &'static str, number: &'n str },
}

fn in_words(segment: &str) -> Segment<'_> {
    if segment == "{{closure}}" {
        return Segment::Gone;
    }
    let Some((what, number)) = segment
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .and_then(|inner| inner.split_once('#'))
        .filter(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    else {
        return Segment::Kept;
    };
    let what = match what {
        "closure" | "async_fn" | "async_fn_env" => return Segment::Gone,
        "closure_env" => "closure",
        "async_block" | "async_block_env" => "async block",
        "async_closure" | "async_closure_env" => "async closure",
        _ => return Segment::Kept,
    };
    Segment::Said { what, number }
}

/// Splits at the first `::{...}`: what stands before, the braces with their content, what stands after.
fn next_segment(name: &str) -> Option<(&str, &str, &str)> {
    let at = name.find("::{")?;
    let (before, tail) = name.split_at(at);
    let segment = tail.strip_prefix("::")?;
    let mut depth = 0_usize;
    for (index, byte) in segment.bytes().enumerate() {
        match byte {
            b'{' => depth = depth.saturating_add(1),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let (segment, after) = segment.split_at_checked(index.saturating_add(1))?;
            return Some((before, segment, after));
        }
    }
    None
}

/// `name.llvm.1234` and the like. Only where `.` cannot be a part of the name: after the last closing bracket.
fn without_pass_suffix(name: &str) -> &str {
    [".llvm.", ".cold", ".part.", ".constprop."]
        .iter()
        .filter_map(|suffix| name.rfind(suffix))
        .filter(|&at| name.get(at..).is_some_and(|tail| !tail.contains(['>', '}', ':'])))
        .min()
        .and_then(|at| name.get(..at))
        .unwrap_or(name)
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn async_functions_and_closures_read_as_their_function() {
        for (raw, written) in [
            ("orders::load", "orders::load"),
            ("orders::load::{{closure}}", "orders::load"),
            ("orders::load::{{closure}}::{{closure}}::h0123456789abcdef", "orders::load"),
            ("orders::load::{closure#0}", "orders::load"),
            // v0 symbols, as rustc-demangle's alternate form prints them.
            ("<orders::Db>::load::{closure#0}::{closure#1}", "<orders::Db>::load"),
            ("orders::load::<i32>::{closure#0}", "orders::load::<i32>"),
            ("<orders::Db as store::Load>::load::{closure#0}", "<orders::Db as store::Load>::load"),
            ("orders::load::{async_fn_env#0}", "orders::load"),
            ("orders::load::{async_fn_env#0}<i32>", "orders::load<i32>"),
            ("<orders::load::{{closure}} as core::future::Future>::poll", "<orders::load as core::future::Future>::poll"),
            ("orders::load::{{closure}}.llvm.1234567", "orders::load"),
            ("orders::load::{async_fn#0}::{closure_env#1}", "orders::load::{closure 1}"),
            ("demo::main::{async_fn#0}::{async_block_env#2}", "demo::main::{async block 2}"),
            ("core::ptr::drop_in_place<a::b::{async_fn_env#0}>", "core::ptr::drop_in_place<a::b>"),
        ] {
            assert_eq!(as_written(raw), written);
        }
    }

    #[test]
    fn a_body_without_a_path_is_told_by_its_file() {
        assert_eq!(with_file("{async_fn#0}", Some("orders.rs")), "{async fn in orders.rs}");
        assert_eq!(with_file("{closure#12}<i32>", None), "{closure}");
        assert_eq!(with_file("load", Some("orders.rs")), "load");
    }

    #[test]
    fn what_is_no_such_name_stays() {
        for name in [
            "",
            "{{closure}}",
            "a::{impl#3}::b",
            "a::{{vtable.shim}}",
            "a::{",
            "a::{{closure}",
            "h0123",
            "a.b",
            "<[u8; 3] as T>::f",
            "a::hello",
            "::{x#}",
            "Map<F, [fn().llvm.3]>",
        ] {
            assert_eq!(as_written(name), name);
        }
    }

    proptest! {
        #[test]
        fn any_name_is_survived_and_stays_short(parts in prop::collection::vec(prop::sample::select(vec![
            "a", "::", "{{closure}}", "{closure#0}", "{closure_env#1}", "{async_block_env#0}", "{", "}", "<", ">", ".llvm.1",
            "::h0123456789abcdef", "é",
        ]), 0..10)) {
            let once = as_written(&parts.concat());
            prop_assert!(once.len() <= parts.concat().len() + 8);
        }
    }
}
