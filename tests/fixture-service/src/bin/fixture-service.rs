//! The fixture's scenarios; see the library.

fn main() -> std::process::ExitCode {
    fixture_service::main()
}
