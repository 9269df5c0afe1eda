//! hyper alone: the same layer around a service, once, and a clone of it for each connection.

use std::convert::Infallible;
use std::io;

use annotated_services::witness::{self, OutsideLayer};
use annotated_services::{control, orders};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use profiler_annotate::RequestIdLayer;
use tower::service_fn;
use tower_layer::Layer as _;

async fn order(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = request.uri().path().strip_prefix("/orders/").and_then(|number| number.parse().ok());
    if let Some(number) = number {
        return Ok(Response::new(Full::from(witness::inside(orders::make(number)).await)));
    }
    let mut response = Response::new(Full::from("orders have numbers\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

#[tokio::main]
async fn main() -> io::Result<()> {
    // The line for the profiler.
    let service = RequestIdLayer::new().layer(service_fn(order));
    // For the profiler's tests.
    let service = OutsideLayer.layer(service);

    let listener = tokio::net::TcpListener::from_std(control::listen()?)?;
    control::obey(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection ended badly: {error}");
            }
        });
    }
}
