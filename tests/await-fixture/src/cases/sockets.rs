//! Sockets of the loopback interface.

use profiler_annotate::RequestId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Outcome, Started, length, spawned};
use crate::trail::Trail;
use crate::wait;

/// Both ends of a connection.
pub async fn pair() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    let (far, _) = listener.accept().await?;
    Ok((near, far))
}

/// A peer that writes late, twice.
pub async fn start_read(trail: Trail, id: RequestId) -> Started {
    let (near, mut far) = pair().await?;
    tokio::spawn(async move {
        for milliseconds in [28, 41] {
            tokio::time::sleep(length(milliseconds)).await;
            // Where the reader is gone there is nobody to tell.
            drop(far.write_all(b"word").await);
        }
        far
    });
    Ok(spawned(id, reads(trail, near)))
}

async fn reads(trail: Trail, mut stream: TcpStream) -> Outcome {
    let mut word = [0; 4];
    wait!(trail, "read_exact", stream.read_exact(&mut word).await)?;
    // As much was read as was asked for, so Tokio believes that there is more.
    drop(stream.try_read(&mut word));
    wait!(trail, "Readiness", stream.readable().await)
}

/// A peer that connects late.
pub async fn start_accept(trail: Trail, id: RequestId) -> Started {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        tokio::time::sleep(length(35)).await;
        TcpStream::connect(address).await
    });
    Ok(spawned(id, accepts(trail, listener)))
}

async fn accepts(trail: Trail, listener: TcpListener) -> Outcome {
    wait!(trail, "accept", listener.accept().await).map(drop)
}
