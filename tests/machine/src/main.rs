//! The first program of a virtual machine: makes it fit for tests, runs them, and switches it off.
//!
//! As process 1 it takes its plan from `/plan`. Called by anyone else, it runs the plan that its argument names, as part of the system
//! that is there: so the host's own kernel is tested.

use std::fs;
use std::io::{self, stdout};
use std::path::Path;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot, uname};
use test_machine::event::Event;
use test_machine::plan::Plan;
use test_machine::run::{run, tell};

/// File systems that tests and the profiler look into: what, where.
const MOUNTS: [(&str, &str); 7] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/run"),
    ("cgroup2", "/sys/fs/cgroup"),
];

fn main() {
    let is_init = std::process::id() == 1;
    let broken = if is_init { prepare().err().map(|error| error.to_string()) } else { None };
    let plan = std::env::args().nth(1).filter(|_| !is_init).unwrap_or_else(|| "/plan".to_owned());
    let out = &mut stdout();
    tell(out, &Event::Kernel(uname().release().to_string_lossy().into_owned()));
    match broken.map_or_else(|| read(Path::new(&plan)), Err) {
        Ok(plan) => run(&plan, out),
        Err(why) => tell(out, &Event::Broken(why)),
    }
    tell(out, &Event::Done);
    if is_init {
        rustix::fs::sync();
        // Without it the kernel panics at our end, which ends the machine as well.
        let _: rustix::io::Result<()> = reboot(RebootCommand::PowerOff);
    }
}

fn read(path: &Path) -> Result<Plan, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Plan::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Mounts what an ordinary system has. The kernel has given us the console as our three streams.
fn prepare() -> io::Result<()> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place)?;
        mount(kind, place, kind, MountFlags::empty(), None)
            .map_err(|error| io::Error::new(io::Error::from(error).kind(), format!("cannot mount {kind} on {place}: {error}")))?;
    }
    Ok(())
}
