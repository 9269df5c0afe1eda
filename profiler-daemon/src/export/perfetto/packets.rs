//! Packets, written one by one: a trace of any length takes no more memory than its names.

use std::collections::HashMap;
use std::io::{self, Write};

use prost::Message as _;

use super::proto::{
    BUILTIN_CLOCK_MONOTONIC, DebugAnnotation, InternedData, InternedName, InternedString, SEQ_INCREMENTAL_STATE_CLEARED,
    SEQ_NEEDS_INCREMENTAL_STATE, Trace, TracePacket, TrackDescriptor, TrackEvent, Type,
};

/// What is told of an event beside its name.
pub(super) enum Note {
    Number(&'static str, u64),
    Text(&'static str, String),
}

/// An event of a track.
pub(super) struct Event {
    pub(super) at_ns: u64,
    pub(super) track: u64,
    pub(super) r#type: Type,
    /// Printable. Empty at the end of a slice.
    pub(super) name: String,
    pub(super) notes: Vec<Note>,
    /// Arrows that begin here.
    pub(super) flows: Vec<u64>,
    /// Arrows that end here.
    pub(super) ends_flows: Vec<u64>,
}

impl Event {
    pub(super) const fn new(at_ns: u64, track: u64, r#type: Type, name: String) -> Self {
        Self { at_ns, track, r#type, name, notes: Vec::new(), flows: Vec::new(), ends_flows: Vec::new() }
    }
}

/// Writes packets of one sequence.
pub(super) struct Packets<W> {
    out: W,
    began: bool,
    names: HashMap<String, u64>,
    note_names: HashMap<&'static str, u64>,
    texts: HashMap<String, u64>,
    buffer: Vec<u8>,
}

impl<W: Write> Packets<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, began: false, names: HashMap::new(), note_names: HashMap::new(), texts: HashMap::new(), buffer: Vec::new() }
    }

    pub(super) fn packet(&mut self, mut packet: TracePacket) -> io::Result<()> {
        packet.trusted_packet_sequence_id = Some(1);
        let cleared = if self.began { 0 } else { SEQ_INCREMENTAL_STATE_CLEARED };
        packet.sequence_flags = Some(cleared | SEQ_NEEDS_INCREMENTAL_STATE);
        self.began = true;
        self.buffer.clear();
        Trace { packet: vec![packet] }.encode(&mut self.buffer).map_err(io::Error::other)?;
        self.out.write_all(&self.buffer)
    }

    pub(super) fn track(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.packet(TracePacket { track_descriptor: Some(track), ..TracePacket::default() })
    }

    pub(super) fn event(&mut self, event: Event) -> io::Result<()> {
        let mut fresh = InternedData::default();
        let name_iid = (!event.name.is_empty()).then(|| self.name(event.name, &mut fresh));
        let debug_annotations = event.notes.into_iter().map(|note| self.note(note, &mut fresh)).collect();
        let track_event = TrackEvent {
            debug_annotations,
            r#type: Some(event.r#type.into()),
            name_iid,
            track_uuid: Some(event.track),
            flow_ids: event.flows,
            terminating_flow_ids: event.ends_flows,
        };
        self.packet(TracePacket {
            timestamp: Some(event.at_ns),
            timestamp_clock_id: Some(BUILTIN_CLOCK_MONOTONIC),
            track_event: Some(track_event),
            interned_data: (fresh != InternedData::default()).then_some(fresh),
            ..TracePacket::default()
        })
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn name(&mut self, name: String, fresh: &mut InternedData) -> u64 {
        let next = count(self.names.len());
        let iid = *self.names.entry(name.clone()).or_insert(next);
        if iid == next {
            fresh.event_names.push(InternedName { iid: Some(iid), name: Some(name) });
        }
        iid
    }

    fn note(&mut self, note: Note, fresh: &mut InternedData) -> DebugAnnotation {
        let (Note::Number(name, _) | Note::Text(name, _)) = note;
        let next = count(self.note_names.len());
        let iid = *self.note_names.entry(name).or_insert(next);
        if iid == next {
            fresh.debug_annotation_names.push(InternedName { iid: Some(iid), name: Some(name.to_owned()) });
        }
        let mut annotation = DebugAnnotation { name_iid: Some(iid), ..DebugAnnotation::default() };
        match note {
            Note::Number(_, number) => annotation.uint_value = Some(number),
            Note::Text(_, text) => annotation.string_value_iid = Some(self.text(text, fresh)),
        }
        annotation
    }

    fn text(&mut self, text: String, fresh: &mut InternedData) -> u64 {
        let next = count(self.texts.len());
        let iid = *self.texts.entry(text.clone()).or_insert(next);
        if iid == next {
            fresh.debug_annotation_string_values.push(InternedString { iid: Some(iid), str: Some(text.into_bytes()) });
        }
        iid
    }
}

/// The number of the next of `len` names: 0 is "none".
const fn count(len: usize) -> u64 {
    (len as u64).saturating_add(1)
}
