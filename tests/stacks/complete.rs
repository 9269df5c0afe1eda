//! Every stack inside a phase holds the phase's chain, and nearly all walks reach their end.

use profiler_common::loss::Loss;
use profiler_common::unwind::End;
use profiler_daemon::model::Stack;
use profiler_daemon::session::{Choice, Subject};
use profiler_tests::cells::tried;
use profiler_tests::chained::{Chained, Profiled, profiled};
use profiler_tests::failure::all_right;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, needs_root};
use stack_fixture::truth::{Kind, Phase};

/// Length of a phase.
const PHASE_MS: u32 = 60;
const RATE_HZ: u32 = 997;
const ROUNDS: usize = 2;
/// How often a cell may be tried: a thread that is interrupted while the kernel emulates a probed instruction has registers from before and
/// after it, which cuts its stack, and another tenant of the machine can make that frequent for a moment.
const TRIES: usize = 3;

/// Check in each cell that every sample and every stretch off the CPU inside a phase holds the phase's chain, that every phase has some,
/// that at least 99.5 % of all walks reach their end, and that each of the others has a counted reason.
#[test]
fn every_stack_holds_its_chain() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let mut wrong = Vec::new();
    for cell in tried() {
        let mut fixture = Chained::start(cell, PHASE_MS)?;
        for left in (0..TRIES).rev() {
            let seen = profiled(&mut fixture, &Subject::AllTasks, RATE_HZ, ROUNDS)?;
            let mut found = astray(&seen);
            let is_certain = !found.is_empty();
            found.extend(chains(&seen));
            found.extend(walks(&seen));
            for what in &found {
                eprintln!("{cell}, {left} tries left: {what}");
            }
            if found.is_empty() || is_certain || left == 0 {
                wrong.extend(found.into_iter().map(|what| format!("{cell}: {what}")));
                break;
            }
        }
        fixture.end()?;
    }
    all_right(wrong)
}

/// A third of what the rate promises for the CPU time that the thread had: other programs may have had most of the phase.
fn samples_at_least(phase: &Phase) -> usize {
    usize::try_from(phase.cpu_ns * u64::from(RATE_HZ) / 3_000_000_000).unwrap_or(0)
}

/// Stacks that are said to be whole and do not hold the chain. Not one may be.
fn astray(seen: &Profiled) -> Vec<String> {
    let mut wrong = Vec::new();
    for phase in &seen.phases {
        let off = seen.off_cpu(phase).map(|off| &off.stack);
        let whole = seen.samples(phase).chain(off).filter(|stack| stack.end.is_whole());
        wrong.extend(whole.filter_map(|stack| {
            let why = seen.functions.against(&stack.frames, &phase.chain)?;
            Some(format!("{}: a whole stack without the chain: {why}\n{}", phase.name, describe(seen, &stack.frames)))
        }));
    }
    wrong
}

/// What is wrong with the stacks of each phase, those that were cut included.
fn chains(seen: &Profiled) -> Vec<String> {
    let mut wrong = Vec::new();
    for phase in &seen.phases {
        let off = seen.off_cpu(phase).map(|off| &off.stack);
        let stacks: Vec<_> = seen.samples(phase).chain(off).collect();
        let least = if phase.kind == Kind::Spin { samples_at_least(phase) } else { 1 };
        if stacks.len() < least {
            wrong.push(format!("{}: {} stacks, at least {least} expected", phase.name, stacks.len()));
        }
        let broken = stacks.iter().filter_map(|stack| {
            let why = seen.functions.against(&stack.frames, &phase.chain)?;
            Some((why, *stack))
        });
        let broken: Vec<_> = broken.collect();
        if let Some((why, stack)) = broken.first() {
            let places = describe(seen, &stack.frames);
            wrong.push(format!(
                "{}: {} of {} stacks do not hold the chain; the first ended with `{}` after {} frames: {why}\n{places}",
                phase.name,
                broken.len(),
                stacks.len(),
                stack.end.name(),
                stack.frames.len()
            ));
        }
    }
    wrong
}

/// Where a stack's frames lie, leaf first, for whoever reads the failure.
fn describe(seen: &Profiled, frames: &[u64]) -> String {
    let lines = frames.iter().take(24).map(|address| {
        let module = seen.modules.iter().find(|module| (module.start..module.end).contains(address));
        match module {
            Some(module) => format!("    {address:#x} {}+{:#x}", module.name, address - module.start + module.offset),
            None => format!("    {address:#x} in nothing that is mapped"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every stack that came, inside phases and outside.
fn stacks(seen: &Profiled) -> impl Iterator<Item = &Stack> {
    let off = seen.capture.off_cpu.iter().map(|off| &off.stack);
    seen.capture.samples.iter().map(|sample| &sample.stack).chain(off)
}

/// What is wrong with the sums of all walks.
fn walks(seen: &Profiled) -> Vec<String> {
    let walks = &seen.capture.walks;
    let whole: u64 = ["poll", "root"].iter().filter_map(|end| walks.ends.get(*end)).sum();
    let mut wrong = Vec::new();
    for stack in stacks(seen).filter(|stack| !stack.end.is_whole()) {
        eprintln!("cut by `{}`:\n{}", stack.end.name(), describe(seen, &stack.frames));
    }
    eprintln!("{} of {} walks whole, {} frames: {:?}", whole, walks.walks, walks.frames, walks.ends);
    if walks.ends.values().sum::<u64>() != walks.walks {
        wrong.push(format!("{} walks, but ends of {:?}", walks.walks, walks.ends));
    }
    if walks.walks == 0 || whole * 1000 < walks.walks * 995 {
        wrong.push(format!("{whole} of {} walks are whole: {:?}", walks.walks, walks.ends));
    }
    let cut: u64 = walks.walks.saturating_sub(whole);
    let reasons: Vec<&str> = End::ALL.into_iter().filter_map(End::loss).map(Loss::name).collect();
    let counted: u64 = seen.capture.losses.iter().filter(|loss| reasons.contains(&loss.name)).map(|loss| loss.count).sum();
    if cut != counted {
        wrong.push(format!("{cut} walks were cut, the losses count {counted}"));
    }
    wrong
}

/// Check that a request alone is enough: only its own stacks come, and they hold its chain.
#[test]
fn one_request_has_its_stacks() -> Result<()> {
    needs_root!();
    let _turn = turn();
    let cell = *tried().first().ok_or_else(|| Failure::Wrong(vec!["no cell is tried".to_owned()]))?;
    let mut fixture = Chained::start(cell, PHASE_MS)?;
    let subject = Subject::Requests(Choice::of_ids(vec![b"chain-twelve-spin".to_vec()]));
    let seen = profiled(&mut fixture, &subject, RATE_HZ, 1)?;
    fixture.end()?;
    let mut wrong = Vec::new();
    for phase in &seen.phases {
        let samples: Vec<_> = seen.samples(phase).collect();
        if phase.name == "twelve-spin" {
            let broken = samples.iter().filter_map(|stack| seen.functions.against(&stack.frames, &phase.chain));
            wrong.extend(broken);
            if samples.len() < samples_at_least(phase) {
                wrong.push(format!("{} samples of the request", samples.len()));
            }
        } else if !samples.is_empty() {
            wrong.push(format!("{}: {} samples, although nobody asked for it", phase.name, samples.len()));
        }
    }
    all_right(wrong)
}
