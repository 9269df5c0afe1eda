//! Ids of other libraries, from what was collected.

use profiler_common::foreign::{WHAT_ATTRIBUTE, WHAT_KEY, WHAT_LABEL, WHAT_SCOPE, WHAT_TRACE};

use super::Setting;
use crate::collect::ForeignId;
use crate::model::capture::{ForeignRow, ForeignSource, ScopeSeq};
use crate::model::request_id::RequestId;
use crate::text::hex;

pub(super) fn row(of: &ForeignId, setting: &Setting) -> ForeignRow {
    let source = match of.what {
        WHAT_TRACE => ForeignSource::TraceId,
        WHAT_ATTRIBUTE => ForeignSource::Attribute,
        WHAT_LABEL => ForeignSource::Label,
        WHAT_SCOPE => ForeignSource::Scope,
        WHAT_KEY => ForeignSource::TaskLocal,
        _ => ForeignSource::Unknown,
    };
    let id = match setting.key.filter(|_| of.what == WHAT_KEY) {
        _ if of.id.is_empty() => format!("[unnamed {:x}]", of.number).into_bytes(),
        Some(key) => key.text(&of.id),
        None => of.id.clone(),
    };
    ForeignRow {
        number: ScopeSeq(of.number),
        id: RequestId::new(id),
        source,
        trace_id: (of.trace_id != [0; 16]).then(|| hex(&of.trace_id)),
        sum: of.sum,
        tasks: of.tasks.iter().copied().filter(|id| setting.ids_known && *id != 0).collect(),
    }
}
