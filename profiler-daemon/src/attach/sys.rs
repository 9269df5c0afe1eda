//! The system calls that aya 0.14 does not make for us, over its own bindings of the kernel's structures.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type, bpf_stats_type};

/// bpf(2) with `attr`; a non-negative result is whatever the command returns.
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<RawFd> {
    // SAFETY: the attribute is a whole `bpf_attr`, and the pointers in it outlive the call: see the callers.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size_of::<bpf_attr>()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    RawFd::try_from(result).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// As [`bpf`], for commands that return a file descriptor.
fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn empty_attr() -> bpf_attr {
    // SAFETY: a union of structures of integers; the kernel asks for zeros where nothing is said.
    unsafe { zeroed() }
}

/// A uprobe program to load.
pub(super) struct UprobeProgram<'a> {
    /// Shown in listings, its first 15 bytes.
    pub(super) name: &'a CStr,
    /// Its licence.
    pub(super) license: &'a CStr,
    /// Its instructions, with those of the functions that it calls.
    pub(super) instructions: &'a [bpf_insn],
    /// The types of these functions.
    pub(super) functions: Option<FunctionTypes<'a>>,
    /// The kind of link it is for, 0 for perf events.
    pub(super) attach_type: u32,
}

/// Which function begins where, of which type (`struct bpf_func_info`, include/uapi/linux/bpf.h).
pub(super) struct FunctionTypes<'a> {
    /// The types.
    pub(super) types: BorrowedFd<'a>,
    /// The records.
    pub(super) bytes: &'a [u8],
    /// Bytes of one.
    pub(super) size: usize,
}

/// Loads a uprobe program. On failure gives the verifier's log too.
pub(super) fn load_uprobe_program(from: &UprobeProgram<'_>) -> Result<OwnedFd, (io::Error, String)> {
    let mut log = vec![0_u8; 1 << 20];
    let load = |log: Option<&mut Vec<u8>>| {
        let mut attr = empty_attr();
        // SAFETY: writing a member of a union of plain structures.
        let program = unsafe { &mut attr.__bindgen_anon_3 };
        program.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
        program.insns = from.instructions.as_ptr() as u64;
        program.insn_cnt = length(from.instructions.len());
        program.license = from.license.as_ptr() as u64;
        program.expected_attach_type = from.attach_type;
        if let Some(functions) = &from.functions {
            program.prog_btf_fd = functions.types.as_raw_fd().cast_unsigned();
            program.func_info = functions.bytes.as_ptr() as u64;
            program.func_info_rec_size = length(functions.size);
            program.func_info_cnt = length(functions.bytes.len().checked_div(functions.size).unwrap_or(0));
        }
        for (to, letter) in program.prog_name.iter_mut().zip(from.name.to_bytes().iter().take(15)) {
            *to = letter.cast_signed();
        }
        if let Some(log) = log {
            program.log_level = 1;
            program.log_size = u32::try_from(log.len()).unwrap_or(u32::MAX);
            program.log_buf = log.as_mut_ptr() as u64;
        }
        bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
    };
    load(None).or_else(|_| load(Some(&mut log))).map_err(|error| {
        let text = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
        // The reason stands at the end.
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        (error, tail)
    })
}

/// A length as the kernel takes it. One that is too large is refused by the kernel.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Gives an object's type information (`.BTF`) to the kernel.
pub(super) fn load_types(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let load = unsafe { &mut attr.__bindgen_anon_7 };
    load.btf = types.as_ptr() as u64;
    load.btf_size = length(types.len());
    bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// What one uprobe-multi link covers.
pub(super) struct MultiLink<'a> {
    /// The executable.
    pub(super) path: &'a CStr,
    /// File offsets of the sites.
    pub(super) offsets: &'a [u64],
    /// One cookie a site.
    pub(super) cookies: &'a [u64],
    /// One semaphore a site, as a file offset, 0 for none. Empty: no site has one.
    pub(super) semaphores: &'a [u64],
    /// The process, or -1 for a probe of the kernel's abilities.
    pub(super) pid: i32,
    /// Whether the sites are function entries whose returns are meant.
    pub(super) on_return: bool,
}

/// `BPF_F_UPROBE_MULTI_RETURN`, include/uapi/linux/bpf.h.
const MULTI_RETURN: u32 = 1;

/// Attaches `program` by one uprobe-multi link (kernel 6.6).
pub(super) fn link_uprobe_multi(program: BorrowedFd<'_>, link: &MultiLink<'_>) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: writing members of a union of plain structures.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: as above.
    let multi = unsafe { &mut create.__bindgen_anon_3.uprobe_multi };
    multi.path = link.path.as_ptr() as u64;
    multi.offsets = link.offsets.as_ptr() as u64;
    multi.cookies = link.cookies.as_ptr() as u64;
    if !link.semaphores.is_empty() {
        multi.ref_ctr_offsets = link.semaphores.as_ptr() as u64;
    }
    multi.cnt = u32::try_from(link.offsets.len()).unwrap_or(u32::MAX);
    multi.flags = if link.on_return { MULTI_RETURN } else { 0 };
    multi.pid = link.pid.cast_unsigned();
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches `program` to a perf event, with a cookie (kernel 5.15).
pub(super) fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: writing members of a union of plain structures.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    create.__bindgen_anon_2.target_fd = event.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// What the kernel says of a program. `None` where it says nothing.
pub(super) fn program_info(program: BorrowedFd<'_>) -> Option<bpf_prog_info> {
    // SAFETY: a structure of integers.
    let mut info: bpf_prog_info = unsafe { zeroed() };
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let query = unsafe { &mut attr.info };
    query.bpf_fd = program.as_raw_fd().cast_unsigned();
    query.info_len = u32::try_from(size_of::<bpf_prog_info>()).unwrap_or(0);
    query.info = std::ptr::from_mut(&mut info) as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).ok().map(|_| info)
}

/// Has the kernel count and time runs of programs until the descriptor is closed.
pub(super) fn count_runs() -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    attr.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    bpf_fd(bpf_cmd::BPF_ENABLE_STATS, &mut attr)
}

/// Loads a raw tracepoint's program: of these the kernel runs one on demand ([`run_once`]), whatever its tracepoint does.
pub(super) fn load_raw_tracepoint_program(name: &CStr, instructions: &[bpf_insn]) -> io::Result<OwnedFd> {
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let program = unsafe { &mut attr.__bindgen_anon_3 };
    program.prog_type = bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT as u32;
    program.insns = instructions.as_ptr() as u64;
    program.insn_cnt = length(instructions.len());
    program.license = c"GPL".as_ptr() as u64;
    for (to, letter) in program.prog_name.iter_mut().zip(name.to_bytes().iter().take(15)) {
        *to = letter.cast_signed();
    }
    bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Runs a raw tracepoint's program once, here and now.
pub(super) fn run_once(program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let test = unsafe { &mut attr.test };
    test.prog_fd = program.as_raw_fd().cast_unsigned();
    bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr).map(|_| ())
}

/// What one batch brought.
pub(super) struct Batch {
    /// How many entries.
    pub(super) count: usize,
    /// Where the next one goes on.
    pub(super) place: u32,
    /// Whether there is no next one.
    pub(super) is_last: bool,
}

/// Copies the next entries of a hash map; `values` has as many bytes as `keys.len()` values take. `ENOSPC` if the next bucket alone has
/// more entries.
pub(super) fn lookup_batch<K: aya::Pod>(
    map: BorrowedFd<'_>,
    place: Option<u32>,
    keys: &mut [K],
    values: &mut [u8],
) -> io::Result<Batch> {
    let (from, mut to) = (place, 0_u32);
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let batch = unsafe { &mut attr.batch };
    batch.in_batch = from.as_ref().map_or(0, |place| std::ptr::from_ref(place) as u64);
    batch.out_batch = &raw mut to as u64;
    batch.keys = keys.as_mut_ptr() as u64;
    batch.values = values.as_mut_ptr() as u64;
    batch.count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    batch.map_fd = map.as_raw_fd().cast_unsigned();
    let result = bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
    // SAFETY: the member written above; the kernel has put the number of entries there.
    let count = unsafe { attr.batch.count } as usize;
    match result {
        Ok(_) => Ok(Batch { count, place: to, is_last: false }),
        // The end of the map, with the last entries.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Batch { count, place: to, is_last: true }),
        Err(error) => Err(error),
    }
}

/// Puts an entry into a map; key and value are as long as the map's.
pub(super) fn put(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let element = unsafe { &mut attr.__bindgen_anon_2 };
    element.map_fd = map.as_raw_fd().cast_unsigned();
    element.key = key.as_ptr() as u64;
    element.__bindgen_anon_1.value = value.as_ptr() as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Puts maps, by their descriptors, into a map of maps: all by one call, or by one for each where the kernel has none for that kind of map
/// (before 5.19).
pub(super) fn put_maps(map: BorrowedFd<'_>, keys: &[u32], values: &[RawFd]) -> io::Result<()> {
    let count = keys.len().min(values.len());
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let batch = unsafe { &mut attr.batch };
    batch.keys = keys.as_ptr() as u64;
    batch.values = values.as_ptr() as u64;
    batch.count = length(count);
    batch.map_fd = map.as_raw_fd().cast_unsigned();
    if bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr).is_ok() {
        return Ok(());
    }
    let mut each = keys.iter().zip(values);
    each.try_for_each(|(key, value)| put(map, &key.to_ne_bytes(), &value.to_ne_bytes()))
}

/// Removes an entry from a map; the key is as long as the map's.
pub(super) fn remove(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<()> {
    let mut attr = empty_attr();
    // SAFETY: writing a member of a union of plain structures.
    let element = unsafe { &mut attr.__bindgen_anon_2 };
    element.map_fd = map.as_raw_fd().cast_unsigned();
    element.key = key.as_ptr() as u64;
    bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr).map(drop)
}

/// The CPUs that the calling thread may run on; none where the kernel does not tell.
pub(super) fn allowed_cpus() -> Vec<usize> {
    cpus_of(0).unwrap_or_default()
}

/// The CPUs that thread `tid` may run on, 0 for the calling one. `None` where the kernel does not tell.
pub(super) fn cpus_of(tid: libc::pid_t) -> Option<Vec<usize>> {
    let mut set = no_cpu();
    // SAFETY: the set is live and of the size given.
    if unsafe { libc::sched_getaffinity(tid, size_of_val(&set), &raw mut set) } != 0 {
        return None;
    }
    let all = 0..usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: the numbers are those that a set has places for.
    Some(all.filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// Lets the calling thread run on `cpu` only, one of [`allowed_cpus`].
pub(super) fn run_on(cpu: usize) -> io::Result<()> {
    let mut set = no_cpu();
    // SAFETY: a number that a set has a place for.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is live and of the size given; 0 is the calling thread.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

fn no_cpu() -> libc::cpu_set_t {
    // SAFETY: an array of integers; all zeros is the empty set.
    unsafe { zeroed() }
}

/// `CLOCK_MONOTONIC` (ns), the clock of `bpf_ktime_get_ns`.
pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec. It cannot fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A path for the kernel. A path with a NUL in it names no file.
pub(super) fn c_path(path: &std::path::Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}
