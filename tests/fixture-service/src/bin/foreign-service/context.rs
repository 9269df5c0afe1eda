//! What the slot points at, written from the specifications byte by byte: a record of OTEP 4947 with its process context (OTEP 4719), or a set of
//! custom-labels v1.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

static LABELS: AtomicBool = AtomicBool::new(false);

pub(crate) fn use_labels(labels: bool) {
    LABELS.store(labels, Ordering::Relaxed);
}

/// A label, or what stands in a record.
#[repr(C)]
struct Text {
    len: usize,
    buf: *const u8,
}

#[repr(C)]
struct Label {
    key: Text,
    value: Text,
}

#[repr(C)]
struct Set {
    labels: *const Label,
    count: usize,
    capacity: usize,
}

/// The context of one request. What the pointers point at moves with none of them.
pub(crate) struct Named {
    number: u8,
    record: Vec<u8>,
    set: Box<Set>,
    _labels: Box<[Label]>,
    _id: Box<[u8]>,
}

// SAFETY: the pointers are to boxes of its own, which nobody changes.
unsafe impl Send for Named {}

const fn text(bytes: &[u8]) -> Text {
    Text { len: bytes.len(), buf: bytes.as_ptr() }
}

impl Named {
    pub(crate) fn new(number: u8) -> Self {
        let id: Box<[u8]> = format!("order-{number}").into_bytes().into();
        let mut record = vec![0xa0 | number; 16];
        record.extend([0xb0 | number; 8]);
        // Valid, sampled, the size of two attributes: index 0 is another, index 1 the id.
        let size = u16::try_from(2 + 5 + 2 + id.len()).unwrap_or(0);
        record.extend([1, 1]);
        record.extend(size.to_ne_bytes());
        record.extend([0, 5]);
        record.extend(b"/shop");
        record.extend([1, u8::try_from(id.len()).unwrap_or(0)]);
        record.extend(&id);
        let empty = Text { len: 0, buf: std::ptr::null() };
        let labels: Box<[Label]> = vec![
            Label { key: empty, value: text(b"nothing") },
            Label { key: text(b"tenant"), value: text(b"acme") },
            Label { key: text(b"request.id"), value: text(&id) },
            Label { key: text(b"request.id"), value: text(b"the first counts") },
        ]
        .into();
        let set = Box::new(Set { labels: labels.as_ptr(), count: labels.len(), capacity: labels.len() });
        Self { number, record, set, _labels: labels, _id: id }
    }

    pub(crate) fn pointer(&self) -> *const c_void {
        if LABELS.load(Ordering::Relaxed) { (&raw const *self.set).cast() } else { self.record.as_ptr().cast() }
    }

    pub(crate) fn id(&self) -> String {
        format!("order-{}", self.number)
    }

    pub(crate) fn trace(&self) -> String {
        format!("{:02x}", 0xa0 | self.number).repeat(16)
    }
}

/// A protobuf field of bytes, shorter than 128.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2, u8::try_from(content.len()).unwrap_or(0)];
    encoded.extend_from_slice(content);
    encoded
}

/// Publishes the names of attributes: index 0 `http.route`, index 1 `request.id`.
pub(crate) fn publish_names() {
    let names: Vec<u8> = ["http.route", "request.id"].iter().flat_map(|name| field(1, &field(1, name.as_bytes()))).collect();
    let values =
        [("threadlocal.schema_version", field(1, b"tlsdesc_v1_dev")), ("threadlocal.attribute_key_map", field(5, &names))];
    let payload: Vec<u8> =
        values.iter().flat_map(|(key, value)| field(2, &[field(1, key.as_bytes()), field(2, value)].concat())).collect();
    // SAFETY: a C string; the descriptor is ours.
    let memfd = unsafe { libc::memfd_create(c"OTEL_CTX".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: a new descriptor, made as long as what is mapped.
    assert_eq!(unsafe { libc::ftruncate(memfd, 4096) }, 0, "ftruncate");
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let mapping = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE, memfd, 0) };
    assert_ne!(mapping, libc::MAP_FAILED, "mmap");
    let mut header = b"OTEL_CTX".to_vec();
    header.extend(2_u32.to_ne_bytes());
    header.extend(u32::try_from(payload.len()).unwrap_or(0).to_ne_bytes());
    header.extend(1_234_567_u64.to_ne_bytes());
    header.extend((mapping as usize as u64 + 32).to_ne_bytes());
    header.extend(payload);
    // SAFETY: 4096 bytes are mapped, and these are fewer.
    unsafe { std::ptr::copy_nonoverlapping(header.as_ptr(), mapping.cast::<u8>(), header.len()) };
}
