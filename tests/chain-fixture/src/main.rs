//! The fixture; see the library.

fn main() -> std::process::ExitCode {
    chain_fixture::main()
}
