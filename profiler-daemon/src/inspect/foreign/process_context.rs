//! The process context's message: `ProcessContext { Resource resource = 1; repeated KeyValue attributes = 2; }` (OTEP 4719), with the two
//! attributes that OTEP 4947 asks for: which scheme threads' records follow, and the names of their keys.

use prost::Message;

/// Schemes whose records are those of OTEP 4947: its text says that the first name is to give way to the second.
const SCHEMES: [&str; 2] = ["tlsdesc_v1_dev", "tls_v1"];
const SCHEME_KEY: &str = "threadlocal.schema_version";
const KEYS_KEY: &str = "threadlocal.attribute_key_map";
/// A key's index is one byte.
const MAX_KEYS: usize = 256;

/// What the process context says of threads' records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The scheme, where one is named.
    pub scheme: Option<String>,
    /// Names of attributes by index.
    pub names: Vec<String>,
}

impl Keys {
    /// Whether records are as OTEP 4947 has them. One that names no scheme is taken to be.
    #[must_use]
    pub fn is_known_scheme(&self) -> bool {
        self.scheme.as_ref().is_none_or(|scheme| SCHEMES.contains(&scheme.as_str()))
    }

    /// The index of the attribute of this name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| known == name).and_then(|place| u32::try_from(place).ok())
    }
}

#[derive(Clone, PartialEq, Message)]
struct ProcessContext {
    #[prost(message, repeated, tag = "2")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

/// `opentelemetry.proto.common.v1.AnyValue`, of which two kinds matter.
#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 5")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(message, tag = "5")]
    Array(ArrayValue),
}

#[derive(Clone, PartialEq, Message)]
struct ArrayValue {
    #[prost(message, repeated, tag = "1")]
    values: Vec<AnyValue>,
}

/// The keys in an encoded process context. `None`: it is no such message.
#[must_use]
pub fn keys_of(payload: &[u8]) -> Option<Keys> {
    let context = ProcessContext::decode(payload).ok()?;
    let mut keys = Keys::default();
    for KeyValue { key, value } in context.attributes {
        match (key.as_str(), value.and_then(|value| value.value)) {
            (SCHEME_KEY, Some(Value::Text(scheme))) => keys.scheme = Some(scheme),
            (KEYS_KEY, Some(Value::Array(array))) => {
                // One that is no text keeps its place.
                let name = |value: AnyValue| match value.value {
                    Some(Value::Text(name)) => name,
                    _ => String::new(),
                };
                keys.names = array.values.into_iter().take(MAX_KEYS).map(name).collect();
            }
            _ => {}
        }
    }
    Some(keys)
}
