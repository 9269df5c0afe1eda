//! The protocol, version 1: JSON lines over a Unix stream socket.
//!
//! # Bytes
//!
//! A client sends one request a line: a JSON object, UTF-8, without a newline inside, ended by `\n` (0x0a), at most
//! [`LINE_MAX`] bytes with it. It may send the next one when it has read the answer.
//!
//! ```text
//! {"v":1,"cmd":"status"}
//! {"v":1,"cmd":"requests"}
//! {"v":1,"cmd":"tasks"}
//! {"v":1,"cmd":"report"}
//! {"v":1,"cmd":"export","select":{"request":"order-42"},"metric":"wall","format":"flamegraph"}
//! {"v":1,"cmd":"export","select":{"task":17},"metric":"cpu","format":"folded"}
//! {"v":1,"cmd":"export","select":"all","metric":"wall","format":"json"}
//! {"v":1,"cmd":"blocking","threshold_ns":1000000,"top":20}
//! {"v":1,"cmd":"export","select":"all","metric":"cpu","format":"folded","names":{"raw_frames":true,"debug_dirs":["/srv/debug"]}}
//! {"v":1,"cmd":"snapshot"}
//! {"v":1,"cmd":"stop"}
//! {"v":1,"cmd":"waits","select":{"request":"order-42"}}
//! {"v":1,"cmd":"waits","select":"all","names":{"raw_frames":true}}
//! {"v":1,"cmd":"family","select":{"request":"order-42"}}
//! ```
//!
//! Names are lower case. An unknown or missing field is refused, so that a client never thinks it was understood when it
//! was not. Only `names` of an export, of waits and of a family may be left out, and each field in it. Request ids are text here,
//! written as every output shows them: `\xff` for a byte that is not printable UTF-8, `\\` for a backslash.
//!
//! The daemon answers each request by a header line and, if `ok`, exactly `bytes` bytes of payload after its `\n`:
//!
//! ```text
//! {"v":1,"ok":true,"bytes":5120}
//! ...5120 bytes...
//! {"v":1,"ok":true,"bytes":7,"notes":["cannot read symbols of /srv/lib.so: ..."]}
//! ...7 bytes...
//! {"v":1,"ok":false,"code":"not_found","message":"no request order-42 was seen"}
//! ```
//!
//! | command | payload |
//! | --- | --- |
//! | `status` | a JSON object about the daemon and its target |
//! | `requests` | a JSON array: the rows of the report's `requests` |
//! | `tasks` | a JSON array: the rows of the report's `tasks` |
//! | `report` | the report, schema `profiler.report/1` |
//! | `export` | an SVG, folded stacks or a report |
//! | `blocking` | a JSON object: the report's `blocking` |
//! | `snapshot` | a JSON object: every live task with its await stack ([`crate::model::Snapshot`]); types and stacks stand in it once each |
//! | `waits` | a JSON array: what each instance of the request, or each type of task, waited for |
//! | `family` | a JSON array: of each instance of the request the tree of its tasks, and its critical path |
//! | `stop` | nothing (`bytes` is 0); the daemon then leaves its target and ends |
//!
//! After `bad_request`, `version`, `line_too_long`, `timeout`, `busy` and `denied` the daemon closes the connection; after the
//! others it reads on. A later version keeps `v` as the first thing to look at, and the header's `ok`, `code` and `message`.

mod line;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Metric;

/// The version that is spoken here.
pub const VERSION: u32 = 1;
/// Longest request line with its newline, in bytes. The longest sound one has some 500: an id of 64 bytes, each escaped.
pub const LINE_MAX: usize = 4096;
/// Longest header line of an answer with its newline, in bytes.
pub const HEADER_MAX: usize = 64 * 1024;
/// Longest request id, in bytes.
pub const ID_MAX: usize = 64;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// About the daemon and its target.
    Status,
    /// The requests seen so far.
    Requests,
    /// The tasks, now.
    Tasks,
    /// The whole report.
    Report,
    /// A result.
    Export {
        /// Of what.
        select: Selection,
        /// Which time is drawn.
        metric: Metric,
        /// In which form.
        format: Format,
        /// How functions are named.
        names: Names,
    },
    /// What holds workers.
    Blocking {
        /// Polls that ran at least this long are listed (ns).
        threshold_ns: u64,
        /// How many rows of each list.
        top: u64,
    },
    /// Leave the target and end.
    Stop,
    /// Every live task, with what it waits for.
    Snapshot,
    /// A request's tree of tasks, and its critical path.
    Family {
        /// Which; a request.
        select: Selection,
        /// How functions are named.
        names: Names,
    },
    /// What was waited for.
    Waits {
        /// By whom.
        select: Selection,
        /// How functions are named.
        names: Names,
    },
}

/// What an export is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Everything measured.
    All,
    /// Every instance of a request id, written as outputs write it.
    Request(String),
    /// A task, by Tokio's id.
    Task(u64),
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An interactive SVG.
    Flamegraph,
    /// Stacks with nanoseconds, one a line.
    Folded,
    /// The report.
    Json,
    /// A gzipped pprof profile.
    Pprof,
    /// speedscope's own format.
    Speedscope,
    /// A processed profile of the Firefox Profiler.
    Firefox,
    /// A Perfetto trace.
    Perfetto,
    /// A call graph in graphviz's language.
    CallgraphDot,
    /// A call graph as a picture.
    CallgraphSvg,
}

/// How an export names functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// Every frame of the executor, instead of one for each run of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw_frames: bool,
    /// Folders where debug files are looked for first, absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debug_dirs: Vec<PathBuf>,
}

/// Why the daemon answered with an error. Codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The line is no request of this version.
    BadRequest,
    /// The line is of another version.
    Version,
    /// The line is longer than [`LINE_MAX`].
    LineTooLong,
    /// No whole line came in time.
    Timeout,
    /// Too many clients.
    Busy,
    /// The client's user may not.
    Denied,
    /// There is no such request or task.
    NotFound,
    /// The daemon could not do it.
    Failed,
}

/// The first line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// A payload of this many bytes follows.
    Ok {
        /// Its length.
        bytes: u64,
        /// What the user should know of it, sentences: names that are missing, debug files that were refused.
        notes: Vec<String>,
    },
    /// Nothing follows.
    Error {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        message: String,
    },
}

/// Why a line is not understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProtocolError {
    /// It is no JSON object of the right shape.
    #[error("not a request of protocol version {VERSION}: {0}")]
    Malformed(String),
    /// Its `v` is another one.
    #[error("protocol version {0} is not spoken here, only version {VERSION}")]
    Version(u64),
    /// Fields that the command does not take, or without which it says nothing.
    #[error(
        "`export` takes `select`, `metric`, `format` and perhaps `names`, `blocking` takes `threshold_ns` and `top`, `waits` takes `select` and \
         perhaps `names`, `family` takes a request in `select` and perhaps `names`, the others take nothing"
    )]
    Fields,
    /// A request id of no bytes, or too many, or with a backslash that stands for nothing.
    #[error(r"a request id has 1 to 64 bytes, where `\\` is one and `\xff` is one")]
    RequestId,
}

impl ProtocolError {
    /// The code that the daemon answers with.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Version(_) => Code::Version,
            Self::Malformed(_) | Self::Fields | Self::RequestId => Code::BadRequest,
        }
    }
}

#[cfg(test)]
mod tests;
