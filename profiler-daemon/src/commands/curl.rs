//! `curl`: one request, sent by curl and profiled, as one command.

mod program;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use profiler_daemon::{
    cli::{
        Exit, Streams, choice,
        color::Color,
        command::{self, Subject as Wanted},
        curl::Curl,
        launch::Whom,
        measuring::Measuring,
        output::PendingOutput,
        progress::Progress,
        value::RequestId,
        visible,
    },
    model::{RequestId as ModelId, Selection},
    session::{Choice, Manner, Recorded, Session, Subject, Tokens, record},
    target::{Target, listener::listener, privileges::Later},
};

use super::{record as recording, reduced, signals, token};
use crate::failure::Failure;
use program::CurlProgram;

/// How long after the answer the end of its request may still come: the service's last steps, and a look at the ring buffer.
const GRACE: Duration = Duration::from_secs(2);
/// A token outlives the wait for its request by this: the clocks of curl's start and ours are not one.
const MARGIN: Duration = Duration::from_secs(30);

/// `curl`.
pub(super) fn run(order: Curl, streams: Streams, color: Color, verbosity: u8) -> Result<Exit> {
    // Whatever can be wrong without touching the target comes first.
    let output = order.shape.output.open()?;
    let program = CurlProgram::find()?;
    let key = token::key(order.key_file.as_deref())?;
    let pid = order.pid.map_or_else(|| listener(&order.place.host, order.place.port), Ok)?;
    let target = super::check_target(pid)?;
    let token = key.as_ref().map(|key| token::token(key, order.duration + MARGIN)).transpose()?;
    let tokens = token.is_some() || order.has_token;
    let request = Request { tokens, id: order.id.clone().map_or_else(made_up, Ok)?, pid, order };
    let kept = reduced::kept_for(&Later { runs_a_program: true, ..Later::default() })?;
    let runtime = reduced::runtime(kept)?;
    let (recorded, answer) = runtime.block_on(async {
        let interrupt = signals::interrupt()?;
        let progress = Progress::spinner("reading the program and attaching", streams);
        let session = request.attach(target, &mut super::told_by(&progress))?;
        drop(progress);
        kept.reduce_process()?;
        super::say_attached(&session);
        let mut sent = program.send(&request.order, &request.id, token.as_deref())?;
        let recorded = {
            let over = async {
                tokio::select! {
                    () = interrupt => {}
                    // Without an answer there is nothing to wait for.
                    answered = sent.answered() => if answered { tokio::time::sleep(GRACE).await },
                }
            };
            record(session, request.order.duration, over).await?
        };
        // A request may be over before its answer has come through.
        let patience = if recorded.session.has_ended(request.id()) { request.order.duration } else { GRACE };
        let answer = sent.end(patience).await?;
        anyhow::Ok((recorded, answer))
    })?;
    super::tell_kernel_said(recorded.session.kernel_said(), verbosity);
    request.finish(recorded, answer, output, streams, color)
}

/// The one request.
struct Request {
    order: Curl,
    pid: u32,
    id: RequestId,
    /// It carries a token.
    tokens: bool,
}

impl Request {
    fn id(&self) -> &[u8] {
        self.id.as_bytes()
    }

    /// Attaches so that the request of this id is seen.
    fn attach(&self, target: Target, progress: &mut dyn FnMut(profiler_daemon::inspect::awaits::Progress)) -> Result<Session> {
        let manner = Manner { timeline: super::format(self.order.shape.format).wants_timeline(), ..Manner::default() };
        let subject = Subject::Requests(Choice { tokens: self.tokens, ..Choice::of_ids(vec![self.id().to_vec()]) });
        Ok(Session::start_at(target, &subject, &manner, &self.order.names.debug_dirs, progress)?)
    }

    /// Writes the profile and tells of the request, or why there is none.
    fn finish(self, recorded: Recorded, curl: ExitStatus, output: PendingOutput, streams: Streams, color: Color) -> Result<Exit> {
        let tokens = recorded.session.tokens().filter(|_| self.tokens);
        let Self { order, pid, id, .. } = self;
        let failed = how_it_failed(curl);
        let Some(id) = seen(&recorded, id.clone()) else {
            return Err(match failed {
                Some(failed) => Failure::new(Exit::CurlFailed, format!("{failed}, and the service saw no request {id}")),
                None => unseen(pid, &id, tokens),
            }
            .into());
        };
        if let Some(tokens) = tokens {
            tell_tokens(tokens);
        }
        let order = command::Record {
            target: Whom::Pid(pid),
            subject: Wanted::Requests(choice::Choice { ids: vec![id], ..choice::Choice::default() }),
            how: choice::How::default(),
            duration: order.duration,
            shape: order.shape,
            measuring: Measuring::default(),
            names: order.names,
        };
        let exit = recording::finish(&order, recorded, output, streams, color)?;
        failed.map_or(Ok(exit), |failed| Err(Failure::new(Exit::CurlFailed, format!("{failed}; the profile is written")).into()))
    }
}

/// What of curl's end is no success.
fn how_it_failed(curl: ExitStatus) -> Option<String> {
    match (curl.code(), curl.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("curl ended with code {code}")),
        (None, signal) => Some(format!("curl was ended by signal {}", signal.unwrap_or_default())),
    }
}

/// The id under which the request was seen: its own, or, where the service takes ids from elsewhere, that of the only one with a good token.
fn seen(recorded: &Recorded, id: RequestId) -> Option<RequestId> {
    let own = Selection::Request { id: ModelId::new(recorded.session.shown(id.as_bytes())) };
    if !own.requests(&recorded.capture).is_empty() {
        return Some(id);
    }
    match recorded.capture.requests.as_slice() {
        [only] => RequestId::new(only.id.as_bytes().to_vec()).ok(),
        _ => None,
    }
}

/// Why an answered request was not seen.
fn unseen(pid: u32, id: &RequestId, tokens: Option<Tokens>) -> Failure {
    let (exit, why) = match tokens {
        Some(Tokens { good: 0, wrong: 1.., .. }) => (Exit::TokenRefused, "the service has refused the token: it has another key"),
        Some(Tokens { good: 0, expired: 1.., .. }) => {
            (Exit::TokenRefused, "the service has refused the token as expired: its clock goes before ours")
        }
        _ => (Exit::RequestNeverCame, "its router needs profiler-annotate's layer, which takes ids from the header x-request-id"),
    };
    let sentence = format!("curl has its answer, and no request {id} was seen in process {pid}: {why}");
    Failure::new(exit, visible(&sentence))
}

/// Tells what became of the token, where the request was seen without it.
fn tell_tokens(tokens: Tokens) {
    let Tokens { good, wrong, expired, malformed } = tokens;
    if good == 0 {
        let why = if wrong + expired + malformed > 0 {
            format!("was refused ({wrong} wrong, {expired} expired, {malformed} malformed)")
        } else {
            "was not looked at: the service has no key for tokens".to_owned()
        };
        eprintln!("note: the token {why}; the request was known by its id");
    }
}

/// An id that no other request has.
fn made_up() -> Result<RequestId> {
    Ok(format!("curl-{:016x}", u64::from_ne_bytes(token::random()?)).parse()?)
}
