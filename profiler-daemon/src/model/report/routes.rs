//! Requests that were folded by route.

use serde::{Deserialize, Serialize};

use super::{RequestName, Times, request_name};
use crate::model::capture::Capture;
use crate::model::text::printable;

/// What the requests of one route came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// What their ids have in common, `*` for what they have not, in the form that ids have. Of `rest` nothing.
    pub route: String,
    /// More routes than are told apart: these are the requests of all others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rest: bool,
    /// How many there were.
    pub count: u64,
    /// Half of them took at most this long, to a hundredth.
    pub p50_ns: u64,
    /// All but a hundredth did, to a hundredth.
    pub p99_ns: u64,
    /// The worst one's wall time, exactly.
    pub worst_ns: u64,
    /// Which one that was. It stands among the requests.
    pub worst: Option<RequestName>,
    /// The sum of their times.
    #[serde(flatten)]
    pub times: Times,
    /// The sum of their polls.
    pub polls: u64,
    /// Their longest poll.
    pub longest_poll_ns: u64,
}

/// The routes of a capture, the one first whose requests took the most time.
pub(super) fn routes(capture: &Capture) -> Vec<Route> {
    let name = |scope| capture.requests.iter().find(|row| row.scope == scope).map(request_name);
    let told = capture.routes.iter().map(|row| Route {
        route: printable(&row.name),
        rest: row.rest,
        count: row.count,
        p50_ns: row.p50_ns,
        p99_ns: row.p99_ns,
        worst_ns: row.worst_ns,
        worst: name(row.worst),
        times: row.states.into(),
        polls: row.polls,
        longest_poll_ns: row.longest_poll_ns,
    });
    told.collect()
}
