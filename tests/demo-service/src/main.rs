//! A small order service to try the profiler on: axum, a SQLite database, and the mistakes that real services make.
//!
//! `app` has the routes; `orders` does the work of a request; `database` keeps the orders. `measure` and `truth` are there for
//! the profiler's tests only: the service times its own requests, so that a test can compare. A service of yours needs one line
//! of all this, the [`profiler_annotate::RequestIdLayer`] in `app`.

mod app;
mod database;
mod measure;
mod orders;
mod truth;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A small order service to try the profiler on.
#[derive(Parser)]
struct Args {
    /// Port on 127.0.0.1; 0 takes a free one, which the first line of the output names.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Worker threads of the Tokio runtime [default: one per core].
    #[arg(long)]
    workers: Option<NonZero<usize>>,
    /// Connections of the database pool.
    #[arg(long, default_value_t = 8)]
    connections: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = args.workers {
        runtime.worker_threads(workers.get());
    }
    runtime.enable_all().build().context("cannot start the runtime")?.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let database = database::Database::create(args.connections).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on {}", listener.local_addr()?);

    let app = app::routes(database.pool().clone())?;
    axum::serve(listener, app).with_graceful_shutdown(asked_to_stop()?).await?;
    database.close().await
}

/// Done at the first SIGINT or SIGTERM.
fn asked_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
