//! Spans put into lanes in which they nest, since a track draws only what nests.
//!
//! Nothing is cut to fit: a span that overlaps another without lying in it begins a lane of its own.

use std::cmp::Reverse;

/// Something with a begin and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export) struct Span<T> {
    pub(in crate::export) start_ns: u64,
    pub(in crate::export) end_ns: u64,
    pub(in crate::export) what: T,
}

/// Where a span begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::export) enum Edge<T> {
    /// It begins.
    Begin(u64, T),
    /// The last that began, and has not ended, ends.
    End(u64),
}

/// Edges in order of time, lane by lane. A span that ends before it begins is empty.
pub(in crate::export) fn lanes<T: Copy>(mut spans: Vec<Span<T>>) -> Vec<Vec<Edge<T>>> {
    spans.sort_by_key(|span| (span.start_ns, Reverse(span.end_ns)));
    let mut lanes = Vec::new();
    while !spans.is_empty() {
        let (lane, rest) = lane(spans);
        lanes.push(lane);
        spans = rest;
    }
    lanes
}

fn lane<T: Copy>(spans: Vec<Span<T>>) -> (Vec<Edge<T>>, Vec<Span<T>>) {
    let (mut edges, mut rest) = (Vec::with_capacity(spans.len().saturating_mul(2)), Vec::new());
    let mut open: Vec<u64> = Vec::new();
    for span in spans {
        while let Some(end_ns) = open.pop_if(|end_ns| *end_ns <= span.start_ns) {
            edges.push(Edge::End(end_ns));
        }
        let end_ns = span.end_ns.max(span.start_ns);
        if open.last().is_some_and(|&around| around < end_ns) {
            rest.push(span);
            continue;
        }
        edges.push(Edge::Begin(span.start_ns, span.what));
        open.push(end_ns);
    }
    edges.extend(open.into_iter().rev().map(Edge::End));
    (edges, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The spans that edges were made of, and whether time went backwards in them.
    fn replayed(edges: &[Edge<usize>]) -> (Vec<(usize, u64, u64)>, bool) {
        let (mut open, mut spans, mut last, mut backwards) = (Vec::new(), Vec::new(), 0, false);
        for edge in edges {
            let now = match *edge {
                Edge::Begin(at, what) => {
                    open.push((what, at));
                    at
                }
                Edge::End(at) => {
                    let (what, start) = open.pop().expect("an end without a begin");
                    spans.push((what, start, at));
                    at
                }
            };
            backwards |= now < last;
            last = now;
        }
        assert!(open.is_empty());
        (spans, backwards)
    }

    /// Check that what nests is one lane, and that an overlap is another.
    #[test]
    fn overlaps_have_lanes_of_their_own() {
        let span = |start_ns, end_ns, what| Span { start_ns, end_ns, what };
        assert_eq!(lanes(vec![span(0, 9, 0), span(1, 3, 1), span(3, 9, 2), span(9, 9, 3)]).len(), 1);
        assert_eq!(lanes(vec![span(0, 5, 0), span(3, 9, 1)]).len(), 2);
    }

    proptest! {
        /// Check that every span is drawn once, as it was, in order of time.
        #[test]
        fn nothing_is_cut(times in prop::collection::vec((0_u64..60, 0_u64..30), 0..40)) {
            let spans: Vec<_> = times.iter().zip(0..).map(|(&(start_ns, long), what)| Span { start_ns, end_ns: start_ns + long, what }).collect();
            let mut drawn = Vec::new();
            for lane in lanes(spans.clone()) {
                let (spans, backwards) = replayed(&lane);
                prop_assert!(!backwards);
                drawn.extend(spans);
            }
            drawn.sort_unstable();
            let expected: Vec<_> = spans.iter().map(|span| (span.what, span.start_ns, span.end_ns)).collect();
            prop_assert_eq!(drawn, expected);
        }
    }
}
