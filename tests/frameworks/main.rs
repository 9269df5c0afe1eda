//! The services of `examples` under load, and ids that were made to do harm. Needs root.

mod crowd;
mod garbage;
mod load;
mod sandwich;
mod service;
mod under_load;
