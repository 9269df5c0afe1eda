//! Where results are written: root in a folder of everybody's, where another user has been before.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use profiler_tests::daemon::{Ended, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result};

use crate::user::{OTHER, Place, give, needs_users, set_mode};

const OUTPUT: i32 = 3;

/// `record` by root, and by the user `caller` through sudo where one is given.
fn record(place: &Place, pid: u32, path: &Path, caller: Option<u32>) -> Result<Ended> {
    let mut profiler = Command::new(place.path("profiler"));
    profiler.args(["record", "--pid", &pid.to_string(), "--all", "--duration", "200ms", "-o"]).arg(path);
    profiler.env("PROFILER_CACHE", "").env_remove("SUDO_UID").env_remove("SUDO_GID");
    if let Some(caller) = caller {
        profiler.env("SUDO_UID", caller.to_string()).env("SUDO_GID", caller.to_string());
    }
    to_end(Process::start(&mut profiler)?)
}

#[test]
fn what_another_user_has_planted_is_not_written_to() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::start("churn --live 1")?;
    let precious = place.path("precious");
    fs::write(&precious, "data").map_err(Failure::io("a file"))?;
    set_mode(&precious, 0o600)?;

    let link = place.path("link.folded");
    symlink(&precious, &link).map_err(Failure::io("a link"))?;
    give(&link, OTHER)?;
    let nowhere = place.path("nowhere.folded");
    symlink(place.path("made-by-root"), &nowhere).map_err(Failure::io("a link"))?;
    give(&nowhere, OTHER)?;
    let file = place.path("file.folded");
    fs::write(&file, "theirs").map_err(Failure::io("a file"))?;
    give(&file, OTHER)?;
    let pipe = place.path("pipe.folded");
    let made = Command::new("mkfifo").arg(&pipe).status().map_err(Failure::io("mkfifo"))?;
    assert!(made.success());
    give(&pipe, OTHER)?;

    for (path, word) in [(&link, "symbolic link"), (&nowhere, "symbolic link"), (&file, "another user"), (&pipe, "another user")]
    {
        let ended = record(&place, fixture.pid(), path, None)?;
        assert_eq!(ended.code(), OUTPUT, "{}: {}", path.display(), ended.stderr);
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
        assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{}", ended.stderr);
    }
    let text = |path: &Path| fs::read_to_string(path).map_err(Failure::io("a file"));
    assert_eq!((text(&precious)?.as_str(), text(&file)?.as_str()), ("data", "theirs"));
    assert!(!place.path("made-by-root").exists());
    fixture.end()
}

/// A new file is the user's who called sudo, and one of theirs is taken.
#[test]
fn a_result_is_the_callers() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::start("churn --live 1 --rate 500 --millis 100")?;
    let path = place.path("x.json");
    for _ in 0..2 {
        let ended = record(&place, fixture.pid(), &path, Some(OTHER))?;
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        let found = path.metadata().map_err(Failure::io("the result"))?;
        assert_eq!((found.uid(), found.gid()), (OTHER, OTHER));
        assert!(found.len() > 0);
    }
    // Of nothing no file is left, although the folder is not ours to write.
    let home = place.path("home");
    fs::create_dir(&home).map_err(Failure::io("a folder"))?;
    give(&home, OTHER)?;
    set_mode(&home, 0o755)?;
    let none = home.join("none.json");
    let mut profiler = Command::new(place.path("profiler"));
    profiler.args(["record", "--pid", &fixture.pid().to_string(), "--request", "never", "--duration", "200ms", "-o"]).arg(&none);
    profiler.env("SUDO_UID", OTHER.to_string()).env("SUDO_GID", OTHER.to_string()).env("PROFILER_CACHE", "");
    let ended = to_end(Process::start(&mut profiler)?)?;
    assert_eq!(ended.code(), 32, "{}", ended.stderr);
    assert!(!none.exists());
    fixture.end()
}
