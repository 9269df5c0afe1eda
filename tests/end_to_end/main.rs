//! What a user does, against services that print the truth about themselves. Needs root.

mod attach;
mod blocking;
mod compare;
mod ends;
mod exports;
mod family;
mod foreign;
mod inspect;
mod known_times;
mod launched;
mod library;
mod marked;
mod off_cpu;
mod request_mode;
mod requests;
mod run;
mod runtimes;
mod sampled;
mod sampling;
mod snapshot;
mod stats;
mod times;
