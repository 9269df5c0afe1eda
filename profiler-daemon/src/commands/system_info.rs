//! `system-info`: what this kernel and these privileges allow, found out by trying where that can be.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Result;
use profiler_daemon::{
    attach::{UprobeMulti, uprobe_multi},
    cli::{Exit, form::Listing, visible},
    target::{
        hardening::{Lockdown, PtraceScope},
        kernel::KernelVersion,
        privileges::{Capability, Privileges},
    },
};
use serde::Serialize;

use super::print;

/// Whether profiling works with a fact as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, at a price.
    Limited,
    /// Profiling does not work.
    Missing,
    /// Cannot be told.
    Unknown,
}

/// One thing about this machine.
#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    verdict: Verdict,
    found: String,
}

impl Fact {
    fn new(name: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { name, verdict, found: found.into() }
    }
}

/// `system-info`.
pub(super) fn system_info(format: Listing) -> Result<Exit> {
    let facts = facts();
    let text = match format {
        Listing::Json => format!("{}\n", serde_json::to_string(&facts)?),
        Listing::Table => table(&facts),
    };
    print(text.as_bytes())
}

fn table(facts: &[Fact]) -> String {
    let mut text = String::new();
    for fact in facts {
        let verdict = match fact.verdict {
            Verdict::Ok => "ok",
            Verdict::Limited => "limited",
            Verdict::Missing => "missing",
            Verdict::Unknown => "unknown",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<24}{verdict:<9}{}", fact.name, visible(&fact.found));
    }
    text
}

fn facts() -> Vec<Fact> {
    let privileged = Privileges::read().is_ok_and(|privileges| privileges.check().is_ok());
    vec![
        kernel(),
        privileges(),
        other_users(),
        kernel_types(),
        uprobes(),
        many_uprobes(privileged),
        lockdown(Lockdown::in_force()),
        ptrace_scope(PtraceScope::in_force()),
    ]
}

fn kernel() -> Fact {
    let fact = |verdict, found: String| Fact::new("kernel", verdict, found);
    match KernelVersion::running() {
        Ok(version) => match version.check() {
            Ok(()) => fact(Verdict::Ok, version.to_string()),
            Err(error) => fact(Verdict::Missing, error.to_string()),
        },
        Err(error) => fact(Verdict::Unknown, error.to_string()),
    }
}

fn privileges() -> Fact {
    let checked = Privileges::read().and_then(|privileges| privileges.check());
    match checked {
        Ok(()) => Fact::new("privileges", Verdict::Ok, "programs can be loaded and probes made"),
        Err(error) => Fact::new("privileges", Verdict::Missing, error.to_string()),
    }
}

fn other_users() -> Fact {
    let may = Privileges::read().is_ok_and(|privileges| privileges.has(Capability::SysPtrace));
    let (verdict, found) = if may {
        (Verdict::Ok, "can be profiled")
    } else {
        (Verdict::Limited, "without CAP_SYS_PTRACE only your own processes can be profiled")
    };
    Fact::new("other users' processes", verdict, found)
}

fn kernel_types() -> Fact {
    let path = "/sys/kernel/btf/vmlinux";
    match fs::metadata(path) {
        Ok(file) => Fact::new("kernel types (BTF)", Verdict::Ok, format!("{path}, {} KiB", file.len() / 1024)),
        Err(error) => Fact::new("kernel types (BTF)", Verdict::Missing, format!("{path}: {error}")),
    }
}

fn uprobes() -> Fact {
    let there = Path::new("/sys/bus/event_source/devices/uprobe/type").exists();
    let (verdict, found) =
        if there { (Verdict::Ok, "built in") } else { (Verdict::Missing, "the kernel has no CONFIG_UPROBE_EVENTS") };
    Fact::new("uprobes", verdict, found)
}

fn many_uprobes(privileged: bool) -> Fact {
    let name = "uprobe-multi links";
    if !privileged {
        return Fact::new(name, Verdict::Unknown, "found out by loading a program, which needs privileges");
    }
    match uprobe_multi() {
        UprobeMulti::Works => Fact::new(name, Verdict::Ok, "hundreds of probes are made and dropped at once"),
        UprobeMulti::OneThreadOnly => {
            Fact::new(name, Verdict::Limited, "follow one thread only; single uprobes serve, and leave slowly")
        }
        UprobeMulti::Missing => {
            Fact::new(name, Verdict::Limited, "none (Linux 6.6 has them); single uprobes serve, and leave slowly")
        }
    }
}

fn lockdown(in_force: Lockdown) -> Fact {
    let name = "lockdown";
    match in_force {
        Lockdown::None => Fact::new(name, Verdict::Ok, "none, or not to be seen"),
        Lockdown::Integrity => Fact::new(name, Verdict::Ok, "integrity"),
        Lockdown::Confidentiality => Fact::new(name, Verdict::Missing, "confidentiality: no program may read memory"),
    }
}

fn ptrace_scope(in_force: Option<PtraceScope>) -> Fact {
    let name = "memory of processes";
    match in_force {
        None => Fact::new(name, Verdict::Ok, "your own, and with CAP_SYS_PTRACE others'"),
        Some(scope) if scope.is_shut() => Fact::new(
            name,
            Verdict::Limited,
            "kernel.yama.ptrace_scope is 3: nobody's, so neither request mode nor tasks --awaits",
        ),
        Some(scope) => Fact::new(
            name,
            Verdict::Ok,
            format!("kernel.yama.ptrace_scope is {}: with CAP_SYS_PTRACE, also your own", scope.value()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_row() {
        let facts = facts();
        let text = table(&facts);
        assert_eq!(text.lines().count(), facts.len());
        assert!(facts.iter().any(|fact| fact.name == "kernel" && fact.verdict == Verdict::Ok), "{facts:?}");
    }
}
