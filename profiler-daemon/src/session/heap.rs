//! Gives memory back that was needed for a moment: an attach reads the program, its tables and the kernel's types, and frees them; the allocator keeps
//! what is freed below what is not.

/// Hands free pages to the kernel.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no memory of ours; it locks the allocator as every allocation does (malloc_trim(3)).
    let _released = unsafe { libc::malloc_trim(0) };
}
