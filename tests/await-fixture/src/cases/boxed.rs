//! Futures behind pointers, with their type known and without.

use std::pin::{Pin, pin};

use tokio::time::sleep;

use super::{Outcome, doze, length};
use crate::trail::Trail;
use crate::wait;

/// By `&mut`, once a place on the coroutine itself and once a box.
pub async fn by_reference(trail: Trail) -> Outcome {
    let (first, second) = (trail.slot(), trail.slot());
    let mut here = pin!(doze(first, 26));
    wait!(in first, here.as_mut().await);
    let mut boxed = Box::pin(doze(second, 34));
    wait!(in second, (&mut boxed).await);
    Ok(())
}

/// Two types behind `dyn Future`, by turns.
pub async fn dynamic(trail: Trail) -> Outcome {
    for turn in 0..2 {
        wait!(trail => inner, chosen(inner, turn).await);
    }
    wait!(trail, "Sleep", (Box::new(Box::pin(sleep(length(22)))) as Box<dyn Future<Output = ()> + Send + Unpin>).await);
    Ok(())
}

fn chosen(trail: Trail, turn: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    if turn == 0 { Box::pin(one(trail)) } else { Box::pin(other(trail, [turn; 9])) }
}

async fn one(trail: Trail) -> u32 {
    wait!(trail, "Sleep", sleep(length(28)).await);
    1
}

async fn other(trail: Trail, kept: [u32; 9]) -> u32 {
    wait!(trail => inner, doze(inner, 39).await);
    kept.iter().sum()
}

/// What `#[async_trait]` makes: a boxed block in a method, called through a trait object.
#[async_trait::async_trait]
trait Load: Send + Sync {
    async fn load(&self, trail: Trail, key: &str) -> u64;
}

struct Shelf {
    milliseconds: u64,
}

#[async_trait::async_trait]
impl Load for Shelf {
    async fn load(&self, trail: Trail, key: &str) -> u64 {
        wait!(trail, "Sleep", sleep(length(self.milliseconds)).await);
        wait!(trail => inner, doze(inner, 20).await);
        key.len() as u64
    }
}

/// A method of a trait object.
pub async fn async_trait(trail: Trail) -> Outcome {
    let shelf: Box<dyn Load> = Box::new(Shelf { milliseconds: 42 });
    let found = wait!(trail => inner, shelf.load(inner, "key").await);
    std::hint::black_box(found);
    Ok(())
}
