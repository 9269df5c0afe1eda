//! The user who called sudo: the profiler needs root, the service it starts does not.

use std::ffi::CString;
use std::io;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getgrouplist, setgid, setgroups, setuid};

use super::LaunchError;

/// The user who called sudo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    uid: u32,
    gid: u32,
    groups: Vec<Gid>,
    /// Name and home, where the system knows the user.
    account: Option<(String, std::path::PathBuf)>,
}

/// What is needed between fork and exec, where nothing may be looked up.
#[derive(Debug)]
pub(super) struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Caller {
    /// Who called sudo, by the variables that it sets; `None` where nobody did, or root did.
    pub fn of_sudo() -> Result<Option<Self>, LaunchError> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        let number = |name| std::env::var(name).ok()?.parse().ok();
        match (number("SUDO_UID"), number("SUDO_GID")) {
            (Some(uid), Some(gid)) if uid != 0 => Self::known(uid, gid).map(Some),
            _ => Ok(None),
        }
    }

    fn known(uid: u32, gid: u32) -> Result<Self, LaunchError> {
        let failed = |errno: nix::Error| LaunchError::Caller { uid, source: errno.into() };
        let Some(user) = User::from_uid(Uid::from_raw(uid)).map_err(failed)? else {
            return Ok(Self { uid, gid, groups: vec![Gid::from_raw(gid)], account: None });
        };
        let name = CString::new(user.name.clone()).map_err(|error| LaunchError::Caller { uid, source: error.into() })?;
        let groups = getgrouplist(&name, Gid::from_raw(gid)).map_err(failed)?;
        Ok(Self { uid, gid, groups, account: Some((user.name, user.dir)) })
    }

    /// The user's name, or number.
    #[must_use]
    pub fn name(&self) -> String {
        self.account.as_ref().map_or_else(|| format!("user {}", self.uid), |(name, _)| name.clone())
    }

    /// Gives `command` the user's own surroundings, where sudo has put root's.
    pub(super) fn prepare(&self, command: &mut Command) -> Identity {
        if let Some((name, home)) = &self.account {
            command.env("HOME", home).env("USER", name).env("LOGNAME", name);
        }
        Identity { uid: Uid::from_raw(self.uid), gid: Gid::from_raw(self.gid), groups: self.groups.clone() }
    }
}

impl Identity {
    /// Makes this process the user's. Groups first: without root they cannot be changed.
    pub(super) fn assume(&self) -> io::Result<()> {
        setgroups(&self.groups)?;
        setgid(self.gid)?;
        Ok(setuid(self.uid)?)
    }
}
