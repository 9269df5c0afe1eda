//! Every chore of the repository, as `cargo xtask VERB`. One verb is one file under `verbs`.

mod chore;
mod demo;
mod kernel;
mod machine;
mod reach;
mod supply;
mod testing;
mod tidy;
mod verbs;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// Every chore of this repository. `cargo xtask help VERB` tells what a verb does, needs and leaves behind.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Bench(verbs::bench::Arguments),
    BuildEbpf(verbs::build_ebpf::Arguments),
    Demo(verbs::demo::Arguments),
    Fuzz(verbs::fuzz::Arguments),
    Lint(verbs::lint::Arguments),
    Matrix(verbs::matrix::Arguments),
    Soak(verbs::soak::Arguments),
    Test(verbs::test::Arguments),
    Tidy(verbs::tidy::Arguments),
    Vm(verbs::vm::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Bench(arguments) => verbs::bench::run(&arguments),
        Verb::BuildEbpf(arguments) => verbs::build_ebpf::run(&arguments),
        Verb::Demo(verbs::demo::Arguments {}) => verbs::demo::run(),
        Verb::Fuzz(arguments) => verbs::fuzz::run(&arguments),
        Verb::Lint(arguments) => verbs::lint::run(&arguments, &known_verbs()),
        Verb::Matrix(arguments) => verbs::matrix::run(&arguments),
        Verb::Soak(arguments) => verbs::soak::run(&arguments),
        Verb::Test(arguments) => verbs::test::run(&arguments),
        Verb::Tidy(verbs::tidy::Arguments {}) => verbs::tidy::run(&known_verbs()),
        Verb::Vm(arguments) => verbs::vm::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The names of all verbs, for the check that documents name no other.
fn known_verbs() -> Vec<String> {
    let mut command = Arguments::command();
    command.build();
    command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}
