//! The other end: asks a running daemon, blocking.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thiserror::Error;

use super::peer::{Peer, own_uid};
use super::protocol::{Code, HEADER_MAX, Header, ProtocolError, Request};
use super::server::Answer;

/// Time for the daemon to begin an answer, and between two parts of one. Symbols of a large program take their time.
const PATIENCE: Duration = Duration::from_mins(2);
/// Largest payload that is taken.
const PAYLOAD_MAX: u64 = 1 << 30;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody accepts connections there.
    #[error("no daemon listens on {}", path.display())]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is not for us.
    #[error("cannot use {} (run as root: sudo)", path.display())]
    NoAccess {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else listens there.
    #[error("who listens on {} is user {uid}, neither root nor you", path.display())]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to {} failed", path.display())]
    Connection {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What came is not of this protocol.
    #[error("the daemon on {} does not speak as expected", path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        source: ProtocolError,
    },
    /// The payload is larger than a client takes.
    #[error("the daemon's answer of {0} bytes is larger than 1 GiB")]
    TooLarge(u64),
    /// The daemon answered with an error.
    #[error("{message}")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
}

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the socket at a path.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let connect = || {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let peer = Peer::of(&stream)?;
            Ok((BufReader::new(stream), peer))
        };
        let (stream, peer) = connect().map_err(|source: io::Error| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon { path, source },
                io::ErrorKind::PermissionDenied => ClientError::NoAccess { path, source },
                _ => ClientError::Connection { path, source },
            }
        })?;
        if peer.may_answer(own_uid()) {
            Ok(Self { stream, path: path.to_owned() })
        } else {
            Err(ClientError::Stranger { path: path.to_owned(), uid: peer.uid })
        }
    }

    /// Speaks over a connection that is there, to whomever.
    #[must_use]
    pub fn over(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), path: PathBuf::from("a connection") }
    }

    /// Asks, and waits for the whole answer.
    pub fn ask(&mut self, request: &Request) -> Result<Vec<u8>, ClientError> {
        self.ask_with_notes(request).map(|answer| answer.payload)
    }

    /// As [`Client::ask`], with what the daemon has to say of its answer. Untrusted text.
    pub fn ask_with_notes(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let line = request.line().map_err(|source| self.strange(source))?;
        // A daemon that refuses us (busy, denied) may have closed its end before it has read this; its words are still
        // there to read, so a failed write counts only if nothing can be read.
        let written = self.stream.get_mut().write_all(&line);
        match (self.answer(), written) {
            (Err(ClientError::Connection { .. }), Err(source)) => Err(self.broken(source)),
            (answer, _) => answer,
        }
    }

    fn answer(&mut self) -> Result<Answer, ClientError> {
        let mut line = Vec::new();
        let limit = u64::try_from(HEADER_MAX).unwrap_or(u64::MAX);
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut line);
        read.map_err(|source| self.broken(source))?;
        if line.is_empty() {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        match Header::parse(&line).map_err(|source| self.strange(source))? {
            Header::Error { code, message } => Err(ClientError::Refused { code, message }),
            Header::Ok { bytes, .. } if bytes > PAYLOAD_MAX => Err(ClientError::TooLarge(bytes)),
            Header::Ok { bytes, notes } => Ok(Answer { payload: self.payload(bytes)?, notes }),
        }
    }

    /// Grows with what comes, not with what was announced.
    fn payload(&mut self, bytes: u64) -> Result<Vec<u8>, ClientError> {
        let mut payload = Vec::new();
        let read = (&mut self.stream).take(bytes).read_to_end(&mut payload);
        let read = read.map_err(|source| self.broken(source))?;
        if u64::try_from(read).unwrap_or(u64::MAX) == bytes {
            Ok(payload)
        } else {
            Err(self.broken(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Connection { path: self.path.clone(), source }
    }

    fn strange(&self, source: ProtocolError) -> ClientError {
        ClientError::Protocol { path: self.path.clone(), source }
    }
}
