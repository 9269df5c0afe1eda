//! `cargo xtask build-ebpf`: the kernel side's object, built or checked.

use super::test;
use crate::chore::place;
use crate::chore::step::{note, step};
use crate::kernel::manifest::{Manifest, manifest_file, object_file};
use crate::kernel::toolchain::Toolchain;
use crate::kernel::{allowance, btf, budget, compile, layout, sources, strip, toolchain};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Build the kernel side's object, or check the committed one.
///
/// Builds profiler-ebpf into profiler-ebpf/object/profiler.bpf.o with its manifest.json (hashes, versions, flags); both are committed,
/// so that nobody else needs this toolchain. What it needs comes into target/kernel-toolchain: on Debian the packages rustc-web,
/// cargo-web and rust-web-src, unpacked and not installed (root is asked for only where apt's lists are empty), elsewhere rustup's
/// rust-src; and bpf-linker from crates.io. The first run takes a few minutes, later ones seconds. Equal sources and versions give
/// equal bytes in any folder; with other versions --check cannot compare bytes, says so, and runs the kernel tests with the fresh object.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Compare instead of writing: the committed object with its manifest, its sources, and a fresh build.
    #[arg(long)]
    pub(crate) check: bool,
    /// Store the programs' lengths as what is allowed from now on (profiler-ebpf/object/budget).
    #[arg(long, conflicts_with = "check")]
    pub(crate) accept: bool,
    /// The kernel side's crate, for tests of this build itself.
    #[arg(long, hide = true, value_name = "FOLDER")]
    pub(crate) crate_folder: Option<PathBuf>,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let crate_folder = match &arguments.crate_folder {
        Some(folder) => fs::canonicalize(folder).with_context(|| format!("there is no folder {}", folder.display()))?,
        None => place::repository().join("profiler-ebpf"),
    };
    if arguments.check { check(&crate_folder) } else { build(&crate_folder, arguments.accept) }
}

fn build(crate_folder: &Path, accept: bool) -> Result<()> {
    let toolchain = toolchain::ready()?;
    let object = fresh(&toolchain, crate_folder, false)?;
    let manifest = Manifest {
        sha256: sources::sha256(&object),
        source_hash: source_hash(crate_folder)?,
        versions: toolchain.versions,
        flags: compile::flags(),
    };
    manifest.write(crate_folder, &object)?;
    if accept {
        allowance::accept(crate_folder, &budget::programs(&object)?)?;
    }
    examine(crate_folder, &object)?;
    note(&format!("{}: {} bytes, sha256 {}", place::shown(&object_file(crate_folder)), object.len(), manifest.sha256));
    note(&format!("{}: {}", place::shown(&manifest_file(crate_folder)), manifest.versions.rustc));
    Ok(())
}

fn check(crate_folder: &Path) -> Result<()> {
    let manifest = Manifest::read(crate_folder)?;
    let file = object_file(crate_folder);
    let committed = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    step("object: hashes of the committed object and of its sources", || {
        manifest.check(&committed, &source_hash(crate_folder)?)
    })?;
    examine(crate_folder, &committed)?;
    let toolchain = toolchain::ready()?;
    let object = fresh(&toolchain, crate_folder, true)?;
    if toolchain.versions == manifest.versions && manifest.flags == compile::flags() {
        if object != committed {
            bail!(
                "a fresh build of the same sources by the same toolchain differs from the committed object; run `cargo xtask build-ebpf`"
            );
        }
        note("the committed object is what its sources give, byte for byte");
        return Ok(());
    }
    let recorded = &manifest.versions;
    note(&format!(
        "this toolchain is not the recorded one ({}, LLVM {}, bpf-linker {}):",
        recorded.rustc, recorded.llvm, recorded.bpf_linker
    ));
    note("bytes cannot be compared, so the fresh object is examined and the tests run with it instead");
    examine(crate_folder, &object)?;
    let fresh = toolchain::folder().join("fresh.bpf.o");
    fs::write(&fresh, &object).with_context(|| format!("cannot write {}", fresh.display()))?;
    test::run(&test::Arguments { only_root: true, object: Some(fresh), ..test::Arguments::default() })
}

fn fresh(toolchain: &Toolchain, crate_folder: &Path, locked: bool) -> Result<Vec<u8>> {
    let what = format!("object: compiling {} with {}", place::shown(crate_folder), toolchain.versions.rustc);
    step(&what, || {
        let file = compile::compile(toolchain, crate_folder, locked)?;
        let object = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        strip::without_dwarf(&object)
    })
}

/// What can be said of an object without a kernel: its layouts and its length.
fn examine(crate_folder: &Path, object: &[u8]) -> Result<()> {
    step("object: layouts of shared structures, against its own type information", || {
        let ours = profiler_common::layout::ALL;
        let unseen = layout::compare(ours, &btf::structures_of(object)?)?;
        note(&format!("{} of {} agree", ours.len() - unseen.len(), ours.len()));
        if !unseen.is_empty() {
            note(&format!("not compared, for the object's type information does not name them: {}", unseen.join(", ")));
        }
        Ok(())
    })?;
    step("object: length of its programs", || {
        let programs = budget::programs(object)?;
        budget::table(&programs).lines().for_each(note);
        allowance::check(crate_folder, &programs)
    })
}

fn source_hash(crate_folder: &Path) -> Result<String> {
    sources::hash(crate_folder.parent().unwrap_or(crate_folder), crate_folder)
}
