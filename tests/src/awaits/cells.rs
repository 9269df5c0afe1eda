//! The corpus in the ways that services are built, each with full debug information.

use std::fmt;
use std::path::PathBuf;

use crate::cells::Profile;
use crate::recipe::Recipe;
use crate::{Failure, Result, binaries};

/// One way to build the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `cargo build`.
    Debug,
    /// `cargo build --release`.
    Release,
    /// With `lto = "thin"`.
    Thin,
    /// With `lto = "fat"`, one codegen unit and `panic = "abort"`.
    Fat,
}

/// All of them.
pub const ALL: [Cell; 4] = [Cell::Debug, Cell::Release, Cell::Thin, Cell::Fat];
/// Those that are tried where nothing else is asked for: one without inlining, and one in which nothing is left where it was.
const FEW: [Cell; 2] = [Cell::Debug, Cell::Fat];

/// The variable that asks for all four.
pub const ALL_VARIABLE: &str = "PROFILER_AWAITS_ALL";
/// The variable that names one.
pub const CELL_VARIABLE: &str = "PROFILER_AWAITS_CELL";

/// The cells that are tried.
pub fn tried() -> Result<Vec<Cell>> {
    if let Ok(name) = std::env::var(CELL_VARIABLE) {
        let cell = ALL.into_iter().find(|cell| cell.name() == name);
        return Ok(vec![cell.ok_or_else(|| Failure::Wrong(vec![format!("{CELL_VARIABLE}: there is no cell {name:?}")]))?]);
    }
    Ok(if std::env::var_os(ALL_VARIABLE).is_some() { ALL.to_vec() } else { FEW.to_vec() })
}

impl fmt::Display for Cell {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

impl Cell {
    /// Its name in tables, folders and [`CELL_VARIABLE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
            Self::Thin => "thin",
            Self::Fat => "fat",
        }
    }

    /// The program, built where it is not there yet or not of these sources.
    pub fn program(self) -> Result<PathBuf> {
        let mut settings = match self {
            Self::Debug => vec![("CARGO_PROFILE_DEV_DEBUG", "full"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "0")],
            Self::Release => Profile::Release.settings().to_vec(),
            Self::Thin => Profile::Thin.settings().to_vec(),
            Self::Fat => Profile::Fat.settings().to_vec(),
        };
        settings.extend([("CARGO_PROFILE_RELEASE_DEBUG", "full"), ("CARGO_PROFILE_RELEASE_STRIP", "none")]);
        let recipe = Recipe {
            packages: &["await-fixture"],
            files: &["await-fixture"],
            sources: &["tests/await-fixture", "tests/fixture-service/src", "profiler-annotate/src"],
            folder: binaries::target().join("awaits").join(self.name()),
            is_release: self != Self::Debug,
            settings,
        };
        recipe.program(|_| Ok(()))
    }
}
