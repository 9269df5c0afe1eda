//! One measurement at a time: tests that share the machine's few CPUs would measure each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Holds every other test of this binary that asks back until it is dropped.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
