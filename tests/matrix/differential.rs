//! A site that has moved tells what the plain site tells: both are probed in the same run of a real program, and what their handlers could see
//! is compared hit by hit.
//!
//! Every candidate of every site is probed, not only the one that a plan takes. On each thread a hit of the plain site must be followed by one
//! of the moved one, with the same task in the register named and the same stack pointer at the function's entry, before the next hit of the
//! plain one; by more than one only where the site is said to repeat.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use libc::pid_t;
use profiler_daemon::inspect::{Inspection, Register, Role, Spot};
use profiler_tests::recorder::{Noted, Recorder};

use crate::tracer::{ptrace, wait};

/// What was compared.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Candidates that are not the plain site, by role.
    pub(crate) moved: BTreeMap<Role, usize>,
    /// Hits of plain sites that were found again at such a candidate, by role.
    pub(crate) hits: BTreeMap<Role, usize>,
    /// Further hits of one event.
    pub(crate) retries: usize,
}

/// One candidate and the plain sites that it stands for.
struct Pair<'i> {
    role: Role,
    plain: &'i [Spot],
    moved: &'i Spot,
}

/// Runs the program once with all probes in it.
pub(crate) fn run(name: &str, program: &Path, inspection: &Inspection) -> io::Result<Result<Compared, String>> {
    let mut pairs = Vec::new();
    for site in &inspection.sites {
        let moved = site.candidates.iter().filter(|spot| site.plain.iter().all(|plain| plain.vaddr != spot.vaddr));
        pairs.extend(moved.map(|moved| Pair { role: site.role, plain: &site.plain, moved }));
    }
    let mut addresses: Vec<u64> =
        pairs.iter().flat_map(|pair| pair.plain.iter().chain([pair.moved])).map(|spot| spot.vaddr).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let mut compared = Compared::default();
    if addresses.is_empty() {
        return Ok(Ok(compared));
    }
    let offsets: Vec<u64> = addresses.iter().map(|address| inspection.file_offset(*address).expect("code of the file")).collect();
    let (noted, lost) = record(program, &offsets)?;
    assert_eq!(lost, 0, "{name}: no hit is lost");
    for pair in &pairs {
        *compared.moved.entry(pair.role).or_default() += 1;
        match pair.compare(&addresses, &noted) {
            Ok((hits, retries)) => {
                *compared.hits.entry(pair.role).or_default() += hits;
                compared.retries += retries;
                if hits > 0 {
                    pair.is_refuted_where_it_is_wrong(&addresses, &noted);
                }
            }
            Err(why) => {
                let Spot { vaddr, instruction, proof, .. } = pair.moved;
                return Ok(Err(format!("{name}: {:?} at {vaddr:#x} ({instruction}; {proof}): {why}", pair.role)));
            }
        }
    }
    Ok(Ok(compared))
}

impl Pair<'_> {
    /// How many hits of the plain sites were found again, and how many of the moved one were a retry's.
    fn compare(&self, addresses: &[u64], noted: &[Noted]) -> Result<(usize, usize), String> {
        // What the plain site has told on each thread, and whether the moved one has told it since.
        let mut open: BTreeMap<u32, ((u64, u64), bool)> = BTreeMap::new();
        let (mut hits, mut retries) = (0, 0);
        for hit in noted {
            let address = addresses[hit.place];
            let seen =
                |spot: &Spot| (hit.register(spot.header), hit.register(spot.sp_base).wrapping_add(u64::from(spot.sp_adjust)));
            if let Some(plain) = self.plain.iter().find(|spot| spot.vaddr == address) {
                if let Some((event, false)) = open.insert(hit.thread, (seen(plain), false)) {
                    return Err(format!("an event of the plain site was not told: {event:x?}"));
                }
            } else if address == self.moved.vaddr {
                let Some((event, told)) = open.get_mut(&hit.thread) else {
                    return Err("told without an event".to_owned());
                };
                if seen(self.moved) != *event {
                    return Err(format!("told otherwise: {event:x?}, {:x?}", seen(self.moved)));
                }
                if *told && !self.moved.repeats {
                    return Err(format!("told twice: {event:x?}"));
                }
                retries += usize::from(*told);
                hits += usize::from(!*told);
                *told = true;
            }
        }
        match open.into_values().find(|(_, told)| !told) {
            Some((event, _)) => Err(format!("the last event of the plain site was not told: {event:x?}")),
            None => Ok((hits, retries)),
        }
    }

    /// The same hits must not do for a site whose register, stack pointer or place is another than said.
    fn is_refuted_where_it_is_wrong(&self, addresses: &[u64], noted: &[Noted]) {
        let other = |change: fn(&mut Spot)| {
            let mut moved = self.moved.clone();
            change(&mut moved);
            Pair { role: self.role, plain: self.plain, moved: &moved }.compare(addresses, noted).is_err()
        };
        assert!(other(|spot| spot.header = Register::Rsp), "another register goes unnoticed");
        assert!(other(|spot| spot.sp_adjust += 8), "another stack pointer goes unnoticed");
        assert!(other(|spot| spot.vaddr = 0), "a site that nobody comes by goes unnoticed");
    }
}

/// Starts the program, puts the probes in before its first instruction, and gives what they noted until its end.
fn record(program: &Path, offsets: &[u64]) -> io::Result<(Vec<Noted>, u64)> {
    let mut command = Command::new(program);
    command.stdout(Stdio::null());
    // SAFETY: only an async-signal-safe system call is made between fork and exec.
    unsafe {
        command.pre_exec(|| ptrace(libc::PTRACE_TRACEME, 0, 0));
    }
    let child = command.spawn()?;
    let process = pid_t::try_from(child.id()).expect("a process id");
    let (_, status) = wait(process)?;
    assert!(libc::WIFSTOPPED(status), "the child stops at exec");
    let recorder = Recorder::attach(child.id(), program, offsets);
    ptrace(libc::PTRACE_DETACH, process, 0)?;
    let (_, status) = wait(process)?;
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the program ends well: {status:#x}");
    recorder?.take()
}
