//! When a request was ready and not polled.

use std::collections::HashMap;

use crate::model::capture::{Capture, PollSpan, RequestRow, ScopeSeq};
use crate::model::spans::ByThread;

/// One wait of a request: never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) scope: ScopeSeq,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

/// The waits of these requests, from the wake (or the end of the stay before, if that was later) to the poll that
/// entered the request again. There is none before the first stay, where its wall starts, nor between two stays in one poll.
pub(super) fn gaps(capture: &Capture, requests: &[&RequestRow], polls: &ByThread<'_>) -> Vec<Gap> {
    let starts: HashMap<ScopeSeq, u64> =
        requests.iter().filter(|row| row.scheduled_known).map(|row| (row.scope, row.start_ns)).collect();
    let mut stays: HashMap<ScopeSeq, Vec<&PollSpan>> = HashMap::new();
    for span in &capture.polls {
        if let Some(scope) = span.scope.filter(|scope| starts.contains_key(scope)) {
            stays.entry(scope).or_default().push(span);
        }
    }
    let mut gaps = Vec::new();
    for (scope, mut stays) in stays {
        stays.sort_by_key(|stay| stay.start_ns);
        let mut left_ns = starts.get(&scope).copied().unwrap_or(0);
        let mut ready_before = None;
        for stay in stays {
            // The request's own poll is not in its own way.
            let end_ns = polls.around(stay).map_or(stay.start_ns, |own| own.start_ns);
            if let Some(ready_ns) = stay.ready_ns.filter(|_| stay.ready_ns != ready_before) {
                let start_ns = ready_ns.max(left_ns);
                if start_ns < end_ns {
                    gaps.push(Gap { scope, start_ns, end_ns });
                }
            }
            left_ns = left_ns.max(stay.end_ns);
            ready_before = stay.ready_ns;
        }
    }
    gaps
}
