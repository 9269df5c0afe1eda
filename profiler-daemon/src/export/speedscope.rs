//! speedscope's own format (speedscope.app/file-format-schema.json): the wall and the CPU time of each root, one profile each.
//!
//! Profiles of the type `sampled`: a stack and its nanoseconds, in an order in which equal beginnings stand together, so
//! that speedscope's time order reads like a flamegraph. What happened when is in the timeline formats.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use serde::Serialize;

use super::ExportError;
use crate::model::stacks::FrameId;
use crate::model::{Graph, Metric};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'g> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: &'g str,
    active_profile_index: usize,
    shared: Shared<'g>,
    profiles: Vec<Profile>,
}

#[derive(Serialize)]
struct Shared<'g> {
    frames: Vec<Name<'g>>,
}

#[derive(Serialize)]
struct Name<'g> {
    name: &'g str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// Writes graphs of one selection by different metrics into one file. The first is the one that is shown first; a metric
/// that the selection has no time of has no profile.
pub fn write(graphs: &[Graph], mut out: impl Write) -> Result<(), ExportError> {
    let Some(first) = graphs.first().filter(|graph| graph.total_ns() > 0) else {
        let (title, metric) =
            graphs.first().map_or_else(|| (String::new(), Metric::Wall), |graph| (graph.title.clone(), graph.metric));
        return Err(ExportError::NothingToDraw { title, metric });
    };
    let mut names = Names::default();
    let profiles = graphs.iter().flat_map(|graph| profiles(graph, &mut names)).collect();
    let file = File {
        schema: SCHEMA,
        exporter: concat!("profiler ", env!("CARGO_PKG_VERSION")),
        name: &first.title,
        active_profile_index: 0,
        shared: Shared { frames: names.frames },
        profiles,
    };
    serde_json::to_writer(&mut out, &file)?;
    Ok(out.flush()?)
}

/// Frames by their text: graphs number theirs each on its own.
#[derive(Default)]
struct Names<'g> {
    frames: Vec<Name<'g>>,
    indices: HashMap<&'g str, usize>,
}

impl<'g> Names<'g> {
    fn index(&mut self, text: &'g str) -> usize {
        *self.indices.entry(text).or_insert_with(|| {
            self.frames.push(Name { name: text });
            self.frames.len().saturating_sub(1)
        })
    }
}

/// A profile for each root of the graph: a request's instance, a task, a type.
fn profiles<'g>(graph: &'g Graph, names: &mut Names<'g>) -> Vec<Profile> {
    let text = |id: FrameId| graph.frames.name(id).map_or("", |name| name.text.as_str());
    let mut roots: BTreeMap<&str, BTreeMap<Vec<&str>, u64>> = BTreeMap::new();
    for line in &graph.lines {
        let stack: Vec<&str> = line.stack.iter().map(|&id| text(id)).collect();
        let sum = roots.entry(stack.first().copied().unwrap_or_default()).or_default().entry(stack).or_default();
        *sum = sum.saturating_add(line.ns);
    }
    let profiles = roots.into_iter().map(|(root, stacks)| Profile {
        r#type: "sampled",
        name: format!("{}: {root}", graph.metric.noun()),
        unit: "nanoseconds",
        start_value: 0,
        end_value: stacks.values().fold(0, |sum, ns| sum.saturating_add(*ns)),
        weights: stacks.values().copied().collect(),
        samples: stacks.into_keys().map(|stack| stack.into_iter().map(|name| names.index(name)).collect()).collect(),
    });
    profiles.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Names, blocked};
    use crate::model::{GraphOptions, RequestId, Selection, graph};
    use serde_json::Value;

    fn written(id: RequestId, metrics: &[Metric]) -> Value {
        let (capture, selection) = (blocked(), Selection::Request { id });
        let draw = |&metric| graph(&capture, &selection, metric, GraphOptions::default(), &mut Names).unwrap();
        let mut out = Vec::new();
        write(&metrics.iter().map(draw).collect::<Vec<_>>(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    /// Check that each instance has its wall and its CPU time, and that weights add up to them.
    #[test]
    fn each_root_has_its_profiles() {
        let file = written("order-42".into(), &[Metric::Wall, Metric::Cpu]);
        let profiles = file["profiles"].as_array().unwrap();
        let names: Vec<&str> = profiles.iter().map(|profile| profile["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "wall time: request order-42 #1",
                "wall time: request order-42 #2 (not ended)",
                "CPU time: request order-42 #1",
                "CPU time: request order-42 #2 (not ended)",
            ]
        );
        for profile in profiles {
            let sum: u64 = profile["weights"].as_array().unwrap().iter().map(|ns| ns.as_u64().unwrap()).sum();
            assert_eq!(profile["endValue"].as_u64(), Some(sum));
        }
        assert_eq!(profiles[0]["endValue"], 26_310_001);
    }

    /// Check that a hostile id is a frame's text.
    #[test]
    fn a_hostile_id_is_text() {
        let file = written(blocked().requests[2].id.clone(), &[Metric::Wall]);
        let expected = "request <script>\\x3b\\x1b[31m\\xff\"'\\x0a 7 #1";
        assert!(file["shared"]["frames"].as_array().unwrap().iter().any(|frame| frame["name"] == expected));
    }
}
