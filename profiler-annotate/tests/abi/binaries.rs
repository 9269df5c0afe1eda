//! What a linker leaves of all this: small programs, built as a service for production is, then read as files and run.
//!
//! The programs have no dependency but this crate, so that cargo needs no registry for them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::elf;

/// Polls a scope and says which request it was in. Before that, it looks where the table says that times are: a constructor has written it.
const MAIN: &str = r#"
use std::pin::pin;
use std::task::{Context, Waker};

unsafe extern "C" {
    static profiler_annotate_table_v2: [u64; 5];
}

fn main() {
    let times = unsafe { std::ptr::read_volatile(&raw const profiler_annotate_table_v2) }[4];
    assert_ne!(times, 0, "where times are is known before the first scope");
    let mut cx = Context::from_waker(Waker::noop());
    let work = async { println!("{}", profiler_annotate::current_request_id().unwrap()) };
    assert!(pin!(profiler_annotate::scope(42_u64, work)).poll(&mut cx).is_ready());
}
"#;

/// The line that the documentation gives for other readers of the slot.
const BUILD: &str = r#"
fn main() {
    println!("cargo:rustc-link-arg=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");
}
"#;

/// A way to build.
#[derive(Default)]
struct Build {
    name: &'static str,
    exported: bool,
    rustflags: &'static str,
    profile: &'static str,
}

impl Build {
    fn directory(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name)
    }

    fn run(&self) -> Vec<u8> {
        self.build("", MAIN)
    }

    /// Builds the program, and runs it: the file.
    fn build(&self, dependency: &str, main: &str) -> Vec<u8> {
        let directory = self.directory();
        self.write_package(dependency, main);
        let target = directory.join("target");
        let triple = "x86_64-unknown-linux-gnu";
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--offline", "--quiet", "--target", triple])
            .current_dir(&directory)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", self.rustflags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let program: PathBuf = target.join(triple).join("release/annotated");
        let ran = Command::new(&program).output().unwrap();
        assert_eq!((ran.stdout.as_slice(), ran.status.code()), (&b"42\n"[..], Some(0)));
        std::fs::read(program).unwrap()
    }

    fn write_package(&self, dependency: &str, main: &str) {
        let directory = self.directory();
        let manifest = format!(
            "[package]\nname = \"annotated\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nprofiler-annotate = {{ path = {:?} }}\n{dependency}\n[profile.release]\n{}\n",
            env!("CARGO_MANIFEST_DIR"),
            self.profile
        );
        std::fs::create_dir_all(directory.join("src")).unwrap();
        std::fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        std::fs::write(directory.join("src/main.rs"), main).unwrap();
        if self.exported {
            std::fs::write(directory.join("build.rs"), BUILD).unwrap();
        }
    }
}

/// Everything that must be there, however the program was built.
fn check(elf: &[u8]) {
    let probes = elf::probes(elf);
    let described: Vec<_> = probes.iter().map(|probe| (probe.name.as_str(), probe.arguments.as_str())).collect();
    let expected = [
        ("scope_end", "8@%rdi 8@%rsi"),
        ("scope_enter", "8@%rdi 8@%rsi 8@%rdx 8@%rcx 8@%r8"),
        ("scope_exit", "8@%rdi 8@%rsi 8@%rdx"),
        ("scope_spawn", "8@%rdi 8@%rsi 8@%rdx 8@%rcx"),
        ("scope_task", "8@%rdi 8@%rsi"),
        ("scope_times", "8@%rdi 8@%rsi 8@%rdx"),
        ("scope_wake", "8@%rdi"),
    ];
    assert_eq!(described, expected);
    let semaphores = elf::writable_section(elf, ".probes");
    for probe in &probes {
        assert_eq!(elf::bytes_at(elf, probe.site, 2), [0x90, 0xc3], "{}: nop, ret", probe.name);
        assert!((semaphores..semaphores + 14).contains(&probe.semaphore), "{probe:?}");
        assert_eq!(elf::bytes_at(elf, probe.semaphore, 2), [0, 0]);
    }
    let table = elf::writable_section(elf, ".profiler_annotate");
    assert_eq!(elf::bytes_at(elf, table, 8), b"PRFANNOT");
}

const SMALLEST: &str = "strip = true\nlto = \"fat\"\ncodegen-units = 1\npanic = \"abort\"\nopt-level = \"z\"";

#[test]
fn stripped_with_fat_lto() {
    let elf = Build { name: "stripped", profile: SMALLEST, ..Build::default() }.run();
    check(&elf);
    assert!(!elf::has_symbols(&elf));
    assert!(!elf::dynamic_symbols(&elf).iter().any(|name| name == "otel_thread_ctx_v1"), "a dependency cannot export it");
}

#[test]
fn stripped_with_the_line_in_build_rs() {
    let elf = Build { name: "exported", exported: true, profile: SMALLEST, ..Build::default() }.run();
    check(&elf);
    assert!(!elf::has_symbols(&elf));
    assert!(elf::dynamic_symbols(&elf).iter().any(|name| name == "otel_thread_ctx_v1"));
}

#[test]
fn static_pie() {
    let elf = Build { name: "static", rustflags: "-Ctarget-feature=+crt-static", profile: SMALLEST, ..Build::default() }.run();
    check(&elf);
}

#[test]
fn plain_release() {
    check(&Build { name: "plain", ..Build::default() }.run());
}

#[test]
fn thin_lto_with_the_other_linker() {
    let build = Build { name: "thin", rustflags: "-Clinker-features=-lld", profile: "lto = \"thin\"", ..Build::default() };
    check(&build.run());
}

/// Two versions of the crate, as two dependencies of an application may bring them: one source under two names.
#[test]
fn two_versions_in_one_program_share_everything() {
    let build = Build { name: "twice", profile: SMALLEST, ..Build::default() };
    let directory = build.directory();
    std::fs::create_dir_all(directory.join("older")).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let older = format!("[package]\nname = \"older\"\nedition = \"2024\"\n[lib]\npath = {source:?}\n");
    std::fs::write(directory.join("older/Cargo.toml"), older).unwrap();
    let main =
        MAIN.replace("profiler_annotate::scope", "older::scope(7_u64, profiler_annotate::scope").replace("work)", "work))");
    let elf = build.build("older = { path = \"older\" }", &main);
    check(&elf);
    assert_eq!(elf::section_size(&elf, ".profiler_annotate"), 2624, "one table");
}
