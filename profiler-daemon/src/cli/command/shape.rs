//! What a result looks like, where it goes, and how functions are named in it.

use std::path::PathBuf;

use super::{UsageError, not_empty};
use crate::cli::{
    args::{NamesArgs, ShapeArgs},
    form::{Format, Metric},
    output::Output,
};

/// What a result holds and where it goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    /// The time that is drawn.
    pub metric: Metric,
    /// The form.
    pub format: Format,
    /// The place.
    pub output: Output,
}

/// How functions are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Every frame of the executor is drawn.
    pub raw_frames: bool,
    /// Where debug files are looked for first. Absolute: the daemon has another working directory.
    pub debug_dirs: Vec<PathBuf>,
}

impl Shape {
    pub(in crate::cli) fn check(args: ShapeArgs) -> Result<Self, UsageError> {
        let path = not_empty(args.output, "-o")?;
        let format = args.format.unwrap_or_else(|| Format::by_name(&path)).for_name(&path);
        Ok(Self { metric: args.metric, format, output: Output::from(path) })
    }
}

impl Names {
    pub(in crate::cli) fn check(args: NamesArgs) -> Result<Self, UsageError> {
        let absolute = |path| {
            let path = not_empty(path, "--debug-dir")?;
            // It fails only without a working directory. Then the path goes on as it is, and what reads it says so.
            Ok(std::path::absolute(&path).unwrap_or(path))
        };
        let debug_dirs = args.debug_dirs.into_iter().map(absolute).collect::<Result<_, _>>()?;
        Ok(Self { raw_frames: args.raw_frames, debug_dirs })
    }
}
