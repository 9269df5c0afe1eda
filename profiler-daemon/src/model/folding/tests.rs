//! Which frames are an executor's, and what folding leaves of a stack.

use super::*;
use crate::model::fixture::Names;
use crate::model::names::shortened;
use proptest::prelude::*;

fn executor(full: &str) -> Option<Executor> {
    Executor::of(&Frame { full: full.to_owned(), ..Frame::named(&shortened(full)) })
}

#[test]
fn what_runs_a_future_is_an_executor() {
    for name in [
        "tokio::runtime::task::raw::poll",
        "tokio::runtime::task::harness::Harness<T,S>::poll",
        "<tokio::runtime::blocking::task::BlockingTask<F> as core::future::future::Future>::poll",
        "tokio::runtime::scheduler::multi_thread::worker::Context::run_task",
        "tokio::runtime::context::scoped::Scoped<T>::set",
        "tokio::task::coop::budget",
    ] {
        assert_eq!(executor(name), Some(Executor::Tokio), "{name}");
    }
    for name in [
        "std::rt::lang_start",
        "std::panicking::catch_unwind",
        "std::sys::backtrace::__rust_begin_short_backtrace",
        "core::ops::function::FnOnce::call_once{{vtable.shim}}",
        "<alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once",
        "<core::panic::unwind_safe::AssertUnwindSafe<F> as core::ops::function::FnOnce<()>>::call_once",
        "<core::pin::Pin<P> as core::future::future::Future>::poll",
        "<&mut F as core::future::future::Future>::poll",
        "<core::future::poll_fn::PollFn<F> as core::future::future::Future>::poll",
        "std::sys::thread::unix::Thread::new::thread_start",
        "<std::sys::thread::unix::Thread>::new::thread_start",
        "std::thread::builder::Builder::spawn_unchecked",
        "std::thread::lifecycle::spawn_unchecked::{closure 1}",
        "<orders::main::{closure 0} as core::ops::function::FnOnce<()>>::call_once::{shim:vtable#0}",
        "start_thread",
    ] {
        assert_eq!(executor(name), Some(Executor::Std), "{name}");
    }
}

#[test]
fn what_the_user_called_or_wrote_is_not() {
    for name in [
        "tokio::sync::mutex::Mutex<T>::lock",
        "tokio::net::tcp::stream::TcpStream::poll_read",
        "<tokio::time::sleep::Sleep as core::future::future::Future>::poll",
        "tokio::fs::read",
        "tokio::task::spawn::spawn",
        "<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll",
        "<orders::Load as core::future::future::Future>::poll",
        "<alloc::boxed::Box<T> as core::fmt::Display>::fmt",
        "alloc::vec::Vec<T>::push",
        "orders::main",
        "<orders::Load as core::ops::function::FnOnce<()>>::call_once",
        "std::thread::sleep",
        "std::sys::thread::unix::sleep",
        "tokio_util::codec::framed::Framed<T>::new",
        "",
    ] {
        assert_eq!(executor(name), None, "{name}");
    }
}

#[test]
fn of_a_name_without_a_path_the_file_tells() {
    let library = "/rustc/0123/library/";
    let tokio = "/home/u/.cargo/registry/src/index/tokio-1.54.0/src/";
    for (name, file, whose) in [
        ("call_once<F, ()>", format!("{library}core/src/ops/function.rs"), Some(Executor::Std)),
        ("call_once<a::B, ()>", format!("{library}core/src/ops/function.rs"), Some(Executor::Std)),
        ("<a::B as core::ops::function::FnOnce<()>>::call_once", "/home/u/orders/src/main.rs".to_owned(), None),
        ("poll<F>", format!("{library}core/src/pin.rs"), Some(Executor::Std)),
        ("poll<F>", format!("{library}core/src/future/future.rs"), Some(Executor::Std)),
        ("new", format!("{library}core/src/pin.rs"), None),
        ("catch_unwind", format!("{library}std/src/panic.rs"), Some(Executor::Std)),
        ("push", format!("{library}alloc/src/vec/mod.rs"), None),
        ("poll_inner<T>", format!("{tokio}runtime/task/harness.rs"), Some(Executor::Tokio)),
        ("acquire", format!("{tokio}sync/semaphore.rs"), None),
        ("main", "/home/u/orders/src/main.rs".to_owned(), None),
        ("poll", "/home/u/tokio-console/src/runtime/x.rs".to_owned(), None),
        ("main", String::new(), None),
    ] {
        let frame = Frame { file: Some(file.clone()), ..Frame::named(name) };
        assert_eq!(Executor::of(&frame), whose, "{name} in {file}");
    }
}

fn folded(stack: &[&'static str]) -> Vec<&'static str> {
    let mut stack = stack.to_vec();
    fold(&mut stack, |text| Executor::of_shown(text));
    stack
}

#[test]
fn each_run_becomes_one_frame_and_recursion_stays() {
    assert_eq!(
        folded(&["[std]", "[tokio]", "[std]", "a", "a", "[std]", "[std]", "b", "[tokio]"]),
        ["[tokio]", "a", "a", "[std]", "b", "[tokio]"]
    );
    assert_eq!(folded(&[]), [""; 0]);
}

struct Runtime;

impl Symbolize for Runtime {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        let inlined = ["orders::load", "core::ops::function::FnOnce::call_once", "tokio::runtime::task::raw::poll"];
        addresses.iter().map(|_| inlined.map(Frame::named).to_vec()).collect()
    }
}

#[test]
fn inlined_frames_of_one_address_are_folded_and_others_stay() {
    let named = Folded(&mut Runtime).symbolize(&[1]);
    let shown: Vec<&str> = named[0].iter().map(|frame| frame.function.as_str()).collect();
    assert_eq!(shown, ["orders::load", "[tokio]"]);
    assert_eq!(Folded(&mut Names).symbolize(&[0x4000, 7]), Names.symbolize(&[0x4000, 7]));
}

proptest! {
    #[test]
    fn no_two_executor_frames_are_neighbours_and_the_others_all_stay(
        stack in prop::collection::vec(prop::sample::select(vec!["[std]", "[tokio]", "a", "b"]), 0..20),
    ) {
        let after = folded(&stack);
        let is = |text: &&str| Executor::of_shown(text).is_some();
        prop_assert!(after.windows(2).all(|two| !two.iter().all(is)));
        let others = |stack: &[&'static str]| stack.iter().copied().filter(|text| !is(text)).collect::<Vec<_>>();
        prop_assert_eq!(others(&stack), others(&after));
        prop_assert_eq!(stack.contains(&"[tokio]"), after.contains(&"[tokio]"));
    }
}
