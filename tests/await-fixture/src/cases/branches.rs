//! Several futures at once: of some all are awaited, of others the first.

use std::io;
use std::pin::pin;

use futures_util::future::{self, Either};
use tokio::time::sleep;

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// The first of two, then of two with a third that is switched off.
pub async fn select(trail: Trail) -> Outcome {
    let taken = wait!(trail => inner in "src/macros/select.rs", tokio::select! {
        () = sooner(inner, 30) => 1,
        () = doze(inner, 90) => 2,
    });
    wait!(trail => inner in "src/macros/select.rs", tokio::select! {
        biased;
        () = doze(inner, 95) => {},
        () = doze(inner, 80), if taken == 2 => {},
        () = sooner(inner, 41) => {},
    });
    Ok(())
}

async fn sooner(trail: Trail, milliseconds: u64) {
    wait!(trail, "Sleep", sleep(length(milliseconds)).await);
}

/// Futures that outlive one `select!`: the slower one goes on in the next round.
pub async fn select_loop(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let mut late = pin!(doze(slot, 70));
    let mut ticks = 0;
    loop {
        let is_over = wait!(in slot in "src/macros/select.rs", tokio::select! {
            () = &mut late => true,
            () = sooner(slot, 25) => false,
        });
        if is_over {
            break;
        }
        ticks += 1;
    }
    std::hint::black_box(ticks);
    Ok(())
}

/// `futures::future::select`, whose slower future is awaited afterwards.
pub async fn select_function(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let late = Box::pin(doze(slot, 62));
    let quick = Box::pin(sooner(slot, 38));
    let left = wait!(in slot, future::select(late, quick).await);
    if let Either::Right(((), late)) = left {
        wait!(in slot, late.await);
    }
    wait!(trail => inner, doze(inner, 21).await);
    Ok(())
}

/// All of three; the last one to end has awaits inside of it.
pub async fn join(trail: Trail) -> Outcome {
    wait!(trail => inner in "src/macros/join.rs", tokio::join!(doze(inner, 22), sooner(inner, 44), twice(inner)));
    Ok(())
}

async fn twice(trail: Trail) {
    wait!(trail => inner, doze(inner, 33).await);
    wait!(trail, "Sleep", sleep(length(35)).await);
}

/// All of two, and then the first error of two.
pub async fn try_join(trail: Trail) -> Outcome {
    wait!(trail => inner in "src/macros/try_join.rs", tokio::try_join!(fails(inner, 23, false), fails(inner, 47, false)))?;
    let failed = wait!(trail => inner in "src/macros/try_join.rs", tokio::try_join!(fails(inner, 31, true), slower(inner)));
    if failed.is_ok() { Err(io::Error::other("it should have failed")) } else { Ok(()) }
}

async fn fails(trail: Trail, milliseconds: u64, fails: bool) -> Outcome {
    wait!(trail, "Sleep", sleep(length(milliseconds)).await);
    if fails { Err(io::Error::other("as planned")) } else { Ok(()) }
}

async fn slower(trail: Trail) -> Outcome {
    wait!(trail, "Sleep", sleep(length(85)).await);
    Ok(())
}

/// A few alike, as a list; then more than [`future::join_all`] keeps in a list: a set.
pub async fn join_all(trail: Trail) -> Outcome {
    wait!(trail => inner, future::join_all((0..4).map(|number| doze(inner, 22 + 6 * number))).await);
    wait!(trail => inner, future::join_all((0..40).map(|number| sooner(inner, 25 + number / 20 * 8))).await);
    Ok(())
}
