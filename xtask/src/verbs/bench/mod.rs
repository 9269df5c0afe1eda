//! `cargo xtask bench WHAT`: numbers for the documents, each from one command.

mod document;
mod hot;
mod measured;
mod overhead;
mod quartiles;
mod report;
mod requests;
mod scale;
mod setting;
mod unwind;
mod waits;

use crate::chore::grid;
use anyhow::Result;

/// Measure, and write the numbers that the documents show.
///
/// Each benchmark compares things in one run on one machine: take ratios from it, not absolute times. Needs root, through sudo where you
/// are not root, which is said.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    Unwind(unwind::Arguments),
    Await(waits::Arguments),
    Hot(hot::Arguments),
    Request(requests::Arguments),
    Overhead(overhead::Arguments),
    Scale(scale::Arguments),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Unwind(arguments) => unwind::run(arguments),
        What::Await(arguments) => waits::run(arguments),
        What::Hot(arguments) => hot::run(arguments),
        What::Request(arguments) => requests::run(arguments),
        What::Overhead(arguments) => overhead::run(arguments),
        What::Scale(arguments) => scale::run(arguments),
    }
}
