//! Which file of a process is profiled: its program, or a shared object that it has mapped to run.
//!
//! A shared object is held open from the moment it was chosen, so that what is read, what the kernel is told to probe and what is mapped are one
//! file, whatever happens to its path.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::maps::Mapping;
use super::{Target, TargetError, mapped, program};
use crate::target::program::Program;

/// A shared object of a process.
#[derive(Debug)]
pub struct Object {
    path: PathBuf,
    device: (u32, u32),
    inode: u64,
    file: File,
    /// Other objects of the process that could have been chosen.
    beside: Vec<PathBuf>,
}

impl Object {
    /// The same, chosen among others.
    #[must_use]
    pub fn beside(self, others: Vec<PathBuf>) -> Self {
        Self { beside: others, ..self }
    }

    /// The whole file.
    fn read(&self) -> io::Result<Vec<u8>> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        program::read(file)
    }
}

impl Target {
    /// The shared objects that the process has mapped to run, in address order, each by its first mapping. Its program is none.
    pub fn objects(&self) -> Result<Vec<Mapping>, TargetError> {
        let mappings = self.mappings()?;
        let of_program: Vec<(u32, u32, u64)> =
            mappings.iter().filter(|mapping| mapping.is_of(&self.exe, self.exe_deleted)).map(identity).collect();
        let mut objects: Vec<Mapping> = Vec::new();
        for mapping in mappings {
            let known = |other: &Mapping| identity(other) == identity(&mapping);
            let is_code = mapping.executable && mapping.inode != 0 && mapping.name().starts_with(b"/");
            if is_code && !of_program.contains(&identity(&mapping)) && !objects.iter().any(known) {
                objects.push(mapping);
            }
        }
        Ok(objects)
    }

    /// Opens the very file behind a mapping of [`Self::objects`], and reads it.
    pub fn read_object(&self, mapping: &Mapping) -> Result<(Object, Program), TargetError> {
        let path = super::path_of(mapping.name());
        let unreadable = |source| TargetError::Unreadable { pid: self.pid, path: path.clone(), source };
        let file = mapped::open_mapped(self.pid, mapping).map_err(unreadable)?;
        let object = Object { path: path.clone(), device: mapping.device, inode: mapping.inode, file, beside: Vec::new() };
        let program = Program::parse(&path, object.read().map_err(unreadable)?)?;
        Ok((object, program))
    }

    /// Profiles that shared object instead of the program.
    pub fn profile(&mut self, object: Object) {
        self.object = Some(object);
    }

    /// Asks for the shared object of this path, instead of whichever has Tokio.
    #[must_use]
    pub fn with_object(self, path: Option<PathBuf>) -> Self {
        Self { wanted_object: path, ..self }
    }

    /// The shared object that was asked for.
    #[must_use]
    pub fn wanted_object(&self) -> Option<&Path> {
        self.wanted_object.as_deref()
    }

    /// Objects of the process that could have been profiled instead of the one that is.
    #[must_use]
    pub fn beside_object(&self) -> &[PathBuf] {
        self.object.as_ref().map_or(&[], |object| &object.beside)
    }

    /// What is profiled is a shared object.
    #[must_use]
    pub const fn is_object(&self) -> bool {
        self.object.is_some()
    }

    /// The path of what is profiled, for people to read.
    #[must_use]
    pub fn profiled(&self) -> &Path {
        self.object.as_ref().map_or(&self.exe, |object| &object.path)
    }

    /// The path by which the kernel, and whoever wants to read it, finds the very file that is profiled: valid in this process, and as long
    /// as this struct lives.
    #[must_use]
    pub fn profiled_file(&self) -> PathBuf {
        match &self.object {
            Some(object) => PathBuf::from(format!("/proc/self/fd/{}", object.file.as_raw_fd())),
            None => self.proc_path("exe"),
        }
    }

    /// Reads what is profiled.
    pub fn program(&self) -> Result<Program, TargetError> {
        let Some(object) = &self.object else { return self.exe_program() };
        let unreadable = |source| TargetError::Unreadable { pid: self.pid, path: object.path.clone(), source };
        Program::parse(&object.path, object.read().map_err(unreadable)?)
    }

    /// What is added to an address in the file of what is profiled to get the address in the process.
    pub fn load_bias(&self, program: &Program) -> Result<u64, TargetError> {
        let Some(object) = &self.object else { return self.exe_bias(program) };
        let mappings = self.mappings()?;
        let own = mappings.iter().filter(|mapping| (mapping.device, mapping.inode) == (object.device, object.inode));
        program::load_bias(program.segments(), own)
            .ok_or_else(|| TargetError::NotMapped { pid: self.pid, exe: object.path.clone() })
    }
}

/// What tells files apart.
const fn identity(mapping: &Mapping) -> (u32, u32, u64) {
    (mapping.device.0, mapping.device.1, mapping.inode)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    /// Check that a process's shared objects are told from its program, and that the bias of one is where its first page lies.
    #[test]
    fn a_shared_object_is_held_and_placed() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // It has come through its loader when it answers.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let mut target = Target::open(child.id()).unwrap();
        let objects = target.objects().unwrap();
        assert!(objects.iter().all(|mapping| mapping.name() != target.exe().as_os_str().as_encoded_bytes()));
        let libc = objects.iter().find(|mapping| mapping.name().windows(5).any(|name| name == b"libc."));
        let libc = libc.expect("cat has a C library").clone();
        let (object, _) = target.read_object(&libc).unwrap();
        assert!(!target.is_object() && target.profiled() == target.exe());
        target.profile(object);
        assert!(target.is_object() && target.profiled() == Path::new(std::str::from_utf8(libc.name()).unwrap()));
        let program = target.program().unwrap();
        let bias = target.load_bias(&program).unwrap();
        let first = target.mappings().unwrap().into_iter().find(|mapping| mapping.name() == libc.name()).unwrap();
        assert_eq!(bias, first.start - first.offset);
        assert_eq!(std::fs::read(target.profiled_file()).unwrap(), program.bytes());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
