//! Which requests a session is about, and what of that the annotation's table says.

use std::time::Duration;

use super::table::{Asked, MAX_RULES, Rule};
use super::{Mode, SessionError};

/// Requests that are wanted: those that any of these names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These ids. One of 32 hexadecimal digits may be a trace id as well.
    pub ids: Vec<Vec<u8>>,
    /// Ids that begin so.
    pub prefixes: Vec<Vec<u8>>,
    /// So many of the next that come.
    pub next: u32,
    /// One in so many; 0 for none.
    pub one_in: u64,
    /// Those that carry a good token.
    pub tokens: bool,
    /// Of all these, or of all there are if none of them is given, only those that took at least so long.
    pub slower_than: Option<Duration>,
}

impl Choice {
    /// These ids.
    #[must_use]
    pub fn of_ids(ids: Vec<Vec<u8>>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// The traces that the ids may stand for.
    pub(super) fn traces(&self) -> Vec<[u8; 16]> {
        self.ids.iter().filter_map(|id| trace(id)).collect()
    }

    /// Whether every request there is has to be measured first.
    pub(super) const fn is_open(&self) -> bool {
        let named = !self.ids.is_empty() || !self.prefixes.is_empty() || self.next > 0 || self.one_in > 0 || self.tokens;
        !named && self.slower_than.is_some()
    }

    /// Whether nothing but ids is named, so that there is an end to it when each has ended. The one request that is sent with a token has its id.
    pub(super) fn is_ids_alone(&self) -> bool {
        !self.ids.is_empty() && self.prefixes.is_empty() && self.next == 0 && self.one_in == 0
    }

    /// The same of the next so many.
    pub(super) fn is_next_alone(&self) -> bool {
        self.next > 0 && self.ids.is_empty() && self.prefixes.is_empty() && self.one_in == 0 && !self.tokens
    }

    /// Whether an id alone says what is wanted: that can be decided without the program's help.
    pub(super) fn is_by_id(&self) -> bool {
        self.prefixes.is_empty() && self.next == 0 && self.one_in == 0 && !self.tokens && self.slower_than.is_none()
    }

    /// What the table is to say.
    pub(super) fn asked(&self, mode: Mode) -> Result<Asked, SessionError> {
        let ids = self.ids.iter().cloned().map(Rule::Id);
        let prefixes = self.prefixes.iter().cloned().map(Rule::Prefix);
        let rules: Vec<Rule> = ids.chain(prefixes).chain(self.traces().into_iter().map(Rule::Trace)).collect();
        if rules.len() > MAX_RULES {
            return Err(SessionError::TooManyRules { rules: rules.len(), most: MAX_RULES });
        }
        let sample_below = if self.is_open() || self.one_in == 1 {
            u64::MAX
        } else {
            // One in so many of all numbers.
            u64::MAX.checked_div(self.one_in).unwrap_or(0)
        };
        // Where tasks are seen, children are seen being spawned.
        Ok(Asked {
            rules,
            next: i64::from(self.next),
            sample_below,
            tokens: self.tokens,
            children: mode == Mode::Request,
            times_since_ns: 0,
        })
    }
}

/// The trace id that 32 hexadecimal digits stand for; zeros stand for none.
fn trace(id: &[u8]) -> Option<[u8; 16]> {
    let mut trace = [0; 16];
    if id.len() != 32 {
        return None;
    }
    for (byte, digits) in trace.iter_mut().zip(id.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (trace != [0; 16] && id.iter().all(u8::is_ascii_hexdigit)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_two_digits_may_be_a_trace() {
        let choice = Choice::of_ids(vec![b"0af7651916cd43dd8448eb211c80319c".to_vec(), b"order-42".to_vec()]);
        assert_eq!(choice.traces().len(), 1);
        assert_eq!(choice.traces()[0][..3], [0x0a, 0xf7, 0x65]);
        assert_eq!(choice.asked(Mode::Request).unwrap().rules.len(), 3);
        for id in [&b"0af7651916cd43dd8448eb211c80319"[..], b"+af7651916cd43dd8448eb211c80319c", &[b'0'; 32]] {
            assert_eq!(trace(id), None);
        }
    }

    #[test]
    fn everything_is_measured_only_where_nothing_else_is_named() {
        let slow = Choice { slower_than: Some(Duration::from_millis(50)), ..Choice::default() };
        assert_eq!(slow.asked(Mode::Request).unwrap().sample_below, u64::MAX);
        let slow_orders = Choice { prefixes: vec![b"order-".to_vec()], ..slow };
        assert_eq!(slow_orders.asked(Mode::Request).unwrap().sample_below, 0);
        let sample = Choice { one_in: 1000, ..Choice::default() };
        assert_eq!(sample.asked(Mode::Request).unwrap().sample_below, u64::MAX / 1000);
        assert_eq!(Choice { one_in: 1, ..sample }.asked(Mode::Request).unwrap().sample_below, u64::MAX);
    }

    #[test]
    fn too_many_rules_are_refused() {
        let ids = (0..33).map(|number: u32| number.to_string().into_bytes()).collect();
        assert!(matches!(Choice::of_ids(ids).asked(Mode::Request), Err(SessionError::TooManyRules { rules: 33, most: 32 })));
    }
}
