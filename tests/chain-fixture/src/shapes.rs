//! What a task waits at: chains of async functions, several futures at once, boxes of unknown type.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::counted::{Beats, Counted};

/// One shape. Every task of one begins with [`Counted`], and every branch ends in [`Leaf`].
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name in commands.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Frames of its await stack, [`Counted`] and the leaves among them; of the chain that is too long those that are kept.
    pub frames: u64,
    /// It has more frames inside one another than are kept.
    pub is_too_long: bool,
    /// Spawns a task of it.
    pub spawn: Spawn,
}

/// All of them.
pub const ALL: [Shape; 10] = [
    shape("chain-1", "chain of 1", 3, |runtime, beats| spawn(runtime, beats, chain_1())),
    shape("chain-2", "chain of 2", 4, |runtime, beats| spawn(runtime, beats, chain_2())),
    shape("chain-4", "chain of 4", 6, |runtime, beats| spawn(runtime, beats, chain_4())),
    shape("chain-8", "chain of 8", 10, |runtime, beats| spawn(runtime, beats, chain_8())),
    shape("chain-16", "chain of 16", 18, |runtime, beats| spawn(runtime, beats, chain_16())),
    shape("chain-30", "chain of 30", 32, |runtime, beats| spawn(runtime, beats, chain_30())),
    Shape { is_too_long: true, ..shape("chain-32", "chain of 32", 32, |runtime, beats| spawn(runtime, beats, chain_32())) },
    shape("boxed-8", "chain of 8, each boxed as `dyn`", 10, |runtime, beats| spawn(runtime, beats, boxed_8())),
    shape("join-4", "`join!` of 4", 11, |runtime, beats| spawn(runtime, beats, join_4())),
    shape("unordered-32", "`FuturesUnordered` of 32", 6, |runtime, beats| spawn(runtime, beats, unordered_32())),
];

/// Those whose leaf stores its waker at each poll.
pub const STORING: [Shape; 4] = [
    shape("storing-1", "in one function", 3, |runtime, beats| spawn(runtime, beats, Storing(None))),
    shape("storing-8", "below 8 boxed futures", 11, |runtime, beats| spawn(runtime, beats, storing_below(8))),
    shape("storing-16", "below 16 boxed futures", 19, |runtime, beats| spawn(runtime, beats, storing_below(16))),
    shape("storing-32", "below 32 boxed futures", 35, |runtime, beats| spawn(runtime, beats, storing_below(32))),
];

/// Starts a task of one shape.
pub type Spawn = fn(&Runtime, Beats) -> JoinHandle<()>;

const fn shape(name: &'static str, what: &'static str, frames: u64, spawn: Spawn) -> Shape {
    Shape { name, what, frames, is_too_long: false, spawn }
}

fn spawn(runtime: &Runtime, beats: Beats, inner: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    runtime.spawn(Counted::new(inner, beats))
}

/// Waits for ever.
#[derive(Debug)]
struct Leaf;

impl Future for Leaf {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Waits for ever, and stores the waker of each poll.
#[derive(Debug)]
struct Storing(Option<Waker>);

impl Future for Storing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// [`Storing`] in so many boxes, each with a frame of its own on the stack while it is polled.
fn storing_below(boxes: usize) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    if boxes == 0 {
        return Box::pin(Storing(None));
    }
    Box::pin(async move { storing_below(boxes - 1).await })
}

macro_rules! chain {
    ($($outer:ident > $inner:ident),* $(,)?) => { $(
        async fn $outer() {
            $inner().await;
        }
    )* };
}

chain! {
    chain_32 > chain_31, chain_31 > chain_30, chain_30 > chain_29, chain_29 > chain_28, chain_28 > chain_27, chain_27 >
    chain_26, chain_26 > chain_25, chain_25 > chain_24, chain_24 > chain_23, chain_23 > chain_22, chain_22 > chain_21,
    chain_21 > chain_20, chain_20 > chain_19, chain_19 > chain_18, chain_18 > chain_17, chain_17 > chain_16, chain_16 >
    chain_15, chain_15 > chain_14, chain_14 > chain_13, chain_13 > chain_12, chain_12 > chain_11, chain_11 > chain_10,
    chain_10 > chain_9, chain_9 > chain_8, chain_8 > chain_7, chain_7 > chain_6, chain_6 > chain_5, chain_5 > chain_4,
    chain_4 > chain_3, chain_3 > chain_2, chain_2 > chain_1,
}

async fn chain_1() {
    Leaf.await;
}

macro_rules! boxed_chain {
    ($($outer:ident > $inner:ident),* $(,)?) => { $(
        async fn $outer() {
            let inner: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin($inner());
            inner.await;
        }
    )* };
}

boxed_chain! {
    boxed_8 > boxed_7, boxed_7 > boxed_6, boxed_6 > boxed_5, boxed_5 > boxed_4, boxed_4 > boxed_3, boxed_3 > boxed_2,
    boxed_2 > boxed_1, boxed_1 > leaf,
}

fn leaf() -> Leaf {
    Leaf
}

async fn join_4() {
    tokio::join!(chain_1(), chain_1(), chain_1(), chain_1());
}

async fn unordered_32() {
    let mut all: FuturesUnordered<_> = (0..32).map(|_| chain_1()).collect();
    all.next().await;
}
