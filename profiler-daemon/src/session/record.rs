//! One shot: attach, wait, leave, and hand over what was seen.

use std::time::Duration;

use super::ring::RingWatch;
use super::{Detail, Lost, Session, SessionError};
use crate::model::Capture;

/// What a recording gave.
#[derive(Debug)]
pub struct Recorded {
    /// The session, closed: it still names addresses.
    pub session: Session,
    /// Everything seen.
    pub capture: Capture,
    /// Whether, and how, the target was lost before the recording was over.
    pub target_lost: Option<Lost>,
    /// Whether the user ended it.
    pub interrupted: bool,
}

/// Records `session` until `duration` is over, everything that was asked for has ended, the target ends, or `interrupt` is done.
pub async fn record(
    mut session: Session,
    duration: Duration,
    interrupt: impl Future<Output = ()>,
) -> Result<Recorded, SessionError> {
    let ring = RingWatch::of(&mut session)?;
    let (over, exited) = (tokio::time::sleep(duration), session.target.exited());
    let (mut target_lost, mut interrupted) = (None, false);
    {
        tokio::pin!(over, exited, interrupt);
        loop {
            tokio::select! {
                () = &mut over => break,
                () = &mut interrupt => {
                    interrupted = true;
                    break;
                }
                gone = &mut exited => {
                    gone.map_err(|source| SessionError::Runtime { what: "wait for the target's end", source })?;
                    target_lost = Some(Lost::Ended);
                    break;
                }
                () = tokio::time::sleep(session.rest()) => {}
                told = ring.told() => told?,
            }
            session.tick()?;
            target_lost = session.lost();
            if target_lost.is_some() {
                break;
            }
            if session.has_what_was_asked() {
                break;
            }
        }
    }
    session.finish()?;
    let capture = session.capture(Detail::Stacks)?;
    Ok(Recorded { session, capture, target_lost, interrupted })
}
