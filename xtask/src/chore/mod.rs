//! What every chore stands on: where things lie, how a step is announced, how a command is run, how root is asked for.

pub(crate) mod command;
pub(crate) mod place;
pub(crate) mod root;
pub(crate) mod step;
