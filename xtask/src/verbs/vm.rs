//! `cargo xtask vm`: the kernel tests on other kernels.

use crate::chore::command::{in_path, quiet};
use crate::chore::place;
use crate::chore::root::is_root;
use crate::chore::step::{note, step};
use crate::machine::files::{self, KERNEL_TESTS, Programs};
use crate::machine::results::Results;
use crate::machine::{boot, host, packages, selection, table};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use test_machine::plan::{Plan, Test};

/// The kernel that runs here, as a name beside the series.
const HOST: &str = "host";
/// See [`Plan::tries`]; the host's clock needs no second.
const MACHINE_TRIES: u32 = 2;
/// How long one test may take in a machine: a translated verifier walks for seconds.
const TEST_LIMIT: Duration = Duration::from_mins(3);

/// Run the kernel tests on Linux 6.1, 6.12 and the host's kernel, and show all results in one table.
///
/// Debian's newest cloud kernels of these series are fetched by apt and unpacked in target/machine, and booted under QEMU (TCG: no hardware
/// virtualisation is needed), at the same time, each on one CPU. Where apt has no such kernel, or there is no QEMU, the kernel is skipped and the
/// reason is counted. Tests run one by one, each in a process of its own; one that fails in a machine
/// is tried once more, and the table says so. The second table says how many instructions each kernel's verifier
/// walked in each program. On the host the tests need root, through sudo where you are not root, which is said. The last line is
/// `N passed, N failed, N skipped`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this kernel: 6.1, 6.12, another series that apt has, or host; may be given several times.
    #[arg(long, value_name = "KERNEL", default_values = ["6.1", "6.12", HOST])]
    kernel: Vec<String>,
    /// Only tests whose name contains this; may be given several times.
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// How long a machine may run, in minutes. What it does not reach is skipped, with that reason.
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    time_limit: u64,
    /// What to print.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write the tables to docs/kernels.md.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A table for people.
    Table,
    /// Everything that became of every test.
    Json,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let programs = files::programs()?;
    let folder = place::target().join("machine");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names = step("vm: listing the tests", || list(&programs.kernel_tests, &arguments.filter))?;
    let whole =
        Whole { programs: &programs, names: &names, folder: &folder, limit: Duration::from_secs(arguments.time_limit * 60) };
    let kernels = step("vm: running", || whole.all(&arguments.kernel))?;
    match arguments.format {
        Format::Table => println!("\n{}", table::text(&kernels)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&kernels)?),
    }
    if arguments.write {
        let file = place::repository().join("docs/kernels.md");
        fs::write(&file, table::document(&kernels)).with_context(|| format!("cannot write {}", file.display()))?;
        note(&format!("written to {}", place::shown(&file)));
    }
    judge(&kernels)
}

/// The last line, and whether all is well.
fn judge(kernels: &table::Kernels) -> Result<()> {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (_, results) in kernels {
        let counts = results.counts();
        // A kernel that could not be had is one thing skipped; one that died has failed, whatever passed before.
        let ran = !results.tests.is_empty();
        let died = ran && results.broken.is_some() && counts.0 == 0;
        (passed, failed, skipped) =
            (passed + counts.0, failed + counts.1 + usize::from(died), skipped + counts.2 + usize::from(!ran));
    }
    eprintln!("\n{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 {
        bail!("{failed} tests failed; the machines' logs are in target/machine");
    }
    Ok(())
}

fn list(program: &Path, filter: &[String]) -> Result<Vec<String>> {
    let text = quiet(Command::new(program).args(["--list", "--format", "terse"]))?;
    let mut names = selection::listed(&text);
    names.retain(|name| filter.is_empty() || filter.iter().any(|wanted| name.contains(wanted.as_str())));
    selection::order(&mut names);
    if names.is_empty() {
        bail!("no kernel test's name holds {}", filter.join(" or "));
    }
    Ok(names)
}

/// What every kernel is given.
struct Whole<'a> {
    programs: &'a Programs,
    names: &'a [String],
    folder: &'a PathBuf,
    limit: Duration,
}

impl Whole<'_> {
    /// The host alone, for its clock matters; then all machines at the same time.
    fn all(&self, wanted: &[String]) -> Result<table::Kernels> {
        let mut kernels = Vec::new();
        let machines: Vec<&String> = wanted.iter().filter(|name| *name != HOST).collect();
        let of_host = if wanted.iter().any(|name| name == HOST) { Some(self.host()?) } else { None };
        std::thread::scope(|scope| -> Result<()> {
            let running: Vec<_> = machines.iter().map(|series| scope.spawn(|| self.machine(series))).collect();
            for (series, thread) in machines.iter().zip(running) {
                let results = thread.join().map_err(|_| anyhow::anyhow!("the thread of {series} died"))??;
                kernels.push(((*series).clone(), results));
            }
            Ok(())
        })?;
        kernels.extend(of_host.map(|results| (HOST.to_owned(), results)));
        Ok(kernels)
    }

    fn plan(&self, program: &str, tries: u32, keep: impl Fn(&str) -> bool) -> Plan {
        let test = |name: &String| Test { program: program.to_owned(), name: name.clone() };
        Plan { limit: TEST_LIMIT, tries, tests: self.names.iter().filter(|name| keep(name)).map(test).collect() }
    }

    fn host(&self) -> Result<Results> {
        if !is_root() && in_path("sudo").is_none() {
            return Ok(absent("loading programs into the kernel needs root, and there is no sudo".to_owned()));
        }
        let plan = self.plan(&self.programs.kernel_tests.to_string_lossy(), 1, |_| true);
        let mut results = host::run(&self.programs.init, &plan, self.folder, |told| note(&format!("{HOST}: {told}")))?;
        results.complete(&plan.tests, "not reached");
        Ok(results)
    }

    fn machine(&self, series: &str) -> Result<Results> {
        if let Some(why) = boot::missing() {
            return Ok(absent(why));
        }
        let kernel = match packages::newest(series)? {
            Ok(kernel) => kernel,
            Err(why) => return Ok(absent(why)),
        };
        let plan = self.plan(KERNEL_TESTS, MACHINE_TRIES, |name| selection::left_out(name).is_none());
        let files = self.programs.files(&self.folder.join(series))?;
        let mut results = boot::run(&kernel, &files, &plan, self.limit, self.folder, |told| note(&format!("{series}: {told}")))?;
        results
            .complete(&plan.tests, &format!("not reached in the {} minutes that the machine may run", self.limit.as_secs() / 60));
        for name in self.names {
            if let Some(reason) = selection::left_out(name) {
                let test = Test { program: KERNEL_TESTS.to_owned(), name: name.clone() };
                results.complete(&[test], reason);
            }
        }
        Ok(results)
    }
}

/// A kernel on which nothing could run.
fn absent(why: String) -> Results {
    note(&why);
    Results { broken: Some(why), ..Results::default() }
}
