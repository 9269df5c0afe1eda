//! The names of the records' attributes, published for OpenTelemetry's readers.
//!
//! OTEP 4719 (`oteps/profiles/4719-process-ctx.md`): a mapping whose name begins with `OTEL_CTX`, found in `/proc/PID/maps`. It
//! begins with a header of 32 bytes, native endian:
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | signature `OTEL_CTX`, written last |
//! | 8 | 4 | version: 2 |
//! | 12 | 4 | size of the payload |
//! | 16 | 8 | when it was published, ns of `CLOCK_BOOTTIME`; 0 while it changes |
//! | 24 | 8 | address of the payload: here, right behind the header |
//!
//! The payload is a protobuf message `ProcessContext { Resource resource = 1; repeated KeyValue attributes = 2; }`, with the two
//! attributes that OTEP 4947 asks for. A process has one process context: where another library has published one, it stays
//! the only one.

use crate::table::ProcessContext;

/// The schema that the merged text of OTEP 4947 names for records in an ELF thread-local.
const SCHEMA: &str = "tlsdesc_v1_dev";
/// The key map: index 0.
const KEYS: [&str; 1] = ["request.id"];

/// Publishes this crate's process context, unless there is one already.
pub(crate) fn publish() -> ProcessContext {
    match std::fs::read_to_string("/proc/self/maps") {
        Ok(maps) if has_process_context(&maps) => ProcessContext::Foreign,
        Ok(_) if mapping::publish(&payload()) => ProcessContext::Ours,
        _ => ProcessContext::Failed,
    }
}

/// Whether `/proc/PID/maps` lists a process context.
fn has_process_context(maps: &str) -> bool {
    const NAMES: [&str; 3] = ["[anon_shmem:OTEL_CTX", "[anon:OTEL_CTX", "/memfd:OTEL_CTX"];
    // Five columns, then the name, which may hold spaces.
    maps.lines()
        .filter_map(|line| line.splitn(6, ' ').nth(5))
        .any(|name| NAMES.iter().any(|known| name.trim_start().starts_with(known)))
}

/// The message, encoded.
fn payload() -> Vec<u8> {
    let schema = field(1, SCHEMA.as_bytes());
    let keys: Vec<u8> = KEYS.iter().flat_map(|key| field(1, &field(1, key.as_bytes()))).collect();
    let attributes = [("threadlocal.schema_version", schema), ("threadlocal.attribute_key_map", field(5, &keys))];
    attributes
        .into_iter()
        .flat_map(|(key, value)| {
            let mut attribute = field(1, key.as_bytes());
            attribute.extend(field(2, &value));
            field(2, &attribute)
        })
        .collect()
}

/// A length-delimited protobuf field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        encoded.push(len.to_le_bytes()[0] | 0x80);
        len >>= 7;
    }
    encoded.push(len.to_le_bytes()[0]);
    encoded.extend_from_slice(content);
    encoded
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(miri))))]
mod mapping {
    //! Nowhere to publish to.
    pub(super) fn publish(_payload: &[u8]) -> bool {
        false
    }
}

#[cfg(all(target_os = "linux", target_pointer_width = "64", not(miri)))]
#[path = "process_context/mapping.rs"]
mod mapping;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_the_message_of_the_otep() {
        // Field 2 of ProcessContext twice: KeyValue { key = 1, value = 2: AnyValue { string = 1, array = 5: { values = 1 } } }.
        let schema = b"\x12\x2e\x0a\x1athreadlocal.schema_version\x12\x10\x0a\x0etlsdesc_v1_dev";
        let keys = b"\x12\x31\x0a\x1dthreadlocal.attribute_key_map\x12\x10\x2a\x0e\x0a\x0c\x0a\x0arequest.id";
        assert_eq!(payload(), [&schema[..], &keys[..]].concat());
    }

    #[test]
    fn long_fields_have_long_lengths() {
        assert_eq!(field(1, &[b'x'; 300])[..3], [0x0a, 0xac, 0x02]);
    }

    #[test]
    fn knows_a_process_context_by_the_name_of_its_mapping() {
        let line = |name: &str| format!("7f0000000000-7f0000001000 rw-p 00000000 00:01 42     {name}\n");
        for name in ["[anon_shmem:OTEL_CTX]", "[anon:OTEL_CTX]", "/memfd:OTEL_CTX (deleted)"] {
            assert!(has_process_context(&(line("/usr/bin/cat") + &line(name))), "{name}");
        }
        assert!(!has_process_context(&(line("/home/OTEL_CTX") + &line("[heap]"))));
        assert!(!has_process_context("7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"));
    }
}
