//! Stacks from release builds without frame pointers, against a fixture that knows its own call chain.
//!
//! Each profile that services are built with is tried, on the CPU and off it; `PROFILER_STACKS_ALL=1` tries every kind of debug
//! information with each, which unwinding does not look at. Names are tried in the release profile with every kind.

#[cfg(test)]
mod complete;
#[cfg(test)]
mod names;
#[cfg(test)]
mod times;
