//! What it serves: `/`, one poll a request, `/waits` and `/wakes`, four, and `/polls`, a hundred and one.

use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use profiler_annotate::RequestIdLayer;

/// The routes, each request named by its header.
pub fn app() -> Router {
    plain().layer(RequestIdLayer::new())
}

/// The routes.
fn plain() -> Router {
    Router::new()
        .route("/", get(async || "ok"))
        .route("/waits", get(waits))
        .route("/wakes", get(async || wakes(3).await))
        .route("/polls", get(async || wakes(100).await))
}

/// Wakes itself so often, and is polled once more.
async fn wakes(mut left: u32) -> &'static str {
    std::future::poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    "ok"
}

/// Awaits a timer three times.
async fn waits() -> &'static str {
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    "ok"
}
