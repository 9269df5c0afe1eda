//! The uprobe programs, loaded by ourselves: aya 0.14 cannot load a program for uprobe-multi links, nor give a perf event's uprobe a
//! semaphore.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use aya::Ebpf;
use aya::maps::Map;
use aya_obj::Object;
use aya_obj::btf::BtfFeatures;

use super::sys::{FunctionTypes, UprobeProgram};
use super::{AttachError, sys};

/// A parsed object whose instructions point to the maps that are already there.
pub(super) struct Programs {
    object: Object,
    license: CString,
    /// The object's type information, in the kernel: bodies of loops (`bpf_loop`) are refused without.
    types: OwnedFd,
}

impl Programs {
    /// Parses `object` and ties it to the maps of `ebpf`, which was loaded from the same bytes.
    pub(super) fn parse(object: &[u8], ebpf: &Ebpf) -> Result<Self, AttachError> {
        let mut object = Object::parse(object).map_err(|error| AttachError::Parse(error.to_string()))?;
        // Every kernel from 6.1 on knows all kinds of types.
        let known = BtfFeatures::new(true, true, true, true, true, true, true, true);
        let types = object.fixup_and_sanitize_btf(&known).map_err(|error| AttachError::Parse(error.to_string()))?;
        let types = types.ok_or_else(|| AttachError::Parse("it has no type information".to_owned()))?.to_bytes();
        let types = sys::load_types(&types).map_err(AttachError::ObjectTypes)?;
        let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        let parsed: Vec<(String, aya_obj::Map)> = object.maps.drain().collect();
        let mut maps: Vec<(&str, RawFd, &aya_obj::Map)> = Vec::with_capacity(parsed.len());
        for (name, map) in &parsed {
            let fd = ebpf.map(name).and_then(map_fd);
            let fd = fd.ok_or_else(|| AttachError::Parse(format!("map `{name}` was not made")))?;
            maps.push((name, fd.as_raw_fd(), map));
        }
        let failed = |error: &dyn std::fmt::Display| AttachError::Parse(error.to_string());
        object.relocate_maps(maps.into_iter(), &text).map_err(|error| failed(&error))?;
        object.relocate_calls(&text).map_err(|error| failed(&error))?;
        let license = object.license.clone();
        Ok(Self { object, license, types })
    }

    /// How many instructions a program has, with those of the functions that it calls; 0 where there is none of that name.
    pub(super) fn instructions(&self, name: &str) -> usize {
        let program = self.object.programs.get(name);
        program.and_then(|program| self.object.functions.get(&program.function_key())).map_or(0, |it| it.instructions.len())
    }

    /// Loads one program for links of `attach_type`.
    pub(super) fn load(&self, name: &'static str, attach_type: u32) -> Result<OwnedFd, AttachError> {
        let program = self.object.programs.get(name).ok_or(AttachError::NoProgram { program: name })?;
        let function = self.object.functions.get(&program.function_key()).ok_or(AttachError::NoProgram { program: name })?;
        let short = CString::new(name).unwrap_or_default();
        let functions = FunctionTypes {
            types: self.types.as_fd(),
            bytes: &function.func_info.func_info_bytes(),
            size: function.func_info_rec_size,
        };
        let program = UprobeProgram {
            name: short.as_c_str(),
            license: self.license.as_c_str(),
            instructions: &function.instructions,
            functions: Some(functions),
            attach_type,
        };
        sys::load_uprobe_program(&program).map_err(|(source, log)| AttachError::Verifier { program: name, source, log })
    }
}

/// The map's file descriptor, for the kinds of map that our object has.
pub(super) fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data)
        | Map::PerfEventArray(data)
        | Map::LruHashMap(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}
