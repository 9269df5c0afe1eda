//! Why a program gets no await layouts, and what was left out of those that it gets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What turns await stacks off for a program. What concerns single types only is an [`AwaitNote`] in the result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwaitError {
    /// The bytes are no ELF file that can be read.
    #[error(transparent)]
    File(#[from] super::super::InspectError),
    /// There is no `.debug_info`.
    #[error(
        "no debug information in this program: build it with `debug = \"full\"` (`debug = 2`) in its Cargo profile, and do not strip it"
    )]
    NoDebugInfo,
    /// There is debug information, but none of types.
    #[error(
        "the debug information has lines but no types: await stacks need `debug = \"full\"` (`debug = 2`) in the Cargo profile \
         that builds the program"
    )]
    NoTypes,
    /// The debug information is in files of its own (`.dwo`, `.dwp`).
    #[error(
        "the debug information is split off into .dwo files, which are not read: set `split-debuginfo = \"off\"` in the Cargo profile"
    )]
    Split,
    /// It does not parse.
    #[error("the debug information cannot be read: {what} at {offset:#x} of .debug_info: {why}")]
    Dwarf {
        /// What was being read.
        what: &'static str,
        /// Where in `.debug_info`.
        offset: u64,
        /// What gimli says.
        why: gimli::Error,
    },
    /// It is larger than any program's.
    #[error("the debug information has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A type is not described as this compiler's are: nothing that is read from it can be trusted.
    #[error(
        "the compiler ({producer}) describes `{name}` otherwise than is known here: {what}; await stacks are off, so that none is wrong"
    )]
    Convention {
        /// The compiler, as it names itself.
        producer: String,
        /// The type.
        name: String,
        /// What was not as expected.
        what: String,
    },
    /// A layout table that does not hold together.
    #[error("the layout table does not hold together: {0}")]
    Damaged(String),
}

/// Something that was left out: a walk that comes there ends with a counted reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum AwaitNote {
    /// Task vtables without a layout: their type is not in the debug information.
    TasksWithoutType {
        /// Addresses of the vtables.
        vtables: Vec<u64>,
    },
    /// Addresses (vtables of tasks or of `dyn` futures, poll functions of scopes) that types of different layout share, because the
    /// compiler merged their equal code.
    Shared {
        /// The addresses.
        addresses: Vec<u64>,
    },
    /// Types whose shape is not understood: a walk ends there with "unsupported".
    NotUnderstood {
        /// How many.
        types: u64,
        /// The first of them, with what is not understood.
        first: String,
    },
    /// Units whose debug information does not parse; their types are not known.
    UnitsSkipped {
        /// How many.
        units: u64,
        /// What gimli says of the first.
        why: String,
    },
    /// Work was cut at a limit.
    LimitReached {
        /// Which.
        what: String,
    },
}

impl fmt::Display for AwaitNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TasksWithoutType { vtables } => {
                write!(f, "the types of {} task types are not in the debug information; their awaits are not seen", vtables.len())
            }
            Self::Shared { addresses } => {
                write!(
                    f,
                    "{} addresses are shared by futures of different layout; what waits behind them is not told",
                    addresses.len()
                )
            }
            Self::NotUnderstood { types, first } => {
                write!(f, "{types} types have a shape that is not understood, {first} for one; awaits inside them are not seen")
            }
            Self::UnitsSkipped { units, why } => {
                write!(f, "{units} units of debug information do not parse and were skipped: {why}")
            }
            Self::LimitReached { what } => write!(f, "work on the await layouts was cut at a limit: {what}"),
        }
    }
}
