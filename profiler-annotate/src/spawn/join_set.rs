//! `tokio::task::JoinSet`, whose tasks belong to the request that spawns them.

use std::ops::{Deref, DerefMut};

use tokio::task::{self, AbortHandle};

use super::{Closure, Kind, as_child, closure_as_child};

/// [`tokio::task::JoinSet`], whose tasks belong to the request that spawns them (see [`spawn`](crate::spawn)). Everything but the
/// spawning is the set's own, by `Deref`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut lookups = profiler_annotate::JoinSet::new();
/// for shard in 0..4 {
///     lookups.spawn(async move { shard * 2 });
/// }
/// let mut sum = 0;
/// while let Some(found) = lookups.join_next().await {
///     sum += found.unwrap();
/// }
/// assert_eq!(sum, 12);
/// # }
/// ```
#[derive(Debug)]
pub struct JoinSet<T>(task::JoinSet<T>);

impl<T> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self(task::JoinSet::new())
    }

    /// The set as Tokio's own.
    #[must_use]
    pub fn into_inner(self) -> task::JoinSet<T> {
        self.0
    }
}

impl<T: 'static> JoinSet<T> {
    /// [`tokio::task::JoinSet::spawn`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        as_child(Kind::Task, future, |child| self.0.spawn(child))
    }

    /// [`tokio::task::JoinSet::spawn_local`].
    ///
    /// # Panics
    /// Outside a `LocalSet`.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        as_child(Kind::Local, future, |child| self.0.spawn_local(child))
    }

    /// [`tokio::task::JoinSet::spawn_blocking`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, function: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        closure_as_child(function, |closure: Closure<F>| self.0.spawn_blocking(move || closure.run()))
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for JoinSet<T> {
    type Target = task::JoinSet<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for JoinSet<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
