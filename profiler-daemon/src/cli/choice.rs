//! Which requests are wanted, and how they are measured: the arguments that `run` and `record` share, and their checked form.

use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::command::UsageError;
use super::value::{self, RequestId, Share};

/// Which requests.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Wanted requests")]
pub struct ChoiceArgs {
    /// This request (1 to 64 bytes; `\xff` is a byte, `\\` a backslash, as in outputs), or this trace (32 hexadecimal digits); may be given several times
    #[arg(short, long, value_name = "ID")]
    pub request: Vec<RequestId>,
    /// Requests whose ids begin so; may be given several times
    #[arg(long, value_name = "PREFIX")]
    pub request_prefix: Vec<RequestId>,
    /// The next N requests that come
    #[arg(long, value_name = "N", conflicts_with = "slower_than", value_parser = clap::value_parser!(u32).range(1..))]
    pub next: Option<u32>,
    /// A sample of the requests: 1/1000 is one in a thousand
    #[arg(long, value_name = "SHARE")]
    pub sample: Option<Share>,
    /// Requests that ask for it, by a token in their header x-profile; see `token`
    #[arg(long)]
    pub marked: bool,
    /// Keep only requests that took at least this long: of the others, or of all if no other is given. Each is measured, then kept or dropped
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub slower_than: Option<Duration>,
    /// How requests are measured; if not given, by what only wanted requests reach, where the program's annotation allows that
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ModeArg>,
    /// Follow children of wanted requests wherever they are spawned, not only through profiler_annotate::spawn and its like; every poll,
    /// wake and spawn of the program then reaches a probe
    #[arg(long, conflicts_with = "mode")]
    pub follow_spawns: bool,
}

/// How requests are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Only wanted requests reach a probe: the others pay one compare a poll
    Request,
    /// Every poll, wake and spawn reaches a probe; needs nothing of the program
    Process,
    /// No probe at all: CPU time by samples, time off the CPU exactly, by task and request; nothing of what lies between polls. For services beyond
    /// a million polls a second
    Sample,
}

/// Wanted requests, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Ids, none twice.
    pub ids: Vec<RequestId>,
    /// Beginnings of ids.
    pub prefixes: Vec<RequestId>,
    /// So many of the next; 0 for none.
    pub next: u32,
    /// One in so many; 0 for none.
    pub one_in: u64,
    /// Those that carry a good token.
    pub marked: bool,
    /// At least so long.
    pub slower_than: Option<Duration>,
}

/// How they are measured, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// `None`: the profiler chooses.
    pub mode: Option<ModeArg>,
    /// Children are followed wherever they are spawned.
    pub follow_spawns: bool,
}

impl ChoiceArgs {
    /// The checked form; no choice if none was made. `all`: every request is wanted anyway, so that there may be a manner without a choice.
    pub(super) fn check(self, all: bool) -> Result<(Option<Choice>, How), UsageError> {
        let Self { request, request_prefix, next, sample, marked, slower_than, mode, follow_spawns } = self;
        for (at, id) in request.iter().enumerate() {
            if request.iter().take(at).any(|earlier| earlier == id) {
                return Err(UsageError::SameRequestTwice(id.clone()));
            }
        }
        let choice = Choice {
            ids: request,
            prefixes: request_prefix,
            next: next.unwrap_or(0),
            one_in: sample.map_or(0, Share::one_in),
            marked,
            slower_than,
        };
        let how = How { mode, follow_spawns };
        if mode == Some(ModeArg::Sample) && (all || choice != Choice { ids: choice.ids.clone(), ..Choice::default() }) {
            return Err(UsageError::ChoiceOfSamples);
        }
        if choice == Choice::default() {
            // Where no request is wanted, every task is measured: by probes on every poll, or by none.
            let of_tasks = matches!(mode, None | Some(ModeArg::Process | ModeArg::Sample)) && !follow_spawns;
            return if all || of_tasks { Ok((None, how)) } else { Err(UsageError::ModeOfNoRequest) };
        }
        Ok((Some(choice), how))
    }
}
