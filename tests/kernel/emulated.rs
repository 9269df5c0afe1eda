//! Which instructions this kernel emulates under a probe, refuses, or steps over: `inspect`'s table, asked of the kernel.
//!
//! A child executes the instruction once with a probe on it. The kernel steps over a copy in a page of its own, which it maps into the process when
//! it first needs one (`[uprobes]`, kernel/events/uprobes.c, `get_xol_area`): no page, no step. No clock is asked.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

use profiler_daemon::attach::{UprobeMulti, uprobe_multi};
use profiler_daemon::inspect::{InstructionClass, class_of};
use profiler_daemon::target::kernel::KernelVersion;
use profiler_tests::recorder::Recorder;
use profiler_tests::{Result, needs_root, skip};

/// Bytes between two pieces of code.
const APART: usize = 64;

/// An instruction, and what undoes it and returns.
struct Case {
    name: &'static str,
    instruction: &'static [u8],
    rest: &'static [u8],
}

const fn case(name: &'static str, instruction: &'static [u8], rest: &'static [u8]) -> Case {
    Case { name, instruction, rest }
}

const RET: &[u8] = &[0xc3];
/// `pop rax; ret`
const POP: &[u8] = &[0x58, 0xc3];

const CASES: [Case; 43] = [
    case("push rax", &[0x50], POP),
    case("push rcx", &[0x51], POP),
    case("push rdx", &[0x52], POP),
    case("push rbx", &[0x53], POP),
    case("push rsp", &[0x54], POP),
    case("push rbp", &[0x55], POP),
    case("push rsi", &[0x56], POP),
    case("push rdi", &[0x57], POP),
    case("push r8", &[0x41, 0x50], POP),
    case("push r12", &[0x41, 0x54], POP),
    case("push r15", &[0x41, 0x57], POP),
    case("push rbp with rex.w", &[0x48, 0x55], POP),
    case("push 1", &[0x6a, 0x01], POP),
    case("nop", &[0x90], RET),
    case("nop of 3 bytes", &[0x0f, 0x1f, 0x00], RET),
    case("nop of 4 bytes", &[0x0f, 0x1f, 0x40, 0x00], RET),
    case("nop of 5 bytes", &[0x0f, 0x1f, 0x44, 0x00, 0x00], RET),
    case("nop of 6 bytes", &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00], RET),
    case("nop of 7 bytes", &[0x0f, 0x1f, 0x80, 0, 0, 0, 0], RET),
    case("nop of 8 bytes", &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], RET),
    case("nop of 10 bytes with cs", &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], RET),
    case("jmp short", &[0xeb, 0x00], RET),
    case("jmp near", &[0xe9, 0, 0, 0, 0], RET),
    case("jmp near with 66", &[0x66, 0xe9, 0, 0, 0, 0], RET),
    case("je short", &[0x74, 0x00], RET),
    case("jg short", &[0x7f, 0x00], RET),
    case("jo near", &[0x0f, 0x80, 0, 0, 0, 0], RET),
    case("jg near", &[0x0f, 0x8f, 0, 0, 0, 0], RET),
    case("je near with 66", &[0x66, 0x0f, 0x84, 0, 0, 0, 0], RET),
    case("jrcxz", &[0xe3, 0x00], RET),
    case("call", &[0xe8, 0, 0, 0, 0], POP),
    case("ret", &[0xc3], RET),
    case("endbr64", &[0xf3, 0x0f, 0x1e, 0xfa], RET),
    case("sub rsp, 24", &[0x48, 0x83, 0xec, 0x18], &[0x48, 0x83, 0xc4, 0x18, 0xc3]),
    case("lea rsp, [rsp - 8]", &[0x48, 0x8d, 0x64, 0x24, 0xf8], POP),
    case("mov rax, rdi", &[0x48, 0x89, 0xf8], RET),
    case("mov rax, [rsp]", &[0x48, 0x8b, 0x04, 0x24], RET),
    case("test al, 1", &[0xa8, 0x01], RET),
    case("xor eax, eax", &[0x31, 0xc0], RET),
    case("lock inc [rsp - 8]", &[0xf0, 0x48, 0xff, 0x44, 0x24, 0xf8], RET),
    case("mov rax, cs:[rsp]", &[0x2e, 0x48, 0x8b, 0x04, 0x24], RET),
    case("mov rax, fs:0", &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0], RET),
    case("int3", &[0xcc], RET),
];

#[derive(Debug, PartialEq, Eq)]
enum Treatment {
    Refused,
    Stepped,
    Emulated,
}

#[test]
fn the_kernel_treats_instructions_as_inspect_says() -> Result<()> {
    needs_root!();
    if uprobe_multi() != UprobeMulti::Works {
        skip!("this kernel has no uprobe-multi links");
    }
    let running = KernelVersion::running().unwrap();
    let kernel = (running.major, running.minor);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut code = vec![0xcc; CASES.len() * APART];
    for (case, place) in CASES.iter().zip(code.chunks_exact_mut(APART)) {
        let bytes = [case.instruction, case.rest].concat();
        place[..bytes.len()].copy_from_slice(&bytes);
    }
    fs::write(file.path(), &code).unwrap();
    let mapped = map(file.as_file(), code.len());
    let mut wrong = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let class = class_of(case.instruction);
        let expected = match class {
            InstructionClass::Refused => Treatment::Refused,
            class if class.is_emulated_by(kernel) => Treatment::Emulated,
            _ => Treatment::Stepped,
        };
        let found = treatment(file.path(), mapped, number * APART);
        println!("{:<26} {class:?}: {found:?}", case.name);
        if found != expected {
            wrong.push(format!("{}: {found:?}, not {expected:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// The file's code, executable. It stays until the process ends.
fn map(file: &fs::File, length: usize) -> usize {
    // SAFETY: a fresh mapping of a file that stays as it is.
    let mapped = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, file.as_raw_fd(), 0)
    };
    assert_ne!(mapped, libc::MAP_FAILED, "{}", io::Error::last_os_error());
    mapped as usize
}

fn pipe() -> (fs::File, fs::File) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: the kernel has just made them for us.
    let [from, to] = ends.map(|end| fs::File::from(unsafe { OwnedFd::from_raw_fd(end) }));
    (from, to)
}

/// What the kernel does with the code at `offset` in a process that executes it once.
fn treatment(path: &Path, mapped: usize, offset: usize) -> Treatment {
    let (from_us, mut to_child) = pipe();
    let (mut from_child, to_us) = pipe();
    // SAFETY: the child makes only system calls that are safe after a fork, and executes the code, which touches its own stack alone.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", io::Error::last_os_error());
    if child == 0 {
        execute_when_told(&from_us, &to_us, mapped + offset);
    }
    let attached = Recorder::attach(child.cast_unsigned(), path, &[offset as u64]);
    let treatment = match attached {
        Err(_) => Treatment::Refused,
        Ok(mut recorder) => {
            to_child.write_all(&[0]).unwrap();
            from_child.read_exact(&mut [0]).unwrap();
            let maps = fs::read_to_string(format!("/proc/{child}/maps")).unwrap();
            assert_eq!(recorder.take().unwrap().0.len(), 1, "the probe was hit once");
            if maps.contains("[uprobes]") { Treatment::Stepped } else { Treatment::Emulated }
        }
    };
    // SAFETY: a number, no memory; our own child, which is not waited for yet.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: no place for a status is given.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    treatment
}

/// The child's part: it never returns.
fn execute_when_told(from_us: &fs::File, to_us: &fs::File, code: usize) -> ! {
    let mut byte = 0_u8;
    // SAFETY: room for one byte.
    unsafe { libc::read(from_us.as_raw_fd(), (&raw mut byte).cast(), 1) };
    // SAFETY: the code at this address returns, keeps what the System V ABI says it must, and needs no argument.
    let code: extern "C" fn() = unsafe { std::mem::transmute(code) };
    code();
    // SAFETY: one byte that is there.
    unsafe { libc::write(to_us.as_raw_fd(), (&raw const byte).cast(), 1) };
    loop {
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}
