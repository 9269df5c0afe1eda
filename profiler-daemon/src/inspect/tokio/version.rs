//! Which Tokio is linked in: panics carry the source path `.../tokio-1.54.1/src/...` in `.rodata`.

use std::collections::HashMap;

use memchr::memmem::Finder;

use crate::inspect::image::Image;
use crate::inspect::inspection::TokioVersion;

const MARK: &[u8] = b"tokio-";
/// Longest `1.2.3/` that is read.
const LONGEST: usize = 18;

/// The version most source paths name; `None` where no path names one (Tokio from a git checkout, or none).
pub(crate) fn find(image: &Image<'_>) -> Option<TokioVersion> {
    let mut votes: HashMap<TokioVersion, usize> = HashMap::new();
    let mark = Finder::new(MARK);
    for section in image.sections.iter().filter(|section| !section.executable) {
        for at in mark.find_iter(section.bytes) {
            let rest = section.bytes.get(at + MARK.len()..).unwrap_or_default();
            if let Some(version) = parse(rest.get(..rest.len().min(LONGEST)).unwrap_or_default()) {
                *votes.entry(version).or_default() += 1;
            }
        }
    }
    votes.into_iter().max_by_key(|(version, count)| (*count, *version)).map(|(version, _)| version)
}

/// `1.54.1/` to a version.
fn parse(text: &[u8]) -> Option<TokioVersion> {
    let end = text.iter().position(|byte| matches!(byte, b'/' | b'\\'))?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    let mut parts = text.splitn(3, '.');
    let mut number = || parts.next()?.parse().ok();
    let (major, minor) = (number()?, number()?);
    // A pre-release (`1.0.0-alpha`) or build suffix counts as its release.
    let patch = parts.next()?.split(['-', '+']).next()?.parse().ok()?;
    Some(TokioVersion { major, minor, patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_version() {
        assert_eq!(parse(b"1.54.1/src/runtime"), Some(TokioVersion { major: 1, minor: 54, patch: 1 }));
        assert_eq!(parse(b"1.0.0-alpha/src"), Some(TokioVersion { major: 1, minor: 0, patch: 0 }));
        assert_eq!(parse(b"macros-2.7.2/src"), None);
        assert_eq!(parse(b"1.54"), None);
    }
}
