//! `curl`: our few options and all of curl's, as one command line.
//!
//! clap knows ours only, and wants them before a `--` and curl's behind it. [`arrange`] brings a command line as people type it, with
//! everything anywhere, into that order.

mod options;
mod place;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueHint};

pub use place::Place;

use super::args::{NamesArgs, PID_MAX};
use super::command::{Names, Shape, UsageError, not_empty};
use super::form::{Format, Metric};
use super::output::Output;
use super::value::{self, RequestId};
use words::{Asked, split};

/// Arguments of `curl`.
#[derive(Debug, ClapArgs)]
#[command(override_usage = "profiler-daemon curl [OPTIONS] [curl's options] URL -o <FILE>")]
pub struct CurlArgs {
    /// Write the profile to this file; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Write the answer's body to this file; `-` is standard output [default: it is dropped]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body: Option<PathBuf>,
    /// The process to profile [default: the one that listens where the URL points]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=PID_MAX))]
    pub pid: Option<u32>,
    /// Time to draw: wall (waiting included), cpu, or blocked (asleep in the kernel inside a poll); a json report holds all
    #[arg(long, value_enum, default_value_t)]
    pub metric: Metric,
    /// Form of the result, if it is not to be told from FILE's name; see `record`
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The key that the service has too; the request then carries a token [default: PROFILER_PROFILE_KEY, or the file that
    /// PROFILER_PROFILE_KEY_FILE names; without a key, the request is known by its id]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub profile_key_file: Option<PathBuf>,
    /// How long the request may take, at most
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = value::duration)]
    pub duration: Duration,
    /// How functions are named
    #[command(flatten)]
    pub names: NamesArgs,
    /// curl's options and the URL; they may stand before, between and behind ours
    #[arg(last = true, value_name = "curl's options and URL", num_args = 1.., required = true)]
    pub words: Vec<OsString>,
}

/// What becomes of the answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nobody wants it.
    Dropped,
    /// It goes there.
    To(Output),
}

/// `curl`.
#[derive(Debug, PartialEq)]
pub struct Curl {
    /// The target, where the user named it.
    pub pid: Option<u32>,
    /// Where the URL points.
    pub place: Place,
    /// What curl gets.
    pub words: Vec<OsString>,
    /// The id that the user has given the request.
    pub id: Option<RequestId>,
    /// The user has given the request a token.
    pub has_token: bool,
    /// The user has something of their own to be written out.
    pub writes_out: bool,
    /// The key's file, where the user named it.
    pub key_file: Option<PathBuf>,
    /// How long the request may take.
    pub duration: Duration,
    /// What to write, and where.
    pub shape: Shape,
    /// What becomes of the body.
    pub body: Body,
    /// How functions are named.
    pub names: Names,
}

/// Brings the words behind `curl` into the order that clap wants. Any other command line stays as it is.
pub(super) fn arrange(args: Vec<OsString>) -> Vec<OsString> {
    // Global options may stand before the command.
    let at = args.iter().skip(1).position(|word| word == "curl").map(|at| at + 1);
    let Some(at) = at.filter(|&at| is_command(&args, at)) else { return args };
    let mut arranged = args;
    let split = split(arranged.split_off(at + 1));
    arranged.extend(split.ours);
    if !split.theirs.is_empty() {
        arranged.push("--".into());
        arranged.extend(split.theirs);
    }
    arranged
}

/// Whether nothing but global options stands before the word at `at`.
fn is_command(args: &[OsString], at: usize) -> bool {
    let mut before = args.iter().take(at).skip(1);
    while let Some(word) = before.next() {
        let Some(text) = word.to_str().filter(|text| text.starts_with('-')) else { return false };
        if text == "--color" {
            before.next();
        }
    }
    true
}

impl Curl {
    pub(super) fn check(args: CurlArgs) -> Result<Self, UsageError> {
        let asked = Asked::of(&args.words);
        if let Some(option) = asked.refused {
            return Err(UsageError::NotWithCurl(option));
        }
        let url = match asked.urls.as_slice() {
            [] => return Err(UsageError::NoUrl),
            [url] => url.to_string_lossy().into_owned(),
            [first, second, ..] => {
                return Err(UsageError::SeveralUrls(first.to_string_lossy().into_owned(), second.to_string_lossy().into_owned()));
            }
        };
        if let (Some(option), None) = (asked.detour, args.pid) {
            return Err(UsageError::PidForDetour(option));
        }
        let place = Place::of_url(&url).ok_or(UsageError::BadUrl(url))?;
        let path = not_empty(args.output, "-o")?;
        let format = args.format.unwrap_or_else(|| Format::by_name(&path)).for_name(&path);
        let shape = Shape { metric: args.metric, format, output: Output::from(path) };
        let body = match args.body {
            None => Body::Dropped,
            Some(path) => Body::To(Output::from(not_empty(path, "--body")?)),
        };
        if shape.output == Output::Stdout && body == Body::To(Output::Stdout) {
            return Err(UsageError::BothToStdout);
        }
        let of = |name: &str| asked.headers.iter().find_map(|header| value_of(header.to_str()?, name));
        let id = of("x-request-id").map(|id| RequestId::new(id.into())).transpose().map_err(UsageError::RequestIdHeader)?;
        Ok(Self {
            pid: args.pid,
            place,
            id,
            has_token: of("x-profile").is_some(),
            words: args.words,
            writes_out: asked.write_out,
            key_file: args.profile_key_file.map(|path| not_empty(path, "--profile-key-file")).transpose()?,
            duration: args.duration,
            shape,
            body,
            names: Names::check(args.names)?,
        })
    }
}

/// The value of `header`, if it is this one.
fn value_of<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = header.split_once(':')?;
    found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests;
