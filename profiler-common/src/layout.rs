//! The layouts of what both sides share, as data: the object check compares them with the object's own type information, because the
//! two sides are built by different compilers.

use core::mem::{offset_of, size_of};

/// One shared structure.
#[derive(Clone, Copy, Debug)]
pub struct StructLayout {
    /// Its name.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: usize,
    /// Its fields with their offsets in bytes.
    pub fields: &'static [(&'static str, usize)],
}

macro_rules! layouts {
    ($($path:path { $($field:ident),* $(,)? })*) => {
        /// Every structure that a map or the ring buffer holds.
        pub const ALL: &[StructLayout] = &[$({
            use $path as S;
            StructLayout {
                name: last_segment(stringify!($path)),
                size: size_of::<S>(),
                fields: &[$((stringify!($field), offset_of!(S, $field))),*],
            }
        }),*];
    };
}

layouts! {
    crate::clock::OffCpu { preempted_ns, blocked_ns, stopped_ns }
    crate::states::States {
        running_ns, preempted_ns, blocked_ns, scheduled_ns, suspended_ns, stopped_ns, unseen_ns,
    }
    crate::frame::Frame { kind, generation, key, sp, request, task, ready_ns, start_ns }
    crate::frame::FrameStack { depth, padding, frames }
    crate::thread::ThreadRow { sequence, off_reason, off_since_ns, woken_ns, switched_ns, cpu_ns, recorded_ns, outside, timed, ids_seen, off, walks, frames }
    crate::thread::ThreadPlaces { tids }
    crate::task::TaskRow {
        sequence, flags, id, vtable, task_type, tid, request, first_ns, last_ns, first_wake_ns, off_at_start, states, polls, wakes,
        wakes_unseen, yields, longest_poll_ns, generation, await_root, awaiting, last_stack, keyed,
        key_hash, spawner, parent, id_offset, padding, basis,
    }
    crate::scope::ScopeRow {
        sequence, flags, id_len, task_type, id, task, task_id, trace_id, tid, await_root, first_ns, last_ns, first_wake_ns, off_at_enter, states,
        polls, wakes, wakes_unseen, longest_poll_ns, future, awaiting, ids_given,
    }
    crate::scope::ScopeSlot { scope, by_hash, row }
    crate::totals::TypeTotals {
        count, states, polls, wakes, wakes_unseen, yields, spawns_unseen, longest_poll_ns,
    }
    crate::site::TypeRow { task_type, id_offset, await_root, padding }
    crate::hits::SiteHits { accepted, refused }
    crate::gate::Gate { open_ns, close_ns, all_requests, sample_all, poll_record_ns, wake_all, regions, awaits, await_layouts, sample_period_ns, requests_only, chosen_there, times_offset, tell, sample_only, task_id_offset, task_tag_offset, task_ids }
    crate::record::StackRecord {
        kind, tid, time_ns, task, task_id, task_type, frames, requests, poll_start_ns, detail, end, reason, stack,
    }
    crate::record::BackRecord { kind, tid, since_ns, off }
    crate::record::PollRecord { kind, tid, task, task_id, task_type, what, request, ready_ns, start_ns, end_ns, off }
    crate::record::WakeRecord { kind, tid, time_ns, task, task_id, task_type, padding, by_task, by_task_id }
    crate::record::BeginRecord { kind, tid, scope, time_ns }
    crate::record::SpawnedRecord { kind, task_type, child, task_id }
    crate::record::AwaitRecord { kind, what, request, task_id, task_type, padding, awaiting, gap }
    crate::awaits::Awaiting { stack, task }
    crate::awaits::Basis { count, kept, places, values }
    crate::awaits::RequestKey {
        local, tag, tag_offset, tag_width, some_is_tag, kind, offset, length, skip, width,
    }
    crate::awaits::Gap { start_ns, suspended_ns, scheduled_ns }
    crate::awaits::Node { kind, width, flags, offset, first, count, aux, padding, base }
    crate::awaits::Edge { offset, node }
    crate::awaits::AwaitStack { len, end, words }
    crate::awaits::AwaitKey { stack, task_type, padding }
    crate::awaits::AwaitSum { count, suspended_ns, scheduled_ns, longest_ns }
    crate::awaits::AwaitWalks { walks, unchanged, steps, words, walk_ns, ends }
    crate::unwind::Walks { walks, frames, walk_ns, ends }
    crate::unwind::Rule { cfa, rbp, padding, offset, addend, rbp_offset }
    crate::unwind::Region { base, kind, chunk, first, rows }
    crate::unwind::RegionTable { starts, regions }
    crate::unwind::Chunk { pcs, rules }
    crate::foreign::ForeignSlot { kind, access, offset, module, vector, entry_bytes, padding }
    crate::foreign::ForeignSlots { count, key_index, keys_known, label_len, label, slots }
    crate::foreign::ForeignLook { kind, flags, at, left, value_at, value_len, trace, span, id, id_len, steps }
    crate::foreign::ForeignRecord { kind, tid, time_ns, number, what, id_len, id, trace_id, span_id }
    crate::outside::OutsideSum { stretches, off }
    crate::times::KeptTimes {
        magic, scope, around, flags, first_ns, last_ns, in_poll_ns, scheduled_ns, suspended_ns, polls, wakes, wakes_unseen,
        longest_poll_ns, first_wake_ns, reserved,
    }
    crate::record::RequestRecord { kind, padding, scope, row }
    crate::record::ChildRecord { kind, padding, header, row }
}

/// `crate::clock::OffCpu` to `OffCpu`, which is what the object's type information calls it.
const fn last_segment(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = bytes.len();
    while start > 0 && bytes[start - 1] != b':' && bytes[start - 1] != b' ' {
        start -= 1;
    }
    path.split_at(start).1
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// Check that names are what type information says, and that no structure has padding that is not a field.
    #[test]
    fn names_and_sizes() {
        assert!(ALL.iter().any(|layout| layout.name == "TaskRow"), "{:?}", ALL[0].name);
        for layout in ALL {
            assert_eq!(layout.size % 8, 0, "{}", layout.name);
        }
    }
}
