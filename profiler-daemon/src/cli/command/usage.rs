//! What is wrong with a command line whose flags are right one by one.

use thiserror::Error;

use crate::cli::value::{RequestId, ValueError};

/// Flags that are right alone and wrong together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// `--request X --request X`.
    #[error("--request '{0}' is given twice")]
    SameRequestTwice(RequestId),
    /// `--mode request` or `--follow-spawns` where no request is named.
    #[error("--mode request and --follow-spawns say how wanted requests are measured, and none is named")]
    ModeOfNoRequest,
    /// `--mode sample --next 5`.
    #[error(
        "--mode sample has no probe in the program, so only --request can choose requests: no beginning and no end of one is seen"
    )]
    ChoiceOfSamples,
    /// `--interval` below what a table can be read at.
    #[error("--interval must be at least 100ms")]
    ShortInterval,
    /// An empty path for `-o`, `--socket` or FILE.
    #[error("{0} must not be an empty path")]
    EmptyPath(&'static str),
    /// `man` with a command that does not exist.
    #[error("there is no command '{0}' to print the page of")]
    NoSuchPage(String),
    /// `curl` without a URL.
    #[error("name the URL of the request")]
    NoUrl,
    /// `curl` with two.
    #[error("one request is profiled, and there are two URLs: '{0}' and '{1}'")]
    SeveralUrls(String, String),
    /// A URL that is none, or of another scheme.
    #[error("'{0}' is no http or https URL")]
    BadUrl(String),
    /// An option of curl's that makes several requests of one, or names files by itself.
    #[error("{0} cannot be had here: one request is profiled, and its answer goes to --body")]
    NotWithCurl(String),
    /// An option of curl's by which the URL does not say who answers.
    #[error("with {0}, say by --pid which process answers")]
    PidForDetour(String),
    /// `-o - --body -`.
    #[error("-o and --body cannot both go to standard output")]
    BothToStdout,
    /// `-H x-request-id:` with what is no request id.
    #[error("the x-request-id header: {0}")]
    RequestIdHeader(ValueError),
}
