//! The kernel side's object: built once, committed, embedded here.

use std::borrow::Cow;

use super::AttachError;

/// Environment variable that names another object to load, for whoever changes the kernel side.
pub const OBJECT_OVERRIDE: &str = "PROFILER_EBPF_OBJECT";

/// An ELF file is read as structures, so it must stand aligned.
#[repr(align(32))]
struct Aligned<B: ?Sized>(B);

static EMBEDDED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../profiler-ebpf/object/profiler.bpf.o"));

/// The object's bytes.
pub(super) fn bytes() -> Result<Cow<'static, [u8]>, AttachError> {
    match std::env::var_os(OBJECT_OVERRIDE) {
        None => Ok(Cow::Borrowed(&EMBEDDED.0)),
        Some(path) => std::fs::read(&path)
            .map(Cow::Owned)
            .map_err(|source| AttachError::Object { path: path.to_string_lossy().into_owned(), source }),
    }
}
