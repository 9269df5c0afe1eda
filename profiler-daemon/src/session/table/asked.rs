//! What is asked of a program, and the bytes that say it.

/// How many rules a table holds.
pub(in crate::session) const MAX_RULES: usize = 32;
/// Bytes of one rule.
const RULE: usize = 72;

const MODE_RULES: u32 = 1;
const MODE_TOKENS: u32 = 2;
const MODE_TIMES: u32 = 4;

/// One rule: a request that it matches is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Rule {
    /// This id, 1 to 64 bytes.
    Id(Vec<u8>),
    /// Ids that begin so, 1 to 64 bytes.
    Prefix(Vec<u8>),
    /// Requests of this trace.
    Trace([u8; 16]),
}

/// Which requests are wanted of a program. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Asked {
    /// Rules, at most [`MAX_RULES`]: those beyond are left out.
    pub(in crate::session) rules: Vec<Rule>,
    /// So many of the next.
    pub(in crate::session) next: i64,
    /// Those whose scattered number is below this; 0: none, [`u64::MAX`]: all.
    pub(in crate::session) sample_below: u64,
    /// Those that carry a good token.
    pub(in crate::session) tokens: bool,
    /// Children are followed.
    pub(in crate::session) children: bool,
    /// Every scope keeps its own times, since this moment (ns, `CLOCK_MONOTONIC`); 0: none does.
    pub(in crate::session) times_since_ns: u64,
}

impl Asked {
    /// Modes, number of rules, children, sample, since when times are kept: what stands behind the generation.
    pub(super) fn head(&self) -> [u8; 28] {
        let by_rule = !self.rules.is_empty() || self.next > 0 || self.sample_below > 0;
        let mode = |mode: u32, is_on: bool| if is_on { mode } else { 0 };
        let modes = mode(MODE_RULES, by_rule) | mode(MODE_TOKENS, self.tokens) | mode(MODE_TIMES, self.times_since_ns != 0);
        let rules = u32::try_from(self.rules.len().min(MAX_RULES)).unwrap_or(0);
        let mut head = [0; 28];
        let words = [modes, rules, u32::from(self.children)].into_iter().flat_map(u32::to_ne_bytes);
        for (place, byte) in
            head.iter_mut().zip(words.chain([self.sample_below, self.times_since_ns].into_iter().flat_map(u64::to_ne_bytes)))
        {
            *place = byte;
        }
        head
    }

    /// The rules.
    pub(super) fn rules(&self) -> [u8; RULE * MAX_RULES] {
        let mut bytes = [0; RULE * MAX_RULES];
        for (place, rule) in bytes.chunks_exact_mut(RULE).zip(&self.rules) {
            let (kind, text): (u8, &[u8]) = match rule {
                Rule::Id(id) => (1, id),
                Rule::Prefix(prefix) => (2, prefix),
                Rule::Trace(trace) => (3, trace),
            };
            if let ([k, len, _, _, _, _, _, _, body @ ..], Ok(length)) = (place, u8::try_from(text.len()))
                && let Some(body) = body.get_mut(..text.len())
            {
                (*k, *len) = (kind, length);
                body.copy_from_slice(text);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_layout_says() {
        let asked = Asked {
            rules: vec![Rule::Id(b"order-42".to_vec()), Rule::Prefix(b"job-".to_vec()), Rule::Trace([7; 16])],
            next: 3,
            sample_below: 9,
            tokens: true,
            children: true,
            times_since_ns: 11,
        };
        let head = asked.head();
        assert_eq!(head[..4], 7_u32.to_ne_bytes());
        assert_eq!(head[4..8], 3_u32.to_ne_bytes());
        assert_eq!(head[8..12], 1_u32.to_ne_bytes());
        assert_eq!(head[12..20], 9_u64.to_ne_bytes());
        assert_eq!(head[20..], 11_u64.to_ne_bytes());
        let rules = asked.rules();
        assert_eq!((rules[0], rules[1], &rules[8..17]), (1, 8, &b"order-42\0"[..]));
        assert_eq!((rules[72], rules[73], &rules[80..84]), (2, 4, &b"job-"[..]));
        assert_eq!((rules[144], rules[145], &rules[152..168]), (3, 16, &[7; 16][..]));
        assert!(rules[216..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_too_long_or_too_much_is_no_rule() {
        let long = Asked { rules: vec![Rule::Id(vec![b'x'; 65])], ..Asked::default() };
        assert!(long.rules().iter().all(|byte| *byte == 0));
        let many = Asked { rules: vec![Rule::Trace([1; 16]); 40], ..Asked::default() };
        assert_eq!(many.head()[4..8], 32_u32.to_ne_bytes());
        assert_eq!(Asked::default().head(), [0; 28]);
    }
}
