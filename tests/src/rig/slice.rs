//! One slice: what a service under load did, and used, for some hundred milliseconds.

use std::time::{Duration, Instant};

use super::load::Load;
use super::service::Service;
use crate::{Failure, Result};

/// After an attach or a detach, and before the slice that follows it: what these leave behind (cold caches, maps that are filled, memory that is given back)
/// is no cost of being attached.
pub const AFTERMATH: Duration = Duration::from_millis(500);
/// Before a slice, in which the load finds its pace.
const SETTLE: Duration = Duration::from_millis(60);

/// What one slice came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slice {
    /// Requests a second.
    pub per_second: f64,
    /// CPU time of a request (ns).
    pub cpu_ns: f64,
    /// Polls of a request.
    pub polls: f64,
    /// Half of the requests took no longer (ns).
    pub p50_ns: f64,
    /// 99 of 100 did not (ns).
    pub p99_ns: f64,
}

impl Slice {
    /// What lies in the middle of two slices, to be compared with one between them: what drifts steadily is in neither.
    #[must_use]
    pub fn between(before: Self, after: Self) -> Self {
        Self::mean(&[before, after])
    }

    /// The mean of slices that are as long; of none, no numbers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a handful of slices")]
    pub fn mean(slices: &[Self]) -> Self {
        let mean = |part: fn(&Self) -> f64| slices.iter().map(part).sum::<f64>() / slices.len() as f64;
        Self {
            per_second: mean(|slice| slice.per_second),
            cpu_ns: mean(|slice| slice.cpu_ns),
            polls: mean(|slice| slice.polls),
            p50_ns: mean(|slice| slice.p50_ns),
            p99_ns: mean(|slice| slice.p99_ns),
        }
    }
}

/// Measures one.
#[expect(clippy::cast_precision_loss, reason = "counts and times of a second")]
pub fn slice(service: &mut Service, load: &Load, length: Duration) -> Result<Slice> {
    std::thread::sleep(SETTLE);
    let before = service.usage()?;
    drop(load.take_latencies());
    let (begun, requests) = (Instant::now(), load.requests());
    std::thread::sleep(length);
    let requests = (load.requests() - requests) as f64;
    let took = begun.elapsed().as_secs_f64();
    let mut latencies = load.take_latencies();
    let after = service.usage()?;
    let (polls, cpu) = ((after.polls - before.polls) as f64, (after.cpu_ns - before.cpu_ns) as f64);
    latencies.sort_unstable();
    if latencies.is_empty() || requests == 0.0 || cpu == 0.0 {
        return Err(Failure::Wrong(vec!["a slice without requests".to_owned()]));
    }
    let at = |hundredths: usize| latencies.get(latencies.len() * hundredths / 100).map_or(f64::NAN, |ns| f64::from(*ns));
    Ok(Slice { per_second: requests / took, cpu_ns: cpu / requests, polls: polls / requests, p50_ns: at(50), p99_ns: at(99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_drift_cancels() {
        let at = |per_second: f64| Slice { per_second, cpu_ns: 1e9 / per_second, polls: 1.0, p50_ns: 1.0, p99_ns: 2.0 };
        let middle = Slice::between(at(100.0), at(200.0));
        assert!((middle.per_second - 150.0).abs() < 1e-9 && (middle.polls - 1.0).abs() < 1e-9);
    }
}
