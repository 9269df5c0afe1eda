//! One shot: attach, wait, leave, and hand over what was seen.

use std::time::Duration;

use super::ring::RingWatch;
use super::{Detail, Session, SessionError, TICK};
use crate::model::Capture;

/// What a recording gave.
#[derive(Debug)]
pub struct Recorded {
    /// The session, closed: it still names addresses.
    pub session: Session,
    /// Everything seen.
    pub capture: Capture,
    /// Whether the target ended before the recording did.
    pub target_lost: bool,
    /// Whether the user ended it.
    pub interrupted: bool,
}

/// Records `session` until `duration` is over, everything that was asked for has ended, the target ends, or `interrupt` is done.
pub async fn record(
    mut session: Session,
    duration: Duration,
    interrupt: impl Future<Output = ()>,
) -> Result<Recorded, SessionError> {
    let mut ticks = tokio::time::interval(TICK);
    let ring = RingWatch::of(&mut session)?;
    let over = tokio::time::sleep(duration);
    let (mut target_lost, mut interrupted) = (false, false);
    {
        tokio::pin!(over, interrupt);
        loop {
            tokio::select! {
                () = &mut over => break,
                () = &mut interrupt => {
                    interrupted = true;
                    break;
                }
                exited = session.target.exited() => {
                    exited.map_err(|source| SessionError::Runtime { what: "wait for the target's end", source })?;
                    target_lost = true;
                    break;
                }
                _ = ticks.tick() => if !session.is_due() { continue },
                told = ring.told() => told?,
            }
            session.tick()?;
            if session.has_what_was_asked() {
                break;
            }
        }
    }
    session.finish()?;
    let capture = session.capture(Detail::Stacks)?;
    Ok(Recorded { session, capture, target_lost, interrupted })
}
