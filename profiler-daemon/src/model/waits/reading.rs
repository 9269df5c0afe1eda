//! What a reader takes from an await stack: the functions of the user's own, what the innermost of them awaits, and where.

use super::Wait;
use super::frames::{Place, WaitFrame};
use super::tree::tree;
use crate::model::capture::AwaitFrameKind;
use crate::model::folding::{Executor, is_plumbing};
use crate::model::names::{file_name, function_of, last_segment, shortened};
use crate::model::symbols::Frame;

/// Which frames of an await stack are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Those that carry no others ([`crate::model::folding::is_plumbing`]).
    #[default]
    Own,
    /// All.
    Raw,
}

/// An await stack as it is read. Texts are untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading<'f> {
    /// Functions and hand-written futures on the way, outermost first; the innermost is the function that waits.
    pub path: Vec<&'f WaitFrame>,
    /// What that function awaits.
    pub awaited: String,
    /// Where it does: file and line. `None`: not known.
    pub place: Option<(&'f str, u32)>,
    /// Futures that were awaited at once, each with what lies in it. Empty: it is one.
    pub branches: Vec<&'f [WaitFrame]>,
}

impl WaitFrame {
    /// What it reads as on the way to what is awaited: a function without its bodies and arguments, as
    /// [`crate::model::names::function_of`] makes it of code, so that both are one frame.
    #[must_use]
    pub fn step(&self) -> String {
        function_of(&self.name)
    }

    /// Where it waits as people look for it: file and line of the `.await`; of one that stands inside a macro of another file, which says
    /// nothing, where the function begins.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u32)> {
        match &self.begins {
            Some(Place { file, line }) => Some((file, *line)),
            None => Some((self.file.as_deref()?, self.line?)),
        }
    }
}

impl<'f> Reading<'f> {
    /// Reads a stack. `cut` is why it is not whole.
    #[must_use]
    pub fn of(frames: &'f [WaitFrame], cut: Option<&str>, keep: Keep) -> Self {
        let parts = tree(frames);
        let own = parts.trunk.iter().rposition(|frame| waits(frame) && (keep == Keep::Raw || is_own(frame)));
        // Where nothing is the user's own, as in a connection's task, what carries is all there is to see.
        let at = own.or_else(|| parts.trunk.iter().rposition(waits));
        let show_all = keep == Keep::Raw || own.is_none();
        let below = at.map_or(0, |at| at.saturating_add(1));
        let (around, inside) = parts.trunk.split_at_checked(below).unwrap_or_default();
        let waiting = around.last();
        Self {
            path: around.iter().filter(|frame| show_all || (is_a_step(frame) && is_own(frame))).collect(),
            awaited: awaited(inside, !parts.branches.is_empty(), cut),
            place: waiting.and_then(WaitFrame::place),
            branches: parts.branches,
        }
    }

    /// What is awaited, with the branches where there are some: `tokio::select! of leaf, mid`.
    #[must_use]
    pub fn what(&self) -> String {
        of_branches(&self.awaited, &self.branches)
    }

    /// What a wait reads as in a picture: `[await] tokio::time::sleep::Sleep (orders.rs:41)`.
    #[must_use]
    pub fn text(&self) -> String {
        await_text(&self.what(), self.place)
    }

    /// The short form of a branch's name, as [`Self::what`] has it.
    #[must_use]
    pub fn short_branch<'n>(&self, name: &'n str) -> &'n str {
        label(name, &branch_names(&self.branches))
    }
}

impl Wait {
    /// The function that waits: the one whose place the wait has; without a place the innermost of the user's own. `None`: there is none.
    #[must_use]
    pub fn function(&self) -> Option<String> {
        let own = self.file.as_deref().zip(self.line);
        let here = |frame: &&WaitFrame| match own {
            Some(_) => waits(frame) && frame.place() == own,
            None => waits(frame) && is_own(frame),
        };
        tree(&self.stack).trunk.iter().rev().find(here).map(WaitFrame::step)
    }

    /// What is awaited, with the branches where there are some: `tokio::select! of leaf, mid`.
    #[must_use]
    pub fn what(&self) -> String {
        of_branches(&self.awaited, &tree(&self.stack).branches)
    }
}

/// Names of the branches, each once, in their order.
fn branch_names(branches: &[&[WaitFrame]]) -> Vec<String> {
    let mut names = Vec::new();
    for name in branches.iter().map(|branch| branch_name(branch)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn of_branches(awaited: &str, branches: &[&[WaitFrame]]) -> String {
    let names = branch_names(branches);
    if names.is_empty() {
        return awaited.to_owned();
    }
    let listed: Vec<&str> = names.iter().take(BRANCHES_LISTED).map(|name| label(name, &names)).collect();
    let more = match names.len().saturating_sub(BRANCHES_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{awaited} of {}{more}", listed.join(", "))
}

/// `[await] X (orders.rs:41)`.
#[must_use]
pub fn await_text(what: &str, place: Option<(&str, u32)>) -> String {
    match place {
        Some((file, line)) => format!("[await] {what} ({}:{line})", file_name(file)),
        None => format!("[await] {what}"),
    }
}

/// Branches that are named one by one.
const BRANCHES_LISTED: usize = 4;

/// The last segment alone, unless another branch has the same.
fn label<'n>(name: &'n str, all: &[String]) -> &'n str {
    let short = last_segment(name);
    let is_clear = !name.contains('<') && all.iter().all(|other| other == name || last_segment(other) != short);
    if is_clear { short } else { name }
}

/// What a branch is called: its first function of the user's own, else its outermost frame.
pub(super) fn branch_name(branch: &[WaitFrame]) -> String {
    let own = tree(branch).trunk.iter().find(|frame| waits(frame) && is_own(frame));
    own.or_else(|| branch.first()).map_or_else(|| UNNAMED.to_owned(), text_of)
}

const UNNAMED: &str = "[unnamed future]";

/// Whether it is a function: something that has an await.
const fn waits(frame: &WaitFrame) -> bool {
    matches!(
        frame.kind,
        AwaitFrameKind::AsyncFn | AwaitFrameKind::AsyncBlock | AwaitFrameKind::AsyncClosure | AwaitFrameKind::Code(_)
    )
}

/// Whether it is shown on the way where it is the user's own: a macro or another task is none of the functions.
const fn is_a_step(frame: &WaitFrame) -> bool {
    waits(frame) || matches!(frame.kind, AwaitFrameKind::Future)
}

fn is_own(frame: &WaitFrame) -> bool {
    match frame.kind {
        // C functions and what has no name carry as well.
        AwaitFrameKind::Code(_) => frame.name.contains("::") && !is_plumbing(&frame.name),
        _ => !is_plumbing(&frame.name),
    }
}

fn awaited(inside: &[WaitFrame], branches: bool, cut: Option<&str>) -> String {
    let glue = |frame: &&WaitFrame| matches!(frame.kind, AwaitFrameKind::Code(_)) && is_glue(&frame.name);
    match inside.iter().find(|frame| !glue(frame)) {
        Some(frame) => text_of(frame),
        None if branches => "several futures".to_owned(),
        None => cut.map_or_else(|| UNNAMED.to_owned(), not_followed),
    }
}

fn is_glue(function: &str) -> bool {
    Executor::of_shown(function).is_some() || Executor::of(&Frame::named(&shortened(function))).is_some()
}

fn not_followed(reason: &str) -> String {
    format!("[not followed: {reason}]")
}

/// A frame's name for people.
pub(super) fn text_of(frame: &WaitFrame) -> String {
    match frame.kind {
        AwaitFrameKind::AsyncFn | AwaitFrameKind::AsyncBlock | AwaitFrameKind::AsyncClosure => function_of(&frame.name),
        AwaitFrameKind::Future | AwaitFrameKind::Join | AwaitFrameKind::Select => shortened(&frame.name),
        AwaitFrameKind::Task(_) => format!("task {}", shortened(&frame.name)),
        AwaitFrameKind::UnknownDyn => boxed(&frame.name),
        AwaitFrameKind::Cut => not_followed(&frame.name),
        AwaitFrameKind::Code(_) => polled(&frame.name),
    }
}

/// The type in `core::ptr::drop_in_place<T>`, as far as a boxed future's type is told by that.
fn boxed(name: &str) -> String {
    let of_glue = name.strip_prefix("core::ptr::drop_in_place").map(|rest| rest.trim_start_matches("::"));
    match of_glue.and_then(|rest| rest.strip_prefix('<')).and_then(|rest| rest.strip_suffix('>')) {
        Some(inside) => shortened(inside),
        None => format!("[{name}]"),
    }
}

/// The future in `<T as core::future::future::Future>::poll`; of another function its name.
fn polled(function: &str) -> String {
    let future = function.strip_prefix('<').and_then(|rest| rest.split_once(" as core::future::future::Future>::poll"));
    future.map_or_else(|| shortened(function), |(future, _)| shortened(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(depth: u32, kind: AwaitFrameKind, name: &str, place: Option<(&str, u32)>) -> WaitFrame {
        let (file, line) = place.map(|(file, line)| (file.to_owned(), line)).unzip();
        WaitFrame { depth, name: name.to_owned(), kind, file, line, begins: None }
    }

    fn path(reading: &Reading<'_>) -> Vec<String> {
        reading.path.iter().map(|frame| frame.step()).collect()
    }

    /// The example, with plumbing in between.
    fn acquire() -> Vec<WaitFrame> {
        use AwaitFrameKind::{AsyncBlock, AsyncFn, Future};
        vec![
            frame(0, AsyncFn, "orders::handle", Some(("/srv/src/main.rs", 9))),
            frame(1, Future, "tokio::time::timeout::Timeout<orders::load_order>", None),
            frame(2, AsyncFn, "orders::load_order", Some(("/srv/src/orders.rs", 30))),
            frame(3, Future, "orders::Retry<orders::query>", None),
            frame(4, AsyncBlock, "orders::query::{async block 0}", Some(("/srv/src/orders.rs", 41))),
            frame(
                5,
                AsyncFn,
                "tokio::sync::semaphore::{impl#1}::acquire",
                Some(("/registry/src/i/tokio-1.54.1/src/sync/semaphore.rs", 400)),
            ),
            frame(6, Future, "tokio::sync::batch_semaphore::Acquire", None),
        ]
    }

    #[test]
    fn a_stack_reads_like_synchronous_code() {
        let frames = acquire();
        let own = Reading::of(&frames, None, Keep::Own);
        assert_eq!(path(&own), ["orders::handle", "orders::load_order", "orders::Retry", "orders::query"]);
        assert_eq!(own.text(), "[await] tokio::sync::semaphore::acquire (orders.rs:41)");
        let raw = Reading::of(&frames, None, Keep::Raw);
        assert_eq!(raw.path.len(), 6);
        assert_eq!(raw.text(), "[await] tokio::sync::batch_semaphore::Acquire (tokio-1.54.1/src/sync/semaphore.rs:400)");
    }

    #[test]
    fn of_several_futures_the_names_are_told() {
        use AwaitFrameKind::{AsyncFn, Future, Select};
        let mut frames = vec![
            frame(0, AsyncFn, "s::sel", Some(("src/main.rs", 15))),
            frame(1, Select, "tokio::select!", None),
            frame(2, AsyncFn, "s::leaf", Some(("src/main.rs", 8))),
            frame(3, Future, "tokio::time::sleep::Sleep", None),
            frame(2, Future, "tokio::time::timeout::Timeout<s::mid>", None),
            frame(3, AsyncFn, "s::mid", Some(("src/main.rs", 9))),
        ];
        assert_eq!(Reading::of(&frames, None, Keep::Own).text(), "[await] tokio::select! of leaf, mid (main.rs:15)");
        "t::leaf".clone_into(&mut frames[5].name);
        assert_eq!(Reading::of(&frames, None, Keep::Own).what(), "tokio::select! of s::leaf, t::leaf");
        // One is left: the wait is that one's.
        frames.truncate(4);
        let one = Reading::of(&frames, None, Keep::Own);
        assert_eq!(
            (path(&one), one.text()),
            (vec!["s::sel".into(), "s::leaf".into()], "[await] tokio::time::sleep::Sleep (main.rs:8)".into())
        );
        let many: Vec<WaitFrame> = (0..9).map(|number| frame(0, AsyncFn, &format!("a::f{number}"), None)).collect();
        assert_eq!(Reading::of(&many, None, Keep::Own).text(), "[await] several futures of f0, f1, f2, f3 and 5 more");
    }

    #[test]
    fn what_is_not_known_is_said() {
        use AwaitFrameKind::{AsyncFn, Cut, Future, Task, UnknownDyn};
        let own = frame(0, AsyncFn, "a::f", Some(("a.rs", 1)));
        let of = |inner: Option<WaitFrame>, cut| {
            let frames: Vec<WaitFrame> = [own.clone()].into_iter().chain(inner).collect();
            Reading::of(&frames, cut, Keep::Own).text()
        };
        assert_eq!(of(None, None), "[await] [unnamed future] (a.rs:1)");
        assert_eq!(of(None, Some("bad_tag")), "[await] [not followed: bad_tag] (a.rs:1)");
        assert_eq!(of(Some(frame(1, Cut, "unsupported", None)), None), "[await] [not followed: unsupported] (a.rs:1)");
        assert_eq!(of(Some(frame(1, Task(None), "a::child", None)), None), "[await] task a::child (a.rs:1)");
        assert_eq!(of(Some(frame(1, UnknownDyn, "dyn Future at 0x7f", None)), None), "[await] [dyn Future at 0x7f] (a.rs:1)");
        assert_eq!(of(Some(frame(1, UnknownDyn, "core::ptr::drop_in_place<a::g>", None)), None), "[await] a::g (a.rs:1)");
        let plumbing = [frame(0, Future, "hyper::server::conn::Connection<T>", None)];
        assert_eq!(Reading::of(&plumbing, None, Keep::Own).text(), "[await] hyper::server::conn::Connection<T>");
        assert_eq!(
            Reading::of(&[], Some("no_layout"), Keep::Own),
            Reading { awaited: "[not followed: no_layout]".into(), ..Reading::default() }
        );
    }

    #[test]
    fn a_wakers_stack_is_read_as_code() {
        use AwaitFrameKind::Code;
        let code = |depth, name, place| frame(depth, Code(1), name, place);
        let frames = [
            code(0, "orders::handle", Some(("/srv/main.rs", 4))),
            code(1, "<core::pin::Pin<P> as core::future::future::Future>::poll", None),
            code(2, "orders::query", Some(("/srv/orders.rs", 41))),
            code(3, "<&mut F as core::future::future::Future>::poll", None),
            code(4, "<tokio::sync::batch_semaphore::Acquire as core::future::future::Future>::poll", None),
            code(5, "tokio::runtime::task::waker::clone_waker", None),
        ];
        let reading = Reading::of(&frames, None, Keep::Own);
        assert_eq!(path(&reading), ["orders::handle", "orders::query"]);
        assert_eq!(reading.text(), "[await] tokio::sync::batch_semaphore::Acquire (orders.rs:41)");
    }
}
