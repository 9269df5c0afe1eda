//! The program of the matrix as a shared object: its runtimes live in a process whose own program knows nothing of Tokio.

#[path = "../fixture/work.rs"]
mod fixture;

/// What the host calls once, on a thread of its own choosing; returns when the work is done and told.
#[no_mangle]
pub extern "C" fn reach_serve() {
    fixture::serve();
}
