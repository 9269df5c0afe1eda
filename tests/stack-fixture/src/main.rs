//! The fixture; see the library.

fn main() -> std::process::ExitCode {
    stack_fixture::main()
}
