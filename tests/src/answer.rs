//! What benchmarks that print a report have in common: their words, and how they end.

use std::process::ExitCode;

use crate::{Failure, Result};

/// Prints what `to` makes of this program's words; of words that it does not know it makes `None`.
pub fn answer(to: impl FnOnce(&[&str]) -> Option<Result<String>>) -> ExitCode {
    // cargo bench adds `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let done = to(&words.iter().map(String::as_str).collect::<Vec<_>>())
        .unwrap_or_else(|| Err(Failure::Wrong(vec![format!("no such arguments: {words:?}")])));
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
