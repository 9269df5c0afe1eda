//! Which id a request gets.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName};

use super::traceparent;
use crate::id::RequestId;
use crate::record::TraceContext;

/// What the headers say about a request.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: RequestId,
    pub(super) trace: TraceContext,
    /// A header that should have given the id was there and could not be used.
    pub(super) unusable_header: bool,
}

/// Names a request: by `id_header`, else by its `traceparent`, else by a made-up id. Where a header comes more than once, its
/// first value counts.
pub(super) fn name(headers: &HeaderMap, id_header: &HeaderName) -> Named {
    let trace = headers.get("traceparent").map(|value| traceparent::parse(value.as_bytes()));
    let from_trace = trace.map(|trace| trace.map(|trace| trace_request_id(&trace)));
    let from_header = headers.get(id_header).map(|value| {
        let text = str::from_utf8(value.as_bytes()).ok()?;
        RequestId::try_from(text).ok()
    });
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
    use http::HeaderValue;

    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn named(pairs: &[(&'static str, &[u8])]) -> Named {
        let headers =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())).collect();
        name(&headers, &HeaderName::from_static("x-request-id"))
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
        let bad: [(&'static str, &[u8]); 4] =
            [("x-request-id", b""), ("x-request-id", &long), ("x-request-id", b"\xff\xfe"), ("traceparent", b"junk")];
        for (header, value) in bad {
            let named = named(&[(header, value)]);
            assert!(named.unusable_header, "{header}");
            assert!(named.id.to_string().starts_with("gen-"), "{header}");
        }
    }

    #[test]
    fn a_bad_traceparent_does_not_matter_beside_a_good_id() {
        let named = named(&[("x-request-id", b"order-42"), ("traceparent", b"junk")]);
        assert!(!named.unusable_header);
        assert_eq!(named.trace, TraceContext::default());
    }
}
