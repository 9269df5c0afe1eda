//! Probes that note the registers of every hit, in order: a BPF program of some forty instructions, put together by hand.
//!
//! It knows no site and no task, so that what it notes at one instruction and at another can be compared word by word.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use aya::maps::{Map, MapData, RingBuf};
use profiler_daemon::inspect::Register;

/// Where `struct pt_regs` has what a record has, in a record's order (arch/x86/include/asm/ptrace.h).
const REGISTERS: [(Register, i16); 16] = [
    (Register::R15, 0),
    (Register::R14, 8),
    (Register::R13, 16),
    (Register::R12, 24),
    (Register::Rbp, 32),
    (Register::Rbx, 40),
    (Register::R11, 48),
    (Register::R10, 56),
    (Register::R9, 64),
    (Register::R8, 72),
    (Register::Rax, 80),
    (Register::Rcx, 88),
    (Register::Rdx, 96),
    (Register::Rsi, 104),
    (Register::Rdi, 112),
    (Register::Rsp, 152),
];
const COOKIE: usize = REGISTERS.len();
const THREAD: usize = COOKIE + 1;
/// Words of a record.
const WORDS: usize = THREAD + 1;
const RECORD_BYTES: i16 = 144;
const _: () = assert!(RECORD_BYTES as usize == 8 * WORDS, "the registers, the cookie, the thread");
/// Room for some ten thousand hits.
const RING_BYTES: u32 = 4 << 20;

/// include/uapi/linux/bpf.h.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_TYPE_RINGBUF: u32 = 27;
const PROG_TYPE_KPROBE: u32 = 2;
const TRACE_UPROBE_MULTI: u32 = 48;

/// A thread came by one of the offsets.
#[derive(Debug, Clone, Copy)]
pub struct Noted {
    /// The thread's id.
    pub thread: u32,
    /// Place of the offset among those that were asked for.
    pub place: usize,
    words: [u64; WORDS],
}

impl Noted {
    /// What the register held.
    #[must_use]
    pub fn register(&self, register: Register) -> u64 {
        // Every register is among those that are noted.
        REGISTERS.iter().zip(self.words).find(|((of, _), _)| *of == register).map_or(0, |(_, word)| word)
    }
}

/// Probes in one process, and what they have noted.
pub struct Recorder {
    // The link goes before the program and the maps that it uses.
    _link: OwnedFd,
    _program: OwnedFd,
    lost: OwnedFd,
    ring: RingBuf<MapData>,
}

#[repr(C)]
struct Lookup(u32, u32, u64, u64, u64);

impl Recorder {
    /// Puts a probe at each of these offsets of the process's program.
    ///
    /// # Errors
    /// The kernel's, which may refuse an instruction.
    pub fn attach(process: u32, program: &Path, offsets: &[u64]) -> io::Result<Self> {
        let ring = map(MAP_TYPE_RINGBUF, [0, 0, RING_BYTES])?;
        let lost = map(MAP_TYPE_ARRAY, [4, 8, 1])?;
        let loaded = load(&instructions(ring.as_raw_fd(), lost.as_raw_fd()))?;
        let link = link(&loaded, process, program, offsets)?;
        let data = MapData::from_fd(ring).map_err(io::Error::other)?;
        let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(io::Error::other)?;
        Ok(Self { _link: link, _program: loaded, lost, ring })
    }

    /// Everything noted so far, and how many hits found no room.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&mut self) -> io::Result<(Vec<Noted>, u64)> {
        let mut noted = Vec::new();
        while let Some(item) = self.ring.next() {
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(item.chunks_exact(8)) {
                *word = u64::from_ne_bytes(bytes.try_into().map_err(io::Error::other)?);
            }
            let thread = (words[THREAD] & 0xffff_ffff) as u32;
            let place = usize::try_from(words[COOKIE]).map_err(io::Error::other)?;
            noted.push(Noted { thread, place, words });
        }
        let (key, mut lost) = (0_u32, 0_u64);
        let fd = self.lost.as_raw_fd().cast_unsigned();
        bpf(MAP_LOOKUP_ELEM, &Lookup(fd, 0, (&raw const key) as u64, (&raw mut lost) as u64, 0))?;
        Ok((noted, lost))
    }
}

/// bpf(2). The kernel takes an attribute that is shorter than its own as one that ends in zeros.
fn bpf<A>(command: libc::c_long, attribute: &A) -> io::Result<i32> {
    // SAFETY: every attribute is a structure of integers without padding, and what its addresses point to outlives the call: see the callers.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attribute), size_of::<A>()) };
    i32::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}

fn bpf_fd<A>(command: libc::c_long, attribute: &A) -> io::Result<OwnedFd> {
    let fd = bpf(command, attribute)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn map(kind: u32, [key, value, entries]: [u32; 3]) -> io::Result<OwnedFd> {
    bpf_fd(MAP_CREATE, &[kind, key, value, entries, 0])
}

/// One instruction (`struct bpf_insn`): operation, registers, offset, immediate.
fn instruction(operation: u8, to: u8, from: u8, offset: i16, immediate: i32) -> u64 {
    let low = [operation, from << 4 | to, offset.to_le_bytes()[0], offset.to_le_bytes()[1]];
    u64::from(u32::from_le_bytes(low)) | u64::from(immediate.cast_unsigned()) << 32
}

/// Notes the registers, the cookie and the thread; counts where there is no room.
fn instructions(ring: i32, lost: i32) -> Vec<u64> {
    /// Operations (`BPF_LDX | BPF_MEM | BPF_DW` and so on) and helpers of include/uapi/linux/bpf.h.
    const LOAD_WORD: u8 = 0x79;
    const STORE_WORD: u8 = 0x7b;
    const LOAD_WIDE: u8 = 0x18;
    const MOVE: u8 = 0xbf;
    const MOVE_IMMEDIATE: u8 = 0xb7;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const JUMP_IF_NOT: u8 = 0x55;
    const ADD_ATOMIC: u8 = 0xdb;
    const RESERVE: i32 = 131;
    const SUBMIT: i32 = 132;
    const GET_COOKIE: i32 = 174;
    const GET_PID_TGID: i32 = 14;
    let mut code = vec![
        instruction(MOVE, 6, 1, 0, 0),
        instruction(LOAD_WIDE, 1, 1, 0, ring),
        0,
        instruction(MOVE_IMMEDIATE, 2, 0, 0, RECORD_BYTES.into()),
        instruction(MOVE_IMMEDIATE, 3, 0, 0, 0),
        instruction(CALL, 0, 0, 0, RESERVE),
        instruction(JUMP_IF_NOT, 0, 0, 6, 0),
        // No room. The array's value is addressed directly (`BPF_PSEUDO_MAP_VALUE`).
        instruction(LOAD_WIDE, 1, 2, 0, lost),
        0,
        instruction(MOVE_IMMEDIATE, 2, 0, 0, 1),
        instruction(ADD_ATOMIC, 1, 2, 0, 0),
        instruction(MOVE_IMMEDIATE, 0, 0, 0, 0),
        instruction(EXIT, 0, 0, 0, 0),
        instruction(MOVE, 7, 0, 0, 0),
    ];
    for ((_, offset), place) in REGISTERS.iter().zip((0..).step_by(8)) {
        code.push(instruction(LOAD_WORD, 1, 6, *offset, 0));
        code.push(instruction(STORE_WORD, 7, 1, place, 0));
    }
    code.extend([
        instruction(MOVE, 1, 6, 0, 0),
        instruction(CALL, 0, 0, 0, GET_COOKIE),
        instruction(STORE_WORD, 7, 0, RECORD_BYTES - 16, 0),
        instruction(CALL, 0, 0, 0, GET_PID_TGID),
        instruction(STORE_WORD, 7, 0, RECORD_BYTES - 8, 0),
        instruction(MOVE, 1, 7, 0, 0),
        instruction(MOVE_IMMEDIATE, 2, 0, 0, 0),
        instruction(CALL, 0, 0, 0, SUBMIT),
        instruction(MOVE_IMMEDIATE, 0, 0, 0, 0),
        instruction(EXIT, 0, 0, 0, 0),
    ]);
    code
}

fn load(code: &[u64]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log: [u64; 3],
        name: [u8; 16],
        interface: u32,
        attach: u32,
    }
    let count = u32::try_from(code.len()).map_err(io::Error::other)?;
    let load = Load {
        kind: PROG_TYPE_KPROBE,
        count,
        instructions: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log: [0; 3],
        name: *b"note_registers\0\0",
        interface: 0,
        attach: TRACE_UPROBE_MULTI,
    };
    bpf_fd(PROG_LOAD, &load)
}

fn link(program: &OwnedFd, process: u32, path: &Path, offsets: &[u64]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Link {
        program: u32,
        target: u32,
        attach: u32,
        flags: u32,
        path: u64,
        offsets: u64,
        semaphores: u64,
        cookies: u64,
        count: u32,
        multi_flags: u32,
        process: u32,
        end: u32,
    }
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let cookies: Vec<u64> = (0..offsets.len() as u64).collect();
    let link = Link {
        program: program.as_raw_fd().cast_unsigned(),
        target: 0,
        attach: TRACE_UPROBE_MULTI,
        flags: 0,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        semaphores: 0,
        cookies: cookies.as_ptr() as u64,
        count: u32::try_from(offsets.len()).map_err(io::Error::other)?,
        multi_flags: 0,
        process,
        end: 0,
    };
    bpf_fd(LINK_CREATE, &link)
}
