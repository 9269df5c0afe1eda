//! What the control socket asks of a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::sync::Notify;

use super::snapshot::snapshot_in_time;
use super::{Detail, ExecutorFrames, Mode, Naming, Session, SessionError, holders, render};
use crate::control::protocol::{Format, Names, Selection as AskedSelection};
use crate::control::{Answer, Service, ServiceError};
use crate::model::{Capture, Filter, Metric, Question, RequestId, Selection, families, name_waits, report, waits};

/// A session that clients can ask.
pub(super) struct SessionService {
    session: Arc<Mutex<Session>>,
    stop: Arc<Notify>,
    /// What exports draw unless they ask for more.
    executor: ExecutorFrames,
}

impl SessionService {
    pub(super) const fn new(session: Arc<Mutex<Session>>, stop: Arc<Notify>, executor: ExecutorFrames) -> Self {
        Self { session, stop, executor }
    }

    /// A panic in one answer must not end the others: the session's rows live in the kernel, not behind the lock.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen, and which part of it is asked for. The session is let go before names are looked up: it must be drained meanwhile, and
    /// may be told to stop.
    fn seen(&self, select: &AskedSelection) -> Result<(Capture, Naming, Selection), SessionError> {
        let mut session = self.session();
        let capture = session.capture(Detail::Stacks)?;
        let selection = selected(select, &session, &capture);
        Ok((capture, session.naming(), selection))
    }

    /// Refuses what lies between polls where nothing sees one.
    fn needs_probes(&self) -> Result<(), ServiceError> {
        if self.session().mode() == Mode::Sample {
            return Err(failed(
                "this daemon runs with --mode sample, without probes: where tasks wait, and for which, is not known",
            ));
        }
        Ok(())
    }

    const fn executor_frames(&self, names: &Names) -> ExecutorFrames {
        if names.raw_frames { ExecutorFrames::Raw } else { self.executor }
    }
}

fn selected(select: &AskedSelection, session: &Session, capture: &Capture) -> Selection {
    match select {
        // Where no task is seen, everything is every request.
        AskedSelection::All
            if capture.sampled.is_none()
                && capture.tasks.is_empty()
                && capture.finished.is_empty()
                && !capture.requests.is_empty() =>
        {
            Selection::Requests
        }
        AskedSelection::All => Selection::All,
        AskedSelection::Request(text) => {
            // The protocol lets no other text through.
            let id = RequestId::from_text(text).unwrap_or_else(|_| RequestId::new(text.as_bytes()));
            Selection::Request { id: RequestId::new(session.shown(id.as_bytes())) }
        }
        AskedSelection::Task(id) => Selection::Task { id: *id },
    }
}

fn failed(error: impl std::fmt::Display) -> ServiceError {
    ServiceError::Failed(error.to_string())
}

impl From<SessionError> for ServiceError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Nothing(nothing) => Self::NotFound(nothing.to_string()),
            other => failed(other),
        }
    }
}

impl Service for SessionService {
    fn status(&self) -> Result<Vec<u8>, ServiceError> {
        let mut session = self.session();
        let capture = session.capture(Detail::NoStacks)?;
        let status = json!({
            "target": capture.target,
            "window": capture.window,
            "requests": capture.requests.len(),
            "live_tasks": capture.tasks.len(),
            "poll_end": session.plan().poll_end,
            "missing": session.plan().missing,
            "refused_sites": capture.refused_sites,
        });
        serde_json::to_vec(&status).map_err(failed)
    }

    fn requests(&self) -> Result<Vec<u8>, ServiceError> {
        let capture = self.session().capture(Detail::Stacks)?;
        serde_json::to_vec(&report(&capture, &Filter::All).into_rows()).map_err(failed)
    }

    fn tasks(&self) -> Result<Vec<u8>, ServiceError> {
        let capture = self.session().capture(Detail::NoStacks)?;
        let told = report(&capture, &Filter::All);
        match &told.sampled {
            Some(sampled) => serde_json::to_vec(&sampled.tasks).map_err(failed),
            None => serde_json::to_vec(&told.tasks).map_err(failed),
        }
    }

    fn report(&self) -> Result<Vec<u8>, ServiceError> {
        let (capture, naming) = {
            let mut session = self.session();
            (session.capture(Detail::Stacks)?, session.naming())
        };
        let mut told = report(&capture, &Filter::All);
        name_waits(&mut told, &capture, &mut *naming.lock(&[]));
        serde_json::to_vec(&told).map_err(failed)
    }

    fn blocking(&self, threshold_ns: u64, top: u64) -> Result<Answer, ServiceError> {
        let question = Question { threshold_ns, top: usize::try_from(top).unwrap_or(usize::MAX) };
        let (capture, naming) = {
            let mut session = self.session();
            (session.capture(Detail::Stacks)?, session.naming())
        };
        let mut symbols = naming.lock(&[]);
        let payload = serde_json::to_vec(&holders(&capture, question, self.executor, &mut *symbols)).map_err(failed)?;
        Ok(Answer { payload, notes: symbols.warnings() })
    }

    fn export(&self, select: &AskedSelection, metric: Metric, format: Format, names: &Names) -> Result<Answer, ServiceError> {
        let (capture, naming, selection) = self.seen(select)?;
        let executor = self.executor_frames(names);
        let mut symbols = naming.lock(&names.debug_dirs);
        let payload = render(&capture, &selection, metric, format, executor, &mut *symbols)?;
        Ok(Answer { payload, notes: symbols.warnings() })
    }

    fn snapshot(&self) -> Result<Vec<u8>, ServiceError> {
        self.needs_probes()?;
        serde_json::to_vec(&snapshot_in_time(&self.session)?).map_err(failed)
    }

    fn waits(&self, select: &AskedSelection, names: &Names) -> Result<Answer, ServiceError> {
        self.needs_probes()?;
        let (capture, naming, selection) = self.seen(select)?;
        let mut symbols = naming.lock(&names.debug_dirs);
        let keep = self.executor_frames(names).kept();
        let told = waits(&capture, &selection, keep, &mut *symbols).map_err(SessionError::from)?;
        Ok(Answer { payload: serde_json::to_vec(&told).map_err(failed)?, notes: symbols.warnings() })
    }

    fn family(&self, select: &AskedSelection, names: &Names) -> Result<Answer, ServiceError> {
        self.needs_probes()?;
        let (capture, naming, selection) = self.seen(select)?;
        let mut symbols = naming.lock(&names.debug_dirs);
        let keep = self.executor_frames(names).kept();
        let told = families(&capture, &selection, keep, &mut *symbols).map_err(SessionError::from)?;
        Ok(Answer { payload: serde_json::to_vec(&told).map_err(failed)?, notes: symbols.warnings() })
    }

    fn stop(&self) {
        self.stop.notify_one();
    }
}
