//! How often each of our programs ran and how long it took, as the kernel counts it where it is asked to (`BPF_ENABLE_STATS`, kernel 5.8).
//!
//! The kernel then reads a clock before and after every run of every BPF program of the machine, so counting has a price of its own, and a
//! part of it is in what it counts. That part is measured by a program of two instructions: [`RunStatistics::clock_ns`].

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya_obj::generated::bpf_insn;

use super::{AttachError, Attached, sys};

/// Makes the kernel count and time runs of programs, until it is dropped or this process ends.
#[derive(Debug)]
pub struct RunStatistics {
    _counting: OwnedFd,
    clock_ns: u64,
}

/// What the kernel says of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRuns {
    /// The program of the product whose place it has.
    pub name: &'static str,
    /// Runs that were counted.
    pub runs: u64,
    /// Time in them (ns).
    pub total_ns: u64,
    /// How often it was skipped because a program of ours already ran on that CPU.
    pub recursion_misses: u64,
    /// Instructions that the verifier went through when it was loaded.
    pub verified: u32,
}

/// Runs of the empty program by which the clock is measured.
const EMPTY_RUNS: u64 = 2000;

impl RunStatistics {
    /// Begins to count. Runs before are not in it, unless somebody else has had the kernel count.
    pub fn enable() -> Result<Self, AttachError> {
        let counting = sys::count_runs().map_err(AttachError::RunStatistics)?;
        let clock_ns = clock_ns().map_err(AttachError::RunStatistics)?;
        Ok(Self { _counting: counting, clock_ns })
    }

    /// What a run of an empty program is said to take (ns): that is the clock, and it is in every other program's time too.
    #[must_use]
    pub const fn clock_ns(&self) -> u64 {
        self.clock_ns
    }
}

/// Runs a program that does nothing, and asks what that took.
fn clock_ns() -> io::Result<u64> {
    // `r0 = 0; exit` (Documentation/bpf/standardization/instruction-set.rst).
    let instruction =
        |code| bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(0, 0), off: 0, imm: 0 };
    let name = CString::new("empty").unwrap_or_default();
    let program = sys::load_raw_tracepoint_program(&name, &[instruction(0xb7), instruction(0x95)])?;
    for _ in 0..EMPTY_RUNS {
        sys::run_once(program.as_fd())?;
    }
    let seen = runs_of("empty", program.as_fd());
    Ok((seen.total_ns + seen.runs / 2).checked_div(seen.runs).unwrap_or(0))
}

/// What the kernel says of `program`; nothing where it says nothing.
pub(super) fn runs_of(name: &'static str, program: BorrowedFd<'_>) -> ProgramRuns {
    let Some(info) = sys::program_info(program) else {
        return ProgramRuns { name, runs: 0, total_ns: 0, recursion_misses: 0, verified: 0 };
    };
    ProgramRuns {
        name,
        runs: info.run_cnt,
        total_ns: info.run_time_ns,
        recursion_misses: info.recursion_misses,
        verified: info.verified_insns,
    }
}

impl Attached {
    /// What the kernel says of each program that was loaded, those of probes that have been taken out included. Of all of them runs are 0
    /// where nobody has the kernel count.
    #[must_use]
    pub fn runs(&self) -> Vec<ProgramRuns> {
        let own = self.handlers.scheduler().map(|at| (at.tracepoint, at.program));
        let tick = (super::Handlers::Accounting.tick(), self.handlers.tick());
        let own = own.into_iter().chain([tick]).filter_map(|(name, program)| {
            let fd = self.ebpf.program(program)?.fd().ok()?;
            Some(runs_of(name, fd.as_fd()))
        });
        self.uprobes.iter().flat_map(super::Uprobes::runs).chain(own).collect()
    }

    /// How often the kernel skipped a program of ours because one was already running on that CPU.
    #[must_use]
    pub fn recursion_misses(&self) -> u64 {
        self.runs().iter().map(|program| program.recursion_misses).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the clock is measured, and that it is a clock's and not a mistake.
    #[test]
    fn the_clock_is_measured() {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            println!("SKIPPED: the_clock_is_measured: needs root");
            return;
        }
        let statistics = RunStatistics::enable().unwrap();
        assert!((1..100_000).contains(&statistics.clock_ns()), "{statistics:?}");
    }
}
