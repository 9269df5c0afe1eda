//! What an attach needs of this machine and not of the target: the kernel's types, read for their offsets and for the loaders of programs, and the object.
//! It takes some 40 ms, and can be had while the target's program is being read.

use std::borrow::Cow;

use aya::{Btf, EbpfLoader};

use super::kernel_types::TaskOffsets;
use super::{AttachError, Attached, Order, check_pid_namespace, object};

/// See the module.
pub struct Ground {
    pub(super) object: Cow<'static, [u8]>,
    pub(super) offsets: TaskOffsets,
    /// It has read the kernel's types by itself, and gives them to nobody.
    pub(super) loader: EbpfLoader<'static>,
    pub(super) types: Btf,
}

impl Ground {
    /// Reads it.
    pub fn read() -> Result<Self, AttachError> {
        check_pid_namespace()?;
        Ok(Self {
            object: object::bytes()?,
            offsets: TaskOffsets::of_running_kernel()?,
            loader: EbpfLoader::new(),
            types: Btf::from_sys_fs().map_err(AttachError::KernelTypes)?,
        })
    }

    /// Loads and attaches everything, with the gate still shut.
    pub fn attach(self, order: &Order<'_>) -> Result<Attached, AttachError> {
        Attached::on(self, order)
    }
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("offsets", &self.offsets).finish_non_exhaustive()
    }
}
