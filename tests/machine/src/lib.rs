//! What a virtual machine is told to run, and what it tells of it, line by line over its serial port.
//!
//! [`plan`] goes in with the machine's files, [`event`] comes out between the lines that the tests write, and [`run`] is what stands
//! between them. The same runner serves the host, so that every kernel's results are made in one way.

pub mod event;
pub mod plan;
pub mod run;
