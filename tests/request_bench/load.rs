//! The load: connections that ask for the next answer as soon as they have one, and one that asks for the wanted request now and then.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use profiler_tests::{Failure, Result};

/// Connections that are always busy.
const CONNECTIONS: usize = 32;
/// Between two wanted requests.
const WANTED_EVERY: Duration = Duration::from_millis(10);
/// The id of the wanted request.
pub(crate) const WANTED: &str = "wanted";

/// What the driver has seen.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    /// Latencies since they were taken last (ns).
    latencies: Mutex<Vec<u32>>,
    over: AtomicBool,
}

/// A running driver, on a thread of its own.
pub(crate) struct Load {
    seen: Arc<Seen>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Load {
    pub(crate) fn start(port: u16) -> Self {
        let seen = Arc::new(Seen::default());
        let thread = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || drive(port, &seen)
        });
        Self { seen, thread }
    }

    /// Requests answered so far.
    pub(crate) fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// Latencies (ns) since the last call.
    pub(crate) fn take_latencies(&self) -> Vec<u32> {
        std::mem::take(&mut self.seen.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn end(self) -> Result<()> {
        self.seen.over.store(true, Ordering::Relaxed);
        let failed = Failure::io("the load");
        self.thread.join().map_err(|_| Failure::Wrong(vec!["the load panicked".to_owned()]))?.map_err(failed)
    }
}

fn drive(port: u16, seen: &Arc<Seen>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            all.spawn(busy(port, Arc::clone(seen)));
        }
        all.spawn(wanted(port, Arc::clone(seen)));
        while let Some(done) = all.join_next().await {
            done.map_err(std::io::Error::other)??;
        }
        Ok(())
    })
}

async fn busy(port: u16, seen: Arc<Seen>) -> std::io::Result<()> {
    let mut connection = Connection::open(port).await?;
    while !seen.over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        connection.ask("/", None).await?;
        let took = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
        seen.requests.fetch_add(1, Ordering::Relaxed);
        seen.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }
    Ok(())
}

async fn wanted(port: u16, seen: Arc<Seen>) -> std::io::Result<()> {
    let mut connection = Connection::open(port).await?;
    while !seen.over.load(Ordering::Relaxed) {
        connection.ask("/waits", Some(WANTED)).await?;
        tokio::time::sleep(WANTED_EVERY).await;
    }
    Ok(())
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(1024) })
    }

    /// One request, and its answer to the end.
    pub(crate) async fn ask(&mut self, path: &str, id: Option<&str>) -> std::io::Result<()> {
        let name = id.map(|id| format!("x-request-id: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{name}\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        // The body is two bytes, and nothing follows it.
        while !self.answer.ends_with(b"\r\n\r\nok") {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}
