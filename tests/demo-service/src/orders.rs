//! What a request for an order does. Each step is a function of its own, so that each is a frame of its own in a profile.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use sqlx::SqlitePool;
use tokio::task::JoinError;
use tokio::time::sleep;

use crate::database::ORDERS;

/// How long the carrier's service takes to quote a price.
const CARRIER: Duration = Duration::from_millis(8);
/// How long the recommendation model takes to warm up.
const MODEL: Duration = Duration::from_millis(4);
/// How long the label printer takes.
const PRINTER: Duration = Duration::from_millis(30);
/// Pixels of a printed label: some milliseconds of CPU in a release build.
const LABEL_PIXELS: u64 = 100_000;
/// Rounds of the invoice's signature: about a millisecond of CPU in a release build.
const SIGNATURE_ROUNDS: u32 = 100_000;

/// The name of an order in a path: a number, or a number and `-slow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderName {
    id: i64,
    /// Needs a printed label, which the code below prints in a way that it should not.
    slow: bool,
}

impl FromStr for OrderName {
    type Err = OrderError;

    fn from_str(name: &str) -> Result<Self, OrderError> {
        let number = name.strip_suffix("-slow");
        let id: u32 = number.unwrap_or(name).parse().map_err(|_| OrderError::NoName)?;
        Ok(Self { id: i64::from(id), slow: number.is_some() })
    }
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Invoice {
    order: i64,
    cents: i64,
    in_stock: bool,
    /// Other items that the customer may like.
    recommended: Vec<i64>,
    signature: String,
}

/// Why there is no invoice.
#[derive(Debug)]
pub(crate) enum OrderError {
    NoName,
    NoSuchOrder,
    Database(sqlx::Error),
    /// The task for the recommendations panicked.
    Child(JoinError),
}

/// Writes the invoice of an order.
pub(crate) async fn invoice(pool: &SqlitePool, name: OrderName) -> Result<Invoice, OrderError> {
    // A query.
    let order = load(pool, name.id).await?;
    // A spawned child, which works while this task goes on.
    let recommendations = tokio::spawn(recommend(pool.clone(), order.customer));
    // Two calls, joined.
    let (in_stock, shipping) = tokio::join!(check_stock(pool, order.item), quote_shipping(order.item));
    // Some work of its own.
    let cents = order.cents + shipping;
    let signature = sign(name.id, cents);
    if name.slow {
        print_label(name.id);
    }
    let recommended = recommendations.await.map_err(OrderError::Child)??;
    Ok(Invoice { order: name.id, cents, in_stock: in_stock?, recommended, signature })
}

struct Order {
    customer: i64,
    item: i64,
    cents: i64,
}

async fn load(pool: &SqlitePool, id: i64) -> Result<Order, OrderError> {
    if id >= ORDERS {
        return Err(OrderError::NoSuchOrder);
    }
    let query = sqlx::query_as("SELECT customer, item, cents FROM orders WHERE id = ?").bind(id);
    let (customer, item, cents) = query.fetch_optional(pool).await?.ok_or(OrderError::NoSuchOrder)?;
    Ok(Order { customer, item, cents })
}

async fn check_stock(pool: &SqlitePool, item: i64) -> Result<bool, OrderError> {
    let query = sqlx::query_scalar("SELECT pieces FROM stock WHERE item = ?").bind(item);
    let pieces: Option<i64> = query.fetch_optional(pool).await?;
    Ok(pieces.is_some_and(|pieces| pieces > 0))
}

/// Stands for a call of another service.
async fn quote_shipping(item: i64) -> i64 {
    sleep(CARRIER).await;
    390 + item
}

async fn recommend(pool: SqlitePool, customer: i64) -> Result<Vec<i64>, OrderError> {
    sleep(MODEL).await;
    let query = sqlx::query_scalar("SELECT item FROM orders WHERE customer = ? GROUP BY item ORDER BY max(cents) DESC LIMIT 5");
    Ok(query.bind(customer).fetch_all(&pool).await?)
}

/// Honest work: hashes over and over.
fn sign(order: i64, cents: i64) -> String {
    let mut signature = order.cast_unsigned();
    for round in 0..SIGNATURE_ROUNDS {
        let mut hasher = DefaultHasher::new();
        (signature, cents, round).hash(&mut hasher);
        signature = hasher.finish();
    }
    format!("{signature:016x}")
}

/// The mistake: the printer's library waits for the printer, and while it does, this worker polls nothing else.
/// `tokio::task::spawn_blocking` is the place for such a call.
fn print_label(order: i64) {
    let label = render_label(order);
    std::hint::black_box(&label);
    std::thread::sleep(PRINTER);
}

/// Honest work again: a label of grey pixels.
fn render_label(order: i64) -> Vec<u8> {
    let seed = order.cast_unsigned();
    (0..LABEL_PIXELS).map(|pixel| shade(seed, pixel)).collect()
}

/// The grey of one pixel: a few rounds of a quadratic map, as a fractal would take.
#[inline(never)]
fn shade(seed: u64, pixel: u64) -> u8 {
    let (mut x, mut rounds) = (seed.wrapping_mul(31).wrapping_add(pixel), 0_u8);
    while rounds < 40 {
        x = x.wrapping_mul(x).rotate_left(7) ^ pixel;
        rounds += 1;
    }
    x.to_le_bytes()[0]
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("an order is named by its number, or its number and `-slow`"),
            Self::NoSuchOrder => write!(f, "no such order; they go from 0 to {}", ORDERS - 1),
            Self::Database(error) => write!(f, "the database failed: {error}"),
            Self::Child(error) => write!(f, "the recommendations failed: {error}"),
        }
    }
}

impl From<sqlx::Error> for OrderError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_number_and_perhaps_slow() {
        assert_eq!("17".parse().ok(), Some(OrderName { id: 17, slow: false }));
        assert_eq!("17-slow".parse().ok(), Some(OrderName { id: 17, slow: true }));
        for bad in ["", "-slow", "x", "-1", "17-slower", "99999999999"] {
            assert!(matches!(bad.parse::<OrderName>(), Err(OrderError::NoName)), "{bad}");
        }
    }

    #[test]
    fn a_signature_depends_on_order_and_price() {
        assert_eq!(sign(1, 2), sign(1, 2));
        assert_ne!(sign(1, 2), sign(2, 1));
    }
}
