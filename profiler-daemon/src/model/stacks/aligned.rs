//! Stacks of code cut to the frames of the user's own functions that await one another, as await stacks have them: so that a function's
//! running, blocked and awaited time lie under one frame.
//!
//! Both kinds of stack tell of the same functions, and each has more around them. A stack of code begins at the task's poll, and has what
//! carries futures between two functions (`Timeout::poll`, the closure inside `select!`); an await stack begins at the request's future.
//! What is left of a stack of code here: the frames inside the request's scope; of those around the innermost function that is known to
//! await, no plumbing; from that function on, all.

use std::collections::HashSet;

use crate::model::folding::is_plumbing;
use crate::model::names::function_of;

/// Functions that await, as the await stacks of a request or a type of task have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aligned {
    /// All of them.
    functions: HashSet<String>,
    /// Those that await themselves: recursion, or an async block in a function.
    repeated: HashSet<String>,
    /// Those that an await stack begins with.
    roots: HashSet<String>,
}

/// Which scope of those that a stack was in is the one to cut at: the request's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nested {
    /// Its place, from 1 for the outermost. 0: none.
    pub place: usize,
    /// How many scopes the stack was in.
    pub of: usize,
}

/// A frame that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the stack.
    pub at: usize,
    /// What it is called in await stacks. `None`: it keeps its text.
    pub text: Option<String>,
}

impl Aligned {
    /// Takes the functions on one await stack, outermost first.
    pub fn learn<'n>(&mut self, path: impl IntoIterator<Item = &'n str>) {
        let mut before = None;
        for function in path {
            if before.is_none() {
                self.roots.insert(function.to_owned());
            }
            if before == Some(function) {
                self.repeated.insert(function.to_owned());
            }
            self.functions.insert(function.to_owned());
            before = Some(function);
        }
    }

    /// Whether nothing was learned: then stacks of code have nothing to be aligned with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// What is left of a stack of functions, root first.
    #[must_use]
    pub fn align(&self, stack: &[&str], nested: Nested) -> Vec<Kept> {
        let functions: Vec<String> = stack.iter().map(|text| function_of(&polled(text))).collect();
        let begin = self.scope_end(stack, &functions, nested);
        let knows = |at: usize| functions.get(at).is_some_and(|function| self.functions.contains(function));
        let is_own = |at: &usize| knows(*at) || stack.get(*at).is_some_and(|text| !is_plumbing(text));
        let innermost = (begin..stack.len()).rev().find(|&at| knows(at));
        // Of a function that is not known to await, only what leads to it from outside goes.
        let until = innermost.or_else(|| (begin..stack.len()).find(is_own)).unwrap_or(begin);
        let mut kept: Vec<Kept> = Vec::new();
        for at in (begin..until).filter(is_own).chain(until..stack.len()) {
            let text = functions.get(at).filter(|_| knows(at)).cloned();
            let again = kept.last().is_some_and(|before| text.is_some() && before.text == text);
            if again && text.as_ref().is_some_and(|text| !self.repeated.contains(text)) {
                continue;
            }
            kept.push(Kept { at, text });
        }
        kept
    }

    /// Where the inside of the request's scope begins.
    fn scope_end(&self, stack: &[&str], functions: &[String], nested: Nested) -> usize {
        if nested.place == 0 {
            return 0;
        }
        let ends = scope_ends(stack);
        if ends.len() == nested.of {
            return ends.get(nested.place.saturating_sub(1)).copied().unwrap_or(0);
        }
        // Scopes of requests that are not wanted are on the stack as well, and which is which the functions in them tell.
        let begins_here = |end: &&usize| {
            let first = stack.iter().zip(functions).skip(**end).find(|(text, _)| !is_plumbing(text));
            first.is_some_and(|(_, function)| self.roots.contains(function))
        };
        ends.iter().find(begins_here).or_else(|| ends.first()).copied().unwrap_or(0)
    }
}

/// After each run of the annotation's frames that polls a scope.
fn scope_ends(stack: &[&str]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut polls = false;
    for (at, text) in stack.iter().enumerate() {
        let is_annotation = text.contains("profiler_annotate::");
        if !is_annotation && std::mem::take(&mut polls) {
            ends.push(at);
        }
        polls |= is_annotation && is_scope(text);
    }
    if polls {
        ends.push(stack.len());
    }
    ends
}

/// Whether a function is the annotation's, around a request's future.
#[must_use]
pub fn is_scope(function: &str) -> bool {
    function.contains("profiler_annotate::scope::Scope")
}

/// The type in `<T as core::future::future::Future>::poll`: a hand-written future is called by its type in await stacks.
fn polled(function: &str) -> String {
    let future = function.strip_prefix('<').and_then(|rest| rest.split_once(" as core::future::future::Future>::poll"));
    future.map_or_else(|| function.to_owned(), |(future, _)| future.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLL: &str = "<core::pin::Pin<P> as core::future::future::Future>::poll";
    const SCOPE: &str = "<profiler_annotate::scope::Scope<_> as core::future::future::Future>::poll";
    const TIMEOUT: &str = "<tokio::time::timeout::Timeout<_> as core::future::future::Future>::poll";

    fn learned() -> Aligned {
        let mut aligned = Aligned::default();
        aligned.learn(["orders::handle", "orders::load_order", "orders::Retry", "orders::query"]);
        aligned.learn(["orders::handle", "orders::tree", "orders::tree"]);
        aligned
    }

    fn aligned(stack: &[&str], place: usize, of: usize) -> Vec<String> {
        let kept = learned().align(stack, Nested { place, of });
        kept.into_iter().map(|kept| kept.text.unwrap_or_else(|| stack[kept.at].to_owned())).collect()
    }

    #[test]
    fn what_carries_goes_and_the_rest_stays() {
        let retry = "<orders::Retry<F> as core::future::future::Future>::poll";
        assert_eq!(
            aligned(
                &[
                    "[tokio]",
                    "orders::main",
                    SCOPE,
                    "[std]",
                    "orders::handle",
                    TIMEOUT,
                    "orders::load_order::<u32>",
                    retry,
                    POLL,
                    "orders::query",
                    "alloc::slice::sort_by",
                    "orders::price",
                    "std::thread::sleep"
                ],
                1,
                1
            ),
            [
                "orders::handle",
                "orders::load_order",
                "orders::Retry",
                "orders::query",
                "alloc::slice::sort_by",
                "orders::price",
                "std::thread::sleep"
            ]
        );
        // A sync function of the user's own on the way stays too.
        assert_eq!(
            aligned(&["[tokio]", "orders::handle", "orders::with", "orders::query"], 0, 0),
            ["orders::handle", "orders::with", "orders::query"]
        );
    }

    #[test]
    fn a_closure_of_a_function_is_no_recursion() {
        assert_eq!(
            aligned(&["orders::handle", "[std]", "orders::handle", "orders::query"], 0, 0),
            ["orders::handle", "orders::query"]
        );
        assert_eq!(
            aligned(&["orders::handle", "orders::tree", POLL, "orders::tree"], 0, 0),
            ["orders::handle", "orders::tree", "orders::tree"]
        );
    }

    #[test]
    fn functions_that_never_wait_keep_what_is_inside() {
        assert_eq!(aligned(&["[tokio]", SCOPE, "[std]", "shop::a", TIMEOUT, "shop::b"], 1, 1), ["shop::a", TIMEOUT, "shop::b"]);
        assert_eq!(aligned(&["[tokio]", "[std]"], 0, 0), ["[tokio]", "[std]"], "there is nothing but plumbing");
        assert_eq!(aligned(&[], 1, 1), [""; 0]);
    }

    #[test]
    fn a_stack_is_cut_at_the_requests_own_scope() {
        let stack = ["[tokio]", "shop::outer", SCOPE, "profiler_annotate::record::f", "orders::handle", SCOPE, "shop::inner"];
        assert_eq!(aligned(&stack, 1, 2), ["orders::handle", SCOPE, "shop::inner"]);
        assert_eq!(aligned(&stack, 2, 2), ["shop::inner"]);
        // One of them is of a request that nobody wants.
        assert_eq!(aligned(&stack, 1, 1), ["orders::handle", SCOPE, "shop::inner"]);
        let unwanted = ["shop::other", SCOPE, "shop::outer", SCOPE, "[std]", "orders::handle"];
        assert_eq!(aligned(&unwanted, 1, 1), ["orders::handle"]);
        assert_eq!(aligned(&["[tokio]", SCOPE], 1, 1), [""; 0], "the scope's own time");
    }

    proptest! {
        #[test]
        fn what_is_left_is_in_order_and_ends_as_it_did(
            stack in prop::collection::vec(prop::sample::select(vec!["[tokio]", SCOPE, TIMEOUT, "orders::handle", "orders::query", "b"]), 0..12),
            place in 0_usize..3,
            of in 0_usize..3,
        ) {
            let kept = learned().align(&stack, Nested { place, of });
            prop_assert!(kept.windows(2).all(|two| two[0].at < two[1].at));
            let last = kept.last().map(|kept| stack[kept.at]);
            prop_assert!(last == stack.last().copied() || stack.last() == Some(&SCOPE) || last == Some("orders::handle") || last == Some("orders::query"));
        }
    }
}
