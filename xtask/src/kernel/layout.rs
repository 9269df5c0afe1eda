//! Whether both compilers agree on the layout of what the two sides share.

use super::btf::Structure;
use anyhow::{Result, bail};
use profiler_common::layout::StructLayout;

/// Compares every layout of user space with the structures of that name in the object. Returns the names that the object's type
/// information does not have (it holds only what a map or a function's signature reaches).
pub(crate) fn compare(ours: &[StructLayout], theirs: &[Structure]) -> Result<Vec<&'static str>> {
    let mut unseen = Vec::new();
    let mut differences = Vec::new();
    for layout in ours {
        let mut same_name = theirs.iter().filter(|structure| structure.name == layout.name).peekable();
        if same_name.peek().is_none() {
            unseen.push(layout.name);
        }
        for structure in same_name {
            differences.extend(difference(layout, structure));
        }
    }
    if !differences.is_empty() {
        bail!(
            "the two sides lay out shared structures differently: {}; make them repr(C) with explicit padding, then run `cargo xtask \
             build-ebpf`",
            differences.join("; ")
        );
    }
    if unseen.len() == ours.len() {
        bail!("the object's type information names none of the {} shared structures", ours.len());
    }
    Ok(unseen)
}

/// Where the two differ, in words.
fn difference(ours: &StructLayout, theirs: &Structure) -> Vec<String> {
    let mut found = Vec::new();
    if ours.size != theirs.size {
        found.push(format!("{} has {} bytes here and {} in the object", ours.name, ours.size, theirs.size));
    }
    for &(field, offset) in ours.fields {
        match theirs.members.iter().find(|(name, _)| name == field) {
            None => found.push(format!("{}.{field} is not in the object", ours.name)),
            Some(&(_, bits)) if bits != offset * 8 => {
                found.push(format!("{}.{field} is at byte {offset} here and at bit {bits} in the object", ours.name));
            }
            Some(_) => {}
        }
    }
    for (name, _) in &theirs.members {
        if !ours.fields.iter().any(|(field, _)| field == name) {
            found.push(format!("{}.{name} is only in the object", ours.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [StructLayout; 2] = [
        StructLayout { name: "Row", size: 16, fields: &[("id", 0), ("count", 8)] },
        StructLayout { name: "Record", size: 8, fields: &[("kind", 0)] },
    ];

    fn row(size: usize, members: &[(&str, usize)]) -> Structure {
        let members = members.iter().map(|&(name, bits)| (name.to_owned(), bits)).collect();
        Structure { name: "Row".to_owned(), size, members }
    }

    /// Check that equal layouts pass and that what the object does not name is returned.
    #[test]
    fn equal_layouts_pass() {
        assert_eq!(compare(&OURS, &[row(16, &[("id", 0), ("count", 64)])]).unwrap(), ["Record"]);
    }

    /// Check each way to differ, also in the second structure of a name.
    #[test]
    fn differences_are_named() {
        let good = row(16, &[("id", 0), ("count", 64)]);
        for (bad, words) in [
            (row(24, &[("id", 0), ("count", 64)]), "Row has 16 bytes here and 24 in the object"),
            (row(16, &[("id", 0), ("count", 96)]), "Row.count is at byte 8 here and at bit 96 in the object"),
            (row(16, &[("id", 0)]), "Row.count is not in the object"),
            (row(16, &[("id", 0), ("count", 64), ("extra", 96)]), "Row.extra is only in the object"),
        ] {
            let error = compare(&OURS, &[good.clone(), bad]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    /// Check that an object which names nothing of ours does not pass as equal.
    #[test]
    fn nothing_to_compare_is_an_error() {
        assert!(compare(&OURS, &[]).unwrap_err().to_string().contains("none of the 2 shared structures"));
    }
}
