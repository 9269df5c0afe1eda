//! The kinds of markers: what a span or an instant is called, and which facts stand beside it.

use fxprof_processed_profile::{
    CategoryHandle, MarkerFieldFlags, MarkerFieldFormat, Profile, StaticSchemaMarker, StaticSchemaMarkerField, StringHandle,
};

const fn field(key: &'static str, label: &'static str, format: MarkerFieldFormat) -> StaticSchemaMarkerField {
    StaticSchemaMarkerField { key, label, format, flags: MarkerFieldFlags::SEARCHABLE }
}

/// A number that was not measured: there is no field for "none".
#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers; exact up to 2^53 ns, 104 days")]
fn number(value: Option<u64>) -> f64 {
    value.map_or(-1.0, |value| value as f64)
}

/// A poll, or the part of it inside a scope.
pub(super) struct Poll {
    pub(super) name: StringHandle,
    pub(super) request: StringHandle,
    /// Task id, waited for a worker, on a CPU, blocked, preempted (ns). -1: not known.
    pub(super) numbers: [Option<u64>; 5],
}

impl StaticSchemaMarker for Poll {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Poll";
    const DESCRIPTION: Option<&'static str> = Some("One poll of a task, or the part of it inside a request");
    const CHART_LABEL: Option<&'static str> = Some("{marker.name}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.name} {marker.data.request}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[
        field("request", "Request", MarkerFieldFormat::String),
        field("task_id", "Task id (-1: not known)", MarkerFieldFormat::Integer),
        field("scheduled", "Waited for a worker (-1: not known)", MarkerFieldFormat::Nanoseconds),
        field("running", "On a CPU", MarkerFieldFormat::Nanoseconds),
        field("blocked", "Blocked", MarkerFieldFormat::Nanoseconds),
        field("preempted", "Preempted", MarkerFieldFormat::Nanoseconds),
    ];

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _field_index: u32) -> StringHandle {
        self.request
    }

    fn number_field_value(&self, field_index: u32) -> f64 {
        let place = usize::try_from(field_index).ok().and_then(|place| place.checked_sub(1));
        number(place.and_then(|place| self.numbers.get(place).copied().flatten()))
    }
}

/// A stretch off the CPU, a request, a wake: what its name says, and one text.
pub(super) struct Told {
    pub(super) name: StringHandle,
    pub(super) text: StringHandle,
}

impl StaticSchemaMarker for Told {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Told";
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.text}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.name}: {marker.data.text}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[field("text", "What", MarkerFieldFormat::String)];

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _field_index: u32) -> StringHandle {
        self.text
    }

    fn number_field_value(&self, _field_index: u32) -> f64 {
        // It has no number fields; a library's question for one must not end the daemon.
        0.0
    }
}
