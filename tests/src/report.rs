//! `report.json` as the issue promises it, read without the product's own types: a change of the form shows here.

mod cost;
mod foreign;
mod held;
mod stacks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::all_right;
use crate::family::CriticalPath;
use crate::{Failure, Result, binaries};

pub use cost::{Cost, ProgramCost};
pub use foreign::{Foreign, Sampled, SampledTask, SampledTimes};
pub use held::{Behind, Blocking, Code, LongPolls, Place};
pub use stacks::{Stacks, Tables};

/// The report.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// `profiler.report/1`.
    pub schema: String,
    /// Whom it is about.
    pub target: Target,
    /// When.
    pub window: Window,
    /// Every request.
    pub requests: Vec<Request>,
    /// Requests that kept their own times, by route.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Every id of another library.
    pub foreign: Vec<Foreign>,
    /// Tasks of a target without probes.
    pub sampled: Option<Sampled>,
    /// Live tasks, then finished ones by type.
    pub tasks: Vec<Task>,
    /// How stacks were taken, and what walking them came to.
    pub stacks: Stacks,
    /// What the kernel side's own programs took; only with `--stats`.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Counters of what was lost, clamped or ambiguous.
    pub lost: BTreeMap<String, u64>,
    /// Probe sites at which something was refused.
    #[serde(default)]
    pub refused_sites: Vec<RefusedSite>,
}

/// A site at which something was refused.
#[derive(Clone, Debug, Deserialize)]
pub struct RefusedSite {
    /// The event.
    pub event: String,
    /// Where it is in the file.
    pub address: u64,
    /// How often.
    pub refused: u64,
    /// Whether it was wrong, and was taken out.
    pub taken_out: bool,
}

/// What the requests of one route came to.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// What their ids have in common.
    pub route: String,
    /// How many there were.
    pub count: u64,
}

/// The target.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its process id.
    pub pid: u32,
    /// Its program.
    pub exe: String,
    /// The program's build id, where it has one.
    pub build_id: Option<String>,
    /// Its Tokio version, where the binary tells.
    pub tokio: Option<String>,
}

/// The window.
#[derive(Clone, Debug, Deserialize)]
pub struct Window {
    /// Start on the window's clock, ns.
    pub start_ns: u64,
    /// End on the window's clock, ns.
    pub end_ns: u64,
    /// Start since the epoch, ns.
    pub start_unix_ns: u64,
}

/// Wall time and the five states, ns.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Times {
    /// The sum.
    pub wall_ns: u64,
    /// On a CPU.
    pub running_ns: u64,
    /// Polled, runnable, off CPU.
    pub preempted_ns: u64,
    /// Polled, asleep.
    pub blocked_ns: u64,
    /// Ready, waits for a worker.
    pub scheduled_ns: u64,
    /// At an await.
    pub suspended_ns: u64,
}

impl Times {
    /// What the five add up to.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.running_ns + self.preempted_ns + self.blocked_ns + self.scheduled_ns + self.suspended_ns
    }
}

/// One instance of a request.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    /// The id.
    pub id: String,
    /// 1 for the first of this id.
    pub instance: u64,
    /// Did it end inside the window?
    pub complete: bool,
    /// Was its first poll seen?
    pub start_seen: bool,
    /// When its wall time starts, on the window's clock, ns.
    pub start_ns: u64,
    /// Its times.
    #[serde(flatten)]
    pub times: Times,
    /// Polls of its root scope.
    pub polls: u64,
    /// Wakes of the task it is part of.
    pub wakes: u64,
    /// Could `scheduled` be told from `suspended`?
    pub scheduled_known: bool,
    /// Samples of its root scope.
    pub samples: u64,
    /// CPU time that they stand for.
    pub sampled_ns: u64,
    /// By how much they are stretched to its `running_ns`; `None` without samples.
    pub scale: Option<f64>,
    /// What ran on the workers while it was ready, the most time first.
    pub scheduled_behind: Vec<Behind>,
    /// The part of `scheduled` in which no recorded poll ran.
    pub scheduled_unrecorded_ns: u64,
    /// Tasks that it spawned.
    pub children: Vec<Child>,
    /// Those that are not among them, within bounds.
    pub unfollowed: Option<Unfollowed>,
    /// What its wall time consisted of.
    pub critical_path: CriticalPath,
}

/// How many tasks a request spawned that are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Unfollowed {
    /// It waited for so many.
    pub awaited: u64,
    /// There are no more; `None`: Tokio's counter of ids was not found.
    pub at_most: Option<u64>,
}

/// A task that a request spawned.
#[derive(Clone, Debug, Deserialize)]
pub struct Child {
    /// Tokio's task id.
    pub id: Option<u64>,
    /// Name of the future's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Id of the task that spawned it.
    pub parent_id: Option<u64>,
    /// Did it end inside the window?
    pub complete: bool,
    /// Does its wall start at its spawn?
    pub spawn_seen: bool,
    /// Its times.
    #[serde(flatten)]
    pub times: Times,
    /// Polls.
    pub polls: u64,
}

/// A live task, or the finished ones of a type.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// Tokio's task id; `None` for finished ones.
    pub id: Option<u64>,
    /// Name of the future's type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// `spawned`, `local`, `blocking`, `unknown`.
    pub kind: String,
    /// Tasks in the row.
    pub count: u64,
    /// Is it the sum of the finished ones of its type?
    pub finished: bool,
    /// Does the wall of each start at its spawn?
    pub spawn_seen: bool,
    /// Its times.
    #[serde(flatten)]
    pub times: Times,
    /// Polls.
    pub polls: u64,
    /// The part of `suspended_ns` that no event explains.
    pub unseen_ns: u64,
    /// Polls that ended by `yield_now` or a spent coop budget.
    pub yielded: u64,
    /// The longest poll, ns.
    pub longest_poll_ns: u64,
}

impl Report {
    /// Reads a report; its form (the committed schema) and every row's identity must hold, and no site may have been taken for wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Failure::io(path.display().to_string()))?;
        Self::parse(path, &text)
    }

    /// The same for text that did not come from a file; `from` names its source.
    pub fn parse(from: &Path, text: &str) -> Result<Self> {
        let form = |why: String| Failure::Form { path: from.to_owned(), why };
        let json: serde_json::Value = serde_json::from_str(text).map_err(|error| form(error.to_string()))?;
        let wrong = against_schema(&json)?;
        if !wrong.is_empty() {
            return Err(form(wrong.join("\n")));
        }
        let report: Self = serde_json::from_value(json).map_err(|error| form(error.to_string()))?;
        all_right(report.broken_identities())?;
        // No program of ours has a site that is wrong.
        all_right(report.refused_sites.iter().filter(|site| site.taken_out).map(|site| format!("{site:?}")).collect())?;
        Ok(report)
    }

    /// Every row whose states do not add up to its wall time, to the nanosecond.
    #[must_use]
    pub fn broken_identities(&self) -> Vec<String> {
        let requests = self.requests.iter().map(|row| (format!("request {}/{}", row.id, row.instance), row.times));
        let children = self
            .requests
            .iter()
            .flat_map(|row| row.children.iter().map(move |child| (format!("child {:?} of {}", child.id, row.id), child.times)));
        let tasks = self.tasks.iter().map(|row| (format!("task {:?} {}", row.id, row.type_name), row.times));
        let paths = self.requests.iter().flat_map(|row| {
            let off = (row.critical_path.wall_ns != row.times.wall_ns).then(|| {
                format!(
                    "request {}: {} ns of wall time, of its critical path {}",
                    row.id, row.times.wall_ns, row.critical_path.wall_ns
                )
            });
            row.critical_path.broken(&row.id).into_iter().chain(off)
        });
        requests
            .chain(children)
            .chain(tasks)
            .filter(|(_, times)| times.sum() != times.wall_ns)
            .map(|(name, times)| {
                let off = i128::from(times.sum()) - i128::from(times.wall_ns);
                format!("{name}: the states are {off} ns off the wall time: {times:?}")
            })
            .chain(paths)
            .collect()
    }

    /// The row of the finished tasks whose future is the function `step`.
    #[must_use]
    pub fn finished(&self, step: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.finished && is_of(&task.type_name, step))
    }

    /// The instances of a request, first to last.
    #[must_use]
    pub fn instances(&self, id: &str) -> Vec<&Request> {
        let mut rows: Vec<_> = self.requests.iter().filter(|row| row.id == id).collect();
        rows.sort_by_key(|row| row.instance);
        rows
    }
}

/// Does a type's name contain `step` as a whole word?
#[must_use]
pub fn is_of(type_name: &str, step: &str) -> bool {
    type_name.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == step)
}

fn schema_path() -> PathBuf {
    binaries::repository().join("profiler-daemon/schema/profiler.report-1.schema.json")
}

fn against_schema(report: &serde_json::Value) -> Result<Vec<String>> {
    let path = schema_path();
    let form = |why: String| Failure::Form { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(Failure::io(path.display().to_string()))?;
    let schema = serde_json::from_str(&text).map_err(|error| form(error.to_string()))?;
    let schema = jsonschema::validator_for(&schema).map_err(|error| form(error.to_string()))?;
    Ok(schema.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect())
}
