//! Builds the matrix's fixture: seven Tokio versions in five profiles, stripped copies of two of them, and some variants.
//!
//! Each version is a workspace of its own with a committed lock file, and one target directory under `target/matrix/`,
//! so that a profile builds its dependencies once. A stamp beside each binary (sources, lock, compiler) saves asking cargo again.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The Tokio versions, oldest first.
const VERSIONS: [&str; 7] = ["1.8.5", "1.20.6", "1.28.2", "1.38.1", "1.44.2", "1.48.0", "1.54.1"];
/// How a fixture is built.
struct Recipe {
    /// Its name in the table.
    name: &'static str,
    /// The cargo profile.
    profile: &'static str,
    /// Flags for rustc beyond the profile's.
    flags: &'static str,
    /// A stripped copy is inspected too.
    stripped: bool,
}

const fn profile(name: &'static str, stripped: bool) -> Recipe {
    Recipe { name, profile: name, flags: "", stripped }
}

const fn release(name: &'static str, flags: &'static str) -> Recipe {
    Recipe { name, profile: "release", flags, stripped: false }
}

/// Built with every version; `dev` and `release` are cargo's own profiles, the others stand in each version's Cargo.toml.
const PROFILES: [Recipe; 5] =
    [profile("dev", false), profile("release", true), profile("thin", false), profile("fat", true), profile("small", false)];
/// Built with the newest version: other ways to lay out, link and describe the same code.
const VARIANTS: [Recipe; 6] = [
    release("static", "-Crelocation-model=static"),
    release("static-pie", "-Ctarget-feature=+crt-static"),
    release("packed-relocs", "-Clink-arg=-Wl,-z,pack-relative-relocs"),
    release("frame-pointers", "-Cforce-frame-pointers=yes"),
    release("no-unwind-tables", "-Cforce-unwind-tables=no -Cpanic=abort"),
    release("v0-mangling", "-Csymbol-mangling-version=v0"),
];
/// Flags are for the fixture, not for the build's own programs: cargo keeps them apart only with a target.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// One binary of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    /// Tokio's version.
    pub(crate) version: &'static str,
    /// The cargo profile, or the variant's name.
    pub(crate) profile: &'static str,
    /// A copy that went through `strip`.
    pub(crate) stripped: bool,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Build {
    /// `1.54.1 fat stripped`.
    pub(crate) fn name(&self) -> String {
        let stripped = if self.stripped { " stripped" } else { "" };
        format!("{} {}{stripped}", self.version, self.profile)
    }
}

/// Builds what is not there yet, one version after the other, and gives all binaries. Tests that ask at the same time wait.
pub(crate) fn all() -> &'static [Build] {
    static BUILDS: OnceLock<Vec<Build>> = OnceLock::new();
    BUILDS.get_or_init(|| VERSIONS.iter().flat_map(|version| of_version(version)).collect())
}

/// The binaries of one version.
fn of_version(version: &'static str) -> Vec<Build> {
    let variants = VARIANTS.iter().filter(|_| Some(&version) == VERSIONS.last());
    let mut builds = Vec::new();
    for recipe in PROFILES.iter().chain(variants) {
        let path = build(version, recipe);
        let stripped_path = recipe.stripped.then(|| strip(&path));
        builds.push(Build { version, profile: recipe.name, stripped: false, path });
        builds.extend(stripped_path.map(|path| Build { version, profile: recipe.name, stripped: true, path }));
    }
    builds
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("matrix")
}

/// `target/matrix/VERSION`, beside this test's own output.
fn target(version: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target directory");
    target.join("matrix").join(version)
}

fn build(version: &str, recipe: &Recipe) -> PathBuf {
    let mut target = target(version);
    let directory = if recipe.profile == "dev" { "debug" } else { recipe.profile };
    let binary = if recipe.flags.is_empty() {
        target.join(directory).join("matrix-fixture")
    } else {
        target = target.join(recipe.name);
        target.join(TARGET).join(directory).join("matrix-fixture")
    };
    let stamp_file = target.join(format!("{}.stamp", recipe.name));
    let stamp = stamp(version, recipe.flags);
    if binary.exists() && fs::read_to_string(&stamp_file).is_ok_and(|found| found == stamp) {
        return binary;
    }
    eprintln!("building the fixture: Tokio {version}, {}", recipe.name);
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--locked", "-j2", "--profile", recipe.profile, "--manifest-path"])
        .arg(sources().join("versions").join(version).join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        // What is inspected is rustc's default code, whatever the profiler itself is built with.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTFLAGS", recipe.flags);
    if !recipe.flags.is_empty() {
        command.args(["--target", TARGET]);
    }
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "cargo build of Tokio {version}, {}: {status}", recipe.name);
    fs::write(&stamp_file, stamp).expect("the stamp can be written");
    binary
}

/// What a binary depends on, hashed.
fn stamp(version: &str, flags: &str) -> String {
    let mut hasher = DefaultHasher::new();
    let directory = sources().join("versions").join(version);
    for file in [sources().join("fixture/main.rs"), directory.join("Cargo.toml"), directory.join("Cargo.lock")] {
        fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).hash(&mut hasher);
    }
    flags.hash(&mut hasher);
    let compiler = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    compiler.stdout.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn strip(binary: &Path) -> PathBuf {
    let stripped = binary.with_extension("stripped");
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if modified(&stripped) > modified(binary) {
        return stripped;
    }
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(binary).status().expect("binutils' strip runs");
    assert!(status.success(), "strip {}: {status}", binary.display());
    stripped
}
