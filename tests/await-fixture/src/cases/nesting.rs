//! Functions inside functions: what the compiler makes of plain `async` code.

use std::fmt::Debug;
use std::pin::Pin;

use tokio::time::sleep;

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// Three functions deep, and back up.
pub async fn nested(trail: Trail) -> Outcome {
    let ahead = [7_u64; 16];
    let found = wait!(trail => inner, middle(inner, ahead).await);
    wait!(trail => inner, doze(inner, 21 + found % 2).await);
    Ok(())
}

async fn middle(trail: Trail, ahead: [u64; 16]) -> u64 {
    let first = wait!(trail => inner, innermost(inner, ahead.iter().sum()).await);
    wait!(trail, "Sleep", sleep(length(33)).await);
    first + ahead.len() as u64
}

async fn innermost(trail: Trail, sum: u64) -> u64 {
    let kept = std::hint::black_box(vec![sum; 3]);
    wait!(trail, "Sleep", sleep(length(45)).await);
    kept.iter().sum()
}

/// The same await again and again, then another.
pub async fn looped(trail: Trail) -> Outcome {
    for round in 0..3 {
        wait!(trail, "Sleep", sleep(length(20 + round)).await);
    }
    wait!(trail, "Sleep", sleep(length(37)).await);
    Ok(())
}

/// A function that awaits itself, boxed.
pub async fn recursion(trail: Trail) -> Outcome {
    wait!(trail => inner, descend(inner, 5).await);
    Ok(())
}

async fn descend(trail: Trail, left: u32) -> u32 {
    if left == 0 {
        wait!(trail, "Sleep", sleep(length(40)).await);
        return 0;
    }
    let below = wait!(trail => inner, Box::pin(descend(inner, left - 1)).await);
    if left == 3 {
        wait!(trail, "Sleep", sleep(length(25)).await);
    }
    below + 1
}

/// One function with two types: two coroutines of one name.
pub async fn generic(trail: Trail) -> Outcome {
    let number = wait!(trail => inner, keep(inner, 7_u8, 29).await);
    let words = wait!(trail => inner, keep(inner, [String::from("a"), String::from("b")], 43).await);
    drop((number, words));
    Ok(())
}

async fn keep<T: Debug + Send>(trail: Trail, kept: T, milliseconds: u64) -> T {
    wait!(trail, "Sleep", sleep(length(milliseconds)).await);
    std::hint::black_box(kept)
}

/// A block inside a function, with an await of its own.
pub async fn async_block(trail: Trail) -> Outcome {
    let inner = trail.slot();
    let block = async move {
        wait!(inner, "Sleep", sleep(length(31)).await);
        wait!(inner => deeper, doze(deeper, 23).await);
    };
    wait!(in inner, block.await);
    Ok(())
}

/// An `async` closure, called twice.
pub async fn async_closure(trail: Trail) -> Outcome {
    let factor = std::hint::black_box(1_u64);
    let closure = async |inner: Trail, milliseconds: u64| {
        wait!(inner, "Sleep", sleep(length(milliseconds * factor)).await);
    };
    wait!(trail => inner, closure(inner, 27).await);
    wait!(trail => inner, closure(inner, 35).await);
    Ok(())
}

/// Awaits in the arms of a `match`, and one that never waits.
pub async fn arms(trail: Trail) -> Outcome {
    for kind in 0..3 {
        match std::hint::black_box(kind) {
            0 => wait!(trail, "Sleep", sleep(length(24)).await),
            1 => wait!(trail => inner, erased(inner).await),
            _ => wait!(trail, "Ready", std::future::ready(()).await),
        }
    }
    Ok(())
}

/// A future whose type the caller cannot name.
fn erased(trail: Trail) -> impl Future<Output = ()> + Send {
    let pinned: Pin<Box<_>> = Box::pin(doze(trail, 36));
    pinned
}
