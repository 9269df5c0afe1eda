//! The same for actix-web, whose middleware is not tower's and whose headers are of an older `http`.

use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use actix_service::{Service, Transform};
use actix_web::Error;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::naming::{Unusable, X_REQUEST_ID};
use crate::scope::{Scope, State};

/// An actix-web middleware that makes each request a [`scope`](crate::scope).
///
/// The id is, in this order:
///
/// 1. the value of `x-request-id` (or of the header named to [`RequestIdTransform::with_header`]);
/// 2. the trace id of a W3C `traceparent`, 32 hexadecimal digits;
/// 3. a made-up one, `gen-` and 16 hexadecimal digits, unique in the process.
///
/// A header that is there but cannot be used (empty, longer than 64 bytes, a malformed `traceparent`) never fails a request: the
/// request gets a made-up id, and [`RequestIdTransform::unusable_headers`] counts it. Whatever the id, a valid `traceparent` also puts its
/// trace and span id into the record.
///
/// actix-web runs the middleware that was added last first: added last, what the others do belongs to the request too. Make it outside
/// of the closure that makes an `App`, which runs once a worker, and all workers count together.
///
/// ```
/// use actix_web::{App, web};
/// use profiler_annotate::RequestIdTransform;
///
/// # async fn order() -> &'static str { "" }
/// let request_ids = RequestIdTransform::new();
/// let workers_ids = request_ids.clone();
/// let app = move || App::new().route("/order", web::get().to(order)).wrap(workers_ids.clone());
/// # drop(app());
/// assert_eq!(request_ids.unusable_headers(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct RequestIdTransform {
    header: HeaderName,
    unusable: Unusable,
}

impl RequestIdTransform {
    /// Takes the id from `x-request-id`, else from `traceparent`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_header(HeaderName::from_static(X_REQUEST_ID))
    }

    /// Takes the id from this header instead of `x-request-id`, else from `traceparent`.
    #[must_use]
    pub fn with_header(header: HeaderName) -> Self {
        Self { header, unusable: Unusable::default() }
    }

    /// How many requests had a header that could not be used, and so got a made-up id. Clones of a middleware count together.
    #[must_use]
    pub fn unusable_headers(&self) -> u64 {
        self.unusable.count()
    }
}

impl Default for RequestIdTransform {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, B> Transform<S, ServiceRequest> for RequestIdTransform
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = RequestIdMiddleware<S>;
    type InitError = ();
    type Future = Ready<Result<RequestIdMiddleware<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(RequestIdMiddleware { inner, transform: self.clone() }))
    }
}

/// The service that [`RequestIdTransform`] makes: its future is the inner service's, in a [`Scope`].
pub struct RequestIdMiddleware<S> {
    inner: S,
    transform: RequestIdTransform,
}

impl<S> fmt::Debug for RequestIdMiddleware<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestIdMiddleware").field("transform", &self.transform).finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for RequestIdMiddleware<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Scope<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Scope<S::Future> {
        let headers = request.headers();
        let value = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let state = State::new(self.transform.unusable.record(value, self.transform.header.as_str()));
        // What the inner services do in `call` itself may ask for the current id too.
        let current = state.as_current();
        let future = self.inner.call(request);
        drop(current);
        Scope::of(state, future)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use actix_web::HttpResponse;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::current_request_id;

    /// Answers, with the id that was current in `call` in a header; in the future's poll it must be the same.
    struct Echo;

    impl Service<ServiceRequest> for Echo {
        type Response = ServiceResponse;
        type Error = Error;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<ServiceResponse, Error>>>>;

        fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&self, request: ServiceRequest) -> Self::Future {
            let in_call = current_request_id();
            Box::pin(async move {
                assert_eq!(current_request_id(), in_call);
                let id = in_call.map_or(String::new(), |id| id.to_string());
                Ok(request.into_response(HttpResponse::Ok().insert_header(("id", id)).finish()))
            })
        }
    }

    fn done<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("never pending"),
        }
    }

    fn id_of(transform: &RequestIdTransform, header: (&str, &str)) -> String {
        let service = done(transform.new_transform(Echo)).unwrap();
        let request = TestRequest::default().insert_header(header).to_srv_request();
        let response = done(service.call(request)).unwrap();
        response.headers().get("id").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_request_has_its_id_in_call_and_in_poll() {
        assert_eq!(id_of(&RequestIdTransform::new(), ("x-request-id", "order-42")), "order-42");
        assert_eq!(current_request_id(), None);
    }

    #[test]
    fn unusable_headers_are_counted_over_all_clones() {
        let transform = RequestIdTransform::new();
        for id in ["", &"x".repeat(65)] {
            assert!(id_of(&transform.clone(), ("x-request-id", id)).starts_with("gen-"));
        }
        assert_eq!(transform.unusable_headers(), 2);
    }

    #[test]
    fn the_header_can_be_another() {
        let transform = RequestIdTransform::with_header(HeaderName::from_static("x-correlation-id"));
        assert_eq!(id_of(&transform, ("X-Correlation-Id", "yes")), "yes");
        assert!(id_of(&transform, ("x-request-id", "no")).starts_with("gen-"));
    }
}
