//! From notes of awaits to the truth: which things were awaited at each moment.
//!
//! A note is of one await: when it began and ended, and inside which other await it stood. At each moment the open notes form a tree, since
//! a future can await several others at once; its leaves are what is waited for.

use std::collections::BTreeSet;

use crate::truth::{Branch, Place, Wait};

/// One await.
#[derive(Clone, Debug, Default)]
pub struct Note {
    /// The place of the note that it stands inside of. `None`: a task.
    pub parent: Option<usize>,
    /// Of a task: the place of the task that spawned it, where that is one of ours.
    pub spawned_by: Option<usize>,
    /// What it awaits, where nothing else inside of it is noted.
    pub label: Option<&'static str>,
    /// When it was awaited: more than once where a future is not awaited to its end.
    pub stretches: Vec<Stretch>,
}

/// A time in which something was awaited.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// When it began.
    pub start: u64,
    /// When it ended. `None`: it goes on, or was dropped with what is around it.
    pub end: Option<u64>,
    /// Where the `.await` is written. `None`: a task.
    pub place: Option<Place>,
}

/// Where the task of the note `root` waited, up to `now`.
#[must_use]
pub fn waits(notes: &[Note], root: usize, now: u64) -> Vec<Wait> {
    let inside: Vec<usize> = (0..notes.len()).filter(|note| task_of(notes, *note) == Some(root)).collect();
    let mut moments: BTreeSet<u64> = BTreeSet::from([now]);
    for stretch in inside.iter().filter_map(|note| notes.get(*note)).flat_map(|note| &note.stretches) {
        moments.insert(stretch.start);
        moments.extend(stretch.end);
    }
    let moments: Vec<u64> = moments.into_iter().filter(|moment| *moment <= now).collect();
    let mut waits: Vec<Wait> = Vec::new();
    let mut before: Vec<Branch> = Vec::new();
    for pair in moments.windows(2) {
        let &[from, to] = pair else { continue };
        let branches = awaited(notes, &inside, from, to);
        if !branches.is_empty() {
            let is_new = u64::from(branches != before);
            match waits.iter_mut().find(|wait| wait.branches == branches) {
                Some(wait) => {
                    wait.total_ns += to - from;
                    wait.count += is_new;
                }
                None => waits.push(Wait { branches: branches.clone(), total_ns: to - from, count: 1 }),
            }
        }
        before = branches;
    }
    waits
}

/// What the task of the note `root` waits for since the last thing that was noted.
#[must_use]
pub fn pending(notes: &[Note], root: usize, now: u64) -> Vec<Branch> {
    let inside: Vec<usize> = (0..notes.len()).filter(|note| task_of(notes, *note) == Some(root)).collect();
    awaited(notes, &inside, now, now)
}

/// What was awaited from one moment to another, between which nothing was noted.
fn awaited(notes: &[Note], inside: &[usize], from: u64, to: u64) -> Vec<Branch> {
    let open: Vec<usize> = inside.iter().copied().filter(|note| is_open(notes, *note, from, to)).collect();
    let mut branches: Vec<Branch> = open
        .iter()
        .filter(|note| !open.iter().any(|other| other != *note && ancestors(notes, *other).any(|above| above == **note)))
        .filter_map(|note| {
            let label = notes.get(*note)?.label?.to_owned();
            let stretches = ancestors(notes, *note).filter_map(|above| notes.get(above)?.during(from, to));
            let mut chain: Vec<Place> = stretches.filter_map(|stretch| stretch.place.clone()).collect();
            chain.reverse();
            Some(Branch { chain, label })
        })
        .collect();
    branches.sort();
    branches.dedup();
    branches
}

/// Whether a note and all those around it, up to its task, are open all the time.
fn is_open(notes: &[Note], note: usize, from: u64, to: u64) -> bool {
    let around = ancestors(notes, note).filter_map(|above| notes.get(above)).filter(|above| above.parent.is_some());
    { around }.all(|above| above.during(from, to).is_some())
}

impl Note {
    /// The stretch that holds all of this time.
    fn during(&self, from: u64, to: u64) -> Option<&Stretch> {
        self.stretches.iter().find(|stretch| stretch.start <= from && stretch.end.is_none_or(|end| end >= to && end > from))
    }
}

/// A note and those around it, innermost first, up to its task.
fn ancestors(notes: &[Note], note: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(note), |note| notes.get(*note)?.parent)
}

/// The note of the task that a note is in.
fn task_of(notes: &[Note], note: usize) -> Option<usize> {
    ancestors(notes, note).last()
}

#[cfg(test)]
mod tests {
    use super::{Note, Stretch, pending, waits};
    use crate::truth::Place;

    fn place(function: &str, line: u32) -> Place {
        Place { function: function.to_owned(), file: "cases.rs".to_owned(), line, in_macro: None }
    }

    fn task() -> Note {
        Note { stretches: vec![Stretch { start: 0, end: None, place: None }], ..Note::default() }
    }

    fn inner(parent: usize, function: &str, line: u32, stretches: &[(u64, Option<u64>)]) -> Note {
        let at = |(start, end): &(u64, Option<u64>)| Stretch { start: *start, end: *end, place: Some(place(function, line)) };
        Note { parent: Some(parent), stretches: stretches.iter().map(at).collect(), ..Note::default() }
    }

    fn leaf(parent: usize, function: &str, line: u32, stretches: &[(u64, Option<u64>)]) -> Note {
        Note { label: Some("Sleep"), ..inner(parent, function, line, stretches) }
    }

    /// The functions of each branch of each wait, and its time and count.
    fn told(notes: &[Note], now: u64) -> Vec<(Vec<Vec<String>>, u64, u64)> {
        let names = |chain: &[Place]| chain.iter().map(|place| format!("{}:{}", place.function, place.line)).collect();
        let told = waits(notes, 0, now).into_iter().map(|wait| {
            let branches = wait.branches.iter().map(|branch| names(&branch.chain)).collect();
            (branches, wait.total_ns, wait.count)
        });
        told.collect()
    }

    fn chain(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Check that the same place is one wait, whatever lies between.
    #[test]
    fn a_loop_is_one_wait() {
        let again = |stretch| leaf(0, "f", 5, &[stretch]);
        let notes = [task(), again((10, Some(30))), leaf(0, "f", 6, &[(30, Some(35))]), again((35, Some(60)))];
        assert_eq!(told(&notes, 100), [(vec![chain(&["f:5"])], 45, 2), (vec![chain(&["f:6"])], 5, 1)]);
    }

    /// Check that branches are told together while they are open together, and that one that is dropped ends with what is around it.
    #[test]
    fn branches_come_and_go() {
        let notes = [
            task(),
            inner(0, "f", 1, &[(10, Some(50))]),
            leaf(1, "a", 2, &[(10, Some(30))]),
            leaf(1, "b", 3, &[(12, None)]),
            leaf(0, "f", 9, &[(50, Some(60))]),
        ];
        let (a, b) = (chain(&["f:1", "a:2"]), chain(&["f:1", "b:3"]));
        let expected = [(vec![a.clone()], 2, 1), (vec![a, b.clone()], 18, 1), (vec![b], 20, 1), (vec![chain(&["f:9"])], 10, 1)];
        assert_eq!(told(&notes, 100), expected);
    }

    /// Check that equal branches are one, and that a future which nobody awaits just then is not waited for.
    #[test]
    fn what_nobody_awaits_is_no_wait() {
        let slot = inner(0, "f", 1, &[(10, Some(20)), (30, Some(40))]);
        let notes = [task(), slot, leaf(1, "a", 2, &[(10, Some(40))]), leaf(1, "a", 2, &[(10, Some(38))])];
        assert_eq!(told(&notes, 100), [(vec![chain(&["f:1", "a:2"])], 20, 2)]);
        // Awaited once here and once there.
        let mut moved = notes.to_vec();
        moved[1].stretches[1].place = Some(place("f", 7));
        assert_eq!(told(&moved, 100), [(vec![chain(&["f:1", "a:2"])], 10, 1), (vec![chain(&["f:7", "a:2"])], 10, 1)]);
    }

    /// Check that an await with a name of its own is a leaf while nothing inside of it is noted, and that another task's are not here.
    #[test]
    fn a_leaf_may_open() {
        let outer = Note { label: Some("Connection"), ..inner(0, "f", 1, &[(10, Some(60))]) };
        let notes = [task(), outer, leaf(1, "a", 2, &[(20, Some(50))]), task(), leaf(3, "child", 8, &[(0, Some(90))])];
        assert_eq!(told(&notes, 100), [(vec![chain(&["f:1"])], 20, 2), (vec![chain(&["f:1", "a:2"])], 30, 1)]);
        assert_eq!(pending(&notes, 0, 30).len(), 1);
        assert!(pending(&notes, 0, 70).is_empty());
    }
}
