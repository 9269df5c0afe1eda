//! Where a thread has the value of a task-local key while a future with one is polled.
//!
//! Source: tokio `task/task_local.rs` (since 1.20): `task_local!` declares a `std::thread_local!` called `__KEY` inside the key's static, made
//! without code of its own (`const`). std (`sys/thread_local/native`, 1.95) has it in a static `VAL`
//! (`__RUST_STD_INTERNAL_VAL` of late): the `RefCell` itself where it needs no
//! drop, else an `EagerStorage` of it and a byte of state, which rustc puts behind it because it is less aligned.

use object::elf::{ET_EXEC, PT_INTERP, STT_TLS};
use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{LittleEndian, Object, ObjectSymbol};
use thiserror::Error;

use super::keys::TaskLocalKey;
use crate::inspect::foreign::own_thread_local;
use crate::inspect::image::Image;
use crate::inspect::inspection::TokioVersion;
use crate::inspect::symbols::demangle;

/// More symbols than any program has.
const MAX_SYMBOLS: usize = 16 << 20;
/// The state of an `EagerStorage`, with what aligns it.
const STATE: u64 = 8;
/// Tokio's first minor version whose keys' thread-locals are made without code.
const FIRST_CONST: u16 = 20;

/// Why it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyLocalError {
    /// No ELF file.
    #[error("the program cannot be read: {0}")]
    Malformed(String),
    /// A shared object: its thread-locals lie at no distance that its file says.
    #[error("the program is no executable that names its interpreter, so where its thread-locals lie is not known")]
    NotExecutable,
    /// An old Tokio, or one that is not known.
    #[error(
        "Tokio before 1.20, or of unknown version, makes a key's thread-local at its first use, and where in it is not known"
    )]
    Version,
    /// Stripped, or named otherwise.
    #[error("no symbol names the thread-local of {0} (a program that is stripped has none)")]
    NoSymbol(String),
    /// Several are called so.
    #[error("several thread-locals are called as that of {0}")]
    Several(String),
    /// It is of another size than its type.
    #[error("the thread-local of {name} has {size} bytes, and a type of {expected}")]
    Size {
        /// The key.
        name: String,
        /// Its symbol's size.
        size: u64,
        /// Its type's.
        expected: u32,
    },
    /// A symbol without a segment, or beyond it.
    #[error("the thread-local of {0} lies outside of the program's thread-local segment")]
    NoSegment(String),
}

/// Where the `Option` with the value of `key` lies, from the thread pointer on (bytes).
///
/// # Errors
/// [`KeyLocalError`] says why that is not known.
pub fn key_local(bytes: &[u8], key: &TaskLocalKey, version: Option<TokioVersion>) -> Result<i64, KeyLocalError> {
    let image = Image::parse(bytes).map_err(|error| KeyLocalError::Malformed(error.to_string()))?;
    let is_program = image.file.elf_program_headers().iter().any(|header| header.p_type(LittleEndian) == PT_INTERP);
    if !is_program && image.file.elf_header().e_type(LittleEndian) != ET_EXEC {
        return Err(KeyLocalError::NotExecutable);
    }
    if version.is_none_or(|version| version.major == 1 && version.minor < FIRST_CONST) {
        return Err(KeyLocalError::Version);
    }
    let name = || key.name.clone();
    let cell = key.cell.ok_or_else(|| KeyLocalError::NoSymbol(name()))?;
    let strings = image.file.elf_symbol_table().strings();
    let mut found = image.file.symbols().take(MAX_SYMBOLS).filter(|symbol| {
        let elf = symbol.elf_symbol();
        let written = elf.name(LittleEndian, strings).unwrap_or_default();
        elf.st_type() == STT_TLS && std::str::from_utf8(written).is_ok_and(|written| is_of(&demangle(written), &key.name))
    });
    let symbol = found.next().ok_or_else(|| KeyLocalError::NoSymbol(name()))?;
    let value = symbol.elf_symbol().st_value(LittleEndian);
    if found.any(|other| other.elf_symbol().st_value(LittleEndian) != value) {
        return Err(KeyLocalError::Several(name()));
    }
    let (size, expected) = (symbol.size(), u64::from(cell.size));
    if size != expected && size != expected + STATE {
        return Err(KeyLocalError::Size { name: name(), size, expected: cell.size });
    }
    let at = own_thread_local(&image.file, value).ok_or_else(|| KeyLocalError::NoSegment(name()))?;
    Ok(at + i64::from(cell.value))
}

/// Whether a symbol is that of the thread-local inside the key's static.
fn is_of(symbol: &str, key: &str) -> bool {
    let inside = symbol.strip_prefix(key).and_then(|rest| rest.strip_prefix("::__KEY"));
    let last = inside.map(|rest| rest.rsplit("::").next().unwrap_or_default());
    last.is_some_and(|last| matches!(last, "" | "VAL" | "__RUST_STD_INTERNAL_VAL"))
}

#[cfg(test)]
mod tests {
    use super::is_of;

    /// Check both manglings' paths, and that the key of a longer name is another.
    #[test]
    fn the_symbol_lies_in_the_keys_path() {
        assert!(is_of("app::ID::__KEY::{{constant}}::{{closure}}::VAL", "app::ID"));
        assert!(is_of("app::ID::__KEY::{constant#0}::{closure#0}::VAL", "app::ID"));
        assert!(is_of("app::ID::__KEY::{{constant}}::{{closure}}::__RUST_STD_INTERNAL_VAL", "app::ID"));
        assert!(!is_of("app::ID2::__KEY::{{constant}}::{{closure}}::VAL", "app::ID"));
        assert!(
            !is_of("app::ID::OTHER::VAL", "app::ID") && !is_of("app::ID::__KEY::{{constant}}::{{closure}}::STATE", "app::ID")
        );
    }
}
