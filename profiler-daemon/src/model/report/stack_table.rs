//! A table of shared lists in JSON: serde has no shared pointers without a feature that all of its users would get.

use std::sync::Arc;

use serde::{Deserialize as _, Deserializer, Serializer};

use crate::model::waits::{StackTable, WaitFrame};

pub(super) fn serialize<S: Serializer>(table: &StackTable, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(table.iter().map(|stack| stack.as_slice()))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StackTable, D::Error> {
    Ok(Vec::<Vec<WaitFrame>>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
}
