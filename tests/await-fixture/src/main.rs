//! The fixture; see the library.

fn main() -> std::process::ExitCode {
    await_fixture::serve::main()
}
