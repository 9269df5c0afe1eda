//! What a probe site's cookie says: which event it is, where its arguments stand, and which task type it belongs to.
//!
//! ```text
//! bits 0..8    role
//! bits 8..13   register of the first argument
//! bits 13..18  register of the second; of a poll's start `rbp` if the pushed bytes are counted from it, else from `rsp`
//! bit  18      the site can be reached again within one poll (a retry loop)
//! bits 24..40  bytes pushed on the stack between the function's entry and the site; of an event of a scope the registers of the
//!              third, fourth and fifth argument, five bits each
//! bits 40..64  place of the task type, all ones for none
//! ```

/// The event that a probe site stands for. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum SiteRole {
    /// A task's poll starts; first argument: header.
    PollStart = 1,
    /// A poll is about to end pending, before the task is released; first argument: header.
    PollIdle = 2,
    /// A task is about to complete; first argument: header.
    TaskComplete = 3,
    /// A poll has returned, whatever came of it (return probe or `ret`): no argument, the innermost poll ends.
    PollReturn = 4,
    /// A task is woken; first argument: header.
    Wake = 5,
    /// A task is spawned; first argument: header.
    Spawn = 6,
    /// A task defers its own wake; first argument: pointer to its `Waker` (vtable and data, in rustc's order; data is the header).
    Defer = 7,
    /// A scope's poll starts; arguments: record, sequence number, address of the wrapped future, its poll function, an address in the stack
    /// frame that polls it.
    ScopeEnter = 8,
    /// A scope's poll ends; arguments: record, sequence number, whether its future is done.
    ScopeExit = 9,
    /// A scope is done or dropped; arguments: record, sequence number.
    ScopeEnd = 10,
    /// A wake has just taken effect, behind its exchange; first argument: header.
    Woken = 11,
    /// A leaf stores its waker (`clone_waker`); first argument: header.
    WakerStored = 12,
    /// A wanted scope is woken through its own waker; argument: sequence number.
    ScopeWake = 13,
    /// A wanted scope is about to spawn a child; arguments: record, sequence number of the child, of the scope, kind of the child.
    ScopeSpawn = 14,
    /// A child has been spawned; arguments: its sequence number, address of a pointer to its task's header.
    ScopeTask = 15,
    /// A scope that has kept its own times is over; arguments: record, sequence number, address of the times.
    ScopeTimes = 16,
    /// A task is put into its `LocalSet`'s queue, by its spawn or by a wake; first argument: header.
    LocalScheduled = 20,
}

/// A general register of x86-64, numbered as in the instruction encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the processor's")]
pub enum Register {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rbx = 3,
    Rsp = 4,
    Rbp = 5,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
    R11 = 11,
    R12 = 12,
    R13 = 13,
    R14 = 14,
    R15 = 15,
}

/// "No task type" in a cookie.
pub const NO_TYPE: u32 = 0xff_ffff;

/// A probe site as the kernel side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The event.
    pub role: SiteRole,
    /// Where the first argument stands.
    pub first: Register,
    /// Where the second argument stands.
    pub second: Register,
    /// Whether one poll can reach the site more than once.
    pub repeats: bool,
    /// Bytes pushed between the function's entry and the site; of an event of a scope see [`more_registers`].
    pub pushed: u16,
    /// Place of the task type, [`NO_TYPE`] for none.
    pub task_type: u32,
}

impl Site {
    /// The cookie that the probe carries.
    #[must_use]
    pub const fn cookie(&self) -> u64 {
        self.role as u64
            | (self.first as u64) << 8
            | (self.second as u64) << 13
            | (self.repeats as u64) << 18
            | (self.pushed as u64) << 24
            | ((self.task_type & NO_TYPE) as u64) << 40
    }
}

/// Number of the site's role.
#[inline(always)]
#[must_use]
pub const fn role(cookie: u64) -> u64 {
    cookie & 0xff
}

/// Number of the first argument's register.
#[inline(always)]
#[must_use]
pub const fn first_register(cookie: u64) -> u64 {
    cookie >> 8 & 0x1f
}

/// Number of the second argument's register.
#[inline(always)]
#[must_use]
pub const fn second_register(cookie: u64) -> u64 {
    cookie >> 13 & 0x1f
}

/// Whether one poll can reach the site more than once.
#[inline(always)]
#[must_use]
pub const fn repeats(cookie: u64) -> bool {
    cookie >> 18 & 1 != 0
}

/// Bytes pushed between the function's entry and the site.
#[inline(always)]
#[must_use]
pub const fn pushed(cookie: u64) -> u64 {
    cookie >> 24 & 0xffff
}

/// What stands in the place of [`Site::pushed`] of an event of a scope: where its third, fourth and fifth argument stand.
#[must_use]
pub const fn more_registers(third: Register, fourth: Register, fifth: Register) -> u16 {
    third as u16 | (fourth as u16) << 5 | (fifth as u16) << 10
}

/// Number of the third argument's register.
#[inline(always)]
#[must_use]
pub const fn third_register(cookie: u64) -> u64 {
    cookie >> 24 & 0x1f
}

/// Number of the fourth argument's register.
#[inline(always)]
#[must_use]
pub const fn fourth_register(cookie: u64) -> u64 {
    cookie >> 29 & 0x1f
}

/// Number of the fifth argument's register.
#[inline(always)]
#[must_use]
pub const fn fifth_register(cookie: u64) -> u64 {
    cookie >> 34 & 0x1f
}

/// Place of the task type, [`NO_TYPE`] for none.
#[inline(always)]
#[must_use]
pub const fn task_type(cookie: u64) -> u32 {
    (cookie >> 40) as u32
}

/// One row of the `TASK_TYPES` map; the key is the type's vtable, a runtime address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TypeRow {
    /// Place in the daemon's list of task types.
    pub task_type: u32,
    /// Where the task's id stands after its header address (bytes), 0 where this Tokio version has none.
    pub id_offset: u32,
    /// The node at which a walk of its awaits begins, and 1; 0 for none.
    pub await_root: u32,
    /// Keeps the row a multiple of 8 bytes; always 0.
    pub padding: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that every part of a cookie comes back.
    #[test]
    fn cookie_keeps_every_part() {
        let site = Site {
            role: SiteRole::ScopeEnd,
            first: Register::R15,
            second: Register::Rsi,
            repeats: true,
            pushed: 0xfff8,
            task_type: 0xab_cdef,
        };
        let cookie = site.cookie();
        assert_eq!(role(cookie), SiteRole::ScopeEnd as u64);
        assert_eq!(first_register(cookie), 15);
        assert_eq!(second_register(cookie), 6);
        assert!(repeats(cookie));
        assert_eq!(pushed(cookie), 0xfff8);
        assert_eq!(task_type(cookie), 0xab_cdef);
        let cookie = Site { pushed: more_registers(Register::Rdx, Register::R15, Register::R8), ..site }.cookie();
        assert_eq!((third_register(cookie), fourth_register(cookie), fifth_register(cookie)), (2, 15, 8));
        assert_eq!(task_type(cookie), 0xab_cdef);
    }
}
