//! Lists that stay as they are, lists that change under the reader, and lists of a process that lies.

use super::*;
use crate::session::snapshot::fake::{Crowd, HANDLE, LIST, LISTS, VTABLE, link, put};

const ALL: usize = 1_000_000;

fn headers(owned: &Owned) -> Vec<u64> {
    owned.tasks.iter().map(|(header, _)| *header).collect()
}

fn found(crowd: &Crowd, known: &[u64], most: usize) -> Owned {
    owned_tasks(&crowd.fake, &Crowd::shapes(), &Crowd::owned_lists(), KnownTasks { headers: known, runtimes: &[] }, most, &|| {
        false
    })
}

/// Check that one task that is known leads to all of its runtime's.
#[test]
fn one_task_leads_to_all() {
    let crowd = Crowd::new(4, 50);
    let owned = found(&crowd, &[crowd.lists[2][17]], ALL);
    assert_eq!(headers(&owned), crowd.lists.concat());
    assert!(owned.tasks.iter().all(|(_, vtable)| *vtable == VTABLE));
    assert_eq!((owned.runtimes.len(), owned.lists_cut, owned.tasks_missing), (1, 0, 0));
    assert_eq!(found(&crowd, &[], ALL), Owned::default(), "no task, no runtime");
    assert_eq!(found(&Crowd::new(4, 0), &[0x100_0000], ALL), Owned::default(), "no such task");
}

/// Check that a task whose owner is another list than its scheduler's (or none) leads nowhere.
#[test]
fn a_task_of_another_owner_leads_nowhere() {
    let mut crowd = Crowd::new(1, 3);
    let known = crowd.lists[0][0];
    for owner in [0, 8] {
        crowd.fake.word(known + 24, owner);
        assert_eq!(found(&crowd, &[known], ALL).runtimes, []);
    }
}

/// Check that tasks which leave the list behind, before and at the reader's place leave the others found, each once.
#[test]
fn tasks_that_leave_take_no_other_with_them() {
    for gone_at in [3, 7, 8, 9, 10, 11, 15] {
        for gone in [0_usize, 2, 5, 6, 7, 8, 9, 19] {
            let mut crowd = Crowd::new(1, 20);
            let all = crowd.lists[0].clone();
            let left: Vec<u64> = all.iter().copied().enumerate().filter(|(nth, _)| *nth != gone).map(|(_, at)| at).collect();
            let (removed, after) = (all[gone], left.clone());
            crowd.fake.meanwhile(move |reads, memory| {
                if reads == 2 * gone_at {
                    link(memory, 0, &after);
                    put(memory, removed + 64, &[0; 16]);
                }
            });
            let known = all[usize::from(gone != 1)];
            let owned = found(&crowd, &[known], ALL);
            assert_eq!((owned.lists_cut, owned.tasks_missing), (0, 0), "{gone} at {gone_at}");
            let mut headers = headers(&owned);
            headers.retain(|header| *header != removed);
            assert_eq!(headers, left, "{gone} at {gone_at}");
        }
    }
}

/// Check that tasks which come in front while the list is read do not keep the others from being found.
#[test]
fn tasks_that_come_keep_nobody_out() {
    let mut crowd = Crowd::new(1, 30);
    let all = crowd.lists[0].clone();
    for new in 0..40 {
        crowd.task(0x800_0000 + new * 0x100, 1000 + new);
    }
    let before = all.clone();
    crowd.fake.meanwhile(move |reads, memory| {
        if reads % 3 == 0 {
            let come = (0..(reads as u64 / 3).min(40)).rev().map(|new| 0x800_0000 + new * 0x100);
            let now: Vec<u64> = come.chain(before.iter().copied()).collect();
            link(memory, 0, &now);
        }
    });
    let owned = found(&crowd, &[all[4]], ALL);
    assert_eq!(owned.lists_cut, 0);
    assert!(headers(&owned).ends_with(&all));
}

/// Check that a list that never holds still is given up, and that it is said how many are missing.
#[test]
fn a_list_without_rest_is_given_up() {
    let mut crowd = Crowd::new(1, 20);
    let all = crowd.lists[0].clone();
    let last = all[19];
    crowd.fake.meanwhile(move |reads, memory| put(memory, last + 64, &(reads as u64).to_le_bytes()));
    let owned = found(&crowd, &[all[0]], ALL);
    assert_eq!(owned.lists_cut, 1);
    assert_eq!(owned.tasks_missing, 20 - owned.tasks.len() as u64);
}

/// Check that circles, pointers to nowhere, foreign vtables and absurd numbers end, and yield nothing that is no task.
#[test]
fn a_hostile_runtime_is_no_trap() {
    let tasks = Crowd::new(2, 10).lists;
    let (first, middle) = (tasks[0][0], tasks[0][5]);
    let circle = |crowd: &mut Crowd| crowd.fake.word(middle + 72, first);
    let itself = |crowd: &mut Crowd| crowd.fake.word(middle + 72, middle);
    let nowhere = |crowd: &mut Crowd| crowd.fake.word(middle + 72, u64::MAX - 7);
    let foreign = |crowd: &mut Crowd| crowd.fake.word(middle + 16, 0x1234);
    let endless = |crowd: &mut Crowd| crowd.fake.word(HANDLE + 32, u64::MAX);
    let no_lists = |crowd: &mut Crowd| crowd.fake.word(HANDLE + 24, 8);
    let no_tail = |crowd: &mut Crowd| crowd.fake.word(LISTS + 16, 0);
    let cross = |crowd: &mut Crowd| crowd.fake.word(LISTS + LIST + 8, first);
    let all: [&dyn Fn(&mut Crowd); 8] = [&circle, &itself, &nowhere, &foreign, &endless, &no_lists, &no_tail, &cross];
    for (nth, spoil) in all.iter().enumerate() {
        let mut crowd = Crowd::new(2, 10);
        spoil(&mut crowd);
        let owned = found(&crowd, &[first, tasks[1][3]], ALL);
        assert!(owned.lists_cut > 0, "number {nth}: {owned:?}");
        let once: HashSet<u64> = headers(&owned).into_iter().collect();
        assert_eq!(once.len(), owned.tasks.len(), "number {nth}: a task twice");
        assert!(headers(&owned).iter().all(|header| tasks.concat().contains(header)), "number {nth}: no task");
    }
}

/// Check the bounds of number and time.
#[test]
fn number_and_time_are_bounded() {
    let crowd = Crowd::new(2, 100);
    let known = [crowd.lists[0][0]];
    let owned = found(&crowd, &known, 30);
    assert_eq!((owned.tasks.len(), owned.lists_cut, owned.tasks_missing), (30, 2, 170));
    let late = owned_tasks(
        &crowd.fake,
        &Crowd::shapes(),
        &Crowd::owned_lists(),
        KnownTasks { headers: &known, runtimes: &[] },
        ALL,
        &|| true,
    );
    assert_eq!((late.tasks.len(), late.lists_cut, late.tasks_missing), (0, 2, 200));
}

/// Check that a runtime is still found when the task that led to it has gone, and not when it has gone itself.
#[test]
fn runtimes_are_remembered() {
    let mut crowd = Crowd::new(1, 10);
    let runtimes = found(&crowd, &[crowd.lists[0][0]], ALL).runtimes;
    let again = |crowd: &Crowd| {
        let known = KnownTasks { headers: &[], runtimes: &runtimes };
        owned_tasks(&crowd.fake, &Crowd::shapes(), &Crowd::owned_lists(), known, ALL, &|| false)
    };
    assert_eq!(headers(&again(&crowd)), crowd.lists[0]);
    crowd.fake.word(HANDLE + 16, 99);
    assert_eq!(again(&crowd), Owned::default());
}
