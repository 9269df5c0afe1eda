//! The system's curl: found before anything is attached, run with the user's words and ours.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use profiler_daemon::cli::{
    Exit,
    curl::{Body, Curl},
    value::RequestId,
};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::process::{Child, Command};

use crate::failure::Failure;

/// What curl prints when it is done (curl(1), `--write-out`).
const WRITTEN: &str = "%{stderr}answer: status %{http_code} by HTTP/%{http_version}, %{size_download} bytes; connected after \
                       %{time_connect} s, first byte after %{time_starttransfer} s, all after %{time_total} s\\n";

/// The program.
pub(super) struct CurlProgram(PathBuf);

impl CurlProgram {
    /// Looks for it in PATH.
    pub(super) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        find_in(&path)
            .map(Self)
            .ok_or_else(|| Failure::new(Exit::NoCurl, "there is no program `curl` in PATH: install it").into())
    }

    /// Starts it, with one more header or two.
    pub(super) fn send(&self, order: &Curl, id: &RequestId, token: Option<&str>) -> Result<Sent> {
        let token = token.filter(|_| !order.has_token);
        let mut headers = String::new();
        if order.id.is_none() {
            headers.extend(["x-request-id: ", &id.to_string(), "\n"]);
        }
        if let Some(token) = token {
            headers.extend(["x-profile: ", token, "\n"]);
        }
        let headers = private_file(&headers).context("cannot hand headers to curl (memfd_create)")?;
        let mut command = Command::new(&self.0);
        command.args(words(order, &format!("@/proc/self/fd/{}", headers.as_raw_fd())));
        command.stdout(body(&order.body)?).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot run {}", self.0.display()))?;
        Ok(Sent { child, ended: None })
    }
}

/// A file that only curl gets, and nobody sees: an argument would stand in `ps` for all to read. It is inherited, so it is not closed on
/// exec; nothing else is started meanwhile.
fn private_file(text: &str) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("headers", MemfdFlags::empty())?);
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// curl's words: the user's come last and so win, but for `-q`, which counts only where it comes first.
fn words(order: &Curl, headers: &str) -> Vec<OsString> {
    let (quiet, rest) = match order.words.split_first() {
        Some((first, rest)) if first == "-q" || first == "--disable" => (Some(first), rest),
        _ => (None, &*order.words),
    };
    let mut words: Vec<OsString> = quiet.into_iter().cloned().collect();
    // One URL is one request, whatever brackets it has.
    words.extend(["--globoff", "-sS", "-H", headers].map(OsString::from));
    if !order.writes_out {
        words.extend(["-w", WRITTEN].map(OsString::from));
    }
    words.extend_from_slice(rest);
    words
}

fn body(body: &Body) -> Result<Stdio> {
    Ok(match body {
        Body::Dropped => Stdio::null(),
        Body::To(output) => output.open()?.into_file()?.map_or_else(Stdio::inherit, Stdio::from),
    })
}

fn find_in(path: &OsStr) -> Option<PathBuf> {
    let is_program = |file: &Path| file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    std::env::split_paths(path).map(|folder| folder.join("curl")).find(|file| is_program(file))
}

/// A request under way.
pub(super) struct Sent {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Sent {
    /// Waits for curl's end; whether it got an answer, as far as curl can tell.
    pub(super) async fn answered(&mut self) -> bool {
        // A curl that cannot be waited for has sent nothing that we know of; the end says so.
        self.ended = self.child.wait().await.ok();
        self.ended.is_some_and(|status| status.success())
    }

    /// How curl ended. It has `patience` to do so.
    pub(super) async fn end(mut self, patience: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        if let Ok(status) = tokio::time::timeout(patience, self.child.wait()).await {
            return status.context("cannot wait for curl's end");
        }
        self.child.kill().await.context("cannot end curl")?;
        self.child.wait().await.context("cannot wait for curl's end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_run_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (plain, folders, real) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        for folder in [&plain, &folders.join("curl"), &real] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(plain.join("curl"), "").unwrap();
        let path = std::env::join_paths([&plain, &folders, &real]).unwrap();
        assert_eq!(find_in(&path), None);
        assert_eq!(find_in(OsStr::new("")), None);
        std::fs::write(real.join("curl"), "").unwrap();
        std::fs::set_permissions(real.join("curl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(&path), Some(real.join("curl")));
    }
}
