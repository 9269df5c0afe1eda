//! The ring buffer's records, from bytes.

use std::mem::{offset_of, size_of};

use profiler_common::limits::STACK_FRAMES;
use profiler_common::record::{ChildRecord, RecordKind, RequestRecord, SampleRecord};
use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;

use super::Sample;

/// One record.
#[derive(Debug)]
pub(super) enum Record {
    /// A sampled stack.
    Sample(Sample),
    /// A finished request, by its scope sequence number.
    Request(u64, Box<ScopeRow>),
    /// A finished child.
    Child(Box<TaskRow>),
}

impl Record {
    /// Reads a record. `None` for one that is cut short or of a kind that we do not know.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
        if kind == RecordKind::Sample as u32 {
            let record: SampleRecord = read(bytes)?;
            let frames = (record.frames as usize).min(STACK_FRAMES);
            return Some(Self::Sample(Sample {
                time_ns: record.time_ns,
                tid: record.tid,
                task_type: (record.task_type != u32::MAX).then_some(record.task_type),
                task_id: record.task_id,
                requests: record.requests,
                stack: record.stack.get(..frames)?.into(),
            }));
        }
        if kind == RecordKind::Request as u32 {
            let record: RequestRecord = read(bytes)?;
            return Some(Self::Request(record.scope, Box::new(record.row)));
        }
        if kind == RecordKind::Child as u32 {
            let record: ChildRecord = read(bytes)?;
            return Some(Self::Child(Box::new(record.row)));
        }
        None
    }
}

/// Copies a record out of the ring buffer.
fn read<T: aya::Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: enough bytes, read unaligned, and any bytes are a value of a `Pod`.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

const _: () = {
    assert!(offset_of!(SampleRecord, kind) == 0);
    assert!(offset_of!(RequestRecord, kind) == 0);
    assert!(offset_of!(ChildRecord, kind) == 0);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that short, unknown and overlong records are told apart without a panic.
    #[test]
    fn hostile_records() {
        assert!(Record::parse(&[]).is_none());
        assert!(Record::parse(&[9, 0, 0, 0, 1, 2, 3]).is_none());
        assert!(Record::parse(&1_u32.to_ne_bytes()).is_none());
        let mut bytes = vec![0xff; size_of::<SampleRecord>()];
        bytes[..4].copy_from_slice(&(RecordKind::Sample as u32).to_ne_bytes());
        let Some(Record::Sample(sample)) = Record::parse(&bytes) else { panic!("a whole sample") };
        assert_eq!(sample.stack.len(), STACK_FRAMES);
        assert_eq!(sample.task_type, None);
    }
}
