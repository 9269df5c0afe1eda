//! The command line: `fixture-service SCENARIO [--flag [value]]...`.

use std::collections::BTreeMap;

/// A scenario and its flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Args {
    /// The scenario's name.
    pub scenario: String,
    flags: BTreeMap<String, Option<u64>>,
}

impl Args {
    /// Reads `SCENARIO`, then flags: `--name` or `--name NUMBER`.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut words = words.into_iter().peekable();
        let scenario = words.next().ok_or("name a scenario")?;
        let mut flags = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word:?} is not a flag"))?;
            let value = match words.next_if(|next| !next.starts_with("--")) {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| format!("--{name} takes a number, not {text:?}"))?),
            };
            flags.insert(name.to_owned(), value);
        }
        Ok(Self { scenario, flags })
    }

    /// Is the flag there?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// The flag's number, or `default`.
    #[must_use]
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.flags.get(name).copied().flatten().unwrap_or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_with_and_without_numbers() {
        let args = parse("known-times --requests --repeat 7").unwrap();
        assert_eq!(args.scenario, "known-times");
        assert!(args.has("requests") && !args.has("other"));
        assert_eq!(args.number("repeat", 1), 7);
        assert_eq!(args.number("other", 3), 3);
    }

    #[test]
    fn wrong_words_are_refused() {
        assert!(parse("").is_err());
        assert!(parse("known-times repeat").is_err());
        assert!(parse("known-times --repeat many").is_err());
    }
}
