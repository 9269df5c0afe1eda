//! Tokio's timers.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// One that is in time, and one that is not.
pub async fn timeout(trail: Trail) -> Outcome {
    let kept = wait!(trail => inner, time::timeout(length(900), doze(inner, 32)).await);
    kept.map_err(io::Error::other)?;
    let missed = wait!(trail => inner, time::timeout(length(46), doze(inner, 700)).await);
    if missed.is_err() { Ok(()) } else { Err(io::Error::other("a timeout has not come")) }
}

/// Ticks.
pub async fn timer_interval(trail: Trail) -> Outcome {
    let period = length(24);
    let mut interval = time::interval_at(Instant::now() + period, period);
    for _ in 0..3 {
        wait!(trail, "tick", interval.tick().await);
    }
    Ok(())
}

/// A timer that is set anew and awaited by reference, in two places.
pub async fn pinned_sleep(trail: Trail) -> Outcome {
    let mut sleep = pin!(time::sleep(length(29)));
    wait!(trail, "Sleep", sleep.as_mut().await);
    sleep.as_mut().reset(Instant::now() + Duration::from_millis(38));
    wait!(trail, "Sleep", (&mut sleep).await);
    Ok(())
}
