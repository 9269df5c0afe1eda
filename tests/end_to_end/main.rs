//! What a user does, against services that print the truth about themselves. Needs root.

mod attach;
mod compare;
mod ends;
mod inspect;
mod known_times;
mod requests;
mod run;
mod runtimes;
