//! The pieces of the demo: the programs it starts and always ends.

pub(crate) mod children;
