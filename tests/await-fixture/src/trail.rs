//! The notes of a case: a trail of awaits that its functions hand on, and the macro that marks them.

use std::sync::{Mutex, PoisonError};

use fixture_service::clock;

use crate::sweep::{self, Note, Stretch};
use crate::truth::{Branch, Place, Wait};

/// Every note since the start.
static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

/// Where in the tree of awaits a function is: a number, so that a coroutine that carries it is hardly another for it.
#[derive(Clone, Copy, Debug)]
pub struct Trail(usize);

impl Trail {
    /// A new task.
    #[must_use]
    pub fn task() -> Self {
        Self::push(Note { stretches: vec![from_now(None)], ..Note::default() })
    }

    /// A task that this one spawns.
    #[must_use]
    pub fn child(self) -> Self {
        Self::push(Note { spawned_by: Some(self.0), stretches: vec![from_now(None)], ..Note::default() })
    }

    /// An await to come, for futures that are made before it: `wait!` with `in`.
    #[must_use]
    pub fn slot(self) -> Self {
        Self::push(Note { parent: Some(self.0), ..Note::default() })
    }

    /// An await begins inside of this.
    #[must_use]
    pub fn enter(self, place: Place, label: Option<&'static str>) -> Self {
        Self::push(Note { parent: Some(self.0), label, stretches: vec![from_now(Some(place))], ..Note::default() })
    }

    /// The await that this slot is for begins, or begins again, perhaps elsewhere.
    pub fn fill(self, place: Place, label: Option<&'static str>) {
        let stretch = from_now(Some(place));
        self.with(|note| {
            note.label = label;
            note.stretches.push(stretch);
        });
    }

    /// The await is over.
    pub fn leave(self) {
        let now = clock::monotonic();
        self.with(|note| {
            if let Some(stretch) = note.stretches.last_mut() {
                stretch.end = Some(now);
            }
        });
    }

    /// Where this task waited until now.
    #[must_use]
    pub fn waits(self) -> Vec<Wait> {
        sweep::waits(&NOTES.lock().unwrap_or_else(PoisonError::into_inner), self.0, clock::monotonic())
    }

    /// Where the tasks that this one spawned waited until now.
    #[must_use]
    pub fn waits_of_children(self) -> Vec<Vec<Wait>> {
        let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        let children = notes.iter().enumerate().filter(|(_, note)| note.spawned_by == Some(self.0));
        children.map(|(child, _)| sweep::waits(&notes, child, clock::monotonic())).collect()
    }

    /// What this task waits for now.
    #[must_use]
    pub fn pending(self) -> Vec<Branch> {
        sweep::pending(&NOTES.lock().unwrap_or_else(PoisonError::into_inner), self.0, clock::monotonic())
    }

    fn push(note: Note) -> Self {
        let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
        Self(notes.len() - 1)
    }

    fn with(self, change: impl FnOnce(&mut Note)) {
        if let Some(note) = NOTES.lock().unwrap_or_else(PoisonError::into_inner).get_mut(self.0) {
            change(note);
        }
    }
}

fn from_now(place: Option<Place>) -> Stretch {
    Stretch { start: clock::monotonic(), end: None, place }
}

/// The place that `place!` stands at. `marker` is the path of a function inside of the one that is meant, as `type_name` gives it.
#[must_use]
pub fn place_of(marker: &str, module: &str, file: &str, line: u32, in_macro: Option<&str>) -> Place {
    let path = marker.rsplit_once("::").map_or(marker, |(path, _)| path);
    // `<Type as Trait>::method`: of a method in an impl the module is not in the path.
    let path = path.rsplit_once(">::").map_or_else(|| path.to_owned(), |(_, method)| format!("{module}::{method}"));
    let named: Vec<&str> = path.split("::").filter(|part| !part.starts_with('{')).collect();
    Place { function: named.join("::"), file: file.to_owned(), line, in_macro: in_macro.map(str::to_owned) }
}

/// The path of a function, whose type nobody else can write.
#[must_use]
pub fn path_of<F>(_: F) -> &'static str {
    std::any::type_name::<F>()
}

/// Function, file and line of where it stands.
#[macro_export]
macro_rules! place {
    ($in_macro:expr) => {{
        fn here() {}
        $crate::trail::place_of($crate::trail::path_of(here), module_path!(), file!(), line!(), $in_macro)
    }};
}

/// An await, noted. It must stand on one line with its `.await`, which the caller writes, so that it has the line that is noted.
///
/// * `wait!(trail, "Sleep", sleep(time).await)`: what is awaited is none of ours and is called something with `Sleep`.
/// * `wait!(trail => inner, load(inner).await)`: a function of ours, which goes on with `inner`.
/// * `wait!(trail => inner, "Connection", serve(inner).await)`: both.
/// * `wait!(trail => inner in "src/macros/join.rs", tokio::join!(a(inner), b(inner)))`: the `.await` is written in that file.
/// * `wait!(in slot, set.next().await)`: futures of ours that have been given `slot` already. The file of a macro or a label may follow
///   `slot` as above.
#[macro_export]
macro_rules! wait {
    (in $slot:ident, $awaited:expr) => {{
        $slot.fill($crate::place!(None), None);
        let output = $awaited;
        $slot.leave();
        output
    }};
    (in $slot:ident in $file:literal, $awaited:expr) => {{
        $slot.fill($crate::place!(Some($file)), None);
        let output = $awaited;
        $slot.leave();
        output
    }};
    (in $slot:ident, $label:literal, $awaited:expr) => {{
        $slot.fill($crate::place!(None), Some($label));
        let output = $awaited;
        $slot.leave();
        output
    }};
    ($trail:expr, $label:literal, $awaited:expr) => {{
        let here = $trail.enter($crate::place!(None), Some($label));
        let output = $awaited;
        here.leave();
        output
    }};
    ($trail:expr => $inner:ident, $label:literal, $awaited:expr) => {{
        let $inner = $trail.enter($crate::place!(None), Some($label));
        let output = $awaited;
        $inner.leave();
        output
    }};
    ($trail:expr => $inner:ident in $file:literal, $awaited:expr) => {{
        let $inner = $trail.enter($crate::place!(Some($file)), None);
        let output = $awaited;
        $inner.leave();
        output
    }};
    ($trail:expr => $inner:ident, $awaited:expr) => {{
        let $inner = $trail.enter($crate::place!(None), None);
        let output = $awaited;
        $inner.leave();
        output
    }};
}

#[cfg(test)]
mod tests {
    use super::place_of;

    /// Check that closures go, and that methods of impls get their module.
    #[test]
    fn paths() {
        let path = |marker| place_of(marker, "crate::cases::boxed", "f.rs", 1, None).function;
        assert_eq!(path("crate::cases::boxed::outer::{{closure}}::{{closure}}::here"), "crate::cases::boxed::outer");
        assert_eq!(path("<crate::cases::boxed::Shelf<u8> as a::Load>::load::{{closure}}::here"), "crate::cases::boxed::load");
    }
}
