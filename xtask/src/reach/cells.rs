//! The axes, and which of their cells a run takes.

use anyhow::{Result, bail};
use std::fmt;

/// Tokio's versions, oldest first: the last one of each minor version that something changed in, and the newest that is known.
pub(crate) const VERSIONS: [&str; 7] = ["1.8.5", "1.20.6", "1.28.2", "1.38.1", "1.44.2", "1.48.0", "1.54.1"];

/// How the program is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// cargo's own for development.
    Debug,
    /// cargo's own for release.
    Release,
    /// Release with thin link-time optimisation.
    Thin,
    /// Release with fat link-time optimisation, one codegen unit, and `panic = "abort"`.
    Fat,
    /// Release with `opt-level = "z"`.
    Size,
}

/// All of them.
pub(crate) const PROFILES: [Profile; 5] = [Profile::Debug, Profile::Release, Profile::Thin, Profile::Fat, Profile::Size];

/// What there is besides code, or how else the program came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Symbols {
    /// `debug = "full"`.
    Full,
    /// `debug = "line-tables-only"`.
    Lines,
    /// Full debug information in a file of its own, named by a debug link; the program is stripped.
    Apart,
    /// Nothing.
    Stripped,
    /// Full, with rustc's v0 mangling.
    V0,
    /// Full, linked statically with glibc (`crt-static`, a static PIE).
    Static,
    /// Full, as a shared object that a program without Tokio loads.
    Cdylib,
}

/// Those that every version and profile has.
pub(crate) const SYMBOLS: [Symbols; 4] = [Symbols::Full, Symbols::Lines, Symbols::Apart, Symbols::Stripped];
/// Those that the newest version has beside them.
const FURTHER: [Symbols; 3] = [Symbols::V0, Symbols::Static, Symbols::Cdylib];

/// One target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    /// Place in [`VERSIONS`].
    version: usize,
    /// See there.
    pub(crate) profile: Profile,
    /// See there.
    pub(crate) symbols: Symbols,
}

impl Cell {
    /// Tokio's version.
    pub(crate) fn tokio(&self) -> &'static str {
        VERSIONS.get(self.version).copied().unwrap_or("?")
    }

    /// The columns that name it.
    pub(crate) fn name(&self) -> [String; 3] {
        [self.tokio().to_owned(), self.profile.to_string(), self.symbols.to_string()]
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().join(" "))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Release => "release",
            Self::Thin => "thin",
            Self::Fat => "fat",
            Self::Size => "size",
        })
    }
}

impl fmt::Display for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Lines => "lines",
            Self::Apart => "apart",
            Self::Stripped => "stripped",
            Self::V0 => "v0",
            Self::Static => "static",
            Self::Cdylib => "cdylib",
        })
    }
}

/// Every cell: the whole product, and the further ones of the newest version in release.
pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for version in 0..VERSIONS.len() {
        for profile in PROFILES {
            cells.extend(SYMBOLS.map(|symbols| Cell { version, profile, symbols }));
        }
    }
    cells.extend(FURTHER.map(|symbols| Cell { version: VERSIONS.len() - 1, profile: Profile::Release, symbols }));
    cells
}

/// A diagonal: every version once, every profile and every kind of symbols at least once, and the further ones.
pub(crate) fn diagonal() -> Vec<Cell> {
    // The versions go round the profiles, and against them round the symbols, stripped programs twice as often as the order would have it.
    let turns = [Symbols::Stripped, Symbols::Full, Symbols::Apart, Symbols::Stripped, Symbols::Lines];
    let on = |version: usize| {
        let (profile, symbols) = (PROFILES.iter().cycle().nth(version + 1), turns.iter().cycle().nth(version));
        Some(Cell { version, profile: *profile?, symbols: *symbols? })
    };
    let mut cells: Vec<Cell> = (0..VERSIONS.len()).filter_map(on).collect();
    cells.extend(all().into_iter().filter(|cell| FURTHER.contains(&cell.symbols)));
    cells
}

/// `key=value,key=value`: what a cell must be. A version may be given by its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Only(Vec<(String, String)>);

impl std::str::FromStr for Only {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut wanted = Vec::new();
        for part in text.split(',') {
            match part.split_once('=') {
                Some((key @ ("tokio" | "profile" | "symbols"), value)) => wanted.push((key.to_owned(), value.to_owned())),
                _ => bail!("`{part}` is none of tokio=VERSION, profile=NAME, symbols=NAME"),
            }
        }
        Ok(Self(wanted))
    }
}

impl Only {
    /// Whether `cell` is wanted.
    pub(crate) fn takes(&self, cell: &Cell) -> bool {
        self.0.iter().all(|(key, value)| match key.as_str() {
            "tokio" => cell.tokio() == value || cell.tokio().starts_with(&format!("{value}.")),
            "profile" => cell.profile.to_string() == *value,
            _ => cell.symbols.to_string() == *value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Check that the diagonal leaves out no version, profile or kind of symbols, and stays small.
    #[test]
    fn the_diagonal_meets_everything() {
        let cells = diagonal();
        let met = |part: fn(&Cell) -> String| cells.iter().map(part).collect::<BTreeSet<_>>().len();
        assert_eq!((met(|c| c.tokio().to_owned()), met(|c| c.profile.to_string()), met(|c| c.symbols.to_string())), (7, 5, 7));
        assert!(cells.len() < 12 && cells.iter().all(|cell| all().contains(cell)), "{cells:?}");
    }

    /// Check that cells are chosen by each axis, versions by their beginning, and that other words are refused.
    #[test]
    fn cells_are_chosen() {
        let count = |text: &str| {
            let only: Only = text.parse().unwrap();
            all().iter().filter(|cell| only.takes(cell)).count()
        };
        assert_eq!((all().len(), count("tokio=1.38"), count("tokio=1.38.1,profile=fat"), count("symbols=v0")), (143, 20, 4, 1));
        assert_eq!(count("tokio=1.4"), 0);
        assert!("rust=1".parse::<Only>().is_err());
    }
}
