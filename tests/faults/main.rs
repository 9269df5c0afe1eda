//! What happens to targets and to profilers: whatever it is, the target lives and serves on, nothing of the profiler stays in it or in the kernel,
//! and the profiler says in one sentence what it met, with an exit code of its own. `docs/faults.md` has the table. Needs root.
//!
//! The modules are declared for tests only, as everything here is one: failures are panics, for the place they name.

#[cfg(test)]
mod cut_short;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod pid_reuse;
#[cfg(test)]
mod replaced;
#[cfg(test)]
mod said;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod table_race;
#[cfg(test)]
mod two_daemons;
