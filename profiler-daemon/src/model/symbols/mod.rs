//! From addresses to function names: late, once, and without needing the process to be alive still.
//!
//! [`Modules`](crate::target::mapped::Modules) holds the target's executable mappings and an open descriptor of each mapped file, taken while the
//! target lives. [`Symbols`] looks names up in those files when a graph is drawn: the target may have ended, and its
//! files may be deleted or replaced.

mod blaze;

pub use blaze::Symbols;

/// One function at an address. An address has several where functions were inlined into one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function as the user wrote it, or `[module+0xOFFSET]` with an offset into the file, or `[unknown 0xADDRESS]`.
    /// It comes from the target: print it escaped.
    pub function: String,
    /// Whether a symbol was found.
    pub resolved: bool,
}

/// Whatever can name addresses of the target.
pub trait Symbolize {
    /// The functions at each address, in the order of `addresses`; for one address the innermost inlined function
    /// first. There is at least one for each address: what has no name is shown as such.
    ///
    /// An address is looked up as it is: the caller has moved return addresses back into their call.
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>>;
}

#[cfg(test)]
mod tests;
