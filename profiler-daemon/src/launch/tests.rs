//! Real children, which need no privileges to be started.

use std::fs;

use super::*;

fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
}

fn start(program: &str, arguments: &[&str]) -> Result<Launched, LaunchError> {
    let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
    Launched::start(OsStr::new(program), &arguments, None)
}

/// Check that it stands at its program's entry, stopped, with no tracer, its libraries in place.
#[test]
fn it_stands_before_its_first_instruction() {
    let mut launched = start("sh", &["-c", "exit 7"]).unwrap();
    let status = status(launched.pid());
    assert!(status.contains("State:\tT (stopped)"), "{status}");
    assert!(status.contains("TracerPid:\t0"), "{status}");
    let maps = fs::read_to_string(format!("/proc/{}/maps", launched.pid())).unwrap();
    assert!(maps.contains("sh") && maps.contains("libc.so"), "{maps}");
    assert!(launched.ended().unwrap().is_none());
    launched.go().unwrap();
    assert_eq!(code_of(launched.wait().unwrap()), 7);
}

#[test]
fn a_signal_has_a_code_as_in_a_shell() {
    let mut launched = start("sleep", &["100"]).unwrap();
    launched.go().unwrap();
    launched.ask_to_end().unwrap();
    assert_eq!(code_of(launched.wait().unwrap()), 143);
    launched.kill().unwrap();
}

#[test]
fn what_cannot_be_run_is_told_with_its_reason() {
    for (program, kind) in [("/no/such/program", io::ErrorKind::NotFound), ("/etc/passwd", io::ErrorKind::PermissionDenied)] {
        let error = start(program, &[]).unwrap_err();
        assert!(matches!(&error, LaunchError::CannotExecute { source, .. } if source.kind() == kind), "{error:?}");
        assert!(error.to_string().contains(program));
    }
}

/// Check that one that never ran leaves nothing behind: not even a zombie.
#[test]
fn dropped_before_it_ran_it_is_killed() {
    let launched = start("sleep", &["100"]).unwrap();
    let pid = launched.pid();
    drop(launched);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}

/// Check that a signal that we keep for a service reaches it, once it is sent there.
#[test]
fn what_is_caught_here_is_not_blocked_there() {
    // Of this thread only, which ends with the test.
    let _signals = Signals::catch().unwrap();
    let mut launched = start("sleep", &["100"]).unwrap();
    assert!(status(launched.pid()).contains("SigBlk:\t0000000000000000"), "{}", status(launched.pid()));
    launched.go().unwrap();
    launched.ask_to_end().unwrap();
    assert_eq!(code_of(launched.wait().unwrap()), 143);
}
