//! How long the programs are. The verifier walks at most a million instructions of a program, loops unrolled, and newer kernels reach
//! that sooner; the static length is what a change to the sources moves, and what can be watched without a kernel.

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

const INSTRUCTION_BYTES: u64 = 8;

/// One program, or one sub-program that others call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    /// The section, which names the program's type; `.text` holds the sub-programs.
    pub(crate) section: String,
    /// The function.
    pub(crate) name: String,
    /// Its own instructions, calls not followed.
    pub(crate) instructions: u64,
}

/// Every program of the object, by section and name.
pub(crate) fn programs(elf: &[u8]) -> Result<Vec<Program>> {
    let file = object::File::parse(elf).context("the object is no ELF file")?;
    let mut programs = Vec::new();
    for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
        for symbol in file.symbols() {
            if symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(section.index()) {
                programs.push(Program {
                    section: section.name().unwrap_or("?").to_owned(),
                    name: format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or("?"))),
                    instructions: symbol.size() / INSTRUCTION_BYTES,
                });
            }
        }
    }
    programs.sort();
    Ok(programs)
}

/// The table of `programs`, a line each, and their sum.
pub(crate) fn table(programs: &[Program]) -> String {
    let mut lines = vec![format!("{:>12}  {:<28} {}", "instructions", "section", "program")];
    for program in programs {
        lines.push(format!("{:>12}  {:<28} {}", program.instructions, program.section, program.name));
    }
    let sum: u64 = programs.iter().map(|program| program.instructions).sum();
    lines.push(format!("{sum:>12}  in all"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that the table shows each program and the sum.
    #[test]
    fn table_sums() {
        let program = |name: &str, instructions| Program { section: "uprobe".to_owned(), name: name.to_owned(), instructions };
        let table = table(&[program("poll_start", 100), program("poll_end", 23)]);
        assert!(
            table.lines().any(|line| line.trim_start().starts_with("100  uprobe") && line.ends_with("poll_start")),
            "{table}"
        );
        assert!(table.ends_with("         123  in all"), "{table}");
    }

    /// Check that bytes which are no object are an error.
    #[test]
    fn no_object_is_an_error() {
        assert!(programs(b"no object").is_err());
    }
}
