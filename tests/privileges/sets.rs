//! Which capabilities suffice for what. The table in docs/privileges.md is this one: each row is run with its set, and without each of its
//! capabilities in turn, which has to be missed by name.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use profiler_tests::daemon::{Ended, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::report::Report;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result, binaries};

use crate::user::{NOBODY, OTHER, Place, needs_users, set_mode};

const NO_PRIVILEGES: i32 = 20;
const LIMIT: Duration = Duration::from_mins(2);

/// Whose process it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The user's who runs the profiler.
    Own,
    /// Another user's.
    Others,
    /// Another user's, who alone may read the program's file.
    OthersClosed,
}

struct Row {
    /// As the table calls it.
    name: &'static str,
    whose: Whose,
    words: &'static [&'static str],
    capabilities: &'static [&'static str],
}

const ROWS: [Row; 7] = [
    Row { name: "every task of a process of one's own", whose: Whose::Own, words: &["--all"], capabilities: &["bpf", "perfmon"] },
    Row {
        name: "a request of a process of one's own (request mode)",
        whose: Whose::Own,
        words: &["--request", "req-1"],
        capabilities: &["bpf", "perfmon"],
    },
    Row {
        name: "every task of another user's process",
        whose: Whose::Others,
        words: &["--all"],
        capabilities: &["bpf", "perfmon", "sys_ptrace"],
    },
    Row {
        name: "a request of another user's process, with `--mode process`",
        whose: Whose::Others,
        words: &["--request", "req-1", "--mode", "process"],
        capabilities: &["bpf", "perfmon", "sys_ptrace"],
    },
    Row {
        name: "a request of another user's process (request mode)",
        whose: Whose::Others,
        words: &["--request", "req-1"],
        capabilities: &["bpf", "perfmon", "sys_ptrace", "dac_override"],
    },
    Row {
        name: "every request of another user's process (`--all-requests`, `--next`, `--sample`, `--marked`)",
        whose: Whose::Others,
        words: &["--next", "1"],
        capabilities: &["bpf", "perfmon", "sys_ptrace", "dac_override"],
    },
    Row {
        name: "a process whose program only another user may read",
        whose: Whose::OthersClosed,
        words: &["--all"],
        capabilities: &["bpf", "perfmon", "sys_ptrace", "dac_read_search"],
    },
];

fn long_name(capability: &str) -> String {
    format!("CAP_{}", capability.to_uppercase())
}

impl Row {
    fn target(&self, place: &Place) -> Result<Fixture> {
        let uid = if self.whose == Whose::Own { NOBODY } else { OTHER };
        if self.whose == Whose::OthersClosed {
            crate::user::give(place.service(), OTHER)?;
            set_mode(place.service(), 0o700)?;
        }
        Fixture::ready(Process::start(&mut place.fixture(uid))?)
    }

    fn recording(&self, place: &Place, pid: u32, capabilities: &[&str], path: &Path) -> Result<Process> {
        let mut profiler = place.profiler(NOBODY, capabilities);
        profiler.args(["record", "--pid", &pid.to_string(), "--duration", "2s", "--format", "json", "-o"]).arg(path);
        Process::start(profiler.args(self.words))
    }

    fn works(&self, place: &Place, fixture: &mut Fixture) -> Result<()> {
        let path = place.path("report.json");
        let mut profiler = self.recording(place, fixture.pid(), self.capabilities, &path)?;
        profiler.stderr.wait("word of the attach", LIMIT, |line| line.contains("attached").then_some(()))?;
        fixture.round()?;
        let ended = to_end(profiler)?;
        assert_eq!(ended.code(), 0, "{}: {}", self.name, ended.stderr);
        let report = Report::read(&path)?;
        assert!(!report.requests.is_empty(), "{}: {report:#?}", self.name);
        fs::remove_file(&path).map_err(Failure::io("the report"))
    }

    /// Without one of them: one sentence that names it, and nothing done.
    fn is_refused(&self, place: &Place, pid: u32, without: &str) -> Result<()> {
        let path = place.path("refused.json");
        let rest: Vec<&str> = self.capabilities.iter().copied().filter(|capability| *capability != without).collect();
        let ended: Ended = to_end(self.recording(place, pid, &rest, &path)?)?;
        let name = long_name(without);
        assert_eq!(ended.code(), NO_PRIVILEGES, "{} without {name}: {}", self.name, ended.stderr);
        assert!(ended.stderr.contains(&name) && ended.stderr.contains("root"), "{} without {name}: {}", self.name, ended.stderr);
        assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{}", ended.stderr);
        assert!(!path.exists(), "a file of nothing");
        Ok(())
    }

    fn line(&self) -> String {
        let names: Vec<String> = self.capabilities.iter().map(|capability| long_name(capability)).collect();
        format!("| {} | {} |", self.name, names.join(", "))
    }
}

#[test]
fn each_set_suffices_and_none_of_it_is_too_much() -> Result<()> {
    needs_users!();
    let _turn = turn();
    for row in ROWS {
        let place = Place::make()?;
        let mut fixture = row.target(&place)?;
        for capability in row.capabilities {
            row.is_refused(&place, fixture.pid(), capability)?;
        }
        row.works(&place, &mut fixture)?;
        fixture.ping()?;
        fixture.end()?;
    }
    Ok(())
}

/// The same by the capabilities of the program's file, as `setcap cap_bpf,cap_perfmon+ep` sets them.
#[test]
fn capabilities_of_the_file_do_too() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    set_file_capabilities(&place.path("profiler"), &[38, 39])?;
    let row = &ROWS[0];
    let mut fixture = row.target(&place)?;
    let row = Row { capabilities: &[], words: row.words, name: "by the file", whose: Whose::Own };
    row.works(&place, &mut fixture)?;
    fixture.end()
}

/// `struct vfs_cap_data`, revision 2, with the bit that makes them effective (include/uapi/linux/capability.h).
fn set_file_capabilities(path: &Path, numbers: &[u32]) -> Result<()> {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let bits = numbers.iter().fold(0_u64, |bits, number| bits | 1 << number);
    let [low, high] = [bits & u64::from(u32::MAX), bits >> 32].map(|half| u32::try_from(half).unwrap_or(0));
    let words = [REVISION_2_EFFECTIVE, low, 0, high, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|error| Failure::Wrong(vec![error.to_string()]))?;
    // SAFETY: two strings that end in a zero, and a buffer with its length.
    let set = unsafe { libc::setxattr(path.as_ptr(), c"security.capability".as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    if set == 0 { Ok(()) } else { Err(Failure::Io { what: "setxattr".into(), source: std::io::Error::last_os_error() }) }
}

#[test]
fn the_table_is_the_one_that_is_tested() -> Result<()> {
    let path = binaries::repository().join("docs/privileges.md");
    let text = fs::read_to_string(&path).map_err(Failure::io("docs/privileges.md"))?;
    for row in ROWS {
        assert!(text.contains(&row.line()), "docs/privileges.md has no line\n{}", row.line());
    }
    Ok(())
}
