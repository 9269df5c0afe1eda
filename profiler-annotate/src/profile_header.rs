//! Requests that ask to be profiled: by the header `x-profile`, with a token that the profiler has signed.
//!
//! `RequestIdLayer::profile_key` does all of it for what speaks tower. For anything else, where a request's headers, or whatever stands in
//! for them, are at hand:
//!
//! ```
//! use profiler_annotate::profile_header::{ProfileKey, scope_if_marked};
//!
//! struct Message { key: Vec<u8>, profile: Option<Vec<u8>> }
//! async fn handle(message: &Message) {}
//!
//! # async fn f(message: Message, profile_key: ProfileKey) -> Result<(), profiler_annotate::InvalidRequestId> {
//! let id = profiler_annotate::RequestId::try_from(&*message.key)?;
//! scope_if_marked(&profile_key, message.profile.as_deref(), id, handle(&message)).await;
//! # Ok(()) }
//! ```
//!
//! # What it costs, and what it risks
//!
//! * Nothing is looked at until a profiler is attached and has asked for marked requests: until then a request pays one load.
//! * Then a request with the header pays one HMAC, under two microseconds. What is wrong is ignored: it is counted, in the table for the profiler
//!   to read, and the request is treated as if the header were not there.
//! * A token is good for every request until it expires. Who has seen one can have requests profiled that long, and nothing else. No state is
//!   kept for it.
//! * The key is a secret: whoever has it can make tokens.

use std::sync::atomic::Ordering;

pub use profiler_token::{
    HEADER as PROFILE_HEADER, KEY_FILE_VARIABLE as PROFILE_KEY_FILE_VARIABLE, KEY_VARIABLE as PROFILE_KEY_VARIABLE,
    Key as ProfileKey, KeyError as ProfileKeyError,
};
use profiler_token::{Verdict, unix_seconds};

use crate::record::{Record, TraceContext};
use crate::scope::{Scope, State};
use crate::table::Table;
use crate::{RequestId, abi, startup, wanted};

/// Whether a profiler that is attached wants the request whose `x-profile` is `value`: its token is good. To be handed to
/// [`scope_if_marked`], or for an application's own purposes: each call counts.
#[must_use]
pub fn is_wanted(key: &ProfileKey, value: &[u8]) -> bool {
    asks_for_tokens() && judge(abi::table(), key, value, unix_seconds())
}

/// A [`scope`](crate::scope()) that a profiler wants if `value`, the request's `x-profile`, is a good token. Without one it is like any
/// other.
pub fn scope_if_marked<F: Future>(key: &ProfileKey, value: Option<&[u8]>, id: impl Into<RequestId>, future: F) -> Scope<F> {
    let marked = value.is_some_and(|value| is_wanted(key, value));
    let mut state = State::new(Record::new(&id.into(), TraceContext::default(), startup::request_id_key()));
    if marked {
        state.mark();
    }
    Scope::of(state, future)
}

/// Whether a profiler is attached that wants to know of tokens: one load.
#[inline]
pub(crate) fn asks_for_tokens() -> bool {
    abi::table().asked.modes.load(Ordering::Relaxed) & wanted::MODE_TOKENS != 0
}

/// Whether the token is good at `now`; counts it.
#[cold]
fn judge(table: &Table, key: &ProfileKey, value: &[u8], now: u64) -> bool {
    let verdict = key.judge(value, now);
    let [good, wrong, expired, malformed] = &table.answered.tokens;
    let counter = match verdict {
        Verdict::Good => good,
        Verdict::Wrong => wrong,
        Verdict::Expired => expired,
        Verdict::Malformed => malformed,
    };
    counter.fetch_add(1, Ordering::Relaxed);
    verdict == Verdict::Good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_counter() {
        let table = Table::default();
        let key = ProfileKey::new(&[1; 32]);
        let token = key.token(100, [2; 8]);
        let other = ProfileKey::new(&[3; 32]).token(100, [2; 8]);
        assert!(judge(&table, &key, token.as_bytes(), 99));
        assert!(!judge(&table, &key, other.as_bytes(), 99));
        assert!(!judge(&table, &key, token.as_bytes(), 100));
        assert!(!judge(&table, &key, token.as_bytes(), 101));
        assert!(!judge(&table, &key, b"1", 99));
        assert!(!judge(&table, &key, b"", 99));
        assert!(!judge(&table, &key, &[0xff; 300], 99));
        let counted: Vec<u64> = table.answered.tokens.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counted, [1, 1, 2, 3]);
    }
}
