//! Dumped stacks unwound in user space: by our own step and rows, and by framehop.

use std::path::Path;
use std::time::Instant;

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, Module, Unwinder as _};
use object::{Object as _, ObjectSection as _};
use profiler_common::limits::STACK_FRAMES;
use profiler_common::unwind::{End, Memory as _, Rule};
use profiler_daemon::inspect::unwind::{UnwindTable, unwind_table};
use profiler_daemon::target::code::{Behind, stretches};
use profiler_daemon::target::program::Program;
use profiler_tests::{Failure, Result};

use crate::dumps::Dump;
use crate::perf::Seen;

/// Stacks, how many of them ended where a stack ends, and how long it took.
#[derive(Debug, Default)]
pub(crate) struct Unwound {
    pub(crate) stacks: Vec<Seen>,
    pub(crate) whole: u64,
    pub(crate) ns: u64,
}

/// One file's code as it is mapped.
struct Mapped {
    start: u64,
    end: u64,
    /// What to add to an address in the file.
    bias: u64,
    bytes: Vec<u8>,
    table: Option<UnwindTable>,
}

/// The code of a process, for both unwinders.
pub(crate) struct Code {
    mapped: Vec<Mapped>,
}

impl Code {
    /// What process `pid` has mapped now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let all = stretches(pid).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
        let mut mapped = Vec::new();
        for stretch in all.iter().filter(|stretch| stretch.behind() != Behind::Nothing) {
            let bytes = stretch.bytes().map_err(Failure::io("the code of the fixture"))?;
            let table = unwind_table(&bytes).ok();
            let program = Program::parse(Path::new("mapped"), bytes.clone()).ok();
            let bias = program.and_then(|program| stretch.load_bias(program.segments())).unwrap_or(0);
            mapped.push(Mapped { start: stretch.start(), end: stretch.end(), bias, bytes, table });
        }
        mapped.sort_by_key(|mapped| mapped.start);
        Ok(Self { mapped })
    }

    /// The rule of an address.
    fn rule(&self, address: u64) -> Option<Rule> {
        let place = self.mapped.partition_point(|mapped| mapped.start <= address).checked_sub(1)?;
        let mapped = self.mapped.get(place).filter(|mapped| address < mapped.end)?;
        let table = mapped.table.as_ref()?;
        let pc = u32::try_from(address.checked_sub(mapped.bias)?.checked_sub(table.base)?).ok()?;
        let row = table.rows.get(table.rows.partition_point(|row| row.pc <= pc).checked_sub(1)?)?;
        table.rules.get(usize::from(row.rule)).copied()
    }

    /// By the step that the kernel side runs, and the rows that it has.
    pub(crate) fn by_rows(&self, dumps: &[Dump]) -> Unwound {
        let mut unwound = Unwound::default();
        for dump in dumps {
            let mut frames = Vec::with_capacity(STACK_FRAMES);
            let mut at = dump.at;
            let started = Instant::now();
            let end = loop {
                if frames.len() == STACK_FRAMES {
                    break End::TooDeep;
                }
                frames.push(at.pc);
                let Some(rule) = self.rule(at.lookup()) else { break End::NoMapping };
                match at.step(&rule, u64::MAX, dump) {
                    End::Going => {}
                    end => break end,
                }
            };
            unwound.ns += elapsed_ns(started);
            unwound.whole += u64::from(end.is_whole());
            unwound.stacks.push(Seen { tid: dump.tid, at_ns: dump.at_ns, frames });
        }
        unwound
    }

    /// By framehop, as a profiler in user space runs it: one unwinder, and one cache for all stacks.
    pub(crate) fn by_framehop(&self, dumps: &[Dump]) -> Unwound {
        let mut unwinder = UnwinderX86_64::new();
        for mapped in &self.mapped {
            if let Some(module) = mapped.module() {
                unwinder.add_module(module);
            }
        }
        let mut cache = CacheX86_64::<_>::new();
        let mut unwound = Unwound::default();
        for dump in dumps {
            let mut frames = Vec::with_capacity(STACK_FRAMES);
            let mut read = |address| dump.word(address).ok_or(());
            let registers = UnwindRegsX86_64::new(dump.at.pc, dump.at.sp, dump.at.bp);
            let started = Instant::now();
            let mut iter = unwinder.iter_frames(dump.at.pc, registers, &mut cache, &mut read);
            let whole = loop {
                match iter.next() {
                    Ok(Some(frame)) if frames.len() < STACK_FRAMES => frames.push(frame.address()),
                    Ok(Some(_)) | Err(_) => break false,
                    Ok(None) => break true,
                }
            };
            unwound.ns += elapsed_ns(started);
            unwound.whole += u64::from(whole);
            unwound.stacks.push(Seen { tid: dump.tid, at_ns: dump.at_ns, frames });
        }
        unwound
    }
}

fn elapsed_ns(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Mapped {
    fn module(&self) -> Option<Module<Vec<u8>>> {
        let file = object::File::parse(&*self.bytes).ok()?;
        let section = |name: &str| {
            let section = file.section_by_name(name)?;
            let start = section.address();
            Some((start..start + section.size(), section.data().ok()?.to_vec()))
        };
        let ((text_svma, text), (eh_frame_svma, eh_frame)) = (section(".text").unzip(), section(".eh_frame").unzip());
        let (eh_frame_hdr_svma, eh_frame_hdr) = section(".eh_frame_hdr").unzip();
        let sections = ExplicitModuleSectionInfo {
            base_svma: 0,
            text_svma,
            text,
            eh_frame_svma,
            eh_frame,
            eh_frame_hdr_svma,
            eh_frame_hdr,
            ..ExplicitModuleSectionInfo::default()
        };
        Some(Module::new(format!("{:#x}", self.start), self.start..self.end, self.bias, sections))
    }
}
