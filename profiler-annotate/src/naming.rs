//! Which id an HTTP request gets, whatever framework its headers are of.

mod traceparent;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use crate::id::RequestId;
use crate::record::{Record, TraceContext};
use crate::startup;

/// The header that names a request, unless another one is asked for.
pub(crate) const X_REQUEST_ID: &str = "x-request-id";

/// How many requests had a header that could not be used. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unusable(Arc<AtomicU64>);

impl Unusable {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The record of a request with these headers, see [`name`].
    pub(crate) fn record<'h>(&self, headers: impl Fn(&str) -> Option<&'h [u8]>, id_header: &str) -> Record {
        let named = name(headers, id_header);
        if named.unusable_header {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Record::new(&named.id, named.trace, startup::request_id_key())
    }
}

/// What the headers say about a request.
#[derive(Debug)]
struct Named {
    id: RequestId,
    trace: TraceContext,
    /// A header that should have given the id was there and could not be used.
    unusable_header: bool,
}

/// Names a request: by `id_header`, else by its `traceparent`, else by a made-up id. Where a header comes more than once, its
/// first value counts, which is what `headers` gives. An id is any bytes that a header can hold: it is not ours to refuse.
fn name<'h>(headers: impl Fn(&str) -> Option<&'h [u8]>, id_header: &str) -> Named {
    let trace = headers("traceparent").map(traceparent::parse);
    let from_trace = trace.map(|trace| trace.map(|trace| trace_request_id(&trace)));
    let from_header = headers(id_header).map(|value| RequestId::new(value).ok());
    let usable = from_header.or(from_trace);
    Named {
        id: usable.flatten().unwrap_or_else(made_up),
        trace: trace.flatten().unwrap_or_default(),
        unusable_header: usable == Some(None),
    }
}

/// The trace id as it is written in `traceparent`.
fn trace_request_id(trace: &TraceContext) -> RequestId {
    RequestId::formatted(format_args!("{:032x}", u128::from_be_bytes(trace.trace_id)))
}

/// An id that no other request of this process has, and most likely none of another process.
fn made_up() -> RequestId {
    static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);

    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // An odd factor permutes the 64-bit numbers: no id comes twice, and neighbours look unlike.
    let number = SEED.wrapping_add(count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    RequestId::formatted(format_args!("gen-{number:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn named(pairs: &[(&str, &[u8])]) -> Named {
        let value = |sought: &str| pairs.iter().find(|(name, _)| *name == sought).map(|(_, value)| *value);
        name(value, X_REQUEST_ID)
    }

    #[test]
    fn the_id_header_comes_first_and_the_trace_is_kept() {
        let named = named(&[("traceparent", TRACEPARENT.as_bytes()), ("x-request-id", b"order-42")]);
        assert_eq!(named.id.as_str(), Some("order-42"));
        assert_eq!(named.trace.span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
        assert!(!named.unusable_header);
    }

    #[test]
    fn then_the_trace_id() {
        let named = named(&[("traceparent", TRACEPARENT.as_bytes())]);
        assert_eq!(named.id.as_str(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(named.trace.flags, 1);
        assert!(!named.unusable_header);
    }

    #[test]
    fn then_a_made_up_one_each_time_another() {
        let (first, second) = (named(&[]), named(&[]));
        assert!(first.id.to_string().starts_with("gen-"), "{:?}", first.id);
        assert_eq!(first.id.as_bytes().len(), 20);
        assert_ne!(first.id, second.id);
        assert!(!first.unusable_header);
        assert_eq!(first.trace, TraceContext::default());
    }

    #[test]
    fn an_unusable_header_is_counted_and_replaced() {
        let long = [b'x'; 65];
        let bad: [(&str, &[u8]); 3] = [("x-request-id", b""), ("x-request-id", &long), ("traceparent", b"junk")];
        for (header, value) in bad {
            let named = named(&[(header, value)]);
            assert!(named.unusable_header, "{header}");
            assert!(named.id.to_string().starts_with("gen-"), "{header}");
        }
    }

    #[test]
    fn garbage_that_fits_stays_whole() {
        for garbage in [&b"\xff\xfe"[..], b"<script>;\t\\", &[0x80; 64]] {
            let named = named(&[("x-request-id", garbage)]);
            assert!(!named.unusable_header);
            assert_eq!(named.id.as_bytes(), garbage);
        }
    }

    #[test]
    fn unusable_headers_are_counted_over_all_clones() {
        let unusable = Unusable::default();
        let record = unusable.clone().record(|name| (name == X_REQUEST_ID).then_some(&b""[..]), X_REQUEST_ID);
        assert!(record.request_id().to_string().starts_with("gen-"));
        unusable.record(|_| None, X_REQUEST_ID);
        assert_eq!(unusable.count(), 1);
    }

    #[test]
    fn a_bad_traceparent_does_not_matter_beside_a_good_id() {
        let named = named(&[("x-request-id", b"order-42"), ("traceparent", b"junk")]);
        assert!(!named.unusable_header);
        assert_eq!(named.trace, TraceContext::default());
    }
}
