//! Streams, and sets of futures that are streams.

use std::pin::pin;

use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use tokio::time::sleep;

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// Some of one type in a set, taken as they end.
pub async fn futures_unordered(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let mut set: FuturesUnordered<_> = (0..4).map(|number| member(slot, number)).collect();
    while let Some(number) = wait!(in slot, set.next().await) {
        std::hint::black_box(number);
    }
    wait!(trail => inner, doze(inner, 27).await);
    Ok(())
}

async fn member(trail: Trail, number: u64) -> u64 {
    wait!(trail, "Sleep", sleep(length(20 + 5 * number)).await);
    wait!(trail => inner, doze(inner, 21).await);
    number
}

/// Four, of which two at once.
pub async fn buffer_unordered(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let mut stream = stream::iter(0..4).map(|number| member(slot, number)).buffer_unordered(2);
    while let Some(number) = wait!(in slot, stream.next().await) {
        std::hint::black_box(number);
    }
    Ok(())
}

/// A stream by a function, and one that is changed on its way.
pub async fn stream_next(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let mut stream = pin!(stream::unfold(0, |number| step(slot, number)));
    while let Some(number) = wait!(in slot, stream.next().await) {
        std::hint::black_box(number);
    }
    let slot = trail.slot();
    let mut stream = pin!(stream::iter(0..2).then(|number| member(slot, number)).map(|number| number + 1));
    while let Some(number) = wait!(in slot, stream.next().await) {
        std::hint::black_box(number);
    }
    Ok(())
}

async fn step(trail: Trail, number: u64) -> Option<(u64, u64)> {
    if number == 3 {
        return None;
    }
    wait!(trail, "Sleep", sleep(length(20 + number)).await);
    Some((number, number + 1))
}
