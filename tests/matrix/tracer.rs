//! Runs a program with breakpoints on probe sites and tells each hit: ptrace as a poor man's uprobe.
//!
//! A breakpoint stays armed for good: like the kernel, the tracer emulates the instruction under it (`push`, `nop`, `jmp`, `jcc`,
//! `call`; and `sub rsp`, with which unoptimised functions begin), so no thread slips past while another steps. Sites on other
//! instructions are left out.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use libc::{c_int, pid_t, user_regs_struct};
use profiler_daemon::inspect::{Inspection, Register, Role, Site};

/// A thread came by a site.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'i> {
    /// The thread.
    pub(crate) thread: pid_t,
    /// The site.
    pub(crate) site: &'i Site,
    /// The header's address.
    pub(crate) header: u64,
    /// The header's first word.
    pub(crate) state: u64,
    /// The vtable the header points at, in addresses of the file.
    pub(crate) vtable: u64,
    /// The task's id, where its type has an offset for it.
    pub(crate) id: Option<u64>,
    /// The stack pointer at the entry of the site's function.
    pub(crate) entry_stack: u64,
}

/// Roles that are traced.
const ROLES: [Role; 7] =
    [Role::PollStart, Role::PollIdle, Role::PollComplete, Role::WakeByVal, Role::WakeByRef, Role::Spawn, Role::SpawnBlocking];
const INT3: u8 = 0xcc;
/// Longest instruction that is emulated.
const LONGEST: usize = 7;

/// Runs `program` to its end and gives all hits in the order the tracer saw them.
///
/// # Errors
/// Where this machine does not let a process trace its own child.
pub(crate) fn run<'i>(program: &Path, inspection: &'i Inspection) -> io::Result<Vec<Hit<'i>>> {
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
    let options = libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    ptrace(libc::PTRACE_SETOPTIONS, process, usize::try_from(options).expect("flags"))?;
    let mut tracer = Tracer::arm(process, program, inspection)?;
    ptrace(libc::PTRACE_CONT, process, 0)?;
    tracer.until_exit(process)?;
    Ok(tracer.hits)
}

struct Tracer<'i> {
    inspection: &'i Inspection,
    memory: File,
    /// Address in the process minus address in the file.
    bias: u64,
    /// By address in the process; several roles may share an instruction.
    sites: HashMap<u64, (Vec<&'i Site>, [u8; LONGEST])>,
    hits: Vec<Hit<'i>>,
}

impl<'i> Tracer<'i> {
    fn arm(process: pid_t, program: &Path, inspection: &'i Inspection) -> io::Result<Self> {
        let bias = load_bias(process, program, inspection)?;
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{process}/mem"))?;
        let mut sites: HashMap<u64, (Vec<&Site>, [u8; LONGEST])> = HashMap::new();
        for site in inspection.sites.iter().filter(|site| ROLES.contains(&site.role)) {
            let address = site.vaddr + bias;
            let mut code = [0; LONGEST];
            memory.read_exact_at(&mut code, address)?;
            if is_emulated(site, code) {
                sites.entry(address).or_insert((Vec::new(), code)).0.push(site);
            }
        }
        for address in sites.keys() {
            memory.write_all_at(&[INT3], *address)?;
        }
        Ok(Self { inspection, memory, bias, sites, hits: Vec::new() })
    }

    fn until_exit(&mut self, process: pid_t) -> io::Result<()> {
        loop {
            let (thread, status) = wait(-1)?;
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if thread == process {
                    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "the program ends well: {status:#x}");
                    return Ok(());
                }
                continue;
            }
            let signal = libc::WSTOPSIG(status);
            let is_event = status >> 16 != 0;
            let passed_on = if signal == libc::SIGTRAP {
                if !is_event {
                    self.on_trap(thread)?;
                }
                0
            } else if signal == libc::SIGSTOP {
                0 // a new thread's first stop
            } else {
                signal
            };
            ptrace(libc::PTRACE_CONT, thread, usize::try_from(passed_on).expect("a signal"))?;
        }
    }

    fn on_trap(&mut self, thread: pid_t) -> io::Result<()> {
        let mut registers = get_registers(thread)?;
        let address = registers.rip - 1;
        let Some((sites, code)) = self.sites.get(&address) else {
            panic!("a trap at {address:#x}, where there is no site");
        };
        for site in sites {
            let hit = self.hit(thread, site, &registers)?;
            self.hits.push(hit);
        }
        registers.rip = address;
        emulate(&self.memory, *code, &mut registers)?;
        set_registers(thread, &registers)
    }

    fn hit(&self, thread: pid_t, site: &'i Site, registers: &user_regs_struct) -> io::Result<Hit<'i>> {
        let header = value(registers, site.header.expect("a site with a header"));
        let vtable = self.word(header + u64::from(self.inspection.header.vtable))?.wrapping_sub(self.bias);
        let task_type = self.inspection.task_types.iter().find(|task_type| task_type.vtable == vtable);
        let id_offset = task_type.and_then(|task_type| task_type.id_offset);
        Ok(Hit {
            thread,
            site,
            header,
            state: self.word(header + u64::from(self.inspection.header.state))?,
            vtable,
            id: id_offset.map(|offset| self.word(header + u64::from(offset))).transpose()?,
            entry_stack: value(registers, site.sp_base) + u64::from(site.sp_adjust),
        })
    }

    fn word(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// How far from its own addresses the program's first segment was mapped.
fn load_bias(process: pid_t, program: &Path, inspection: &Inspection) -> io::Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let program = program.canonicalize()?;
    let first = maps.lines().find(|line| line.ends_with(program.to_str().expect("a plain path")));
    let start = first.and_then(|line| line.split('-').next()).expect("the program is mapped");
    let start = u64::from_str_radix(start, 16).expect("an address");
    Ok(start - inspection.segments.first().expect("a segment").vaddr)
}

/// Whether [`emulate`] knows the instruction at the site.
pub(crate) fn is_emulated(site: &Site, code: [u8; LONGEST]) -> bool {
    let is_stack_sub = matches!(code, [0x48, 0x83 | 0x81, 0xec, ..]);
    is_stack_sub || site.class.is_emulated()
}

/// What the kernel does for a probed instruction (`branch_emulate_op`, `push_emulate_op`).
fn emulate(memory: &File, code: [u8; LONGEST], registers: &mut user_regs_struct) -> io::Result<()> {
    let short = |byte: u8| i64::from(byte.cast_signed());
    let near = |from: usize| i64::from(i32::from_le_bytes(code[from..from + 4].try_into().expect("four bytes")));
    let (length, offset) = match code {
        [0x90, ..] => (1, 0),
        [opcode @ 0x50..=0x57, ..] => {
            let pushed = value(registers, ORDER[usize::from(opcode - 0x50)]);
            push(memory, registers, pushed)?;
            (1, 0)
        }
        [0x41, opcode @ 0x50..=0x57, ..] => {
            let pushed = value(registers, ORDER[usize::from(opcode - 0x50) + 8]);
            push(memory, registers, pushed)?;
            (2, 0)
        }
        [0xeb, byte, ..] => (2, short(byte)),
        [0xe9, ..] => (5, near(1)),
        [0xe8, ..] => {
            let after = registers.rip + 5;
            push(memory, registers, after)?;
            (5, near(1))
        }
        [opcode @ 0x70..=0x7f, byte, ..] => (2, if holds(opcode, registers.eflags) { short(byte) } else { 0 }),
        [0x0f, opcode @ 0x80..=0x8f, ..] => (6, if holds(opcode, registers.eflags) { near(2) } else { 0 }),
        // At a function's entry nobody reads the flags it sets.
        [0x48, 0x83, 0xec, byte, ..] => {
            registers.rsp = registers.rsp.wrapping_add_signed(-short(byte));
            (4, 0)
        }
        [0x48, 0x81, 0xec, ..] => {
            registers.rsp = registers.rsp.wrapping_add_signed(-near(3));
            (7, 0)
        }
        _ => panic!("{code:02x?} is not emulated"),
    };
    registers.rip = registers.rip.wrapping_add(length).wrapping_add_signed(offset);
    Ok(())
}

fn push(memory: &File, registers: &mut user_regs_struct, word: u64) -> io::Result<()> {
    registers.rsp -= 8;
    memory.write_all_at(&word.to_le_bytes(), registers.rsp)
}

/// Whether the condition in the low four bits of a jump's opcode holds.
fn holds(opcode: u8, flags: u64) -> bool {
    let flag = |bit: u32| flags >> bit & 1 == 1;
    let (carry, parity, zero, sign, overflow) = (flag(0), flag(2), flag(6), flag(7), flag(11));
    let holds = match opcode >> 1 & 7 {
        0 => overflow,
        1 => carry,
        2 => zero,
        3 => carry || zero,
        4 => sign,
        5 => parity,
        6 => sign != overflow,
        _ => zero || sign != overflow,
    };
    holds != (opcode & 1 == 1)
}

/// The processor's numbering.
const ORDER: [Register; 16] = [
    Register::Rax,
    Register::Rcx,
    Register::Rdx,
    Register::Rbx,
    Register::Rsp,
    Register::Rbp,
    Register::Rsi,
    Register::Rdi,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

fn value(registers: &user_regs_struct, register: Register) -> u64 {
    match register {
        Register::Rax => registers.rax,
        Register::Rcx => registers.rcx,
        Register::Rdx => registers.rdx,
        Register::Rbx => registers.rbx,
        Register::Rsp => registers.rsp,
        Register::Rbp => registers.rbp,
        Register::Rsi => registers.rsi,
        Register::Rdi => registers.rdi,
        Register::R8 => registers.r8,
        Register::R9 => registers.r9,
        Register::R10 => registers.r10,
        Register::R11 => registers.r11,
        Register::R12 => registers.r12,
        Register::R13 => registers.r13,
        Register::R14 => registers.r14,
        Register::R15 => registers.r15,
    }
}

pub(crate) fn wait(process: pid_t) -> io::Result<(pid_t, c_int)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the status word.
    let thread = unsafe { libc::waitpid(process, &raw mut status, libc::__WALL) };
    if thread < 0 { Err(io::Error::last_os_error()) } else { Ok((thread, status)) }
}

/// A ptrace request whose data is a number.
pub(crate) fn ptrace(request: libc::c_uint, thread: pid_t, data: usize) -> io::Result<()> {
    // SAFETY: these requests read no memory of ours.
    let result = unsafe { libc::ptrace(request, thread, 0_usize, data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn get_registers(thread: pid_t) -> io::Result<user_regs_struct> {
    let mut registers = std::mem::MaybeUninit::<user_regs_struct>::zeroed();
    // SAFETY: the kernel writes one `user_regs_struct`.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0_usize, registers.as_mut_ptr()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes is a valid value, and the kernel has filled it.
    Ok(unsafe { registers.assume_init() })
}

fn set_registers(thread: pid_t, registers: &user_regs_struct) -> io::Result<()> {
    // SAFETY: the kernel reads one `user_regs_struct`.
    let result = unsafe { libc::ptrace(libc::PTRACE_SETREGS, thread, 0_usize, &raw const *registers) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
