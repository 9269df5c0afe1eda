//! Where the futures of a program wait: its coroutines' and futures' layouts, from DWARF, as the table that the walk of awaits goes by.
//!
//! Source: rustc's `debuginfo/metadata/enums/cpp_like.rs` and `native.rs` (1.95): a coroutine is a structure with a variant part whose
//! discriminant is the member `__state`; variants 0, 1 and 2 are unresumed, returned and panicked, the others are suspend points with the
//! place of their await, and hold the awaited future as `__awaitee`.

mod layouts;

pub use layouts::{AwaitLayouts, FrameKind, FrameLayout, SuspendPoint};
