//! Stacks of a thread that knows its own calls, walked by our tables and by framehop.

use std::collections::BTreeMap;

use profiler_common::unwind::End;

use crate::process::{Cache, Process};
use crate::{capture, chains, sampler};

/// Check that of the sampled stacks 99.5 % at least are framehop's, frame by frame, contain the calls that the thread itself noted, and
/// reach the root; that every other one has a reason; and that every kind of work was sampled.
#[test]
fn sampled_stacks_are_whole() {
    sampler::sample(chains::run);
    let process = Process::own();
    let mut cache = Cache::new();
    let (mut all, mut agreeing, mut containing) = (0_u64, 0_u64, 0_u64);
    let mut ends: BTreeMap<End, u64> = BTreeMap::new();
    let mut works: BTreeMap<_, u64> = BTreeMap::new();
    let mut captures = capture::Captures::new();
    for (sample, stack) in sampler::taken() {
        all += 1;
        let (frames, end) = process.walk(sample.cursor, &stack);
        let theirs = process.framehop(sample.cursor, &stack, sample.chain.context, &mut cache);
        *ends.entry(end).or_default() += 1;
        *works.entry(sample.chain.work).or_default() += 1;
        let contains = contains(&process, &frames, sample.chain.calls());
        let agrees = frames == theirs;
        agreeing += u64::from(agrees);
        containing += u64::from(contains);
        if !agrees || !contains || !end.is_whole() {
            println!("{:?} ends with {end:?}, agrees: {agrees}, contains its calls: {contains}", sample.chain.work);
            println!("  ours   {}\n  theirs {}", places(&process, &frames), places(&process, &theirs));
        } else {
            captures.offer(&process, &sample, &stack, &frames, end);
        }
    }
    println!("{all} stacks, {agreeing} as framehop's, {containing} with their calls, ends {ends:?}, {works:?}");
    assert!(all >= 1000, "too few samples to say anything");
    let enough = |count: u64| count * 1000 >= all * 995;
    let whole: u64 = ends.iter().filter(|(end, _)| end.is_whole()).map(|(_, count)| count).sum();
    assert!(enough(agreeing) && enough(containing) && enough(whole), "{agreeing}, {containing} and {whole} of {all}");
    assert!(ends.keys().all(|end| end.is_whole() || end.loss().is_some()), "{ends:?}");
    assert!(works.len() >= 9, "{works:?}");
    captures.write();
}

/// Whether the frames' functions contain the calls' functions in their order, both innermost first. Two calls noted by one activation
/// (one was inlined into the other) have the same function and stack pointer, and are one frame.
fn contains(process: &Process, frames: &[u64], calls: impl Iterator<Item = (u64, u64)>) -> bool {
    let mut frames = frames.iter().enumerate().map(|(depth, pc)| process.function(pc - u64::from(depth > 0)));
    let mut last = None;
    for (pc, sp) in calls {
        let call = (process.function(pc), sp);
        if last == Some(call) {
            continue;
        }
        last = Some(call);
        if !frames.any(|frame| frame == call.0) {
            return false;
        }
    }
    true
}

/// Frames for a person: file and offset.
fn places(process: &Process, frames: &[u64]) -> String {
    let place = |pc: &u64| match process.object(*pc) {
        Some(object) => format!("{}+{:#x}", object.name.rsplit('/').next().unwrap_or_default(), pc - object.bias),
        None => format!("{pc:#x}"),
    };
    frames.iter().map(place).collect::<Vec<_>>().join(" ")
}
