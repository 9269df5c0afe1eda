//! Reading the target's memory. A failed read is a value, not a fault: the page may be gone or hostile.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use profiler_common::awaits::key::KeyWords;
use profiler_common::unwind::{Block, Memory};

/// The target's memory at the current thread.
pub struct User;

impl Memory for User {
    #[inline(always)]
    fn word(&self, address: u64) -> Option<u64> {
        read_user(address)
    }

    #[inline(always)]
    fn block(&self, address: u64) -> Option<Block> {
        read_user(address)
    }

    #[inline(always)]
    fn bytes(&self, address: u64, length: u32, into: &mut KeyWords) -> bool {
        // Whoever calls has checked it; the verifier must see it here.
        let length = core::hint::black_box(length);
        if length > size_of::<KeyWords>() as u32 {
            return false;
        }
        // SAFETY: the place is as long; the helper checks the address.
        unsafe { bpf_probe_read_user(into.as_mut_ptr().cast(), length, address as *const c_void) == 0 }
    }
}

/// Reads a value of the target at `address`.
#[inline(always)]
pub fn read_user<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and writes the whole value or fails.
    let result = unsafe { bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void) };
    if result != 0 {
        return None;
    }
    // SAFETY: written in full; T is used for integers and arrays of them only.
    Some(unsafe { value.assume_init() })
}

/// Reads the first `count` of `words`, which are so many at the most, from `address` on. False: one of them cannot be read.
#[inline(always)]
pub fn read_words<const N: usize>(words: &mut [u64; N], address: u64, count: u64) -> bool {
    // The verifier must see the bound in the register that is passed.
    let length = core::hint::black_box((count * 8) as u32);
    if length > size_of::<[u64; N]>() as u32 {
        return false;
    }
    // SAFETY: the place is as long; the helper checks the address.
    unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), length, address as *const c_void) == 0 }
}

/// Copies `from` to `to`, word by word: volatile, because LLVM makes a call of `memmove` of anything else, which is a loop of bytes on BPF.
///
/// # Safety
/// There is room for a value at `to`, which is aligned; `T` is made of words.
#[inline(always)]
pub unsafe fn copy<T>(to: *mut T, from: *const T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let (to, from) = (to.cast::<u64>(), from.cast::<u64>());
    for at in 0..size_of::<T>() / 8 {
        // SAFETY: the caller's.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// Reads half a word of a `task_struct` that a tracepoint has handed over, `offset` bytes behind its start: a plain load. The verifier knows
/// such pointers' types and checks the offset, which stands in the read-only section (kernel/bpf/verifier.c, `check_ptr_to_btf_access`).
#[inline(always)]
pub fn read_task(task: *const c_void, offset: u32) -> u32 {
    // SAFETY: the verifier has seen to it that a field of this size lies there. Volatile: other CPUs may be writing it.
    unsafe { core::ptr::read_volatile(task.wrapping_byte_add(offset as usize).cast::<u32>()) }
}

/// Reads a value of the kernel `offset` bytes behind `base`.
#[inline(always)]
pub fn read_kernel<T: Copy>(base: *const c_void, offset: u32) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    let at = base.wrapping_byte_add(offset as usize);
    // SAFETY: as in `read_user`.
    let result = unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, at) };
    if result != 0 {
        return None;
    }
    // SAFETY: written in full.
    Some(unsafe { value.assume_init() })
}
