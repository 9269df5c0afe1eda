//! Source files as they are shown: without the folders of somebody's machine.

/// A dependency's file from its own folder on, one of the standard library from `library/` on: what stands before is cargo's registry
/// with the name of its index, and `/rustc/HASH/`.
#[must_use]
pub fn without_home(file: &str) -> &str {
    let registry = file.split_once("/registry/src/").and_then(|(_, inside)| inside.split_once('/'));
    let rustc = file.strip_prefix("/rustc/").and_then(|inside| inside.split_once('/'));
    registry.or(rustc).map_or(file, |(_, inside)| inside)
}

/// `orders.rs`, of a dependency `flume-0.12.0/src/lib.rs`: the folders of the user's own say little.
#[must_use]
pub fn file_name(file: &str) -> &str {
    let inside = without_home(file);
    if inside.len() < file.len() { inside } else { file.rsplit('/').next().unwrap_or(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_where_they_are_known() {
        for (file, name) in [
            ("/home/u/shop/src/orders.rs", "orders.rs"),
            ("src/orders.rs", "orders.rs"),
            ("orders.rs", "orders.rs"),
            ("/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/flume-0.12.0/src/lib.rs", "flume-0.12.0/src/lib.rs"),
            ("/rustc/59807616e1fa/library/core/src/pin.rs", "library/core/src/pin.rs"),
            ("", ""),
        ] {
            assert_eq!(file_name(file), name);
        }
    }
}
