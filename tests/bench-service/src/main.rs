//! Serves `/`, one poll a request, `/waits`, four, and `/polls`, a hundred and one. Prints the port that it listens on, and ends with its standard input.

use std::io;
use std::net::Ipv4Addr;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use profiler_annotate::RequestIdLayer;
use tokio::net::TcpListener;

fn main() -> io::Result<()> {
    // One worker: the benchmark gives the process one CPU.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        let served = tokio::spawn(async { axum::serve(listener, app()).await });
        tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
        served.abort();
        Ok(())
    })
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "ok"))
        .route("/waits", get(waits))
        .route("/polls", get(polls))
        .layer(RequestIdLayer::new())
}

/// Wakes itself a hundred times, and is polled once more.
async fn polls() -> &'static str {
    let mut left = 100;
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
