//! Requests and headers as they stand on their lines, and the way there and back.

use serde::{Deserialize, Serialize};

use super::{Code, Format, Header, ID_MAX, Names, ProtocolError, Request, Selection, VERSION};
use crate::model::Metric;
use crate::text;

/// What every line begins with, whatever its version.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// A request as it stands on the line. Written out by hand, because serde does not refuse unknown fields of a tagged
/// enum's unit variants, nor together with `flatten`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    v: u32,
    cmd: Command,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    select: Option<Selection>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metric: Option<Metric>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    top: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<Names>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    Status,
    Requests,
    Tasks,
    Report,
    Export,
    Blocking,
    Stop,
    Snapshot,
    Waits,
    Family,
}

impl TryFrom<RequestLine> for Request {
    type Error = ProtocolError;

    fn try_from(line: RequestLine) -> Result<Self, ProtocolError> {
        // What belongs to one command only stands beside no other.
        let question = match (line.cmd, line.threshold_ns, line.top) {
            (Command::Blocking, Some(threshold_ns), Some(top)) => Some(Self::Blocking { threshold_ns, top }),
            (Command::Blocking, ..) | (_, Some(_), _) | (_, _, Some(_)) => return Err(ProtocolError::Fields),
            _ => None,
        };
        let names = line.names;
        let request = match (line.cmd, line.select, line.metric, line.format) {
            (Command::Export, Some(select), Some(metric), Some(format)) => {
                Self::Export { select, metric, format, names: names.unwrap_or_default() }
            }
            (Command::Family, Some(select @ Selection::Request(_)), None, None) => {
                Self::Family { select, names: names.unwrap_or_default() }
            }
            (Command::Waits, Some(select), None, None) => Self::Waits { select, names: names.unwrap_or_default() },
            _ if names.is_some() => return Err(ProtocolError::Fields),
            (Command::Blocking, None, None, None) => question.ok_or(ProtocolError::Fields)?,
            (Command::Status, None, None, None) => Self::Status,
            (Command::Requests, None, None, None) => Self::Requests,
            (Command::Tasks, None, None, None) => Self::Tasks,
            (Command::Report, None, None, None) => Self::Report,
            (Command::Stop, None, None, None) => Self::Stop,
            (Command::Snapshot, None, None, None) => Self::Snapshot,
            _ => return Err(ProtocolError::Fields),
        };
        match &request {
            Self::Export { select: Selection::Request(id), .. }
            | Self::Waits { select: Selection::Request(id), .. }
            | Self::Family { select: Selection::Request(id), .. }
                if !text::bytes(id.as_bytes()).is_ok_and(|id| (1..=ID_MAX).contains(&id.len())) =>
            {
                Err(ProtocolError::RequestId)
            }
            _ => Ok(request),
        }
    }
}

impl From<&Request> for RequestLine {
    fn from(request: &Request) -> Self {
        let plain =
            |cmd| Self { v: VERSION, cmd, select: None, metric: None, format: None, threshold_ns: None, top: None, names: None };
        let said = |names: &Names| (*names != Names::default()).then(|| names.clone());
        match request {
            Request::Status => plain(Command::Status),
            Request::Requests => plain(Command::Requests),
            Request::Tasks => plain(Command::Tasks),
            Request::Report => plain(Command::Report),
            Request::Stop => plain(Command::Stop),
            Request::Snapshot => plain(Command::Snapshot),
            Request::Blocking { threshold_ns, top } => {
                Self { threshold_ns: Some(*threshold_ns), top: Some(*top), ..plain(Command::Blocking) }
            }
            Request::Export { select, metric, format, names } => Self {
                select: Some(select.clone()),
                metric: Some(*metric),
                format: Some(*format),
                names: said(names),
                ..plain(Command::Export)
            },
            Request::Family { select, names } => {
                Self { select: Some(select.clone()), names: said(names), ..plain(Command::Family) }
            }
            Request::Waits { select, names } => {
                Self { select: Some(select.clone()), names: said(names), ..plain(Command::Waits) }
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    v: u32,
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Code>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

fn malformed(error: &serde_json::Error) -> ProtocolError {
    ProtocolError::Malformed(error.to_string())
}

fn check_version(line: &[u8]) -> Result<(), ProtocolError> {
    let versioned: Versioned = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    if versioned.v == u64::from(VERSION) { Ok(()) } else { Err(ProtocolError::Version(versioned.v)) }
}

impl Request {
    /// Reads a line, with or without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, ProtocolError> {
        check_version(line)?;
        let line: RequestLine = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
        line.try_into()
    }

    /// Writes the line, with its newline.
    pub fn line(&self) -> Result<Vec<u8>, ProtocolError> {
        ended(&RequestLine::from(self))
    }
}

impl Header {
    /// Reads a line, with or without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, ProtocolError> {
        check_version(line)?;
        let line: HeaderLine = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
        match line {
            HeaderLine { ok: true, bytes: Some(bytes), notes, .. } => Ok(Self::Ok { bytes, notes }),
            HeaderLine { ok: false, code: Some(code), message: Some(message), .. } => Ok(Self::Error { code, message }),
            _ => Err(ProtocolError::Malformed("a header without what its `ok` asks for".to_owned())),
        }
    }

    /// Writes the line, with its newline.
    pub fn line(&self) -> Result<Vec<u8>, ProtocolError> {
        let (ok, bytes, notes, code, message) = match self.clone() {
            Self::Ok { bytes, notes } => (true, Some(bytes), notes, None, None),
            Self::Error { code, message } => (false, None, Vec::new(), Some(code), Some(message)),
        };
        ended(&HeaderLine { v: VERSION, ok, bytes, notes, code, message })
    }
}

fn ended(line: &impl Serialize) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| malformed(&error))?;
    bytes.push(b'\n');
    Ok(bytes)
}
