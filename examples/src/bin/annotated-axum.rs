//! axum: one layer names every request of a router.

use std::io;

use annotated_services::witness::{self, OutsideLayer};
use annotated_services::{control, orders};
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use profiler_annotate::RequestIdLayer;

async fn order(Path(number): Path<u64>) -> String {
    // Measured for the profiler's tests, here and below; without it: `orders::make(number).await`.
    witness::inside(orders::make(number)).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let app = Router::new()
        .route("/orders/{number}", get(order))
        // The line for the profiler. The layer that is added last is the outermost, which is the best place.
        .layer(RequestIdLayer::new())
        // For the profiler's tests.
        .layer(OutsideLayer);

    let listener = tokio::net::TcpListener::from_std(control::listen()?)?;
    control::obey(listener.local_addr()?)?;
    axum::serve(listener, app).await
}
