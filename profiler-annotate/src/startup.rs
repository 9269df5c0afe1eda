//! What happens once in a process, at its first scope.

use std::sync::Once;

use crate::record::{REQUEST_ID_KEY, UNNAMED_KEY};
use crate::table::ProcessContext;
use crate::{abi, process_context};

/// The key index that this process's records give to request ids. The first call publishes the process context and fills the
/// table; later ones read it.
pub(crate) fn request_id_key() -> u8 {
    static STARTED: Once = Once::new();

    if let Some(key) = abi::table().request_id_key() {
        return key;
    }
    STARTED.call_once(|| {
        let context = publish_process_context();
        let key = if context == ProcessContext::Foreign { UNNAMED_KEY } else { REQUEST_ID_KEY };
        abi::table().publish(abi::slot_offset(), abi::times_offset(), key, context);
    });
    abi::table().request_id_key().unwrap_or(UNNAMED_KEY)
}

fn publish_process_context() -> ProcessContext {
    if cfg!(feature = "process-context") { process_context::publish() } else { ProcessContext::LeftOut }
}
