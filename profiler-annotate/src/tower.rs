//! Takes the request id of an HTTP request from its headers.

#[cfg(feature = "profile-header")]
mod marks;

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::naming::{Unusable, X_REQUEST_ID};
use crate::record::Record;
use crate::scope::{Scope, State};

/// A tower layer that makes each HTTP request a [`scope`](crate::scope).
///
/// The id is, in this order:
///
/// 1. the value of `x-request-id` (or of the header named to [`RequestIdLayer::with_header`]);
/// 2. the trace id of a W3C `traceparent`, 32 hexadecimal digits;
/// 3. a made-up one, `gen-` and 16 hexadecimal digits, unique in the process.
///
/// A header that is there but cannot be used (empty, longer than 64 bytes, a malformed `traceparent`) never fails a request: the
/// request gets a made-up id, and [`RequestIdLayer::unusable_headers`] counts it. Whatever the id, a valid
/// `traceparent` also puts its trace and span id into the record.
///
/// Outermost is the best place: what the other layers do then belongs to the request too.
///
/// ```
/// # use tower_layer::Layer;
/// use profiler_annotate::RequestIdLayer;
///
/// let request_ids = RequestIdLayer::new();
/// # struct Router;
/// # impl Router {
/// #     fn new() -> Self { Self }
/// #     fn layer<L: Layer<Self>>(self, layer: L) -> L::Service { layer.layer(self) }
/// # }
/// let app = Router::new().layer(request_ids.clone());
/// assert_eq!(request_ids.unusable_headers(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct RequestIdLayer {
    header: HeaderName,
    unusable: Unusable,
    #[cfg(feature = "profile-header")]
    marks: marks::Marks,
}

impl RequestIdLayer {
    /// Takes the id from `x-request-id`, else from `traceparent`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_header(HeaderName::from_static(X_REQUEST_ID))
    }

    /// Takes the id from this header instead of `x-request-id`, else from `traceparent`.
    #[must_use]
    pub fn with_header(header: HeaderName) -> Self {
        Self {
            header,
            unusable: Unusable::default(),
            #[cfg(feature = "profile-header")]
            marks: marks::Marks::default(),
        }
    }

    /// How many requests had a header that could not be used, and so got a made-up id. Clones of a layer, and the services made
    /// by them, count together.
    #[must_use]
    pub fn unusable_headers(&self) -> u64 {
        self.unusable.count()
    }

    /// The scope of a request with these headers.
    #[cfg(feature = "profile-header")]
    fn state(&self, record: Record, headers: &HeaderMap) -> State {
        let mut state = State::new(record);
        if self.marks.has(headers) {
            state.mark();
        }
        state
    }

    /// The same where no request can ask.
    #[cfg(not(feature = "profile-header"))]
    #[expect(clippy::unused_self, reason = "the layer's key decides where it can have one")]
    fn state(&self, record: Record, _: &HeaderMap) -> State {
        State::new(record)
    }
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, inner: S) -> RequestIdService<S> {
        RequestIdService { inner, layer: self.clone() }
    }
}

/// The service that [`RequestIdLayer`] makes: its future is the inner service's, in a [`Scope`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    inner: S,
    layer: RequestIdLayer,
}

impl<S, B> Service<Request<B>> for RequestIdService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Scope<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Scope<S::Future> {
        let headers = request.headers();
        let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let record = self.layer.unusable.record(value, self.layer.header.as_str());
        let state = self.layer.state(record, headers);
        // What the inner services do in `call` itself (a tracing layer makes its span there) may ask for the current id too.
        let current = state.as_current();
        let future = self.inner.call(request);
        drop(current);
        Scope::of(state, future)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::{RequestId, current_request_id};

    /// Answers with the ids that were current in `call` and in the future's poll.
    #[derive(Clone)]
    struct Echo;

    type Ids = (Option<RequestId>, Option<RequestId>);

    impl Service<Request<()>> for Echo {
        type Response = Ids;
        type Error = Infallible;
        type Future = EchoFuture;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> EchoFuture {
            EchoFuture(current_request_id())
        }
    }

    struct EchoFuture(Option<RequestId>);

    impl Future for EchoFuture {
        type Output = Result<Ids, Infallible>;

        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok((self.0, current_request_id())))
        }
    }

    fn ids_of(layer: &RequestIdLayer, request: Request<()>) -> Ids {
        let mut service = layer.layer(Echo);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        match pin!(service.call(request)).poll(&mut cx) {
            Poll::Ready(Ok(ids)) => ids,
            Poll::Pending => panic!("never pending"),
        }
    }

    #[test]
    fn the_request_has_its_id_in_call_and_in_poll() {
        let layer = RequestIdLayer::new();
        let request = Request::builder().header("x-request-id", "order-42").body(()).unwrap();
        let id = RequestId::try_from("order-42").ok();
        assert_eq!(ids_of(&layer, request), (id, id));
        assert_eq!(current_request_id(), None);
    }

    #[test]
    fn unusable_headers_are_counted_over_all_clones() {
        let layer = RequestIdLayer::new();
        for id in ["", &"x".repeat(65)] {
            let request = Request::builder().header("x-request-id", id).body(()).unwrap();
            let (in_call, in_poll) = ids_of(&layer.clone(), request);
            assert_eq!(in_call, in_poll);
            assert!(in_poll.unwrap().to_string().starts_with("gen-"));
        }
        assert_eq!(layer.unusable_headers(), 2);
    }

    #[test]
    fn the_header_can_be_another() {
        let layer = RequestIdLayer::with_header(HeaderName::from_static("x-correlation-id"));
        let request = Request::builder().header("x-request-id", "no").header("X-Correlation-Id", "yes").body(()).unwrap();
        assert_eq!(ids_of(&layer, request).1.unwrap().as_str(), Some("yes"));
    }
}
