//! actix-web: a middleware of its own kind.

use std::io;

use actix_web::dev::Service as _;
use actix_web::http::header::HeaderValue;
use actix_web::{App, HttpServer, web};
use annotated_services::{control, orders, witness};
use profiler_annotate::RequestIdTransform;

async fn order(number: web::Path<u64>) -> String {
    // Measured for the profiler's tests, here and below; without it: `orders::make(..).await`.
    witness::inside(orders::make(number.into_inner())).await
}

fn main() -> io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let listener = control::listen()?;
        control::obey(listener.local_addr()?)?;

        // Outside of the closure, which makes an `App` for each worker: so all workers count together.
        let request_ids = RequestIdTransform::new();
        let app = move || {
            App::new()
                .route("/orders/{number}", web::get().to(order))
                // The line for the profiler. What is wrapped last is the outermost, which is the best place.
                .wrap(request_ids.clone())
                // For the profiler's tests.
                .wrap_fn(|request, service| {
                    let id = request.headers().get("x-request-id").cloned();
                    witness::outside(id.as_ref().map(HeaderValue::as_bytes), service.call(request))
                })
        };
        HttpServer::new(app).workers(2).listen(listener)?.run().await
    })
}
