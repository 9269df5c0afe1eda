//! A pool of database connections that is used up.

use std::io;
use std::time::Duration;

use profiler_annotate::RequestId;
use sqlx::SqlitePool;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqlitePoolOptions};
use tokio::sync::oneshot;

use super::{Outcome, Started, later, length, spawned};
use crate::trail::Trail;
use crate::wait;

/// The one connection is held by another, twice.
pub async fn start_sqlx(trail: Trail, id: RequestId) -> Started {
    let options = SqlitePoolOptions::new().max_connections(1).acquire_timeout(Duration::from_hours(2));
    let pool = options.connect("sqlite::memory:").await.map_err(io::Error::other)?;
    let held = pool.acquire().await.map_err(io::Error::other)?;
    later(32, move || drop(held));
    // A task that the request spawned would be part of it.
    let (keep, kept) = oneshot::channel();
    tokio::spawn(async move {
        let held = kept.await;
        tokio::time::sleep(length(47)).await;
        drop(held);
    });
    Ok(spawned(id, sqlx(trail, pool, keep)))
}

async fn sqlx(trail: Trail, pool: SqlitePool, keep: oneshot::Sender<PoolConnection<Sqlite>>) -> Outcome {
    let held = wait!(trail, "acquire", pool.acquire().await).map_err(io::Error::other)?;
    keep.send(held).map_err(|_| io::Error::other("nobody keeps the connection"))?;
    let one = wait!(trail, "fetch_one", sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(&pool).await);
    one.map(drop).map_err(io::Error::other)
}
