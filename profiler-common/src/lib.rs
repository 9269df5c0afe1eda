//! The words that the kernel side and user space both speak: rows of the maps, records of the ring buffer, losses, limits,
//! and the accounting machine that moves time between the five states.
//!
//! Everything here is plain data and plain functions. The kernel side calls the functions on map values; the tests call the
//! same functions on values of their own. Times are nanoseconds of `CLOCK_MONOTONIC`, sizes are bytes.
#![no_std]
#![expect(
    clippy::inline_always,
    reason = "the kernel side takes five arguments a call at most, and its verifier follows plain code best"
)]

#[cfg(test)]
extern crate std;

pub mod awaits;
pub mod clock;
pub mod foreign;
pub mod frame;
pub mod gate;
pub mod hits;
pub mod layout;
pub mod limits;
pub mod loss;
pub mod outside;
pub mod record;
pub mod scope;
pub mod site;
pub mod states;
pub mod task;
pub mod thread;
pub mod times;
pub mod totals;
pub mod unwind;

#[cfg(feature = "user")]
mod pod;
