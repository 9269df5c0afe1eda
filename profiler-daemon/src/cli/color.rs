//! Whether to colour: the flag, then `NO_COLOR`, then whether the stream is a terminal.

use std::ffi::{OsStr, OsString};

use super::command::Streams;

/// Which streams are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Color {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Color {
    pub(super) fn choose(choice: clap::ColorChoice, streams: Streams) -> Self {
        match choice {
            clap::ColorChoice::Always => Self { stdout: true, stderr: true },
            clap::ColorChoice::Never => Self::default(),
            clap::ColorChoice::Auto => Self {
                stdout: streams.stdout_is_terminal && !streams.no_color,
                stderr: streams.stderr_is_terminal && !streams.no_color,
            },
        }
    }
}

/// The choice as far as it can be told before the arguments are parsed: clap colours its own help and errors, and these
/// come out of the very parse that would tell. The last `--color` wins; what is not a choice is left for the parse to refuse.
pub(super) fn before_parse(args: &[OsString]) -> clap::ColorChoice {
    let flags = args.iter().map(OsString::as_os_str).take_while(|arg| *arg != OsStr::new("--"));
    let mut choice = clap::ColorChoice::Auto;
    let mut value_follows = false;
    for arg in flags.filter_map(OsStr::to_str) {
        let value = if value_follows { Some(arg) } else { arg.strip_prefix("--color=") };
        value_follows = arg == "--color";
        if let Some(said) = value.and_then(|value| value.parse().ok()) {
            choice = said;
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ColorChoice::{Always, Auto, Never};

    #[test]
    fn the_flag_beats_the_environment() {
        let plain = Streams { stdout_is_terminal: false, stderr_is_terminal: true, no_color: false };
        assert_eq!(Color::choose(Auto, plain), Color { stdout: false, stderr: true });
        assert_eq!(Color::choose(Auto, Streams { no_color: true, ..plain }), Color::default());
        assert_eq!(Color::choose(Always, Streams { no_color: true, ..plain }), Color { stdout: true, stderr: true });
        assert_eq!(Color::choose(Never, plain), Color::default());
    }

    #[test]
    fn found_before_the_parse() {
        let of = |args: &[&str]| before_parse(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["p", "--help"]), Auto);
        assert_eq!(of(&["p", "--color", "never", "--help"]), Never);
        assert_eq!(of(&["p", "run", "--color=always"]), Always);
        assert_eq!(of(&["p", "--color=always", "--color", "never"]), Never);
        assert_eq!(of(&["p", "--color", "pink"]), Auto);
        assert_eq!(of(&["p", "--", "--color=always"]), Auto);
    }
}
