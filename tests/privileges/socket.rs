//! Whom the control socket lets in, and what may stand at its path.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;
use std::time::Duration;

use profiler_tests::daemon::{Daemon, to_end};
use profiler_tests::fixture::Fixture;
use profiler_tests::process::Process;
use profiler_tests::serial::turn;
use profiler_tests::{Failure, Result};

use crate::user::{NOBODY, OTHER, Place, give, needs_users, set_mode};

const NO_PRIVILEGES: i32 = 20;
const SOCKET_UNUSABLE: i32 = 41;

/// Another user is kept out by the socket's mode; one who gets past that is refused by name, and the daemon goes on.
#[test]
fn another_user_is_refused() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::start("churn --live 1")?;
    let socket = place.path("control.sock");
    let daemon = Daemon::attach_at(fixture.pid(), &socket, &[])?;
    assert_eq!(socket.metadata().map_err(Failure::io("the socket"))?.mode() & 0o777, 0o600);
    let ask = |uid| -> Result<_> {
        let mut client = place.profiler(uid, &[]);
        to_end(Process::start(client.args(["tasks", "--once", "--socket"]).arg(&socket))?)
    };
    let ended = ask(OTHER)?;
    assert_eq!(ended.code(), NO_PRIVILEGES, "{}", ended.stderr);
    assert!(ended.stderr.contains("control.sock") && ended.stderr.contains("root"), "{}", ended.stderr);
    set_mode(&socket, 0o666)?;
    for uid in [OTHER, NOBODY] {
        let ended = ask(uid)?;
        assert_eq!(ended.code(), NO_PRIVILEGES, "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("user {uid} may not use a daemon of user 0")), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(ask(0)?.code(), 0);
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    fixture.end()
}

/// A link that somebody has put at the socket's path, and the path of a killed daemon.
#[test]
fn what_stands_at_the_path() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::start("churn --live 1")?;
    let (socket, precious) = (place.path("control.sock"), place.path("precious"));
    for what in ["data", ""] {
        fs::write(&precious, what).map_err(Failure::io("a file"))?;
        symlink(&precious, &socket).map_err(Failure::io("a link"))?;
        give(&socket, OTHER)?;
        if what.is_empty() {
            fs::remove_file(&precious).map_err(Failure::io("a file"))?;
        }
        let mut profiler = Command::new(place.path("profiler"));
        profiler.args(["run", "--pid", &fixture.pid().to_string(), "--socket"]).arg(&socket);
        let ended = to_end(Process::start(&mut profiler)?)?;
        assert_eq!(ended.code(), SOCKET_UNUSABLE, "{}", ended.stderr);
        assert_eq!(precious.exists(), !what.is_empty(), "nothing is made through the link");
        fs::remove_file(&socket).map_err(Failure::io("the link"))?;
    }
    let killed = Daemon::attach_at(fixture.pid(), &socket, &[])?;
    killed.end(libc::SIGKILL)?;
    assert!(socket.exists());
    let daemon = Daemon::attach_at(fixture.pid(), &socket, &[])?;
    assert_eq!(daemon.end(libc::SIGINT)?.code(), 0);
    assert!(!socket.exists());
    fixture.end()
}

/// A client takes answers from root and from its own user only: who else listens may be anybody.
#[test]
fn a_strangers_socket_is_not_asked() -> Result<()> {
    needs_users!();
    let _turn = turn();
    let place = Place::make()?;
    let fixture = Fixture::ready(Process::start(&mut place.fixture(OTHER))?)?;
    let socket = place.path("control.sock");
    let mut stranger = place.profiler(OTHER, &["bpf", "perfmon"]);
    stranger.args(["run", "--pid", &fixture.pid().to_string(), "--socket"]).arg(&socket);
    let mut stranger = Process::start(&mut stranger)?;
    stranger.stderr.wait("word of the socket", Duration::from_mins(2), |line| line.contains("listening").then_some(()))?;
    set_mode(&socket, 0o666)?;
    let mut client = place.profiler(NOBODY, &[]);
    let ended = to_end(Process::start(client.args(["requests", "--socket"]).arg(&socket))?)?;
    assert_eq!(ended.code(), SOCKET_UNUSABLE, "{}", ended.stderr);
    assert!(ended.stderr.contains("user 1234"), "{}", ended.stderr);
    stranger.signal(libc::SIGINT)?;
    assert_eq!(to_end(stranger)?.code(), 0);
    fixture.end()
}
