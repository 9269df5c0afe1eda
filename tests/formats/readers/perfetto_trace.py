"""What Perfetto's published descriptors read in a trace: as JSON.

trace_processor itself is no package: the `perfetto` package would fetch it from elsewhere. So what it checks is checked
here by its rules: names are interned before they are used, slices end in order, arrows have two ends.
"""

import json
import sys

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

BEGIN, END, INSTANT = 1, 2, 3

trace = pb.Trace()
with open(sys.argv[1], "rb") as file:
    trace.ParseFromString(file.read())

unknown = []
tracks, names, notes, texts = {}, {}, {}, {}
slices, instants, begun, flows, ended = [], [], {}, {}, {}
last = {}
wrong = []
for packet in trace.packet:
    if not packet.trusted_packet_sequence_id:
        wrong.append("a packet of no sequence")
    data = packet.interned_data
    names.update((entry.iid, entry.name) for entry in data.event_names)
    notes.update((entry.iid, entry.name) for entry in data.debug_annotation_names)
    texts.update((entry.iid, entry.str.decode()) for entry in data.debug_annotation_string_values)
    if packet.HasField("track_descriptor"):
        track = packet.track_descriptor
        if track.parent_uuid and track.parent_uuid not in tracks:
            wrong.append(f"track {track.uuid} has no parent")
        name = track.name or track.thread.thread_name or track.process.process_name
        tracks[track.uuid] = {"name": name, "parent": track.parent_uuid, "tid": track.thread.tid}
    if not packet.HasField("track_event"):
        continue
    event = packet.track_event
    if event.track_uuid not in tracks:
        wrong.append(f"an event on no track: {event.track_uuid}")
        continue
    if packet.timestamp_clock_id != pb.BUILTIN_CLOCK_MONOTONIC:
        wrong.append("an event on another clock")
    where, at = tracks[event.track_uuid], packet.timestamp
    told = {}
    for note in event.debug_annotations:
        told[notes[note.name_iid]] = texts[note.string_value_iid] if note.string_value_iid else note.uint_value
    stack = begun.setdefault(event.track_uuid, [])
    if event.type != INSTANT:
        # Instants are sorted among the slices by their time when the trace is read.
        if at < last.get(event.track_uuid, 0):
            wrong.append(f"time goes back on {where['name']}")
        last[event.track_uuid] = at
    if event.type == BEGIN:
        row = {"track": where["name"], "parent": tracks.get(where["parent"], {}).get("name"), "name": names[event.name_iid],
               "start": at, "depth": len(stack), "told": told}
        stack.append(row)
        slices.append(row)
    elif event.type == END:
        if not stack:
            wrong.append(f"an end without a begin on {where['name']}")
        else:
            stack.pop()["end"] = at
    elif event.type == INSTANT:
        row = {"track": where["name"], "name": names[event.name_iid], "at": at, "told": told}
        instants.append(row)
    for flow in event.flow_ids:
        flows[flow] = row
    for flow in event.terminating_flow_ids:
        ended[flow] = row
wrong += [f"{row['name']} does not end" for stack in begun.values() for row in stack]
wrong += [f"arrow {flow} has one end" for flow in flows.keys() ^ ended.keys()]
json.dump({
    "wrong": wrong,
    "tracks": [track["name"] for track in tracks.values()],
    "slices": slices,
    "instants": instants,
    "arrows": [{"from": flows[flow], "to": ended[flow]} for flow in flows if flow in ended],
}, sys.stdout)
