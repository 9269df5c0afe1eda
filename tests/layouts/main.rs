//! What other libraries' readers find of ours, and we of theirs, byte by byte. Needs nothing.
//!
//! The module is declared for tests only, as everything here is one: failures are panics, for the place they name.

#[cfg(test)]
mod record;
