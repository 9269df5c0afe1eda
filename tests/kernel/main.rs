//! The kernel side on the running kernel: this process is the target and plays Tokio, move by move. Needs root.
//!
//! A test attaches the product's own [`Attached`](profiler_daemon::attach::Attached) to functions of this very binary
//! ([`player::triggers`]), plays an exact sequence of polls, wakes and scopes over task headers of its own, and holds the rows
//! that [`Collector`](profiler_daemon::collect::Collector) reads against the clock readings before and after each move. Those
//! enclose the moment at which the probe was hit, so that no bound depends on how busy the machine is.
//!
//! The modules are declared for tests only, as everything here is one: failures are panics, for the place they name.

#[cfg(test)]
mod awaits;
#[cfg(test)]
mod emulated;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod family;
#[cfg(test)]
mod full;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod player;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod records;
#[cfg(test)]
mod request_mode;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod sampling;
#[cfg(test)]
mod session;
#[cfg(test)]
mod slots;
#[cfg(test)]
mod states;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod verifier;
#[cfg(test)]
mod window;
#[cfg(test)]
mod wrong_sites;
