//! The load: connections that ask for the next answer as soon as they have one, and one that asks for the wanted request now and then.
//!
//! Built on mio and as thin as it goes, a read and a write a request: the driver must not be what the service waits for. It never sleeps while it
//! asks: to wake a CPU that rests is an interrupt between CPUs, on a virtual machine some microseconds that the service pays with its answer, so that
//! the slower it answers, the more often it would pay.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::{Failure, Result};

/// Connections that are always busy.
const CONNECTIONS: usize = 32;
/// Between two wanted requests, if nobody says otherwise.
const WANTED_EVERY: Duration = Duration::from_millis(10);
/// How soon a paused driver looks whether it is to go on.
const PAUSE_STEP: Duration = Duration::from_millis(10);
/// The id of the wanted request.
pub const WANTED: &str = "wanted";

/// What the driver has seen, and is to do.
#[derive(Debug, Default)]
struct Seen {
    requests: AtomicU64,
    /// Latencies since they were taken last (ns).
    latencies: Mutex<Vec<u32>>,
    over: AtomicBool,
    paused: AtomicBool,
}

impl Seen {
    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

/// A running driver, on threads of its own.
#[derive(Debug)]
pub struct Load {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Load {
    /// Asks at once, for the wanted request a hundred times a second.
    #[must_use]
    pub fn start(port: u16) -> Self {
        Self::wanting(port, WANTED_EVERY)
    }

    /// Asks at once, for the wanted request with such a pause after each.
    #[must_use]
    pub fn wanting(port: u16, every: Duration) -> Self {
        let seen = Arc::new(Seen::default());
        let (driver, wanted) = (Arc::clone(&seen), Arc::clone(&seen));
        let threads =
            vec![std::thread::spawn(move || drive(port, &driver)), std::thread::spawn(move || ask_wanted(port, every, &wanted))];
        Self { seen, threads }
    }

    /// Requests answered so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// Latencies (ns) since the last call.
    #[must_use]
    pub fn take_latencies(&self) -> Vec<u32> {
        std::mem::take(&mut self.seen.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Stops asking, or goes on.
    pub fn pause(&self, paused: bool) {
        self.seen.paused.store(paused, Ordering::Relaxed);
    }

    /// Ends.
    pub fn end(self) -> Result<()> {
        self.seen.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let failed = Failure::io("the load");
            thread.join().map_err(|_| Failure::Wrong(vec!["the load panicked".to_owned()]))?.map_err(failed)?;
        }
        Ok(())
    }
}

/// A connection of the driver.
struct Busy {
    stream: mio::net::TcpStream,
    answer: Vec<u8>,
    asked: Instant,
}

impl Busy {
    fn ask(&mut self, now: Instant) -> io::Result<()> {
        self.asked = now;
        self.answer.clear();
        // So few bytes, to who has read all before, are taken whole.
        self.stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    }

    /// Reads what has come. Whether the answer is whole; where it is not, more of it will be told of.
    fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 512];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(is_whole(&self.answer))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The body is two bytes, and nothing follows it.
fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"\r\n\r\nok")
}

fn drive(port: u16, seen: &Seen) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(CONNECTIONS);
    let mut all = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        all.push(Busy { stream, answer: Vec::with_capacity(512), asked: Instant::now() });
    }
    // Who has an answer and asks for no other yet.
    let mut idle: Vec<usize> = (0..CONNECTIONS).collect();
    while !Seen::is(&seen.over) {
        if !Seen::is(&seen.paused) {
            let now = Instant::now();
            for number in idle.drain(..) {
                all.get_mut(number).map(|busy| busy.ask(now)).transpose()?;
            }
        }
        poll.poll(&mut events, Some(if Seen::is(&seen.paused) { PAUSE_STEP } else { Duration::ZERO }))?;
        for event in &events {
            let Some(busy) = all.get_mut(event.token().0) else { continue };
            if !busy.read()? {
                continue;
            }
            let now = Instant::now();
            let took = u32::try_from(now.duration_since(busy.asked).as_nanos()).unwrap_or(u32::MAX);
            seen.requests.fetch_add(1, Ordering::Relaxed);
            seen.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
            if Seen::is(&seen.paused) { idle.push(event.token().0) } else { busy.ask(now)? }
        }
    }
    Ok(())
}

fn ask_wanted(port: u16, every: Duration, seen: &Seen) -> io::Result<()> {
    let mut connection = Connection::open(port)?;
    while !Seen::is(&seen.over) {
        if !Seen::is(&seen.paused) {
            connection.ask("/waits", Some(WANTED))?;
        }
        std::thread::sleep(every);
    }
    Ok(())
}

/// A connection that is kept, one request at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// To the service here.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(512) })
    }

    /// One request, and its answer to the end.
    pub fn ask(&mut self, path: &str, id: Option<&str>) -> io::Result<()> {
        let name = id.map(|id| format!("x-request-id: {id}\r\n")).unwrap_or_default();
        self.stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{name}\r\n").as_bytes())?;
        self.answer.clear();
        let mut chunk = [0; 512];
        while !is_whole(&self.answer) {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.answer.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
        Ok(())
    }
}
