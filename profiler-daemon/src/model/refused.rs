//! Probe sites at which something was refused: what reached them was no task that belongs there.

use serde::{Deserialize, Serialize};

use super::text::printable;

/// One site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedSite {
    /// The event that it stands for.
    pub event: String,
    /// The instruction's address in the file.
    pub address: u64,
    /// The function that it stands in, or the type that it is of, where that has a name.
    pub name: Option<String>,
    /// Hits of new tasks that were accepted; the first few are counted, and none at ends.
    pub accepted: u64,
    /// Hits that were refused.
    pub refused: u64,
    /// Whether it was wrong, and was taken out.
    pub taken_out: bool,
}

impl RefusedSite {
    /// What to make of it.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { event, address, refused, accepted, .. } = self;
        let event = printable(event.as_bytes());
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" ({})", printable(name.as_bytes())));
        if self.taken_out {
            return format!(
                "the {event} site at {address:#x}{name} was reached {refused} times and never by a task that belongs there: it is wrong and was taken out, and \
                 what it was to see is missing"
            );
        }
        let others = if *accepted > 0 { "; others belonged there" } else { "" };
        format!(
            "the {event} site at {address:#x}{name} was reached {refused} times by what does not belong there, and refused it{others}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_told_of_in_one_sentence() {
        let site = RefusedSite {
            event: "poll start".into(),
            address: 0x1230,
            name: Some("of a\u{1b}b".into()),
            refused: 40,
            ..Default::default()
        };
        let taken = RefusedSite { taken_out: true, ..site.clone() };
        assert!(taken.sentence().contains("site at 0x1230 (of a\\x1bb) was reached 40 times and never"), "{}", taken.sentence());
        assert!(site.sentence().ends_with("and refused it"), "{}", site.sentence());
        assert!(RefusedSite { accepted: 1, ..site }.sentence().ends_with("others belonged there"));
    }
}
