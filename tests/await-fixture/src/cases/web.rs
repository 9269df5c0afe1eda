//! What stands between a request and its handler in a web service.

use std::convert::Infallible;
use std::io;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use profiler_annotate::RequestId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

use super::sockets::pair;
use super::{Outcome, Started, doze, length, spawned};
use crate::trail::Trail;
use crate::wait;

/// Layers around a function.
pub async fn tower_stack(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let mut service = ServiceBuilder::new()
        .load_shed()
        .timeout(length(900))
        .map_response(|length: usize| length + 1)
        .and_then(|length: usize| std::future::ready(Ok::<_, Infallible>(length)))
        .service(tower::service_fn(move |word: String| answer(slot, word)));
    let ready = service.ready().await.map_err(io::Error::other)?;
    let answered = wait!(in slot, ready.call(String::from("word")).await);
    answered.map(drop).map_err(io::Error::other)
}

async fn answer(trail: Trail, word: String) -> Result<usize, Infallible> {
    wait!(trail, "Sleep", sleep(length(40)).await);
    wait!(trail => inner, doze(inner, 22).await);
    Ok(word.len())
}

/// A router and its handler.
pub async fn axum(trail: Trail) -> Outcome {
    let slot = trail.slot();
    let router: Router = Router::new().route("/", get(move || handled(slot)));
    let request = Request::builder().uri("/").body(Body::empty()).map_err(io::Error::other)?;
    let response = wait!(in slot, router.oneshot(request).await);
    response.map(drop).map_err(io::Error::other)
}

async fn handled(trail: Trail) -> String {
    wait!(trail => inner, doze(inner, 48).await);
    String::from("handled")
}

/// A connection that is served, with a pause before the request and one after it.
pub async fn start_hyper_server(trail: Trail, id: RequestId) -> Started {
    let (near, mut far) = pair().await?;
    tokio::spawn(async move {
        // Not longer where it is parked, so that the handler is.
        sleep(std::time::Duration::from_millis(25)).await;
        far.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await?;
        let mut answer = [0; 1024];
        let length_read = far.read(&mut answer).await?;
        sleep(length(31)).await;
        io::Result::Ok(length_read)
    });
    Ok(spawned(id, hyper_server(trail, near)))
}

async fn hyper_server(trail: Trail, stream: TcpStream) -> Outcome {
    let slot = trail.slot();
    let connection =
        server::Builder::new().serve_connection(TokioIo::new(stream), service_fn(move |request| served(slot, request)));
    wait!(in slot, "Connection", connection.await).map_err(io::Error::other)
}

async fn served(trail: Trail, _request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    wait!(trail => inner, doze(inner, 42).await);
    Ok(Response::new(Full::new(Bytes::from_static(b"served"))))
}

/// A request to a server that thinks, and whose body comes later than its head.
pub async fn start_hyper_client(trail: Trail, id: RequestId) -> Started {
    let (near, mut far) = pair().await?;
    tokio::spawn(async move {
        let mut request = [0; 1024];
        let _length_of_request = far.read(&mut request).await?;
        sleep(length(36)).await;
        far.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await?;
        sleep(length(28)).await;
        far.write_all(b"word").await?;
        io::Result::Ok(far)
    });
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(spawned(id, hyper_client(trail, sender)))
}

async fn hyper_client(trail: Trail, mut sender: hyper::client::conn::http1::SendRequest<Empty<Bytes>>) -> Outcome {
    let request = Request::builder().uri("/").header("host", "here").body(Empty::new()).map_err(io::Error::other)?;
    let response = wait!(trail, "send_request", sender.send_request(request).await).map_err(io::Error::other)?;
    wait!(trail, "Collect", response.into_body().collect().await).map(drop).map_err(io::Error::other)
}
