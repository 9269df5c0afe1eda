//! Stacks of the first poll of a request that a key names: the key's value came in that poll, so the kernel side did not know yet whose they are.

use std::collections::HashMap;

use profiler_common::scope::KEYED;

use crate::model::capture::{Capture, ScopeSeq, Stack};

/// Ties them to their requests by the task and the start of the poll. Where only requests are wanted, stacks of nobody's are let go.
pub(super) fn tie(capture: &mut Capture) {
    let mut first: HashMap<(u64, u64), ScopeSeq> = HashMap::new();
    for request in capture.requests.iter().filter(|request| request.scope.0 & KEYED != 0) {
        if let Some(task) = request.task_id {
            first.insert((task, request.start_ns), request.scope);
        }
    }
    let tie = |stack: &mut Stack| {
        if let (Some(task), Some(start_ns)) = (stack.task_id, stack.poll_start_ns)
            && let Some(scope) = first.get(&(task, start_ns))
            && !stack.requests.contains(scope)
        {
            stack.requests.push(*scope);
        }
    };
    capture.samples.iter_mut().for_each(|sample| tie(&mut sample.stack));
    capture.off_cpu.iter_mut().for_each(|off| tie(&mut off.stack));
    if !capture.every_poll {
        capture.samples.retain(|sample| !sample.stack.requests.is_empty());
        capture.off_cpu.retain(|off| !off.stack.requests.is_empty());
    }
}
