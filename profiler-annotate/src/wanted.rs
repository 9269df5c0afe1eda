//! Whether a request is wanted: the judgement of a scope by the table that a daemon fills from outside.
//!
//! A scope is judged once, at its first poll under a generation of the table. Until the generation changes it costs every poll one
//! load and one compare, and nothing of what is written here.

use std::sync::atomic::{AtomicI64, Ordering, fence};

use crate::record::Record;
use crate::table::{RULES, Rule, Table};

/// `Asked::modes`: the rules, `next_left` and `sample_below` are in force.
pub(crate) const MODE_RULES: u32 = 1;
/// `Asked::modes`: a request that carries a good token is wanted.
pub(crate) const MODE_TOKENS: u32 = 2;

/// `Asked::modes`: every scope keeps its own times.
pub(crate) const MODE_TIMES: u32 = 4;

/// `Rule::kind`: this id and no other.
const EXACT: u8 = 1;
/// `Rule::kind`: ids that begin so.
const PREFIX: u8 = 2;
/// `Rule::kind`: the trace id.
const TRACE: u8 = 3;

/// A scope before the judge.
pub(crate) struct Case<'a> {
    pub(crate) record: &'a Record,
    /// Its number.
    pub(crate) seq: u64,
    /// At its first poll: only then can it be one of the next, or of a sample.
    pub(crate) new: bool,
    /// It carries a good token.
    pub(crate) marked: bool,
}

/// Whether the scope is wanted by what stands in the table now.
#[cold]
pub(crate) fn judge(table: &Table, case: &Case<'_>) -> bool {
    let asked = &table.asked;
    // What the daemon wrote before it changed the generation, which the caller has loaded.
    fence(Ordering::Acquire);
    let modes = asked.modes.load(Ordering::Relaxed);
    if modes & MODE_TOKENS != 0 && case.marked {
        return true;
    }
    if modes & MODE_RULES == 0 {
        return false;
    }
    let rules = usize::try_from(asked.rules.load(Ordering::Relaxed)).unwrap_or(RULES);
    if table.rules.iter().take(rules).any(|rule| matches(rule, case.record)) {
        return true;
    }
    let below = asked.sample_below.load(Ordering::Relaxed);
    if below == u64::MAX {
        return true;
    }
    case.new && (scatter(case.seq) < below || take_one(&table.answered.next_left))
}

/// Since when every scope is to keep its own times (ns, `CLOCK_MONOTONIC`): it also tells one who asks from another. 0: nobody does.
pub(crate) fn times_since_ns(table: &Table) -> u64 {
    let asked = &table.asked;
    // What the daemon wrote before it changed the generation, which the caller has loaded.
    fence(Ordering::Acquire);
    if asked.modes.load(Ordering::Relaxed) & MODE_TIMES == 0 { 0 } else { asked.times_since_ns.load(Ordering::Relaxed) }
}

fn matches(rule: &Rule, record: &Record) -> bool {
    let len = usize::from(rule.len.load(Ordering::Relaxed));
    let wanted = |found: &[u8]| {
        found.len() == len && rule.bytes.iter().zip(found).all(|(byte, found)| byte.load(Ordering::Relaxed) == *found)
    };
    match rule.kind.load(Ordering::Relaxed) {
        EXACT => wanted(record.id_bytes()),
        PREFIX => record.id_bytes().get(..len).is_some_and(wanted),
        TRACE => wanted(record.trace_id()),
        _ => false,
    }
}

/// Takes one of what is left, unless nothing is.
fn take_one(left: &AtomicI64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| (left > 0).then(|| left - 1)).is_ok()
}

/// Spreads consecutive numbers evenly (`SplitMix64`, Steele, Lea and Flood, 2014): a sample must not march in step with a program's
/// own period.
fn scatter(number: u64) -> u64 {
    let mut word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RequestId;
    use crate::record::TraceContext;

    fn record(id: &str) -> Record {
        let trace = TraceContext { trace_id: [7; 16], span_id: [1; 8], flags: 0 };
        Record::new(&RequestId::try_from(id).unwrap(), trace, 0)
    }

    fn with_rule(kind: u8, bytes: &[u8]) -> Table {
        let table = Table::default();
        table.asked.modes.store(MODE_RULES, Ordering::Relaxed);
        table.asked.rules.store(1, Ordering::Relaxed);
        table.rules[0].kind.store(kind, Ordering::Relaxed);
        table.rules[0].len.store(u8::try_from(bytes.len()).unwrap(), Ordering::Relaxed);
        for (place, byte) in table.rules[0].bytes.iter().zip(bytes) {
            place.store(*byte, Ordering::Relaxed);
        }
        table
    }

    fn wanted(table: &Table, id: &str, seq: u64, new: bool) -> bool {
        judge(table, &Case { record: &record(id), seq, new, marked: false })
    }

    #[test]
    fn an_exact_rule_takes_one_id() {
        let table = with_rule(EXACT, b"order-4");
        assert!(wanted(&table, "order-4", 1, false));
        assert!(!wanted(&table, "order-42", 1, false));
        assert!(!wanted(&table, "order-", 1, false));
    }

    #[test]
    fn a_prefix_takes_what_begins_so() {
        let table = with_rule(PREFIX, b"order-");
        assert!(wanted(&table, "order-42", 1, false));
        assert!(wanted(&table, "order-", 1, false));
        assert!(!wanted(&table, "order", 1, false));
    }

    #[test]
    fn a_trace_id_is_compared_whole() {
        assert!(wanted(&with_rule(TRACE, &[7; 16]), "any", 1, false));
        assert!(!wanted(&with_rule(TRACE, &[8; 16]), "any", 1, false));
        assert!(!wanted(&with_rule(TRACE, &[7; 15]), "any", 1, false));
    }

    #[test]
    fn rules_beyond_the_count_or_without_the_mode_do_nothing() {
        let table = with_rule(EXACT, b"a");
        table.asked.rules.store(0, Ordering::Relaxed);
        assert!(!wanted(&table, "a", 1, true));
        table.asked.rules.store(u32::MAX, Ordering::Relaxed);
        assert!(wanted(&table, "a", 1, true));
        table.asked.modes.store(0, Ordering::Relaxed);
        assert!(!wanted(&table, "a", 1, true));
    }

    #[test]
    fn the_next_are_taken_once_each_and_only_when_new() {
        let table = Table::default();
        table.asked.modes.store(MODE_RULES, Ordering::Relaxed);
        table.answered.next_left.store(2, Ordering::Relaxed);
        assert!(!wanted(&table, "a", 1, false));
        assert_eq!([2, 3, 4].map(|seq| wanted(&table, "a", seq, true)), [true, true, false]);
        assert_eq!(table.answered.next_left.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_sample_is_of_the_size_asked_for() {
        let table = Table::default();
        table.asked.modes.store(MODE_RULES, Ordering::Relaxed);
        table.asked.sample_below.store(u64::MAX / 10, Ordering::Relaxed);
        let taken = (1..=10_000).filter(|seq| wanted(&table, "a", *seq, true)).count();
        assert!((900..=1100).contains(&taken), "{taken}");
        table.asked.sample_below.store(u64::MAX, Ordering::Relaxed);
        assert!(wanted(&table, "a", 1, false));
    }

    #[test]
    fn a_mark_counts_only_while_tokens_do() {
        let table = Table::default();
        let record = record("a");
        let case = Case { record: &record, seq: 1, new: true, marked: true };
        assert!(!judge(&table, &case));
        table.asked.modes.store(MODE_TOKENS, Ordering::Relaxed);
        assert!(judge(&table, &case));
        assert!(!judge(&table, &Case { marked: false, ..case }));
    }
}
