//! The registers and stacks that perf copied, read from its file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use linux_perf_data::linux_perf_event_reader::EventRecord;
use linux_perf_data::{PerfFileReader, PerfFileRecord};
use profiler_common::unwind::{Cursor, Memory};
use profiler_tests::{Failure, Result};

/// Places of the registers in a sample (arch/x86/include/uapi/asm/perf_regs.h).
const RBP: u64 = 6;
const RSP: u64 = 7;
const RIP: u64 = 8;

/// One thread at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    pub(crate) tid: u32,
    pub(crate) at_ns: u64,
    /// Its registers.
    pub(crate) at: Cursor,
    /// Its stack from its stack pointer on.
    stack: Vec<u8>,
}

impl Memory for Dump {
    fn word(&self, address: u64) -> Option<u64> {
        let from = usize::try_from(address.checked_sub(self.at.sp)?).ok()?;
        let bytes = self.stack.get(from..from.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Dump {
    /// Bytes of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.stack.len() as u64
    }
}

/// Every sample with registers and a stack.
pub(crate) fn read(path: &Path) -> Result<Vec<Dump>> {
    let form = |why: String| Failure::Form { path: path.to_owned(), why };
    let file = File::open(path).map_err(Failure::io(path.display().to_string()))?;
    let PerfFileReader { mut perf_file, mut record_iter } =
        PerfFileReader::parse_file(BufReader::new(file)).map_err(|error| form(error.to_string()))?;
    let mut dumps = Vec::new();
    while let Some(record) = record_iter.next_record(&mut perf_file).map_err(|error| form(error.to_string()))? {
        let PerfFileRecord::EventRecord { record, .. } = record else { continue };
        let Ok(EventRecord::Sample(sample)) = record.parse() else { continue };
        let (Some(registers), Some((stack, used))) = (&sample.user_regs, &sample.user_stack) else { continue };
        let (Some(pc), Some(sp), Some(bp)) = (registers.get(RIP), registers.get(RSP), registers.get(RBP)) else { continue };
        let (Some(tid), Some(at_ns)) = (sample.tid, sample.timestamp) else { continue };
        let mut stack = stack.as_slice().into_owned();
        stack.truncate(usize::try_from(*used).unwrap_or(0));
        dumps.push(Dump { tid: tid.cast_unsigned(), at_ns, at: Cursor { pc, sp, bp, is_return: 0 }, stack });
    }
    Ok(dumps)
}
