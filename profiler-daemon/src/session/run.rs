//! The daemon: stay attached, answer on the socket, leave clean.

use std::sync::{Arc, Mutex, PoisonError};

use super::ring::RingWatch;
use super::service::SessionService;
use super::{Detail, ExecutorFrames, Lost, Session, SessionError, Tokens};
use crate::control::server::Limits;
use crate::control::{ControlListener, serve};
use crate::model::Capture;

/// Why a daemon ended, and what it saw.
#[derive(Debug)]
pub struct Ended {
    /// Everything seen but stacks.
    pub capture: Capture,
    /// Whether, and how, the target was lost.
    pub target_lost: Option<Lost>,
    /// What the kernel side said.
    pub kernel_said: Vec<String>,
    /// Tokens that the target has met; `None` where it has no table.
    pub tokens: Option<Tokens>,
}

/// Serves until `interrupt` is done, a client says stop, or the target ends; then takes the probes out.
pub async fn run(
    session: Session,
    listener: ControlListener,
    executor: ExecutorFrames,
    interrupt: impl Future<Output = ()>,
) -> Result<Ended, SessionError> {
    let stop = Arc::new(tokio::sync::Notify::new());
    let session = Arc::new(Mutex::new(session));
    let service = Arc::new(SessionService::new(Arc::clone(&session), Arc::clone(&stop), executor));
    let over = Arc::new(tokio::sync::Notify::new());
    let shutdown = Arc::clone(&over);
    let server = tokio::spawn(serve(listener, service, Limits::default(), async move { shutdown.notified().await }));

    let exited = session.lock().unwrap_or_else(PoisonError::into_inner).target.exited();
    let target_lost = watch(&session, &stop, exited, interrupt).await?;

    // First the target is left, then the clients are.
    let (capture, kernel_said, tokens) = {
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        session.finish()?;
        (session.capture(Detail::Stacks)?, session.kernel_said().to_vec(), session.tokens())
    };
    over.notify_one();
    server
        .await
        .map_err(|source| SessionError::Runtime { what: "end the control socket", source: std::io::Error::other(source) })?;
    Ok(Ended { capture, target_lost, kernel_said, tokens })
}

/// Drains until it is time to go. Returns how the target was lost, if it was.
async fn watch(
    session: &Mutex<Session>,
    stop: &tokio::sync::Notify,
    exited: impl Future<Output = std::io::Result<()>>,
    interrupt: impl Future<Output = ()>,
) -> Result<Option<Lost>, SessionError> {
    let (ring, mut rest) = {
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        (RingWatch::of(&mut session)?, session.rest())
    };
    tokio::pin!(exited, interrupt);
    loop {
        tokio::select! {
            () = stop.notified() => return Ok(None),
            () = &mut interrupt => return Ok(None),
            gone = &mut exited => {
                gone.map_err(|source| SessionError::Runtime { what: "wait for the target's end", source })?;
                return Ok(Some(Lost::Ended));
            }
            () = tokio::time::sleep(rest) => {}
            told = ring.told() => told?,
        }
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        session.tick()?;
        if let Some(lost) = session.lost() {
            return Ok(Some(lost));
        }
        rest = session.rest();
    }
}
