//! How requests are measured: by what only they reach, or by what every task does.

use super::{SessionError, Subject};

/// How requests are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Probes that only wanted requests reach: the program's annotation decides which are.
    Request,
    /// Probes on every poll, wake and spawn: the profiler decides.
    Process,
    /// Every request keeps its own times, and reaches one probe, at its end.
    Times,
    /// No probe at all: threads are asked what they are in when they are sampled and when they leave their CPUs.
    Sample,
}

/// A mode, and why it is not the one to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModeChosen {
    pub(super) mode: Mode,
    /// The annotation decides which requests are wanted.
    pub(super) through_table: bool,
    pub(super) why: Option<&'static str>,
}

impl ModeChosen {
    const fn process(why: Option<&'static str>) -> Self {
        Self { mode: Mode::Process, through_table: false, why }
    }
}

const NO_TABLE: &str =
    "the program does not link profiler-annotate of this version, so it cannot tell wanted requests from others";
const BY_KEY: &str = "requests are named by a key of the program's own, not by the annotation";

const NO_TIMES: &str = "the program does not link profiler-annotate of this version, whose requests keep their own times: every poll of every task is measured instead";
const FOLLOWED: &str = "children are followed wherever they are spawned: every poll, wake and spawn reaches a probe";
const EVERY_ONE: &str = "every request is measured before it is kept or dropped: each of its polls reaches two probes";
const FALLEN_BACK: &str =
    "the program does not link profiler-annotate of this version: every poll of every task is measured instead";

/// Whether nothing will do without the annotation's table; that `choose` finds out is too late to tell why there is none.
pub(super) fn needs_table(subject: &Subject, order: Option<Mode>) -> bool {
    *subject != Subject::AllTasks && !matches!(order, Some(Mode::Process | Mode::Sample))
}

/// The mode for `subject`, where `table` says that the program has one, `by_key` says that a key names requests, and `order` what the user
/// wants.
pub(super) fn choose(
    subject: &Subject,
    table: bool,
    by_key: bool,
    order: Option<Mode>,
    follow_spawns: bool,
) -> Result<ModeChosen, SessionError> {
    if order == Some(Mode::Sample) {
        return without_probes(subject, by_key, follow_spawns);
    }
    let choice = match subject {
        Subject::AllTasks => return Ok(ModeChosen::process(None)),
        Subject::AllRequests => return of_all_requests(table, by_key, order, follow_spawns),
        Subject::Requests(choice) => choice,
    };
    let obstacle = if by_key {
        Some(BY_KEY)
    } else if !table {
        Some(NO_TABLE)
    } else {
        None
    };
    match (obstacle, order) {
        (None, _) if follow_spawns => Ok(ModeChosen { mode: Mode::Process, through_table: true, why: Some(FOLLOWED) }),
        // What only the program can decide is decided there; the probes may still be on every poll.
        (None, Some(Mode::Process)) => Ok(ModeChosen { mode: Mode::Process, through_table: !choice.is_by_id(), why: None }),
        (None, _) => Ok(ModeChosen { mode: Mode::Request, through_table: true, why: choice.is_open().then_some(EVERY_ONE) }),
        (Some(why), order) if order == Some(Mode::Request) || !choice.is_by_id() => Err(SessionError::NeedsRequestMode { why }),
        (Some(_), Some(Mode::Process)) | (Some(BY_KEY), _) => Ok(ModeChosen::process(None)),
        (Some(_), _) => Ok(ModeChosen::process(Some(FALLEN_BACK))),
    }
}

/// The mode without probes, for what can be told from a thread alone: every task, and requests by their ids.
fn without_probes(subject: &Subject, by_key: bool, follow_spawns: bool) -> Result<ModeChosen, SessionError> {
    let refused = |what| Err(SessionError::SampleMode { what });
    match subject {
        _ if by_key => refused("a key of the program's own names requests only at the ends of polls"),
        _ if follow_spawns => refused("which task spawned another is not seen"),
        Subject::AllRequests => {
            refused("requests have no beginning and no end that would be seen, and so no route and no wall time")
        }
        Subject::Requests(choice) if !choice.is_by_id() => {
            refused("only whole ids choose requests: no beginning and no end of one is seen")
        }
        Subject::AllTasks | Subject::Requests(_) => Ok(ModeChosen { mode: Mode::Sample, through_table: false, why: None }),
    }
}

/// The mode for every request.
fn of_all_requests(table: bool, by_key: bool, order: Option<Mode>, follow_spawns: bool) -> Result<ModeChosen, SessionError> {
    let obstacle = match (by_key, table) {
        (true, _) => Some(BY_KEY),
        (false, false) => Some(NO_TABLE),
        (false, true) => None,
    };
    match (obstacle, order) {
        // Spawns are followed from outside in any case.
        (_, Some(Mode::Process)) => Ok(ModeChosen::process(None)),
        (_, None) if follow_spawns => Ok(ModeChosen::process(None)),
        (None, _) => Ok(ModeChosen { mode: Mode::Times, through_table: true, why: None }),
        (Some(why), Some(_)) => Err(SessionError::NeedsRequestMode { why }),
        (Some(BY_KEY), None) => Ok(ModeChosen::process(None)),
        (Some(_), None) => Ok(ModeChosen::process(Some(NO_TIMES))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Choice;

    fn chosen(choice: Choice, table: bool, by_key: bool, order: Option<Mode>, follow: bool) -> Result<ModeChosen, SessionError> {
        choose(&Subject::Requests(choice), table, by_key, order, follow)
    }

    fn ids() -> Choice {
        Choice::of_ids(vec![b"order-42".to_vec()])
    }

    #[test]
    fn a_named_request_is_measured_alone_where_the_program_can_tell_it() {
        let mode = chosen(ids(), true, false, None, false).unwrap();
        assert_eq!((mode.mode, mode.through_table, mode.why), (Mode::Request, true, None));
        let mode = choose(&Subject::AllTasks, true, false, None, false).unwrap();
        assert_eq!((mode.mode, mode.through_table), (Mode::Process, false));
    }

    #[test]
    fn measuring_every_request_to_find_the_slow_ones_is_said() {
        let slow = Choice { slower_than: Some(std::time::Duration::from_millis(1)), ..Choice::default() };
        assert_eq!(chosen(slow, true, false, None, false).unwrap().why, Some(EVERY_ONE));
    }

    #[test]
    fn without_the_table_every_poll_is_measured_and_that_is_said() {
        let mode = chosen(ids(), false, false, None, false).unwrap();
        assert_eq!((mode.mode, mode.through_table, mode.why), (Mode::Process, false, Some(FALLEN_BACK)));
        assert!(chosen(ids(), false, false, Some(Mode::Request), false).is_err());
        assert_eq!(chosen(ids(), false, false, Some(Mode::Process), false).unwrap().why, None);
        assert_eq!(chosen(ids(), true, true, None, false).unwrap(), ModeChosen::process(None), "the key names them");
    }

    #[test]
    fn what_only_the_program_can_decide_needs_its_table() {
        let next = || Choice { next: 1, ..Choice::default() };
        assert!(chosen(next(), false, false, None, false).is_err());
        assert!(chosen(next(), true, true, None, false).is_err());
        let mode = chosen(next(), true, false, Some(Mode::Process), false).unwrap();
        assert_eq!((mode.mode, mode.through_table), (Mode::Process, true));
    }

    #[test]
    fn every_request_keeps_its_own_times_where_it_can() {
        let chosen = |table, by_key, order, follow| choose(&Subject::AllRequests, table, by_key, order, follow);
        assert_eq!(chosen(true, false, None, false).unwrap(), ModeChosen { mode: Mode::Times, through_table: true, why: None });
        assert_eq!(chosen(true, false, Some(Mode::Request), false).unwrap().mode, Mode::Times);
        for (table, by_key, order, follow) in
            [(true, false, Some(Mode::Process), false), (true, false, None, true), (true, true, None, false)]
        {
            assert_eq!(chosen(table, by_key, order, follow).unwrap(), ModeChosen::process(None));
        }
        assert_eq!(chosen(false, false, None, false).unwrap(), ModeChosen::process(Some(NO_TIMES)));
        assert!(chosen(false, false, Some(Mode::Request), false).is_err());
        assert!(chosen(true, true, Some(Mode::Request), false).is_err());
    }

    #[test]
    fn without_probes_only_what_a_thread_can_tell_is_chosen() {
        let sampled = ModeChosen { mode: Mode::Sample, through_table: false, why: None };
        let order = Some(Mode::Sample);
        for table in [false, true] {
            assert_eq!(chosen(ids(), table, false, order, false).unwrap(), sampled);
            assert_eq!(choose(&Subject::AllTasks, table, false, order, false).unwrap(), sampled);
            assert!(choose(&Subject::AllRequests, table, false, order, false).is_err());
        }
        for choice in [
            Choice { next: 1, ..Choice::default() },
            Choice { prefixes: vec![b"o".to_vec()], ..Choice::default() },
            Choice { one_in: 10, ..Choice::default() },
            Choice { tokens: true, ..Choice::default() },
            Choice { slower_than: Some(std::time::Duration::from_millis(1)), ..ids() },
        ] {
            assert!(chosen(choice, true, false, order, false).is_err());
        }
        assert!(chosen(ids(), true, true, order, false).is_err() && chosen(ids(), true, false, order, true).is_err());
    }

    #[test]
    fn following_spawns_puts_probes_on_every_poll() {
        let mode = chosen(ids(), true, false, None, true).unwrap();
        assert_eq!((mode.mode, mode.through_table, mode.why), (Mode::Process, true, Some(FOLLOWED)));
    }
}
