//! Errors of every folder to one sentence and one exit code.

use std::{error::Error, fmt, io};

use profiler_daemon::{
    attach::AttachError,
    cli::{Exit, output::OutputError, visible},
    control::{AddressError, ClientError, ListenError, protocol::Code},
    inspect::InspectError,
    launch::LaunchError,
    session::SessionError,
    target::{TargetError, kernel::KernelError, listener::ListenerError, privileges::PrivilegeError, program::ProgramFileError},
};
use profiler_token::KeyError;

/// An end that is decided in a command and has no error type of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    sentence: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, sentence: sentence.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for Failure {}

/// Tells the user in one line, and gives the exit code. With `-v`, every cause has a line of its own, in full.
pub(crate) fn report(error: &anyhow::Error, color: bool, verbosity: u8) -> Exit {
    let exit = exit_of(error);
    if exit == Exit::Success {
        return exit;
    }
    let label = if color { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    eprintln!("{label} {}", sentence(error));
    if verbosity > 0 {
        for cause in error.chain() {
            for line in cause.to_string().lines() {
                eprintln!("  {}", visible(line));
            }
        }
    }
    exit
}

/// The first line of the error and of each of its causes, joined. A cause that the text before it tells already is left out:
/// some error types write their source into their own text.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let line = text.lines().next().unwrap_or_default();
        if sentence.is_empty() {
            line.clone_into(&mut sentence);
        } else if !sentence.contains(line) {
            sentence.push_str(": ");
            sentence.push_str(line);
        }
    }
    visible(&sentence)
}

/// The code of a [`Failure`], else of the first error in the chain that has one.
fn exit_of(error: &anyhow::Error) -> Exit {
    // Only anyhow's own downcast finds what was put in by `context`.
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit;
    }
    error.chain().find_map(exit_of_one).unwrap_or(Exit::Internal)
}

fn exit_of_one(error: &(dyn Error + 'static)) -> Option<Exit> {
    error
        .downcast_ref()
        .map(of_session)
        .or_else(|| error.downcast_ref().map(of_target))
        .or_else(|| error.downcast_ref().map(of_file))
        .or_else(|| error.downcast_ref().map(of_privileges))
        .or_else(|| error.downcast_ref().map(of_kernel))
        .or_else(|| error.downcast_ref().map(of_attach))
        .or_else(|| error.downcast_ref().map(of_listen))
        .or_else(|| error.downcast_ref().map(of_address))
        .or_else(|| error.downcast_ref().map(of_client))
        .or_else(|| error.downcast_ref().map(of_output))
        .or_else(|| error.downcast_ref().map(of_launch))
        .or_else(|| error.downcast_ref().map(of_key))
        .or_else(|| error.downcast_ref().map(of_listener))
}

fn of_session(error: &SessionError) -> Exit {
    match error {
        SessionError::Privileges(error) => of_privileges(error),
        SessionError::Kernel(error) => of_kernel(error),
        SessionError::Target(error) => of_target(error),
        SessionError::ProgramFile(error) => of_file(error),
        SessionError::Inspect(error) => of_inspect(error),
        SessionError::Plan(_) | SessionError::UnknownAnnotationProbe { .. } | SessionError::AnnotationArgument { .. } => {
            Exit::SitesNotFound
        }
        SessionError::LockedDown(_) => Exit::KernelRefused,
        SessionError::TableClosed { .. } => Exit::NoPrivileges,
        SessionError::Attach(error) => of_attach(error),
        SessionError::DiedDuringAttach { .. } | SessionError::ExecDuringAttach { .. } => Exit::TargetDied,
        SessionError::NoAnnotation | SessionError::NeedsRequestMode { .. } => Exit::NotAnnotated,
        SessionError::TableTaken { .. } => Exit::TableTaken,
        SessionError::Key(_) | SessionError::KeyWithoutLayouts { .. } | SessionError::KeyAfterRelease { .. } => Exit::NoSuchKey,
        SessionError::KeyId(_)
        | SessionError::TooManyRules { .. }
        | SessionError::LabelKey { .. }
        | SessionError::SampleMode { .. } => Exit::Usage,
        SessionError::Nothing(_) => Exit::NotFound,
        SessionError::Modules(_) | SessionError::Table { .. } => Exit::Unreadable,
        SessionError::Export(_) => Exit::Output,
        _ => Exit::Internal,
    }
}

const fn of_inspect(error: &InspectError) -> Exit {
    match error {
        InspectError::NotTokio => Exit::NotTokio,
        InspectError::NoTaskVtable { .. } => Exit::SitesNotFound,
        InspectError::WrongArchitecture(_) => Exit::UnsupportedTarget,
        _ => Exit::Unreadable,
    }
}

const fn of_target(error: &TargetError) -> Exit {
    match error {
        TargetError::NoSuchProcess { .. } | TargetError::Zombie { .. } => Exit::NoSuchProcess,
        TargetError::ThreadOfProcess { .. } => Exit::ThreadOfProcess,
        TargetError::Itself { .. } | TargetError::NotX86_64 { .. } => Exit::UnsupportedTarget,
        TargetError::KernelThread { .. } => Exit::KernelThread,
        TargetError::Exited { .. } => Exit::TargetDied,
        TargetError::NoAccess { .. } => Exit::NoPrivileges,
        TargetError::Unreadable { .. }
        | TargetError::BadElf { .. }
        | TargetError::NotMapped { .. }
        | TargetError::NoSuchObject { .. } => Exit::Unreadable,
        TargetError::Pidfd { .. } | TargetError::Malformed { .. } => Exit::Internal,
    }
}

const fn of_file(error: &ProgramFileError) -> Exit {
    match error {
        ProgramFileError::Unreadable { .. } | ProgramFileError::NoFile { .. } => Exit::Unreadable,
        ProgramFileError::Elf(error) => of_target(error),
    }
}

const fn of_privileges(error: &PrivilegeError) -> Exit {
    match error {
        PrivilegeError::Missing(_) | PrivilegeError::MissingForStatistics(_) | PrivilegeError::UserNamespace => {
            Exit::NoPrivileges
        }
        PrivilegeError::Unreadable(_) => Exit::Internal,
    }
}

const fn of_kernel(error: &KernelError) -> Exit {
    match error {
        KernelError::TooOld { .. } => Exit::KernelTooOld,
        KernelError::Unknown(_) | KernelError::Unreadable(_) => Exit::Internal,
    }
}

fn of_attach(error: &AttachError) -> Exit {
    match error {
        // The pid is looked up when the link is made.
        AttachError::Link { source, .. } if source.raw_os_error() == Some(libc::ESRCH) => Exit::TargetDied,
        AttachError::Object { .. } | AttachError::Parse(_) | AttachError::NoMap { .. } | AttachError::NoProgram { .. } => {
            Exit::Internal
        }
        AttachError::PidNamespace => Exit::NoPrivileges,
        AttachError::OtherMode { .. } => Exit::TableTaken,
        AttachError::RequestIdTooLong { .. } => Exit::Usage,
        _ => Exit::KernelRefused,
    }
}

const fn of_listen(error: &ListenError) -> Exit {
    match error {
        ListenError::InUse(_) => Exit::SocketInUse,
        ListenError::Address(error) => of_address(error),
        ListenError::NotASocket(_)
        | ListenError::OpenFolder(_)
        | ListenError::UnsafeFolder { .. }
        | ListenError::System { .. } => Exit::SocketUnusable,
    }
}

const fn of_address(error: &AddressError) -> Exit {
    match error {
        AddressError::None => Exit::NoDaemon,
        AddressError::Several(_) => Exit::SeveralDaemons,
        AddressError::NoAccess(_) => Exit::NoPrivileges,
        AddressError::Unreadable { .. } | AddressError::NoFolder => Exit::SocketUnusable,
    }
}

const fn of_client(error: &ClientError) -> Exit {
    match error {
        ClientError::NoDaemon { .. } => Exit::NoDaemon,
        ClientError::NoAccess { .. } | ClientError::Refused { code: Code::Denied, .. } => Exit::NoPrivileges,
        ClientError::Refused { code: Code::NotFound, .. } => Exit::NotFound,
        ClientError::Stranger { .. } => Exit::SocketUnusable,
        ClientError::Refused { .. }
        | ClientError::Connection { .. }
        | ClientError::Protocol { .. }
        | ClientError::TooLarge(_) => Exit::DaemonFailed,
    }
}

const fn of_key(_: &KeyError) -> Exit {
    Exit::NoKey
}

const fn of_listener(error: &ListenerError) -> Exit {
    match error {
        ListenerError::Hidden { .. } => Exit::NoPrivileges,
        ListenerError::Unreadable(_) => Exit::Internal,
        ListenerError::UnknownHost { .. }
        | ListenerError::NotLocal { .. }
        | ListenerError::Nobody { .. }
        | ListenerError::Several { .. } => Exit::NotLocal,
    }
}

const fn of_launch(error: &LaunchError) -> Exit {
    match error {
        LaunchError::CannotExecute { .. } | LaunchError::EndedAtOnce { .. } | LaunchError::Caller { .. } => Exit::CannotStart,
        LaunchError::System { .. } => Exit::Internal,
    }
}

fn of_output(error: &OutputError) -> Exit {
    match error {
        // `profiler-daemon tasks | head`: the reader has seen enough.
        OutputError::Write { path: None, source } if source.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        OutputError::Open { .. } | OutputError::Planted { .. } | OutputError::Write { .. } => Exit::Output,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_failure_decides_and_then_the_first_error_with_a_code() {
        let error = anyhow::Error::new(TargetError::NoSuchProcess { pid: 7 }).context("cannot attach");
        assert_eq!(exit_of(&error), Exit::NoSuchProcess);
        let error = Err::<(), _>(error).context(Failure::new(Exit::TargetDied, "it is gone")).unwrap_err();
        assert_eq!(exit_of(&error), Exit::TargetDied);
        assert_eq!(exit_of(&anyhow::anyhow!("oops")), Exit::Internal);
    }

    #[test]
    fn a_chain_reads_as_one_line_and_says_nothing_twice() {
        let source = io::Error::from_raw_os_error(libc::EPERM);
        let path = "/run/x.sock".into();
        let error = anyhow::Error::new(ClientError::Connection { path, source });
        assert_eq!(sentence(&error), "the connection to /run/x.sock failed: Operation not permitted (os error 1)");
        let source = io::Error::from_raw_os_error(libc::E2BIG);
        let error = AttachError::Verifier { program: "poll", source, log: "0: R1=ctx()\n".to_owned() };
        assert_eq!(
            sentence(&anyhow::Error::new(error)),
            "the kernel refused program `poll`: Argument list too long (os error 7)"
        );
    }

    #[test]
    fn a_daemons_words_cannot_steer_the_terminal() {
        let message = "no request \u{1b}[2J".to_owned();
        let error = anyhow::Error::new(ClientError::Refused { code: Code::NotFound, message });
        assert_eq!(sentence(&error), "no request \\x1b[2J");
        assert_eq!(exit_of(&error), Exit::NotFound);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let write = |path| OutputError::Write { path, source: io::ErrorKind::BrokenPipe.into() };
        assert_eq!(of_output(&write(None)), Exit::Success);
        assert_eq!(of_output(&write(Some("/x".into()))), Exit::Output);
    }
}
