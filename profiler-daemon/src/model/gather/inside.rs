//! Values that the naming key's thread-local had at events inside polls: what the request that the poll belongs to says itself is not told twice.

use std::collections::HashMap;

use crate::model::capture::{Capture, ForeignSource, ScopeSeq, Stack};
use crate::model::request_id::RequestId;

/// Takes the number of a value off the stacks of polls of a request of that very name: what is left are other requests in the same poll.
pub(super) fn only_others(capture: &mut Capture) {
    let values: HashMap<ScopeSeq, &RequestId> =
        capture.foreign.iter().filter(|row| row.source == ForeignSource::TaskLocal).map(|row| (row.number, &row.id)).collect();
    if values.is_empty() {
        return;
    }
    let names: HashMap<ScopeSeq, &RequestId> = capture.requests.iter().map(|row| (row.scope, &row.id)).collect();
    let alone = |stack: &mut Stack| {
        let own: Vec<&RequestId> = stack.requests.iter().filter_map(|scope| names.get(scope).copied()).collect();
        stack.requests.retain(|scope| values.get(scope).is_none_or(|id| !own.contains(id)));
    };
    capture.samples.iter_mut().for_each(|sample| alone(&mut sample.stack));
    capture.off_cpu.iter_mut().for_each(|off| alone(&mut off.stack));
}
