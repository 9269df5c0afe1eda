//! `curl`: one request, sent by curl and profiled, as one command.

mod program;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;
use profiler_daemon::{
    cli::{
        Exit, Streams,
        color::Color,
        command::{self, Subject as Wanted},
        curl::Curl,
        launch::Whom,
        output::PendingOutput,
        progress::Progress,
        value::RequestId,
        visible,
    },
    model::{RequestId as ModelId, Selection},
    session::{Manner, Recorded, Session, Subject, record},
    target::listener::listener,
};

use super::{record as recording, signals, token};
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
    super::check_target(pid)?;
    let token = key.as_ref().map(|key| token::token(key, order.duration + MARGIN)).transpose()?;
    let request = Request { id: order.id.clone().map_or_else(made_up, Ok)?, pid, order };
    let runtime = super::runtime()?;
    let (recorded, answer) = runtime.block_on(async {
        let interrupt = signals::interrupt()?;
        let progress = Progress::spinner("reading the program and attaching", streams);
        let session = request.attach(&mut super::told_by(&progress))?;
        drop(progress);
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
            record(session, request.order.duration, Some(request.id()), over).await?
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
}

impl Request {
    fn id(&self) -> &[u8] {
        self.id.as_str().as_bytes()
    }

    /// Attaches so that the request of this id is seen.
    fn attach(&self, progress: &mut dyn FnMut(profiler_daemon::inspect::awaits::Progress)) -> Result<Session> {
        let manner = Manner { timeline: super::format(self.order.shape.format).wants_timeline(), ..Manner::default() };
        let subject = Subject::Requests(vec![self.id().to_vec()]);
        Ok(Session::start(self.pid, &subject, &manner, &self.order.names.debug_dirs, progress)?)
    }

    /// Writes the profile and tells of the request, or why there is none.
    fn finish(self, recorded: Recorded, curl: ExitStatus, output: PendingOutput, streams: Streams, color: Color) -> Result<Exit> {
        let Self { order, pid, id } = self;
        let wanted = Selection::Request { id: ModelId::new(recorded.session.shown(id.as_str().as_bytes())) };
        let seen = !wanted.requests(&recorded.capture).is_empty();
        let ended = match (curl.code(), curl.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(format!("curl ended with code {code}")),
            (None, signal) => Some(format!("curl was ended by signal {}", signal.unwrap_or_default())),
        };
        match (&ended, seen) {
            (Some(ended), false) => {
                Err(Failure::new(Exit::CurlFailed, format!("{ended}, and the service saw no request {id}")).into())
            }
            (None, false) => {
                let sentence = format!(
                    "curl has its answer, and no request {id} was seen in process {pid}: it must be named by profiler-annotate's layer, from \
                 the header x-request-id"
                );
                Err(Failure::new(Exit::RequestNeverCame, visible(&sentence)).into())
            }
            (_, true) => {
                let order = command::Record {
                    target: Whom::Pid(pid),
                    subject: Wanted::Request(id),
                    request_key: None,
                    duration: order.duration,
                    shape: order.shape,
                    rate: None,
                    no_awaits: false,
                    await_wakers: false,
                    names: order.names,
                };
                let exit = recording::finish(&order, recorded, output, streams, color)?;
                ended.map_or(Ok(exit), |ended| {
                    Err(Failure::new(Exit::CurlFailed, format!("{ended}; the profile is written")).into())
                })
            }
        }
    }
}

/// An id that no other request has.
fn made_up() -> Result<RequestId> {
    Ok(format!("curl-{:016x}", u64::from_ne_bytes(token::random()?)).parse()?)
}
