//! From what the loader has written to a place that can be read from outside.

use super::{Machine, Model, TlsSegment};

/// A thread-local's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// This far from the thread pointer (bytes).
    Static {
        /// How far.
        offset: i64,
    },
    /// In a block of the thread's own, which its vector of modules names.
    Dtv {
        /// The module's number.
        module: u64,
        /// Where in the block (bytes).
        offset: u64,
    },
}

/// Whose loader it is: their vectors of modules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// GNU's.
    Glibc,
    /// musl.
    Musl,
}

impl Libc {
    /// By the loader that an executable asks for. Without one there are no libraries, and it makes no difference.
    #[must_use]
    pub fn of_loader(path: Option<&str>) -> Self {
        if path.is_some_and(|path| path.contains("ld-musl")) { Self::Musl } else { Self::Glibc }
    }

    /// Bytes of an entry of the vector (glibc `dtv_t`, elf/dl-tls.c; musl src/internal/pthread_impl.h).
    #[must_use]
    pub const fn entry_bytes(self) -> u32 {
        match self {
            Self::Glibc => 16,
            Self::Musl => 8,
        }
    }

    /// Where a thread keeps the vector's address (bytes from the thread pointer).
    #[must_use]
    pub const fn vector(self, machine: Machine) -> i64 {
        match (machine, self) {
            (Machine::X86_64, _) => 8,
            (Machine::Aarch64, Self::Glibc) => 0,
            (Machine::Aarch64, Self::Musl) => -8,
        }
    }
}

/// More static TLS than any process has: what is larger is a pointer.
const MAX_STATIC: i64 = 1 << 30;
/// More modules than any process loads.
const MAX_MODULES: u64 = 1 << 20;

/// Where an executable's own thread-local lies that stands at `value` in its segment.
///
/// Variant II: the block ends below the thread pointer, on the segment's own alignment; variant I: it begins behind the two words at the
/// thread pointer. Both as ld.lld computes it (ELF/InputSection.cpp, `getTlsTpOffset`). `None`: the segment is malformed.
#[must_use]
pub fn at_fixed_offset(machine: Machine, segment: &TlsSegment, value: u64) -> Option<Access> {
    let align = segment.align.max(1);
    if !align.is_power_of_two() || segment.size > MAX_STATIC.unsigned_abs() || align > MAX_STATIC.unsigned_abs() {
        return None;
    }
    let value = i64::try_from(value).ok().filter(|value| value.unsigned_abs() < segment.size)?;
    let offset = match machine {
        Machine::X86_64 => {
            let padding = segment.vaddr.wrapping_add(segment.size).wrapping_neg() & (align - 1);
            value - i64::try_from(segment.size + padding).ok()?
        }
        Machine::Aarch64 => {
            let head = 16_u64.next_multiple_of(align) + (segment.vaddr & (align - 1));
            value + i64::try_from(head).ok()?
        }
    };
    Some(Access::Static { offset })
}

fn is_static(machine: Machine, offset: i64) -> bool {
    match machine {
        Machine::X86_64 => (-MAX_STATIC..0).contains(&offset),
        Machine::Aarch64 => (1..MAX_STATIC).contains(&offset),
    }
}

/// What reads the target's words.
pub trait Words {
    /// Two words at `address`.
    fn pair(&self, address: u64) -> Option<[u64; 2]>;
}

impl<F: Fn(u64) -> Option<[u64; 2]>> Words for F {
    fn pair(&self, address: u64) -> Option<[u64; 2]> {
        self(address)
    }
}

impl Access {
    /// The place behind a GOT entry at `got` (in the process), as the loader has left it. `value` is where the thread-local lies in its segment,
    /// where that is known. `None`: not resolved (yet), or not what the model has there.
    #[must_use]
    pub fn behind(machine: Machine, model: Model, got: u64, value: Option<u64>, words: &impl Words) -> Option<Self> {
        match model {
            Model::LocalExec => None,
            Model::InitialExec => {
                let offset = words.pair(got)?[0].cast_signed();
                is_static(machine, offset).then_some(Self::Static { offset })
            }
            Model::GeneralDynamic => Self::pair(words.pair(got)?, value),
            Model::Descriptor => {
                let argument = words.pair(got)?[1];
                let offset = argument.cast_signed();
                if is_static(machine, offset) {
                    return Some(Self::Static { offset });
                }
                // Else a structure that begins with the module's number and the offset (glibc sysdeps/x86_64/dl-tlsdesc.h,
                // `tlsdesc_dynamic_arg`; musl ldso/dynlink.c, `td_index`).
                Self::pair(words.pair(argument)?, value)
            }
        }
    }

    fn pair([module, offset]: [u64; 2], value: Option<u64>) -> Option<Self> {
        let is_module = (1..MAX_MODULES).contains(&module);
        let is_offset = offset < MAX_STATIC.unsigned_abs() && value.is_none_or(|value| value == offset);
        (is_module && is_offset).then_some(Self::Dtv { module, offset })
    }
}
