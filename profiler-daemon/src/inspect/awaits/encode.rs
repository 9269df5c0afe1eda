//! A layout table as bytes and back, to keep it for the next time that the same program is looked at.
//!
//! ```text
//! magic (8, its last byte the version), crc32 of what follows (4)
//! nodes, edges, frames, files, tasks, dynamic, scopes, keys: each its count (8), then the items, numbers little endian, texts with their length (4)
//! producer and notes as JSON
//! ```
//! What comes from a file is checked before it is used: [`AwaitLayouts::check`] runs on all that is read.

use profiler_common::awaits::{Edge, KeyKind, Node, RequestKey};

use super::error::{AwaitError, AwaitNote};
use super::keys::{KeyCell, KeyLayout, TaskLocalKey};
use super::layouts::{AwaitLayouts, FrameKind, FrameLayout, SuspendPoint};

/// The last byte is the version: any change of what follows, or of what nodes mean, is a new one.
const MAGIC: [u8; 8] = *b"awaits\0\x04";

const KINDS: [FrameKind; 7] = [
    FrameKind::AsyncFn,
    FrameKind::AsyncBlock,
    FrameKind::AsyncClosure,
    FrameKind::Future,
    FrameKind::Join,
    FrameKind::Select,
    FrameKind::Task,
];
/// A frame's kind where there is no frame.
const NO_FRAME: u8 = 0xff;

impl AwaitLayouts {
    /// The table as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        list(&mut out, &self.nodes, |out, node| {
            out.extend([node.kind, node.width]);
            out.extend(node.flags.to_le_bytes());
            for word in [node.offset, node.first, node.count, node.aux] {
                out.extend(word.to_le_bytes());
            }
            out.extend(node.base.to_le_bytes());
        });
        list(&mut out, &self.edges, |out, edge| {
            out.extend(edge.offset.to_le_bytes());
            out.extend(edge.node.to_le_bytes());
        });
        list(&mut out, &self.frames, |out, frame| {
            let Some(frame) = frame else { return out.push(NO_FRAME) };
            let kind = KINDS.iter().position(|kind| *kind == frame.kind);
            out.push(kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(NO_FRAME));
            text(out, &frame.name);
            list(out, &frame.points, |out, point| {
                for word in [point.state, point.file, point.line] {
                    out.extend(word.to_le_bytes());
                }
            });
        });
        list(&mut out, &self.files, |out, file| text(out, file));
        for entries in [&self.tasks, &self.dynamic, &self.scopes] {
            list(&mut out, entries, |out, (address, node)| {
                out.extend(address.to_le_bytes());
                out.extend(node.to_le_bytes());
            });
        }
        list(&mut out, &self.keys, key);
        // Plain texts and numbers: they cannot fail to be written.
        text(&mut out, &serde_json::to_string(&(&self.producer, &self.notes)).unwrap_or_default());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(crc32fast::hash(&out).to_le_bytes());
        bytes.extend(out);
        bytes
    }

    /// The table that [`AwaitLayouts::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`AwaitError::Damaged`]: it is of another version, or was not written so, or was damaged since.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AwaitError> {
        let damaged = |what: &str| AwaitError::Damaged(what.to_owned());
        let rest = bytes.strip_prefix(&MAGIC[..]).ok_or_else(|| damaged("it is no table of this version"))?;
        let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it is cut off"))?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(damaged("its checksum is wrong"));
        }
        let layouts = Input(body).table().ok_or_else(|| damaged("it is cut off"))?;
        layouts.check()?;
        Ok(layouts)
    }
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut each: impl FnMut(&mut Vec<u8>, &T)) {
    out.extend((items.len() as u64).to_le_bytes());
    for item in items {
        each(out, item);
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    // A longer name than 4 GiB there is not.
    let length = u32::try_from(text.len()).unwrap_or(0);
    out.extend(length.to_le_bytes());
    out.extend(text.bytes().take(length as usize));
}

/// A key's kind where its values cannot be read.
const NO_VALUE: u8 = 0xff;
const KEY_KINDS: [KeyKind; 4] = [KeyKind::Text, KeyKind::Unsigned, KeyKind::Signed, KeyKind::Uuid];

fn key(out: &mut Vec<u8>, key: &TaskLocalKey) {
    text(out, &key.name);
    text(out, &key.type_name);
    out.extend(key.address.to_le_bytes());
    // No cell is of no bytes.
    let KeyCell { value, size } = key.cell.unwrap_or(KeyCell { value: 0, size: 0 });
    out.extend(value.to_le_bytes());
    out.extend(size.to_le_bytes());
    let Some(KeyLayout { recipe, kind }) = &key.value else { return out.push(NO_VALUE) };
    let kind = KEY_KINDS.iter().position(|known| known == kind);
    out.push(kind.and_then(|kind| u8::try_from(kind).ok()).unwrap_or(NO_VALUE));
    out.extend(recipe.tag.to_le_bytes());
    let RequestKey { tag_offset, tag_width, some_is_tag, kind, offset, length, skip, width, .. } = *recipe;
    for word in [tag_offset, tag_width, some_is_tag, kind, offset, length, skip, width] {
        out.extend(word.to_le_bytes());
    }
}

/// What is left to read.
struct Input<'b>(&'b [u8]);

impl Input<'_> {
    fn table(mut self) -> Option<AwaitLayouts> {
        let nodes = self.list(|input| {
            let [kind, width] = input.take()?;
            let flags = u16::from_le_bytes(input.take()?);
            let (offset, first, count, aux) = (input.number()?, input.number()?, input.number()?, input.number()?);
            let base = u64::from_le_bytes(input.take()?);
            Some(Node { kind, width, flags, offset, first, count, aux, padding: 0, base })
        })?;
        let edges = self.list(|input| Some(Edge { offset: input.number()?, node: input.number()? }))?;
        let frames = self.list(|input| {
            let [kind] = input.take()?;
            if kind == NO_FRAME { Some(None) } else { input.frame(kind).map(Some) }
        })?;
        let files = self.list(Input::text)?;
        let [tasks, dynamic, scopes] = [self.entries()?, self.entries()?, self.entries()?];
        let keys = self.list(Input::key)?;
        let said: (Option<String>, Vec<AwaitNote>) = serde_json::from_str(&self.text()?).ok()?;
        let layouts = AwaitLayouts { nodes, edges, frames, files, tasks, dynamic, scopes, keys, producer: said.0, notes: said.1 };
        self.0.is_empty().then_some(layouts)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(head.to_vec()).ok()
    }

    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        // An item has at least a byte, so that a count is never more than is there.
        let count = usize::try_from(u64::from_le_bytes(self.take()?)).ok().filter(|count| *count <= self.0.len())?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(each(self)?);
        }
        Some(items)
    }

    /// A frame whose kind was read.
    fn frame(&mut self, kind: u8) -> Option<FrameLayout> {
        let kind = *KINDS.get(usize::from(kind))?;
        let name = self.text()?;
        let points =
            self.list(|input| Some(SuspendPoint { state: input.number()?, file: input.number()?, line: input.number()? }))?;
        Some(FrameLayout { name, kind, points })
    }

    fn key(&mut self) -> Option<TaskLocalKey> {
        let (name, type_name) = (self.text()?, self.text()?);
        let address = u64::from_le_bytes(self.take()?);
        let cell = Some(KeyCell { value: self.number()?, size: self.number()? }).filter(|cell| cell.size != 0);
        let [kind] = self.take()?;
        let value = if kind == NO_VALUE { None } else { Some(self.key_layout(*KEY_KINDS.get(usize::from(kind))?)?) };
        Some(TaskLocalKey { name, address, type_name, value, cell })
    }

    fn key_layout(&mut self, kind: KeyKind) -> Option<KeyLayout> {
        let recipe = RequestKey {
            tag: u64::from_le_bytes(self.take()?),
            tag_offset: self.number()?,
            tag_width: self.number()?,
            some_is_tag: self.number()?,
            kind: self.number()?,
            offset: self.number()?,
            length: self.number()?,
            skip: self.number()?,
            width: self.number()?,
            ..RequestKey::NONE
        };
        Some(KeyLayout { recipe, kind })
    }

    fn entries(&mut self) -> Option<Vec<(u64, u32)>> {
        self.list(|input| Some((u64::from_le_bytes(input.take()?), input.number()?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::specimen;
    use super::*;

    /// Check that a table comes back as it was.
    #[test]
    fn a_table_comes_back() {
        let layouts = specimen::layouts();
        assert_eq!(AwaitLayouts::from_bytes(&layouts.to_bytes()), Ok(layouts));
        let empty = AwaitLayouts::default();
        assert_eq!(AwaitLayouts::from_bytes(&empty.to_bytes()), Ok(empty));
    }

    /// Check that a table cut off anywhere is refused.
    #[test]
    fn a_cut_is_refused() {
        let bytes = specimen::layouts().to_bytes();
        for length in 0..bytes.len() {
            assert!(matches!(AwaitLayouts::from_bytes(&bytes[..length]), Err(AwaitError::Damaged(_))), "cut at {length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        /// Check that damage behind a right checksum is refused, or leaves a table that holds together.
        #[test]
        fn damage_never_reaches_a_walk(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut body = specimen::layouts().to_bytes()[12..].to_vec();
            for (index, value) in flips {
                let at = index.index(body.len());
                body[at] = value;
            }
            let mut bytes = MAGIC.to_vec();
            bytes.extend(crc32fast::hash(&body).to_le_bytes());
            bytes.extend(body);
            if let Ok(layouts) = AwaitLayouts::from_bytes(&bytes) {
                prop_assert_eq!(layouts.check(), Ok(()));
            }
        }

        /// Check that any bytes are refused.
        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(AwaitLayouts::from_bytes(&bytes).is_err());
        }
    }
}
