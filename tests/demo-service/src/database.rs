//! The database: a file in a folder of its own, gone when the service stops.

use anyhow::Context;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

/// How many orders there are, numbered from 0.
pub(crate) const ORDERS: i64 = 1000;

const SCHEMA: &str = "
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, item INTEGER NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE stock (item INTEGER PRIMARY KEY, pieces INTEGER NOT NULL);
CREATE INDEX orders_of_customer ON orders (customer);
";

/// The pool, and the folder its file is in.
pub(crate) struct Database {
    pool: SqlitePool,
    folder: TempDir,
}

impl Database {
    /// Makes the tables and fills them.
    pub(crate) async fn create(connections: u32) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("demo-service-").context("cannot make a folder for the database")?;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("orders.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Off);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .min_connections(connections)
            .connect_with(options)
            .await
            .context("cannot open the database")?;
        fill(&pool).await.context("cannot fill the database")?;
        Ok(Self { pool, folder })
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Closes the connections and removes the file.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        self.folder.close().context("cannot remove the database")
    }
}

async fn fill(pool: &SqlitePool) -> sqlx::Result<()> {
    sqlx::raw_sql(SCHEMA).execute(pool).await?;
    let mut transaction = pool.begin().await?;
    for id in 0..ORDERS {
        sqlx::query("INSERT INTO orders VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(id % 50)
            .bind(id % 20)
            .bind(995 + id)
            .execute(&mut *transaction)
            .await?;
    }
    for item in 0..20 {
        sqlx::query("INSERT INTO stock VALUES (?, ?)").bind(item).bind(item * 7).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
