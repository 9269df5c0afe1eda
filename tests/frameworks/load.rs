//! The load: connections that are kept, and requests on them, one after the other or all at once.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use profiler_tests::{Failure, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longer than any load takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// What a service understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// Keep-alive: one request at a time.
    Http1,
    /// Every request of a connection is a stream of its own, all at once.
    Http2,
    /// The same with gRPC's frames in it.
    Grpc,
    /// Messages of a queue, see `annotated-jobs`: one at a time.
    Queue,
}

/// One request: its id, as bytes of a header, and the number of its order.
pub(crate) type Order = (Vec<u8>, u64);

/// Orders `name-0` to `name-{count - 1}`, dealt out to so many connections.
pub(crate) fn dealt(name: &str, count: u64, connections: u64) -> Vec<Vec<Order>> {
    let of = |connection: u64| (0..count).filter(move |number| number % connections == connection);
    (0..connections)
        .map(|connection| of(connection).map(|number| (format!("{name}-{number}").into_bytes(), number)).collect())
        .collect()
}

/// Sends every order on its connection, each connection in the way that goes with it. Each must be answered well.
pub(crate) fn send(address: SocketAddr, connections: Vec<(Speaks, Vec<Order>)>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::io("a runtime"))?;
    let all = async {
        let mut tasks = JoinSet::new();
        for (speaks, orders) in connections {
            tasks.spawn(connection(address, speaks, orders));
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| error.to_string())??;
        }
        std::result::Result::<(), String>::Ok(())
    };
    let in_time = runtime.block_on(async { tokio::time::timeout(LIMIT, all).await });
    in_time
        .map_err(|_| Failure::Wrong(vec![format!("the load took more than {LIMIT:?}")]))?
        .map_err(|why| Failure::Wrong(vec![why]))
}

async fn connection(address: SocketAddr, speaks: Speaks, orders: Vec<Order>) -> std::result::Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {error}"))?;
    match speaks {
        Speaks::Http1 => keep_alive(stream, orders).await,
        Speaks::Http2 | Speaks::Grpc => streams(stream, orders, speaks == Speaks::Grpc).await,
        Speaks::Queue => queue(stream, orders).await,
    }
}

async fn keep_alive(stream: TcpStream, orders: Vec<Order>) -> std::result::Result<(), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    for order in orders {
        sender.ready().await.map_err(|error| format!("the connection was not kept: {error}"))?;
        let answer = sender.send_request(request(&order, false)?).await;
        answered(answer, &order, false).await?;
    }
    Ok(())
}

async fn streams(stream: TcpStream, orders: Vec<Order>, grpc: bool) -> std::result::Result<(), String> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut tasks = JoinSet::new();
    for order in orders {
        sender.ready().await.map_err(|error| error.to_string())?;
        let sent = sender.send_request(request(&order, grpc)?);
        tasks.spawn(async move { answered(sent.await, &order, grpc).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn queue(mut stream: TcpStream, orders: Vec<Order>) -> std::result::Result<(), String> {
    let mut messages = Vec::new();
    for (id, number) in orders {
        messages.push(u8::try_from(id.len()).map_err(|error| error.to_string())?);
        messages.extend(id);
        messages.extend(number.to_be_bytes());
    }
    let talk = async {
        stream.write_all(&messages).await?;
        stream.shutdown().await?;
        // The service closes when it has handled the last message.
        stream.read_to_end(&mut Vec::new()).await
    };
    talk.await.map(drop).map_err(|error: std::io::Error| format!("the queue: {error}"))
}

fn request((id, number): &Order, grpc: bool) -> std::result::Result<Request<Full<Bytes>>, String> {
    let builder = Request::builder().header("x-request-id", id.as_slice()).header("host", "localhost");
    let made = if grpc {
        let builder = builder.method("POST").uri("http://localhost/shop.Orders/Make");
        builder.header("content-type", "application/grpc").header("te", "trailers").body(Full::from(message(*number)))
    } else {
        builder.uri(format!("http://localhost/orders/{number}")).body(Full::default())
    };
    made.map_err(|error| error.to_string())
}

/// `Order { number }` in gRPC's frame: not compressed, its length in 4 bytes, field 1 as a varint
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
fn message(number: u64) -> Vec<u8> {
    let mut message = vec![0x08];
    let mut rest = number;
    while rest >= 0x80 {
        message.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    message.push((rest & 0x7f) as u8);
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap_or_default().to_be_bytes());
    frame.extend(message);
    frame
}

async fn answered(
    answer: hyper::Result<Response<Incoming>>,
    (id, number): &Order,
    grpc: bool,
) -> std::result::Result<(), String> {
    let name = String::from_utf8_lossy(id);
    let answer = answer.map_err(|error| format!("{name}: {error}"))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| format!("{name}: {error}"))?;
    let done = !grpc || body.trailers().is_some_and(|trailers| trailers.get("grpc-status").is_some_and(|status| status == "0"));
    let body = body.to_bytes();
    let text = String::from_utf8_lossy(&body);
    if status == 200 && done && text.contains(&format!("order {number} is made")) {
        return Ok(());
    }
    Err(format!("{name} was answered {status}: {text}"))
}
