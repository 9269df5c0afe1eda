//! The stack fixture in the ways that services are built: four release profiles, each with four kinds of debug information.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::recipe::Recipe;
use crate::{Failure, Result, binaries};

/// How the fixture is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `cargo build --release`.
    Release,
    /// With `lto = "thin"`.
    Thin,
    /// With `lto = "fat"`, one codegen unit and `panic = "abort"`.
    Fat,
    /// With `opt-level = "z"`.
    Small,
}

/// What debug information it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debug {
    /// `debug = 0`: the symbol table only.
    None,
    /// `debug = "line-tables-only"`.
    Lines,
    /// `debug = 2`.
    Full,
    /// `debug = 2`, moved to a file of its own that the stripped program names in `.gnu_debuglink`, as distributions do.
    Split,
}

/// One way to build the fixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// How it is optimised.
    pub profile: Profile,
    /// What debug information it has.
    pub debug: Debug,
}

/// The profiles, plain first.
pub const PROFILES: [Profile; 4] = [Profile::Release, Profile::Thin, Profile::Fat, Profile::Small];
/// The kinds of debug information, least first.
pub const DEBUGS: [Debug; 4] = [Debug::None, Debug::Lines, Debug::Full, Debug::Split];

/// The variable that asks for all sixteen.
pub const ALL_VARIABLE: &str = "PROFILER_STACKS_ALL";

/// The cells that are tried: each profile without debug information, for unwinding does not look at it, and the release profile with
/// each kind of it, for names do. All sixteen where [`ALL_VARIABLE`] is set.
#[must_use]
pub fn tried() -> Vec<Cell> {
    let all = std::env::var_os(ALL_VARIABLE).is_some();
    let cells = PROFILES.into_iter().flat_map(|profile| DEBUGS.into_iter().map(move |debug| Cell { profile, debug }));
    cells.filter(|cell| all || cell.profile == Profile::Release || cell.debug == Debug::None).collect()
}

impl fmt::Display for Cell {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = match self.debug {
            Debug::None => "none",
            Debug::Lines => "lines",
            Debug::Full => "full",
            Debug::Split => "split",
        };
        write!(to, "{}-{debug}", self.profile.name())
    }
}

impl Profile {
    /// Its name in tables and folders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Thin => "thin",
            Self::Fat => "fat",
            Self::Small => "small",
        }
    }

    /// What it sets, beyond cargo's own release profile. Everything is said, so that the workspace's profile plays no part.
    pub(crate) const fn settings(self) -> [(&'static str, &'static str); 4] {
        let (lto, units, panic, level) = match self {
            Self::Release => ("false", "16", "unwind", "3"),
            Self::Thin => ("thin", "16", "unwind", "3"),
            Self::Fat => ("fat", "1", "abort", "3"),
            Self::Small => ("false", "16", "unwind", "z"),
        };
        [
            ("CARGO_PROFILE_RELEASE_LTO", lto),
            ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", units),
            ("CARGO_PROFILE_RELEASE_PANIC", panic),
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", level),
        ]
    }
}

/// The fixture's program, and what lies beside it.
const PROGRAM: &str = "stack-fixture";
const PLUGIN: &str = "libstack_plugin.so";
const DEBUG_FILE: &str = "stack-fixture.debug";

impl Cell {
    /// The program, built where it is not there yet or not of these sources.
    pub fn program(self) -> Result<PathBuf> {
        self.recipe().program(|folder| if self.debug == Debug::Split { split(folder, PROGRAM, DEBUG_FILE) } else { Ok(()) })
    }

    /// The file that holds the symbol table of [`Self::program`].
    pub fn symbols(self) -> Result<PathBuf> {
        let program = self.program()?;
        Ok(if self.debug == Debug::Split { program.with_file_name(DEBUG_FILE) } else { program })
    }

    fn recipe(self) -> Recipe {
        let debug = match self.debug {
            Debug::None => "none",
            Debug::Lines => "line-tables-only",
            Debug::Full | Debug::Split => "full",
        };
        Recipe {
            packages: &["stack-fixture", "stack-plugin"],
            files: &[PROGRAM, PLUGIN],
            sources: &["tests/stack-fixture", "tests/fixture-service/src", "profiler-annotate/src"],
            folder: binaries::target().join("stacks").join(self.to_string()),
            is_release: true,
            settings: self.profile.settings().into_iter().chain([("CARGO_PROFILE_RELEASE_DEBUG", debug)]).collect(),
        }
    }
}

/// Moves the program's debug information and symbol table to a file of its own, by binutils' `objcopy`.
pub fn split(folder: &Path, program: &str, debug: &str) -> Result<()> {
    let link = format!("--add-gnu-debuglink={debug}");
    for arguments in [["--only-keep-debug", program, debug].as_slice(), &["--strip-all", &link, program]] {
        let output = Command::new("objcopy").current_dir(folder).args(arguments).output().map_err(Failure::io("objcopy"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::Wrong(vec![format!("objcopy {}: {said}", arguments.join(" "))]));
        }
    }
    Ok(())
}
