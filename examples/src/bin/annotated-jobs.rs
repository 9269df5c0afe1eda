//! No framework: jobs from a queue, as a Kafka consumer gets them. A `scope` around what handles one is all it takes.

use std::io;

use annotated_services::{control, orders, witness};
use profiler_annotate::{RequestId, scope};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;

/// A message of the queue: what orders it, and which order.
struct Message {
    key: String,
    number: u64,
}

async fn handle(message: Message) {
    // Measured for the profiler's tests, here and below; without it: `orders::make(message.number).await`.
    witness::inside(orders::make(message.number)).await;
}

/// Takes one message after the other, in one task, until the queue ends: `KEY NUMBER`, one a line.
async fn consume(queue: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(queue).lines();
    while let Some(line) = lines.next_line().await? {
        let (key, number) = line.split_once(' ').ok_or_else(|| io::Error::other("a message is a key and a number"))?;
        let message = Message { key: key.to_owned(), number: number.parse().map_err(io::Error::other)? };

        // The line for the profiler. A key that is empty or too long is no reason to drop a message.
        let id = RequestId::try_from(&message.key).unwrap_or(profiler_annotate::request_id!("no-usable-key"));
        let job = scope(id, handle(message));

        // For the profiler's tests; without it: `job.await`.
        witness::outside(Some(id.as_bytes()), job).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(control::listen()?)?;
    control::obey(listener.local_addr()?)?;
    loop {
        let (queue, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = consume(queue).await {
                eprintln!("a queue ended badly: {error}");
            }
        });
    }
}
