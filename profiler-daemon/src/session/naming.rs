//! Names for addresses, which take seconds to look up and so are no part of what a session holds on to.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Symbols;
use crate::target::mapped::Modules;

/// Names for addresses, apart from the session that they come from.
#[derive(Clone, Debug)]
pub struct Naming {
    pub(super) symbols: Arc<Mutex<Symbols>>,
    pub(super) modules: Modules,
}

impl Naming {
    /// The names, for as long as the guard is held. Debug files are also looked for in these folders, from now on.
    pub fn lock(&self, debug_dirs: &[PathBuf]) -> MutexGuard<'_, Symbols> {
        // A panic in one look-up leaves names that are right: each is put in whole.
        let mut symbols = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        symbols.update(self.modules.clone());
        symbols.add_debug_dirs(debug_dirs);
        symbols
    }
}
