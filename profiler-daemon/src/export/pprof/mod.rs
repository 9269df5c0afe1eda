//! pprof: a gzipped `perftools.profiles.Profile`, as `go tool pprof`, speedscope and most profile stores read it.
//!
//! Every stack has its time in the column of its state. The columns of a request's own stacks add up to `wall`; a task
//! that the request spawned ran beside it, so its stacks have no `wall`, and the label `spawned`.

mod proto;
mod tables;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use self::proto::{Label, Profile, Sample, ValueType};
use self::tables::{Places, Strings, signed};
use super::ExportError;
use crate::model::text::printable;
use crate::model::{Capture, Metric, Owner, State, Symbolize, Weighted, WeightedStack};

/// Columns before those of the states: `wall`, and how often a stack was seen.
const WALL: &str = "wall";
const SEEN: &str = "samples";

/// Writes the stacks of `capture` that were selected. `metric` is the column that readers show first.
pub fn write(
    capture: &Capture,
    weighted: &Weighted,
    metric: Metric,
    symbols: &mut dyn Symbolize,
    out: impl Write,
) -> Result<(), ExportError> {
    let wanted = |stack: &WeightedStack| metric.counts(stack.state) && (metric != Metric::Wall || !stack.owner.spawned);
    if !weighted.stacks.iter().any(wanted) {
        return Err(ExportError::NothingToDraw { title: weighted.title.clone(), metric });
    }
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&profile(capture, weighted, metric, symbols).encode_to_vec())?;
    Ok(gzip.finish()?.flush()?)
}

fn profile(capture: &Capture, weighted: &Weighted, metric: Metric, symbols: &mut dyn Symbolize) -> Profile {
    let mut strings = Strings::new();
    let addresses = weighted.stacks.iter().flat_map(|stack| stack.addresses.iter().copied());
    let mut places = Places::of(addresses, symbols, &mut strings);
    let sample = weighted.stacks.iter().map(|stack| sample(capture, stack, &mut places, &mut strings)).collect();
    let nanoseconds =
        |name: &str, strings: &mut Strings| ValueType { r#type: strings.index(name), unit: strings.index("nanoseconds") };
    let mut sample_type = vec![nanoseconds(WALL, &mut strings)];
    sample_type.extend(State::ALL.map(|state| nanoseconds(column(state), &mut strings)));
    sample_type.push(ValueType { r#type: strings.index(SEEN), unit: strings.index("count") });
    let window = &capture.window;
    let comment = strings.index(&format!("{}, pid {}", weighted.title, capture.target.pid));
    Profile {
        sample_type,
        sample,
        time_nanos: signed(window.start_unix_ns),
        duration_nanos: signed(window.duration_ns()),
        period_type: Some(nanoseconds(column(State::Running), &mut strings)),
        period: capture.sample_period_ns.map_or(0, signed),
        comment: vec![comment],
        default_sample_type: strings.index(match metric {
            Metric::Wall => WALL,
            Metric::Cpu => column(State::Running),
            Metric::Blocked => column(State::Blocked),
        }),
        mapping: places.mappings,
        location: places.locations,
        function: places.functions,
        string_table: strings.into_table(),
    }
}

/// A state's column: `running` has the name that readers know it by.
const fn column(state: State) -> &'static str {
    match state {
        State::Running => "cpu",
        other => other.name(),
    }
}

fn sample(capture: &Capture, stack: &WeightedStack, places: &mut Places, strings: &mut Strings) -> Sample {
    let mut location_id: Vec<u64> = stack.inner.iter().rev().map(|name| places.named(&name.text, strings)).collect();
    match &stack.drawn {
        None => location_id.extend(stack.addresses.iter().filter_map(|&address| places.at(address))),
        Some(drawn) => {
            let cut = stack.addresses.iter().zip(drawn).filter(|(_, functions)| !functions.is_empty());
            location_id.extend(cut.filter_map(|(&address, functions)| places.part_of(address, functions, strings)));
        }
    }
    location_id.extend(stack.outer.iter().rev().map(|name| places.named(&name.text, strings)));
    let mut value = vec![if stack.owner.spawned { 0 } else { signed(stack.ns) }];
    value.extend(State::ALL.map(|state| if state == stack.state { signed(stack.ns) } else { 0 }));
    value.push(signed(stack.count));
    Sample { location_id, value, label: labels(capture, stack, strings) }
}

fn labels(capture: &Capture, stack: &WeightedStack, strings: &mut Strings) -> Vec<Label> {
    let Owner { request, task_type, task_id, spawned } = &stack.owner;
    let mut texts = vec![("state", stack.state.name().to_owned())];
    let mut numbers = Vec::new();
    if let Some((id, instance)) = request {
        texts.push(("request", printable(id.as_bytes())));
        numbers.push(("instance", *instance));
    }
    if let Some(index) = task_type {
        texts.push(("task", printable(capture.type_name(*index).as_bytes())));
    }
    if *spawned {
        texts.push(("spawned", "by the request".to_owned()));
    }
    numbers.extend(task_id.map(|id| ("task_id", id)));
    numbers.extend(stack.tid.map(|tid| ("thread", u64::from(tid))));
    let mut labels: Vec<Label> = Vec::with_capacity(texts.len().saturating_add(numbers.len()));
    labels.extend(texts.iter().map(|(key, text)| Label { key: strings.index(key), str: strings.index(text), num: 0 }));
    labels.extend(numbers.iter().map(|&(key, number)| Label { key: strings.index(key), str: 0, num: signed(number) }));
    labels
}

#[cfg(test)]
mod tests;
