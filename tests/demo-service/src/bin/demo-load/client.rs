//! As much of an HTTP/1.1 client as the load needs: GET on a connection that is kept.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::target::Target;

/// No answer of the demo service is nearly as long.
const LONGEST_BODY: usize = 1 << 20;

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(target: Target) -> io::Result<Self> {
        let stream = TcpStream::connect(target.0).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request with an id and waits for its answer.
    pub(crate) async fn get(&mut self, path: &str, request_id: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: demo\r\nx-request-id: {request_id}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let status = status(&self.line().await?).ok_or_else(|| malformed("no HTTP status"))?;
        let mut length = None;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok().filter(|length| *length <= LONGEST_BODY);
            }
        }
        let mut body = vec![0; length.ok_or_else(|| malformed("no usable content-length"))?];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status, body })
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

/// The number in `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then(|| rest.get(..3)?.parse().ok())?
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_status_line() {
        assert_eq!(status("HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status("HTTP/1.0 404"), Some(404));
        for bad in ["", "HTTP/1.1", "HTTP/1.1 20", "SSH-2.0 200 x"] {
            assert_eq!(status(bad), None, "{bad}");
        }
    }
}
