//! This process's own code: what is mapped where, its tables, and the walks by them and by framehop.

use std::ops::Range;

use framehop::x86_64::UnwindRegsX86_64;
use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder, UnwinderNative};
use gimli::{BaseAddresses, CieOrFde, EhFrame, UnwindSection as _};
use object::{Object as _, ObjectSection as _};
use profiler_common::limits::STACK_FRAMES;
use profiler_common::unwind::{Cursor, End, Memory, Rule};
use profiler_daemon::inspect::unwind::{UnwindTable, unwind_table};

/// What framehop remembers from walk to walk.
pub(crate) type Cache = framehop::CacheNative<MayAllocateDuringUnwind>;

/// One file (or the vDSO) with code in this process.
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) table: UnwindTable,
    /// What is added to an address of the file.
    pub(crate) bias: u64,
    /// Where its code is mapped.
    pub(crate) code: Vec<Range<u64>>,
    /// Where its functions begin by their entries, sorted, in the file's own addresses, and whether one is a signal trampoline.
    pub(crate) starts: Vec<(u64, bool)>,
}

/// A row where it is in memory: its addresses and its rule.
pub(crate) struct Said<'a> {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) rule: &'a Rule,
}

impl Object {
    /// The row of an address in memory.
    pub(crate) fn row(&self, address: u64) -> Option<Said<'_>> {
        let base = self.bias + self.table.base;
        let pc = u32::try_from(address.checked_sub(base)?).ok()?;
        let at = self.table.rows.partition_point(|row| row.pc <= pc).checked_sub(1)?;
        let row = self.table.rows[at];
        let to = self.table.rows.get(at + 1).map_or(u32::MAX, |next| next.pc);
        let rule = &self.table.rules[usize::from(row.rule)];
        Some(Said { from: base + u64::from(row.pc), to: base + u64::from(to), rule })
    }
}

/// All of them.
pub(crate) struct Process {
    pub(crate) objects: Vec<Object>,
    framehop: UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>,
}

impl Process {
    /// Reads what is mapped now.
    pub(crate) fn own() -> Self {
        let mut objects: Vec<Object> = Vec::new();
        let mut modules = UnwinderNative::new();
        for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
            // A path may hold spaces.
            let words: Vec<&str> = line.splitn(6, ' ').map(str::trim_start).collect();
            let [range, rights, offset, _, _, name] = words[..] else { continue };
            if !rights.contains('x') || !(name.starts_with('/') || name == "[vdso]") {
                continue;
            }
            let (start, end) = range.split_once('-').unwrap();
            let hex = |text| u64::from_str_radix(text, 16).unwrap();
            let (code, offset) = (hex(start)..hex(end), hex(offset));
            if let Some(known) = objects.iter_mut().find(|object| object.name == name) {
                known.code.push(code);
                continue;
            }
            let bytes = if name == "[vdso]" { memory(&code) } else { std::fs::read(name).unwrap() };
            let table = unwind_table(&bytes).unwrap();
            // The mapping is whole pages, its segment need not begin with one.
            let page = |at: u64| at & !0xfff;
            let segment =
                table.segments.iter().find(|segment| segment.executable && page(segment.file_offset) == offset).unwrap();
            let bias = code.start - page(segment.vaddr);
            modules.add_module(module(name, &bytes, bias, &table));
            let starts = starts(&bytes);
            objects.push(Object { name: name.to_owned(), bytes, table, bias, code: vec![code], starts });
        }
        Self { objects, framehop: modules }
    }

    /// What is mapped at `address`.
    pub(crate) fn object(&self, address: u64) -> Option<&Object> {
        self.objects.iter().find(|object| object.code.iter().any(|code| code.contains(&address)))
    }

    /// Walks by our tables: the frames' pcs, innermost first.
    pub(crate) fn walk(&self, mut cursor: Cursor, memory: &impl Memory) -> (Vec<u64>, End) {
        let mut frames = vec![cursor.pc];
        while frames.len() < STACK_FRAMES {
            let Some(object) = self.object(cursor.lookup()) else { return (frames, End::NoMapping) };
            let Some(row) = object.row(cursor.lookup()) else { return (frames, End::NoRow) };
            match cursor.step(row.rule, u64::MAX, memory) {
                End::Going => frames.push(cursor.pc),
                end => return (frames, end),
            }
        }
        (frames, End::TooDeep)
    }

    /// Where the function of an address begins, and whether it is a signal trampoline: by its entry in `.eh_frame`, read by gimli.
    pub(crate) fn function(&self, address: u64) -> Option<(u64, bool)> {
        let object = self.object(address)?;
        let at = address - object.bias;
        object.starts.get(object.starts.partition_point(|start| start.0 <= at).checked_sub(1)?).copied()
    }

    /// Walks by framehop. It does not follow a signal frame, so it begins anew behind one, with the registers that the kernel left in the
    /// `ucontext` at `context`.
    pub(crate) fn framehop(&self, cursor: Cursor, memory: &impl Memory, context: u64, cache: &mut Cache) -> Vec<u64> {
        let mut frames = Vec::new();
        let mut from = Some([cursor.pc, cursor.sp, cursor.bp]);
        while let Some([pc, sp, bp]) = from.take() {
            let mut read = |address| memory.word(address).ok_or(());
            let mut walk = self.framehop.iter_frames(pc, UnwindRegsX86_64::new(pc, sp, bp), cache, &mut read);
            // An error ends the walk with the frames that it has.
            while let Ok(Some(frame)) = walk.next() {
                frames.push(frame.address());
                if frames.len() == STACK_FRAMES {
                    return frames;
                }
                if self.function(frame.address_for_lookup()).is_some_and(|function| function.1) {
                    from = interrupted(context, memory);
                    break;
                }
            }
        }
        frames
    }
}

/// Pc, sp and rbp of what a signal interrupted, by libc's description of the structure.
fn interrupted(context: u64, memory: &impl Memory) -> Option<[u64; 3]> {
    let registers = context + std::mem::offset_of!(libc::ucontext_t, uc_mcontext.gregs) as u64;
    let register = |number: i32| memory.word(registers + 8 * u64::from(number.unsigned_abs()));
    Some([register(libc::REG_RIP)?, register(libc::REG_RSP)?, register(libc::REG_RBP)?])
}

/// The first address of every entry, and whether it is a signal trampoline's: by gimli.
fn starts(bytes: &[u8]) -> Vec<(u64, bool)> {
    let file = object::File::parse(bytes).unwrap();
    let section = file.section_by_name(".eh_frame").unwrap();
    let bases = BaseAddresses::default().set_eh_frame(section.address());
    let eh_frame = EhFrame::new(section.data().unwrap(), gimli::LittleEndian);
    let mut entries = eh_frame.entries(&bases);
    let mut starts = Vec::new();
    while let Some(entry) = entries.next().unwrap() {
        if let CieOrFde::Fde(entry) = entry {
            let entry = entry.parse(EhFrame::cie_from_offset).unwrap();
            starts.push((entry.initial_address(), entry.is_signal_trampoline()));
        }
    }
    starts.sort_unstable();
    starts
}

/// This process's memory.
fn memory(range: &Range<u64>) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
    std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, range.start).unwrap();
    bytes
}

fn module(name: &str, bytes: &[u8], bias: u64, table: &UnwindTable) -> Module<Vec<u8>> {
    let file = object::File::parse(bytes).unwrap();
    let section = |name: &str| {
        let section = file.section_by_name(name)?;
        Some((section.address()..section.address() + section.size(), section.data().ok()?.to_vec()))
    };
    let (text, eh_frame, list) = (section(".text").unwrap(), section(".eh_frame").unwrap(), section(".eh_frame_hdr"));
    let end = table.segments.iter().map(|segment| segment.vaddr + segment.mem_size).max().unwrap();
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma: Some(text.0),
        text: Some(text.1),
        eh_frame_svma: Some(eh_frame.0),
        eh_frame: Some(eh_frame.1),
        eh_frame_hdr_svma: list.as_ref().map(|list| list.0.clone()),
        eh_frame_hdr: list.map(|list| list.1),
        ..Default::default()
    };
    Module::new(name.to_owned(), bias..bias + end, bias, sections)
}
