//! The ring buffer's records, from bytes.

use std::mem::{offset_of, size_of};

use profiler_common::limits::STACK_FRAMES;
use profiler_common::record::{
    AwaitRecord, BackRecord, BeginRecord, ChildRecord, NO_SYSCALL, PollRecord, RecordKind, RequestRecord, STACK_RECORD_HEAD,
    SpawnedRecord, StackRecord, WakeRecord,
};
use profiler_common::scope::ScopeRow;
use profiler_common::task::TaskRow;
use profiler_common::unwind::End;

use super::{Sample, Stack};

/// One record.
#[derive(Debug)]
pub(super) enum Record {
    /// A sampled stack.
    Sample(Sample),
    /// A finished request, by its scope sequence number.
    Request(u64, Box<ScopeRow>),
    /// A finished child.
    Child(Box<TaskRow>),
    /// A thread leaves its CPU inside a poll; in a system call or not.
    Off(Stack, Option<u32>),
    /// It has one again.
    Back(BackRecord),
    /// A poll has ended.
    Poll(PollRecord),
    /// A wake.
    Wake(WakeRecord),
    /// A wanted request has begun.
    Begin(BeginRecord),
    /// A wait has ended.
    Await(AwaitRecord),
    /// A child has a name.
    Spawned(SpawnedRecord),
}

impl Record {
    /// Reads a record. `None` for one that is cut short or of a kind that we do not know.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
        let is = |known: RecordKind| kind == known as u32;
        if is(RecordKind::Sample) {
            let (stack, period_ns) = stack(bytes)?;
            return Some(Self::Sample(Sample { stack, period_ns }));
        }
        if is(RecordKind::Off) {
            let (stack, syscall) = stack(bytes)?;
            let syscall = (syscall != NO_SYSCALL).then_some(syscall);
            return Some(Self::Off(stack, syscall.and_then(|number| u32::try_from(number).ok())));
        }
        if is(RecordKind::Request) {
            let record: RequestRecord = read(bytes)?;
            return Some(Self::Request(record.scope, Box::new(record.row)));
        }
        if is(RecordKind::Child) {
            let record: ChildRecord = read(bytes)?;
            return Some(Self::Child(Box::new(record.row)));
        }
        match kind {
            _ if is(RecordKind::Back) => read(bytes).map(Self::Back),
            _ if is(RecordKind::Poll) => read(bytes).map(Self::Poll),
            _ if is(RecordKind::Wake) => read(bytes).map(Self::Wake),
            _ if is(RecordKind::Begin) => read(bytes).map(Self::Begin),
            _ if is(RecordKind::Await) => read(bytes).map(Self::Await),
            _ if is(RecordKind::Spawned) => read(bytes).map(Self::Spawned),
            _ => None,
        }
    }
}

/// A stack and its detail. The record is as long as its frames.
fn stack(bytes: &[u8]) -> Option<(Stack, u64)> {
    let (head, words) = bytes.split_at_checked(STACK_RECORD_HEAD)?;
    // Read as a whole record with an empty stack: the head is the same.
    let mut whole = [0; size_of::<StackRecord>()];
    whole.get_mut(..STACK_RECORD_HEAD)?.copy_from_slice(head);
    let record: StackRecord = read(&whole)?;
    let frames = (record.frames as usize).min(STACK_FRAMES);
    let words = words.get(..frames.checked_mul(8)?)?;
    let stack = Stack {
        time_ns: record.time_ns,
        tid: record.tid,
        task_type: (record.task_type != u32::MAX).then_some(record.task_type),
        task_id: record.task_id,
        requests: record.requests,
        poll_start_ns: record.poll_start_ns,
        frames: words.chunks_exact(8).filter_map(|word| Some(u64::from_ne_bytes(word.try_into().ok()?))).collect(),
        // A number that we do not know is no whole stack.
        end: End::from_number(record.end).unwrap_or(End::Unsupported),
    };
    Some((stack, record.detail))
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
    assert!(offset_of!(StackRecord, kind) == 0);
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
        let mut bytes = vec![0xff; size_of::<StackRecord>()];
        bytes[..4].copy_from_slice(&(RecordKind::Sample as u32).to_ne_bytes());
        let Some(Record::Sample(sample)) = Record::parse(&bytes) else { panic!("a whole sample") };
        assert_eq!(sample.stack.frames.len(), STACK_FRAMES);
        assert_eq!((sample.stack.task_type, sample.stack.end), (None, End::Unsupported));
        // It says more frames than there are bytes.
        bytes.truncate(STACK_RECORD_HEAD + 16);
        assert!(Record::parse(&bytes).is_none());
        bytes[offset_of!(StackRecord, frames)..][..4].copy_from_slice(&2_u32.to_ne_bytes());
        let Some(Record::Sample(sample)) = Record::parse(&bytes) else { panic!("a short sample") };
        assert_eq!(sample.stack.frames.len(), 2);
    }
}
