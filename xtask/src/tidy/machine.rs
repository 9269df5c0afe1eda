//! Nothing of the machine that a commit was made on: neither its folders nor its mirrors.

use super::Finding;
use super::file::File;

/// Folders of particular machines, in two parts so that this list does not find itself.
const FOLDERS: [(&str, &str); 3] = [("/wo", "rk/"), ("/tmp/", "wt"), ("/ro", "ot/")];
/// Where every locked package comes from.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
/// Sections of a cargo configuration that name other registries.
const OTHER_REGISTRIES: [&str; 3] = ["[source", "[registries", "[registry"];

/// Checks one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    let is_configuration = file.path.contains(".cargo/config");
    let mut found = Vec::new();
    for (line, text) in file.lines() {
        for (first, second) in FOLDERS {
            let folder = format!("{first}{second}");
            if begins_a_path(text, &folder) {
                found.push(Finding::new(file, line, format!("`{folder}` is a folder of one machine")));
            }
        }
        if name == "Cargo.lock" && text.starts_with("source = ") && text != REGISTRY {
            found.push(Finding::new(file, line, "a package from elsewhere than crates.io"));
        }
        if is_configuration && OTHER_REGISTRIES.iter().any(|section| text.trim_start().starts_with(section)) {
            found.push(Finding::new(file, line, "a registry of one machine; configure it in your own ~/.cargo"));
        }
    }
    found
}

/// Whether `folder` stands in `text` as the begin of an absolute path.
fn begins_a_path(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || "._-}~*".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{file, told};
    use super::*;

    /// Check that absolute paths are found and that longer paths and other words are not.
    #[test]
    fn folders_of_a_machine() {
        let path = format!("{}{}main", FOLDERS[0].0, FOLDERS[0].1);
        assert_eq!(check(&file("README.md", &format!("see `{path}`"))).len(), 1);
        assert!(
            check(&file("README.md", &format!("see frame{path} and target/{path}").replace("target//", "target/"))).is_empty()
        );
    }

    /// Check that only crates.io is a registry.
    #[test]
    fn foreign_registries() {
        assert!(check(&file("Cargo.lock", &format!("{REGISTRY}\n"))).is_empty());
        let foreign = file("x/Cargo.lock", "name = \"a\"\nsource = \"registry+https://mirror.example/index\"\n");
        assert_eq!(told(&check(&foreign)), ["2: a package from elsewhere than crates.io"]);
        assert_eq!(check(&file(".cargo/config.toml", "[source.crates-io]\n")).len(), 1);
        assert!(check(&file(".cargo/config.toml", "[alias]\n")).is_empty());
    }
}
