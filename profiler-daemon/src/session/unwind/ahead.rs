//! Unwind rows that are made before they are asked for: while the program is inspected, on a thread of their own. Both go through every function of the
//! program, both on bytes alone, and they are most of what a large program takes at the attach.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::inspect::unwind::{UnwindTable, unwind_table};
use crate::target::code::{Behind, Stretch, stretches};
use crate::target::program::Program;

/// A table, or why there is none.
pub(in crate::session) type Made = Result<UnwindTable, String>;

/// The tables of what is mapped, each until it is taken.
#[derive(Debug, Default)]
pub(in crate::session) struct Ahead {
    tables: HashMap<Behind, Made>,
    /// What that took.
    pub(super) took: Duration,
}

/// The bytes of a program that has been read, and of which file they are.
#[derive(Debug)]
pub(in crate::session) struct Known {
    behind: Behind,
    bytes: Arc<Vec<u8>>,
}

impl Known {
    /// Of `program`, which is mapped from the file `behind`.
    pub(in crate::session) fn of(program: &Program, behind: Behind) -> Self {
        Self { behind, bytes: program.shared_bytes() }
    }
}

impl Ahead {
    /// Those of the code that process `pid` has mapped now. What is not to be had is left to who asks for it, who says so. `known` is not read again.
    pub(in crate::session) fn of(pid: u32, known: Option<&Known>) -> Self {
        let begun = Instant::now();
        let mut tables = HashMap::new();
        for stretch in stretches(pid).unwrap_or_default() {
            let behind = stretch.behind();
            if behind != Behind::Nothing && !tables.contains_key(&behind) {
                let known = known.filter(|known| known.behind == behind);
                let made =
                    known.map_or_else(|| made(&stretch), |known| unwind_table(&known.bytes).map_err(|error| error.to_string()));
                tables.insert(behind, made);
            }
        }
        Self { tables, took: begun.elapsed() }
    }

    /// That of the file behind `stretch`, made now where it was not.
    pub(super) fn take(&mut self, stretch: &Stretch) -> Made {
        self.tables.remove(&stretch.behind()).unwrap_or_else(|| made(stretch))
    }
}

fn made(stretch: &Stretch) -> Made {
    let bytes = stretch.bytes().map_err(|error| error.to_string())?;
    unwind_table(&bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a table that was made ahead, from a file that was read before or not, is the one that would be made later, and that it is taken once.
    #[test]
    fn what_is_made_ahead_is_what_is_made_later() {
        let pid = std::process::id();
        let own = Program::open(&std::env::current_exe().unwrap()).unwrap();
        let here = what_is_made_ahead_is_what_is_made_later as fn() as usize as u64;
        let stretch = stretches(pid).unwrap().into_iter().find(|it| it.start() <= here && here < it.end()).unwrap();
        let known = Known::of(&own, stretch.behind());
        let mut with = Ahead::of(pid, Some(&known));
        let mut without = Ahead::of(pid, None);
        assert!(with.tables.len() > 1, "{:?}", with.tables.keys());
        let later = made(&stretch);
        assert!(later.is_ok());
        assert_eq!((with.take(&stretch), without.take(&stretch)), (later.clone(), later.clone()));
        assert!(!with.tables.contains_key(&stretch.behind()));
        assert_eq!(with.take(&stretch), later);
    }
}
