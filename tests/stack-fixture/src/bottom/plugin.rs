//! In a library that is loaded while the program runs, and after a profiler came.

use std::hint::black_box;
use std::io;
use std::sync::OnceLock;

use libloading::Library;

use super::{Ground, Span, function, length_ns};
use crate::truth::Function;

/// Two functions of the library.
pub const PLUGIN: Ground = Ground { name: "plugin", bottom: in_plugin, functions, syscall: None };

/// The form of both.
type Spin = extern "C" fn(u64, &mut u64) -> u64;

#[derive(Clone, Copy)]
struct Loaded {
    outer: Spin,
    inner: Spin,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();

/// Loads the library that lies beside the program; whether it was not there before.
pub fn load() -> io::Result<bool> {
    if LOADED.get().is_some() {
        return Ok(false);
    }
    let path = std::env::current_exe()?.with_file_name("libstack_plugin.so");
    // SAFETY: the library is ours, and nothing in it runs when it is loaded.
    let library = unsafe { Library::new(path) }.map_err(io::Error::other)?;
    // SAFETY: both functions have the form `Spin` (see the plugin's source).
    let outer = *unsafe { library.get::<Spin>(b"plugin_outer\0") }.map_err(io::Error::other)?;
    // SAFETY: as above.
    let inner = *unsafe { library.get::<Spin>(b"plugin_inner\0") }.map_err(io::Error::other)?;
    // It stays: the addresses that a phase tells must mean the same for as long as the process lives.
    std::mem::forget(library);
    Ok(LOADED.set(Loaded { outer, inner }).is_ok())
}

fn functions() -> Vec<Function> {
    let mut functions = vec![function!(in_plugin)];
    for (name, address) in LOADED.get().into_iter().flat_map(|of| [("plugin_outer", of.outer), ("plugin_inner", of.inner)]) {
        functions.push(Function { name: name.to_owned(), address: address as *const () as u64, through_others: false });
    }
    functions
}

#[inline(never)]
fn in_plugin() -> Span {
    let Some(loaded) = LOADED.get() else { return Span::default() };
    let mut end_ns = 0;
    let start_ns = black_box(loaded.outer)(length_ns(), &mut end_ns);
    black_box(Span { start_ns, end_ns })
}
