//! The daemon's end of the protocol: one task per client, bounded in number, time and bytes.

use std::{future::Future, io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    listener::ControlListener,
    peer::{Peer, own_uid},
    protocol::{Code, Format, HEADER_MAX, Header, LINE_MAX, Names, Request, Selection},
};
use crate::model::Metric;

/// What the daemon answers with. Methods are called on a thread where blocking is fine, several at a time.
pub trait Service: Send + Sync + 'static {
    /// A JSON object about the daemon and its target.
    fn status(&self) -> Result<Vec<u8>, ServiceError>;
    /// A JSON array: the rows of the report's `requests`.
    fn requests(&self) -> Result<Vec<u8>, ServiceError>;
    /// A JSON array: the rows of the report's `tasks`.
    fn tasks(&self) -> Result<Vec<u8>, ServiceError>;
    /// The report, as JSON.
    fn report(&self) -> Result<Vec<u8>, ServiceError>;
    /// A JSON object: what holds workers, polls of at least `threshold_ns` and `top` rows of each list; it names functions, as an export.
    fn blocking(&self, threshold_ns: u64, top: u64) -> Result<Answer, ServiceError>;
    /// A result, and what the user should know of it.
    fn export(&self, select: &Selection, metric: Metric, format: Format, names: &Names) -> Result<Answer, ServiceError>;
    /// A JSON object: every live task with its await stack, as [`crate::model::Snapshot`].
    fn snapshot(&self) -> Result<Vec<u8>, ServiceError>;
    /// A JSON array: what was waited for, by each instance of the request or each type of task; it may name functions, as an export.
    fn waits(&self, select: &Selection, names: &Names) -> Result<Answer, ServiceError>;
    /// A JSON array: of each instance of the request the tree of its tasks and its critical path, as [`crate::model::Family`].
    fn family(&self, select: &Selection, names: &Names) -> Result<Answer, ServiceError>;
    /// Makes the daemon leave its target and end, soon; returns at once.
    fn stop(&self);
}

/// What a request is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The bytes that were asked for.
    pub payload: Vec<u8>,
    /// Sentences for the user about them.
    pub notes: Vec<String>,
}

impl From<Vec<u8>> for Answer {
    fn from(payload: Vec<u8>) -> Self {
        Self { payload, notes: Vec::new() }
    }
}

/// Why the service has no answer; the message goes to the client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ServiceError {
    /// There is no such request or task.
    #[error("{0}")]
    NotFound(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
}

/// What a client may take of the daemon.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time; one more is told to come back.
    pub clients: usize,
    /// Time for a request line to come, and for a client to be silent between two.
    pub read: Duration,
    /// Time for a client to take 64 KiB of an answer.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { clients: 16, read: Duration::from_secs(30), write: Duration::from_secs(30) }
    }
}

/// Bytes that a client has [`Limits::write`] to take.
const CHUNK: usize = 64 * 1024;
/// Pause after a failed accept: without descriptors left, the next one would fail at once as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients until `shutdown` is done, then waits a moment for the answers under way.
///
/// Dropping the future closes every connection at once.
pub async fn serve<S: Service>(listener: ControlListener, service: Arc<S>, limits: Limits, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(limits.clients));
    let mut clients = tokio::task::JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            // Ended clients leave the set; their results tell nothing.
            Some(_) = clients.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok(stream) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let welcome = welcome(&stream, &slots);
        if welcome.is_err() && clients.len() >= limits.clients.saturating_mul(2) {
            // Even refusals are bounded: this one is told by the closed connection.
            continue;
        }
        let service = Arc::clone(&service);
        clients.spawn(async move {
            let mut connection = Connection { stream: BufReader::new(stream), limits };
            // A client that is gone needs no answer, and the others must not hear of it.
            let _ = match welcome {
                Ok(_slot) => connection.converse(&service).await,
                Err((code, message)) => connection.refuse(code, message).await,
            };
        });
    }
    drop(listener);
    let rest = async { while clients.join_next().await.is_some() {} };
    // The answer to `stop` itself is among these.
    let _ = timeout(Duration::from_millis(200), rest).await;
}

/// Gives a client one of the slots, or the reason why not. Who may not use the daemon takes no slot from who may.
fn welcome(stream: &UnixStream, slots: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, (Code, String)> {
    let own = own_uid();
    match Peer::of(stream) {
        Ok(peer) if peer.may_use_daemon_of(own) => {}
        Ok(peer) => {
            return Err((Code::Denied, format!("user {} may not use a daemon of user {own}", peer.uid)));
        }
        Err(error) => return Err((Code::Denied, format!("it cannot be told who asks: {error}"))),
    }
    Arc::clone(slots).try_acquire_owned().map_err(|_| (Code::Busy, "too many clients, try again".to_owned()))
}

struct Connection {
    stream: BufReader<UnixStream>,
    limits: Limits,
}

/// What came instead of a line.
enum NoLine {
    /// The client has closed its end.
    End,
    TooLong,
    Timeout,
}

impl Connection {
    async fn converse<S: Service>(&mut self, service: &Arc<S>) -> io::Result<()> {
        loop {
            let line = match self.line().await? {
                Ok(line) => line,
                Err(NoLine::End) => return Ok(()),
                Err(NoLine::TooLong) => {
                    return self.refuse(Code::LineTooLong, format!("a request line has at most {LINE_MAX} bytes")).await;
                }
                Err(NoLine::Timeout) => {
                    let seconds = self.limits.read.as_secs();
                    return self.refuse(Code::Timeout, format!("no request came within {seconds} s")).await;
                }
            };
            let request = match Request::parse(&line) {
                Ok(request) => request,
                Err(error) => return self.refuse(error.code(), error.to_string()).await,
            };
            let stop = request == Request::Stop;
            self.answer(ask(service, request).await).await?;
            if stop {
                service.stop();
            }
        }
    }

    /// Reads up to a newline, and never more than [`LINE_MAX`] bytes.
    async fn line(&mut self) -> io::Result<Result<Vec<u8>, NoLine>> {
        let mut line = Vec::new();
        let limit = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        let mut bounded = (&mut self.stream).take(limit);
        let Ok(read) = timeout(self.limits.read, bounded.read_until(b'\n', &mut line)).await else {
            return Ok(Err(NoLine::Timeout));
        };
        read?;
        Ok(match line.last() {
            Some(b'\n') => Ok(line),
            _ if line.len() >= LINE_MAX => Err(NoLine::TooLong),
            // Half a line and then the end is a client that was cut off.
            _ => Err(NoLine::End),
        })
    }

    async fn answer(&mut self, answer: Result<Answer, ServiceError>) -> io::Result<()> {
        match answer {
            Ok(Answer { payload, notes }) => {
                let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                self.header(Header::Ok { bytes, notes: fitting(notes) }).await?;
                for chunk in payload.chunks(CHUNK) {
                    self.write(chunk).await?;
                }
                Ok(())
            }
            Err(ServiceError::NotFound(message)) => self.header(Header::Error { code: Code::NotFound, message }).await,
            Err(ServiceError::Failed(message)) => self.header(Header::Error { code: Code::Failed, message }).await,
        }
    }

    /// The last word on a connection.
    async fn refuse(&mut self, code: Code, message: String) -> io::Result<()> {
        self.header(Header::Error { code, message }).await?;
        self.stream.get_mut().shutdown().await
    }

    async fn header(&mut self, header: Header) -> io::Result<()> {
        let line = header.line().map_err(io::Error::other)?;
        self.write(&line).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = timeout(self.limits.write, self.stream.get_mut().write_all(bytes)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// As many notes as a header line holds with room to spare: in JSON one byte is at worst six, `\u001b`. The rest is counted.
fn fitting(mut notes: Vec<String>) -> Vec<String> {
    let mut room = HEADER_MAX / 8;
    let fit = notes.iter().take_while(|note| {
        let fits = note.len() <= room;
        room = room.saturating_sub(note.len());
        fits
    });
    let (fit, all) = (fit.count(), notes.len());
    notes.truncate(fit);
    if fit < all {
        notes.push(format!("{} more notes do not fit here", all - fit));
    }
    notes
}

/// Asks the service on a thread of its own, so that a long export keeps no other client waiting.
async fn ask<S: Service>(service: &Arc<S>, request: Request) -> Result<Answer, ServiceError> {
    let service = Arc::clone(service);
    let asked = tokio::task::spawn_blocking(move || match request {
        Request::Status => service.status().map(Answer::from),
        Request::Requests => service.requests().map(Answer::from),
        Request::Tasks => service.tasks().map(Answer::from),
        Request::Report => service.report().map(Answer::from),
        Request::Snapshot => service.snapshot().map(Answer::from),
        Request::Blocking { threshold_ns, top } => service.blocking(threshold_ns, top),
        Request::Export { select, metric, format, names } => service.export(&select, metric, format, &names),
        Request::Family { select, names } => service.family(&select, &names),
        Request::Waits { select, names } => service.waits(&select, &names),
        // Told to the service once the answer is out.
        Request::Stop => Ok(Answer::default()),
    });
    // The one error is a panic in the service: the client is told, and the daemon goes on.
    asked.await.unwrap_or_else(|error| Err(ServiceError::Failed(format!("the daemon failed: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_without_end_are_cut_and_counted() {
        assert_eq!(fitting(vec!["a".to_owned(); 3]), ["a"; 3]);
        let many = fitting(vec!["\u{1b}".repeat(1000); 100]);
        assert_eq!(many.last().unwrap(), "92 more notes do not fit here");
        let header = Header::Ok { bytes: u64::MAX, notes: many };
        assert!(header.line().unwrap().len() <= HEADER_MAX);
        assert_eq!(fitting(vec!["a".repeat(HEADER_MAX)]), ["1 more notes do not fit here"]);
    }
}
