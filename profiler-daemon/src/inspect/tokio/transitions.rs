//! Recognises the transitions of `tokio::runtime::task::state::State` by what they store.
//!
//! Source: `tokio/src/runtime/task/state.rs` of 1.8.5, 1.20.6, 1.28.2, 1.38.1, 1.44.2, 1.48.0 and 1.54.1. The bits are the
//! same in all; 1.8 keeps its reference at idle where later versions drop one.

use iced_x86::Register;

use crate::inspect::image::Image;
use crate::inspect::interpreter::{Exchange, exchanges};
use crate::inspect::machine::HEADER;

const RUNNING: u64 = 1;
const COMPLETE: u64 = 1 << 1;
const NOTIFIED: u64 = 1 << 2;
const JOIN_INTEREST: u64 = 1 << 3;
const CANCELLED: u64 = 1 << 5;
const REF_ONE: u64 = 1 << 6;

/// A task with some references, idle.
const IDLE: u64 = (9 * REF_ONE) | JOIN_INTEREST;

/// A transition of the state word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    /// `transition_to_running`: sets RUNNING, clears NOTIFIED.
    Running,
    /// `transition_to_idle`: clears RUNNING, refuses when CANCELLED.
    Idle,
    /// `transition_to_complete`: flips RUNNING and COMPLETE.
    Complete,
    /// `transition_to_terminal` before 1.10: sets COMPLETE where that was left to it (nobody joins) and drops one or two
    /// references. Later versions subtract references only, and complete every task in `transition_to_complete`.
    Terminal,
    /// `transition_to_shutdown`: sets CANCELLED, and RUNNING where the task was idle.
    Shutdown,
    /// `transition_to_notified_by_val` and `..._by_ref`: sets NOTIFIED, whatever becomes of references.
    Notified,
}

/// The header in the first argument.
pub(crate) const FIRST_ARGUMENT: [(Register, u64); 1] = [(Register::RDI, HEADER)];

/// A stretch of code to interpret.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'r> {
    /// First instruction.
    pub(crate) at: u64,
    /// Registers whose values are known there; the header's address is [`HEADER`].
    pub(crate) known: &'r [(Register, u64)],
    /// How deep calls are entered.
    pub(crate) follow: usize,
}

/// The exchange by which the code at `start` makes this transition first of all, if it does.
pub(crate) fn find(image: &Image<'_>, start: Start<'_>, transition: Transition) -> Option<Exchange> {
    let run = |state: u64| exchanges(image, start.at, start.known, state, start.follow);
    // The instruction that stores one of `words` when the state was `state`, and nothing else is stored.
    let stores = |state: u64, words: &[u64]| -> Option<Exchange> {
        let found = run(state);
        let all = found.iter().all(|exchange| exchange.stored.is_some_and(|stored| words.contains(&stored)));
        if all { found.first().copied() } else { None }
    };
    match transition {
        Transition::Running => {
            // `ref_inc` of 1.8: a task polled for the first time takes a reference.
            let next = IDLE | RUNNING;
            stores(IDLE | NOTIFIED, &[next, next + REF_ONE])
        }
        Transition::Idle => {
            let state = IDLE | RUNNING;
            let exchange = stores(state, &[IDLE, IDLE - REF_ONE])?;
            stores(state | NOTIFIED, &[(IDLE | NOTIFIED) + REF_ONE])?;
            // Cancelled: nothing is exchanged here; what comes after is the way to completion.
            let cancelled = run(state | CANCELLED);
            let refuses = cancelled.iter().all(|found| found.at != exchange.at);
            refuses.then_some(exchange)
        }
        Transition::Complete => {
            let flip = RUNNING | COMPLETE;
            let state = IDLE | RUNNING;
            let exchange = stores(state, &[state ^ flip])?;
            stores(state | CANCELLED | NOTIFIED, &[(state | CANCELLED | NOTIFIED) ^ flip])?;
            // Flipped, not stored: completing twice is caught by an assertion after the exchange.
            stores(state | COMPLETE, &[(state | COMPLETE) ^ flip])?;
            Some(exchange)
        }
        Transition::Terminal => {
            let state = IDLE | RUNNING;
            let next = state | COMPLETE;
            stores(state, &[next - REF_ONE, next - 2 * REF_ONE])
        }
        Transition::Shutdown => {
            let exchange = stores(IDLE, &[IDLE | RUNNING | CANCELLED])?;
            stores(IDLE | RUNNING, &[IDLE | RUNNING | CANCELLED])?;
            Some(exchange)
        }
        Transition::Notified => {
            let running = IDLE | RUNNING | NOTIFIED;
            let exchange = stores(IDLE | RUNNING, &[running, running - REF_ONE])?;
            let submitted = IDLE | NOTIFIED;
            stores(IDLE, &[submitted, submitted + REF_ONE])?;
            Some(exchange)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::specimen::{self, bytes, with_image};

    const ALL: [Transition; 6] = [
        Transition::Running,
        Transition::Idle,
        Transition::Complete,
        Transition::Terminal,
        Transition::Shutdown,
        Transition::Notified,
    ];

    /// Which transitions the function makes.
    fn recognised(code: &[u8]) -> Vec<Transition> {
        let mut found = Vec::new();
        with_image(&[("f", code)], |image, _, starts| {
            let start = Start { at: starts[0], known: &FIRST_ARGUMENT, follow: 0 };
            found = ALL.into_iter().filter(|transition| find(image, start, *transition).is_some()).collect();
        });
        found
    }

    #[test]
    fn each_transition_is_recognised_as_itself_only() {
        assert_eq!(recognised(&bytes(specimen::RUNNING)), [Transition::Running]);
        assert_eq!(recognised(&bytes(specimen::IDLE)), [Transition::Idle]);
        assert_eq!(recognised(&bytes(specimen::COMPLETE)), [Transition::Complete]);
        assert_eq!(recognised(&bytes(specimen::SHUTDOWN)), [Transition::Shutdown]);
        assert_eq!(recognised(&bytes(specimen::DROP_JOIN_HANDLE)), []);
    }

    /// One bit of an immediate makes another transition of it: RUNNING kept, CANCELLED ignored, COMPLETE not set.
    #[test]
    fn a_changed_constant_is_not_recognised() {
        let changed = |hex: &str, from: &[u8], to: &[u8]| {
            let mut code = bytes(hex);
            let at = code.windows(from.len()).position(|window| window == from).unwrap();
            code[at..at + to.len()].copy_from_slice(to);
            recognised(&code)
        };
        // and r8, -34 -> and r8, -33
        assert_eq!(changed(specimen::IDLE, &[0x49, 0x83, 0xe0, 0xde], &[0x49, 0x83, 0xe0, 0xdf]), []);
        // test al, 32 -> test al, 0
        assert_eq!(changed(specimen::IDLE, &[0xa8, 0x20], &[0xa8, 0x00]), []);
        // xor rcx, 3 -> xor rcx, 1
        assert_eq!(changed(specimen::COMPLETE, &[0x48, 0x83, 0xf1, 0x03], &[0x48, 0x83, 0xf1, 0x01]), []);
        // inc rdx -> dec rdx
        assert_eq!(changed(specimen::RUNNING, &[0x48, 0xff, 0xc2], &[0x48, 0xff, 0xca]), []);
    }

    /// `mov rax, [rdi]; 3: mov rcx, rax; btc rcx, 0; bts rcx, 1; lock cmpxchg [rdi], rcx; jne 3; ret`, and `lock xor qword [rdi], 3; ret`:
    /// other spellings of the same.
    #[test]
    fn spelling_does_not_matter() {
        let spelt = "488b074889c1480fbaf900480fbaf901f0480fb10f75ecc3";
        assert_eq!(recognised(&bytes(spelt)), [Transition::Complete]);
        assert_eq!(recognised(&bytes("f048833703c3")), [Transition::Complete]);
    }
}
