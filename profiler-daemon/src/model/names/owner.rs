//! Whose a function is: the crate that its name begins with.

/// `orders` of `orders::load`, of `<orders::Load as core::future::Future>::poll` and of `<[u8; 8] as orders::Sum>::sum`.
#[must_use]
pub fn crate_of(name: &str) -> Option<&str> {
    let (of_type, of_trait) = match name.strip_prefix('<').and_then(|inner| inner.split_once(" as ")) {
        Some((of_type, of_trait)) => (of_type, Some(of_trait)),
        None => (name, None),
    };
    first_segment(of_type).or_else(|| of_trait.and_then(first_segment))
}

fn first_segment(path: &str) -> Option<&str> {
    let path = path.trim_start_matches(['<', '&', '*', '(']);
    let path = ["mut ", "const ", "dyn "].iter().fold(path, |path, word| path.strip_prefix(word).unwrap_or(path));
    let (segment, _) = path.split_once("::")?;
    let is_name = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(segment)
}
