//! The frames of an await stack, once in memory however many waits are in it, and once in a report: thousands of requests wait in the same few
//! stacks, and a stack of a stored waker has some sixty frames.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::WaitFrame;

/// Frames, outermost first; a tree where several futures were awaited at once.
///
/// In JSON they stand themselves, or the place of them in a table that goes with what they are a part of.
#[derive(Clone, Debug, Default)]
pub struct WaitStack {
    frames: Arc<Vec<WaitFrame>>,
    place: Option<u32>,
}

/// Stacks that waits name by their place.
pub type StackTable = Vec<Arc<Vec<WaitFrame>>>;

impl WaitStack {
    pub(super) fn of(frames: &Arc<Vec<WaitFrame>>) -> Self {
        Self { frames: Arc::clone(frames), place: None }
    }

    /// Lets it be written with its frames.
    pub fn stand_alone(&mut self) {
        self.place = None;
    }

    /// Takes its frames from `table`, where it was read as a place in it. Whether there is such a place.
    pub(crate) fn take_from(&mut self, table: &[Arc<Vec<WaitFrame>>]) -> bool {
        let Some(place) = self.place else { return true };
        match usize::try_from(place).ok().and_then(|place| table.get(place)) {
            Some(frames) => self.frames = Arc::clone(frames),
            None => return false,
        }
        true
    }
}

impl Deref for WaitStack {
    type Target = [WaitFrame];

    fn deref(&self) -> &[WaitFrame] {
        &self.frames
    }
}

impl From<Vec<WaitFrame>> for WaitStack {
    fn from(frames: Vec<WaitFrame>) -> Self {
        Self { frames: Arc::new(frames), place: None }
    }
}

/// Alike are those with the same frames, wherever these are written.
impl PartialEq for WaitStack {
    fn eq(&self, other: &Self) -> bool {
        self.frames == other.frames
    }
}

impl Eq for WaitStack {}

/// A table of the stacks of these waits, in the order in which they first come; each wait gets the place of its own.
pub(crate) fn share<'w>(stacks: impl Iterator<Item = &'w mut WaitStack>) -> StackTable {
    // Most are the same piece of memory; the others are compared.
    let (mut by_memory, mut by_frames): (HashMap<_, u32>, HashMap<Arc<Vec<WaitFrame>>, u32>) = Default::default();
    let mut table = StackTable::new();
    for stack in stacks {
        let place = *by_memory.entry(Arc::as_ptr(&stack.frames)).or_insert_with(|| {
            *by_frames.entry(Arc::clone(&stack.frames)).or_insert_with(|| {
                table.push(Arc::clone(&stack.frames));
                u32::try_from(table.len().saturating_sub(1)).unwrap_or(u32::MAX)
            })
        });
        stack.place = Some(place);
    }
    table
}

impl Serialize for WaitStack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.place {
            Some(place) => serializer.serialize_u32(place),
            None => self.frames.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for WaitStack {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlaceOrFrames;

        impl<'de> Visitor<'de> for PlaceOrFrames {
            type Value = WaitStack;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("frames, or the place of them in a table")
            }

            fn visit_u64<E: serde::de::Error>(self, place: u64) -> Result<WaitStack, E> {
                let place = u32::try_from(place).map_err(|_| E::custom("a place beyond any table"))?;
                Ok(WaitStack { place: Some(place), ..WaitStack::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<WaitStack, A::Error> {
                let mut frames = Vec::new();
                while let Some(frame) = items.next_element()? {
                    frames.push(frame);
                }
                Ok(frames.into())
            }
        }

        deserializer.deserialize_any(PlaceOrFrames)
    }
}
