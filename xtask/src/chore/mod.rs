//! What every chore stands on: where things lie, how a step is announced, how a command is run, how root is asked for, how a table looks.

pub(crate) mod command;
pub(crate) mod grid;
pub(crate) mod place;
pub(crate) mod root;
pub(crate) mod step;
