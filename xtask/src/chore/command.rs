//! Running other programs so that a failure is one clear sentence.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// How much of a failed command's output is shown.
const SHOWN_LINES: usize = 30;

/// Runs `command` with its output on this terminal.
pub(crate) fn loud(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.status().with_context(|| format!("cannot start `{name}`"))?;
    if !status.success() {
        bail!("`{name}` failed ({status}); its own message stands above");
    }
    Ok(())
}

/// Runs `command` in silence and returns what it wrote to standard output; the end of its output is shown where it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let name = name(command);
    let output = captured(command)?;
    if !output.status.success() {
        let mut lines: Vec<&str> = Vec::new();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        lines.extend(stdout.lines());
        lines.extend(stderr.lines());
        let from = lines.len().saturating_sub(SHOWN_LINES);
        for line in lines.iter().skip(from) {
            eprintln!("    | {line}");
        }
        bail!("`{name}` failed ({}); the end of its output stands above", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` in silence, whatever becomes of it.
pub(crate) fn captured(command: &mut Command) -> Result<Output> {
    let name = name(command);
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{name}`"))
}

/// Where `program` stands in `PATH`.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The cargo that runs this xtask.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `program first-argument second-argument`, short enough for an error line.
fn name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned()];
    words.extend(command.get_args().take(4).map(|argument| argument.to_string_lossy().into_owned()));
    if command.get_args().count() > 4 {
        words.push("...".to_owned());
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that a failure names the command and its end.
    #[test]
    fn failure_is_a_sentence() {
        let error = quiet(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 3` failed (exit status: 3); the end of its output stands above");
    }

    /// Check that a program which does not exist is named.
    #[test]
    fn missing_program_is_named() {
        let error = loud(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("cannot start `no-such-program-here`"), "{error}");
    }
}
