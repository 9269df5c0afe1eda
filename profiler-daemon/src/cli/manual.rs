//! The man page and the completion scripts, from the definition that also makes `--help`.

use std::io;

use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::{definition, exit::Exit};

/// A manual page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// `profiler-daemon(1)`.
    Program,
    /// `profiler-daemon-COMMAND(1)`; the command exists.
    Command(String),
}

/// The page of the command with this name, if there is one.
#[must_use]
pub fn page_of(name: &str) -> Option<Page> {
    definition().find_subcommand(name).map(|command| Page::Command(command.get_name().to_owned()))
}

/// Writes a page in roff.
pub fn man(page: &Page, to: &mut dyn io::Write) -> io::Result<()> {
    let mut program = definition();
    // Fills in usage lines, global options and the commands' full names.
    program.build();
    let command = match page {
        Page::Program => program,
        Page::Command(name) => {
            let found = program.find_subcommand(name).cloned();
            let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such command"))?;
            // The build has given it its display name, `profiler-daemon-COMMAND`.
            found.version(env!("CARGO_PKG_VERSION"))
        }
    };
    let examples = command.get_after_help().map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = Man::new(command).manual("User Commands");
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    if has_commands {
        man.render_subcommands_section(to)?;
    }
    if let Some(examples) = examples {
        to.write_all(preformatted("EXAMPLES", examples.trim_start_matches("Examples:\n")).as_bytes())?;
    }
    to.write_all(exit_status().as_bytes())
}

fn preformatted(heading: &str, text: &str) -> String {
    let mut page = Roff::new();
    page.control("SH", [heading]).control("nf", []);
    for line in text.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.render()
}

fn exit_status() -> String {
    let mut page = Roff::new();
    page.control("SH", ["EXIT CODES"]);
    for exit in Exit::ALL {
        page.control("TP", []).text([bold(exit.code().to_string())]).text([roman(exit.meaning())]);
    }
    page.render()
}

/// Writes a completion script.
pub fn completions(shell: clap_complete::Shell, to: &mut dyn io::Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "profiler-daemon", &mut script);
    to.write_all(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(page: &Page) -> String {
        let mut bytes = Vec::new();
        man(page, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_programs_page_has_every_command_and_exit_code() {
        let text = page(&Page::Program);
        for command in definition().get_subcommands() {
            let name = command.get_name().replace('-', "\\-");
            assert!(text.contains(&format!("profiler\\-daemon\\-{name}(1)")), "{name}");
        }
        for exit in Exit::ALL {
            assert!(text.contains(&format!(".TP\n\\fB{}\\fR\n", exit.code())), "{exit:?}");
        }
        assert!(text.contains(".SH EXAMPLES"));
    }

    #[test]
    fn a_commands_page_has_its_options_and_the_global_ones() {
        let text = page(&page_of("record").unwrap());
        assert!(text.starts_with(".ie"), "{text}");
        for option in ["\\-\\-duration", "\\-\\-metric", "\\-\\-color"] {
            assert!(text.contains(option), "{option}");
        }
        assert!(text.contains("profiler\\-daemon\\-record"));
        assert!(text.contains(".SH EXAMPLES"));
    }

    #[test]
    fn no_page_of_what_is_no_command() {
        assert_eq!(page_of("frobnicate"), None);
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut bytes = Vec::new();
            completions(shell, &mut bytes).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains("system-info") && text.contains("all-requests"), "{shell}");
        }
    }
}
