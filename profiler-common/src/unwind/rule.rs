//! What a row says: how to find the caller's frame from this one's registers.
//!
//! The source of every rule is DWARF's call frame information (DWARF 5, section 6.4; `.eh_frame` by the LSB). The CFA is the stack
//! pointer in the caller before its `call`, and the return address lies right below it.

/// How the CFA is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CfaKind {
    /// No code here, or code without a description.
    Gap = 0,
    /// `rsp + offset`.
    Rsp = 1,
    /// `rbp + offset`.
    Rbp = 2,
    /// The word at `rsp + offset`, plus `addend`: a realigned stack in hand-written code.
    AtRsp = 3,
    /// The word at `rbp + offset`, plus `addend`: a realigned stack in compiled code (GCC's DRAP).
    AtRbp = 4,
    /// A PLT stub: `rsp + offset`, and 8 more once its `push` has run, which is from byte `addend` of 16 on: 11, or 5 or 10 in stubs for
    /// BND and IBT (binutils `bfd/elfxx-x86.c`, `elf_x86_64_eh_frame_lazy_plt` and its siblings).
    Plt = 5,
    /// The signal trampoline: the interrupted registers lie in the `ucontext` at `rsp` (kernel `arch/x86/kernel/signal_64.c`).
    Signal = 6,
    /// The outermost frame: its return address is undefined (`_start`, `clone`).
    Root = 7,
    /// A rule that these kinds cannot say.
    Unsupported = 8,
    /// Code without tables: the frame pointer's convention is tried.
    FramePointer = 9,
}

/// Where the caller's `rbp` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RbpKind {
    /// Still in the register.
    Same = 0,
    /// At `CFA + rbp_offset`.
    AtCfa = 1,
    /// At this frame's `rbp + rbp_offset`.
    AtRbp = 2,
}

/// One rule. Many rows share one, so rows hold its place in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Rule {
    /// [`CfaKind`] as a number.
    pub cfa: u8,
    /// [`RbpKind`] as a number.
    pub rbp: u8,
    /// Keeps the rest aligned; always 0.
    pub padding: u16,
    /// See [`CfaKind`] (bytes).
    pub offset: i32,
    /// See [`CfaKind`] (bytes).
    pub addend: i32,
    /// See [`RbpKind`] (bytes).
    pub rbp_offset: i32,
}

impl Rule {
    /// A rule that is its kind and nothing else.
    #[must_use]
    pub const fn of(cfa: CfaKind) -> Self {
        Self { cfa: cfa as u8, rbp: RbpKind::Same as u8, padding: 0, offset: 0, addend: 0, rbp_offset: 0 }
    }
}
