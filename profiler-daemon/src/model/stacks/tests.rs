//! Every stack has its time, and times add up.

use super::*;
use crate::model::capture::{OffCpu, Sample, Stack};
use crate::model::fixture::Names;
use profiler_common::unwind::End;
use proptest::prelude::*;

fn shown(group: &Merged, ns: u64, leaves: bool) -> Vec<(String, u64, u64)> {
    let mut frames = Frames::default();
    let resolved = Resolved::of(group.addresses(), &mut Names, &mut frames);
    weigh(group, ns, leaves, (&resolved, None), &mut frames)
        .into_iter()
        .map(|stack| {
            let names = stack.stack.iter().map(|&id| frames.name(id).unwrap().text.as_str());
            (names.collect::<Vec<_>>().join(";"), stack.count, stack.ns)
        })
        .collect()
}

fn weighed(samples: &[Sample], running_ns: u64) -> Vec<(String, u64, u64)> {
    shown(&Merged::samples(samples, None), running_ns, false)
}

fn sample(stack: &[u64], truncated: bool) -> Sample {
    let end = if truncated { End::Unreadable } else { End::Poll };
    Sample { stack: Stack { frames: stack.to_vec(), end, ..Stack::default() }, ..Sample::default() }
}

#[test]
fn return_addresses_belong_to_the_call_before_them() {
    // 0x2000 as a return address is the end of the function before; as the leaf it is `orders::handle`.
    assert_eq!(weighed(&[sample(&[0x2000, 0x2001], false)], 5), [("orders::handle;orders::handle".to_owned(), 1, 5)]);
    assert_eq!(weighed(&[sample(&[0x2000, 0x2000], false)], 5), [("[unknown 0x1fff];orders::handle".to_owned(), 1, 5)]);
}

#[test]
fn inlined_functions_stand_outermost_first() {
    assert_eq!(weighed(&[sample(&[0x4000], false)], 5), [("orders::price;orders::tax".to_owned(), 1, 5)]);
}

#[test]
fn what_was_not_seen_is_shown_as_such() {
    assert_eq!(weighed(&[], 7), [("[running, no sample]".to_owned(), 0, 7)]);
    assert_eq!(weighed(&[sample(&[0x1000], false)], 0), []);
    assert_eq!(
        weighed(&[sample(&[], false), sample(&[0x1000], true)], 8),
        [("[no stack]".to_owned(), 1, 4), ("[truncated];orders::load".to_owned(), 1, 4)]
    );
}

/// Two rates of the clock: a sample weighs what it stands for, and not one.
#[test]
fn samples_weigh_what_they_stand_for() {
    let every = |period_ns, stack: &[u64]| Sample { period_ns, ..sample(stack, false) };
    let samples = [every(1_000, &[0x1000]), every(250, &[0x2000]), every(250, &[0x2000])];
    assert_eq!(
        shown(&Merged::samples(&samples, None), 3_000, true),
        [("orders::load;[running]".to_owned(), 1, 2_000), ("orders::handle;[running]".to_owned(), 2, 1_000)]
    );
}

fn off(blocked_ns: u64, preempted_ns: u64, syscall: Option<u32>) -> OffCpu {
    OffCpu { blocked_ns, preempted_ns, syscall, stack: sample(&[0x1000], false).stack, ..OffCpu::default() }
}

#[test]
fn stretches_are_drawn_as_long_as_they_were_and_what_is_missing_is_said() {
    let sleep = u32::try_from(libc::SYS_clock_nanosleep).unwrap();
    let stretches = [off(40, 5, Some(sleep)), off(20, 0, Some(sleep)), off(7, 0, None)];
    let blocked = Merged::off_cpu(&stretches, State::Blocked, None);
    let drawn = |in_sleep, unknown| {
        vec![
            ("orders::load;[blocked in clock_nanosleep]".to_owned(), 2, in_sleep),
            ("orders::load;[blocked]".to_owned(), 1, unknown),
        ]
    };
    let sorted = |mut drawn: Vec<(String, u64, u64)>| {
        drawn.sort_by_key(|(_, _, ns)| std::cmp::Reverse(*ns));
        drawn
    };
    assert_eq!(sorted(shown(&blocked, 67, true)), drawn(60, 7));
    let with_rest = shown(&blocked, 70, true);
    assert_eq!(with_rest.last(), Some(&("[blocked, no stack]".to_owned(), 0, 3)));
    assert_eq!(sorted(with_rest)[..2], drawn(60, 7));
    // More than the row's own time: cut, not dropped.
    assert_eq!(sorted(shown(&blocked, 33, true)), drawn(30, 3));
    let preempted = Merged::off_cpu(&stretches, State::Preempted, None);
    assert_eq!(shown(&preempted, 5, true), [("orders::load;[preempted]".to_owned(), 1, 5)]);
}

#[test]
fn the_largest_remainders_get_what_is_left() {
    assert_eq!(split_exactly(10, &[1, 1, 1]), [4, 3, 3]);
    assert_eq!(split_exactly(100, &[999, 1, 0]), [100, 0, 0]);
    assert_eq!(split_exactly(7, &[0, 0]), [0, 0]);
    assert_eq!(split_exactly(u64::MAX, &[u64::MAX, u64::MAX]), [u64::MAX / 2 + 1, u64::MAX / 2]);
}

proptest! {
    #[test]
    fn shares_add_up_and_are_fair(total in any::<u64>(), counts in prop::collection::vec(any::<u64>(), 1..20)) {
        let shares = split_exactly(total, &counts);
        let sum: u128 = counts.iter().map(|&count| u128::from(count)).sum();
        prop_assume!(sum > 0);
        prop_assert_eq!(shares.iter().map(|&share| u128::from(share)).sum::<u128>(), u128::from(total));
        for (&share, &count) in shares.iter().zip(&counts) {
            let fair = u128::from(total) * u128::from(count) / sum;
            prop_assert!(u128::from(share) == fair || u128::from(share) == fair + 1);
        }
    }

    /// Whatever the stretches, the drawn time is the row's, and no stretch is drawn longer than it was.
    #[test]
    fn stretches_add_up_exactly(total in 0_u64..1_000, stretches in prop::collection::vec((0_u64..200, 0_u64..3), 0..8)) {
        let stretches: Vec<OffCpu> = stretches.iter()
            .map(|&(ns, call)| off(ns, 0, u32::try_from(call).ok().filter(|&call| call > 0))).collect();
        let drawn = shown(&Merged::off_cpu(&stretches, State::Blocked, None), total, true);
        prop_assert_eq!(drawn.iter().map(|(_, _, ns)| ns).sum::<u64>(), total);
        let lasted: u64 = stretches.iter().map(|off| off.blocked_ns).sum();
        let named: u64 = drawn.iter().filter(|(_, count, _)| *count > 0).map(|(_, _, ns)| ns).sum();
        prop_assert_eq!(named, lasted.min(total));
    }
}
