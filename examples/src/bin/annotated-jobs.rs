//! No framework: jobs from a queue, as a Kafka consumer gets them. A `scope` around what handles one is all it takes.

use std::io;

use annotated_services::{control, orders, witness};
use profiler_annotate::{RequestId, request_id, scope};
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;

/// A message of the queue: its key, any bytes, and which order it asks for.
struct Message {
    key: Vec<u8>,
    number: u64,
}

async fn handle(message: Message) {
    // Measured for the profiler's tests, here and below; without it: `orders::make(message.number).await`.
    witness::inside(orders::make(message.number)).await;
}

/// Takes one message after the other, in one task, until the queue ends.
async fn consume(queue: TcpStream) -> io::Result<()> {
    let mut queue = BufReader::new(queue);
    while let Some(message) = next(&mut queue).await? {
        // The line for the profiler. A key that is empty or too long is no reason to drop a message.
        let id = RequestId::new(&message.key).unwrap_or(request_id!("no-usable-key"));
        let job = scope(id, handle(message));

        // For the profiler's tests; without it: `job.await`.
        witness::outside(Some(id.as_bytes()), job).await;
    }
    Ok(())
}

/// A byte with the key's length, the key, eight bytes with the number.
async fn next(queue: &mut BufReader<TcpStream>) -> io::Result<Option<Message>> {
    let length = match queue.read_u8().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut key = vec![0; length.into()];
    queue.read_exact(&mut key).await?;
    Ok(Some(Message { key, number: queue.read_u64().await? }))
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
