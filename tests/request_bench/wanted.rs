//! What the wanted request itself pays: its time on an idle service, by turns with the profiler attached and without.

use std::time::Instant;

use profiler_tests::{Failure, Result};

use crate::attached::{Attached, What};
use crate::load::{Connection, WANTED};
use crate::quartiles::Quartiles;
use crate::service::Service;

/// Requests of one turn.
const IN_TURN: usize = 100;

/// CPU time that a wanted request of four polls takes more (µs), one number a turn: the service is idle, so all its CPU time is the
/// request's.
pub(crate) fn cost_us(service: &Service, turns: usize) -> Result<Quartiles> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("a runtime"))?;
    let mut costs = Vec::new();
    for _ in 0..turns {
        let without = runtime.block_on(one_turn(service))?;
        let attached = Attached::start(service.pid(), What::Request)?;
        let with = runtime.block_on(one_turn(service))?;
        if let Some(attached) = attached {
            attached.end()?;
        }
        costs.push((with - without) / 1000.0);
    }
    Ok(Quartiles::of(costs))
}

/// CPU time of one request (ns), the mean of many.
async fn one_turn(service: &Service) -> Result<f64> {
    let failed = || Failure::io("a request");
    let mut connection = Connection::open(service.port).await.map_err(failed())?;
    let (begun, before) = (Instant::now(), service.cpu_ns()?);
    for _ in 0..IN_TURN {
        connection.ask("/waits", Some(WANTED)).await.map_err(failed())?;
    }
    let used = service.cpu_ns()?.saturating_sub(before);
    assert!(!begun.elapsed().is_zero());
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second")]
    Ok(used as f64 / IN_TURN as f64)
}
