//! The same scenarios in a binary without a symbol table (build.rs).

fn main() -> std::process::ExitCode {
    fixture_service::main()
}
