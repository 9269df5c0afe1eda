//! The structures in an object's type information. The format is the kernel's, `Documentation/bpf/btf.rst` and
//! `include/uapi/linux/btf.h`: a header, type records of a kind-dependent length, then the names.

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

const MAGIC: u16 = 0xeb9f;
const HEADER_BYTES: usize = 24;
const STRUCT: u32 = 4;

/// One structure, as the object's compiler laid it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    /// Its name without path.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: usize,
    /// Names and offsets (in bits) of its members.
    pub(crate) members: Vec<(String, usize)>,
}

/// All named structures of an object's `.BTF` section.
pub(crate) fn structures_of(elf: &[u8]) -> Result<Vec<Structure>> {
    let file = object::File::parse(elf).context("the object is no ELF file")?;
    let section = file.section_by_name(".BTF").context("the object has no type information (.BTF): was it linked with --btf?")?;
    structures(section.data().context("the object's .BTF cannot be read")?)
}

/// All named structures of a `.BTF` section.
fn structures(btf: &[u8]) -> Result<Vec<Structure>> {
    if btf.get(..2) != Some(MAGIC.to_le_bytes().as_slice()) {
        bail!("the object's .BTF has not the magic number of type information");
    }
    let word = |offset: usize| u32_at(btf, offset).and_then(|word| usize::try_from(word).context("a length"));
    let header = word(4)?.max(HEADER_BYTES);
    let part = |offset: usize, length: usize| -> Result<&[u8]> {
        let from = header.checked_add(offset).context("a .BTF offset overflows")?;
        let to = from.checked_add(length).context("a .BTF length overflows")?;
        btf.get(from..to).context("a part of .BTF lies outside of it")
    };
    let types = part(word(8)?, word(12)?)?;
    let names = part(word(16)?, word(20)?)?;
    let mut found = Vec::new();
    let mut at = 0;
    while at < types.len() {
        let record = types.get(at..).unwrap_or_default();
        let (length, structure) = record_at(record, names)?;
        found.extend(structure);
        at += length;
    }
    Ok(found)
}

/// The length of the first record of `types`, and what it describes where that is a named structure.
fn record_at(types: &[u8], names: &[u8]) -> Result<(usize, Option<Structure>)> {
    let (name, info, size) = (u32_at(types, 0)?, u32_at(types, 4)?, u32_at(types, 8)?);
    let (kind, count) = ((info >> 24) & 0x1f, usize::try_from(info & 0xffff)?);
    let after = match kind {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        6 | 13 => 8 * count,
        other => bail!("a type record of unknown kind {other}"),
    };
    let name = name_at(names, name)?;
    if kind != STRUCT || name.is_empty() {
        return Ok((12 + after, None));
    }
    let mut members = Vec::with_capacity(count);
    for member in 0..count {
        let at = 12 + 12 * member;
        // With the kind flag the upper byte is a bit field's width.
        let mask = if info >> 31 == 1 { 0x00ff_ffff } else { u32::MAX };
        members.push((name_at(names, u32_at(types, at)?)?, usize::try_from(u32_at(types, at + 8)? & mask)?));
    }
    Ok((12 + after, Some(Structure { name, size: usize::try_from(size)?, members })))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).context(".BTF ends in the middle of a record")?;
    Ok(u32::from_le_bytes(*word))
}

fn name_at(names: &[u8], at: u32) -> Result<String> {
    let rest = names.get(usize::try_from(at)?..).context("a name lies outside of .BTF")?;
    let end = rest.iter().position(|&byte| byte == 0).context("a name in .BTF does not end")?;
    Ok(String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An int, then `Pair { a: int at 0, b: int at 32 bits }`.
    fn example() -> Vec<u8> {
        let names = b"\0int\0Pair\0a\0b\0";
        let types: [u32; 13] = [1, 1 << 24, 4, 32, 5, (4 << 24) | 2, 8, 10, 1, 0, 12, 1, 32];
        let length = u32::try_from(types.len() * 4).unwrap();
        let mut btf = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, length, length, u32::try_from(names.len()).unwrap()].iter().chain(&types) {
            btf.extend(word.to_le_bytes());
        }
        btf.extend(names);
        btf
    }

    /// Check that a structure is read behind a record of another length.
    #[test]
    fn structure_is_read() {
        let members = vec![("a".to_owned(), 0), ("b".to_owned(), 32)];
        assert_eq!(structures(&example()).unwrap(), [Structure { name: "Pair".to_owned(), size: 8, members }]);
    }

    /// Check that no cut and no changed byte makes the parser panic, and that a cut is an error.
    #[test]
    fn damaged_input_is_an_error() {
        let whole = example();
        for length in 0..whole.len() {
            assert!(structures(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(structures(&damaged));
            }
        }
    }
}
