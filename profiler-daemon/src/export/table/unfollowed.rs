//! The sentence on tasks of a request that are not followed.

use crate::export::numbers::plural;
use crate::model::Unfollowed;

/// Tasks that it spawned and that are not shown, if there may be any.
pub(super) fn sentence(of: Unfollowed) -> Option<String> {
    let Unfollowed { awaited, at_most } = of;
    let most = at_most.map(|most| most.max(awaited));
    let count = match (awaited, most) {
        (_, Some(0)) | (0, None) => return None,
        // None is known to be its own.
        (0, Some(most)) => {
            let while_polled = plural(most, "task");
            return Some(format!(
                "{while_polled} spawned while it was polled, by others or by itself: --follow-spawns tells which"
            ));
        }
        (awaited, Some(most)) if awaited == most => plural(awaited, "task"),
        (awaited, Some(most)) => format!("{awaited} to {}", plural(most, "task")),
        (awaited, None) => format!("at least {}", plural(awaited, "task")),
    };
    Some(format!("{count} spawned otherwise than by the annotation, not followed: --follow-spawns does"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that what it awaited is its own, that what was spawned meanwhile is laid to nobody, and that nothing is said of none.
    #[test]
    fn only_what_was_awaited_is_its_own() {
        let told = |awaited, at_most| sentence(Unfollowed { awaited, at_most }).unwrap_or_default();
        let own = |count| format!("{count} spawned otherwise than by the annotation, not followed: --follow-spawns does");
        assert_eq!([told(0, None), told(0, Some(0))], [""; 2]);
        assert_eq!([told(2, None), told(1, Some(1)), told(1, Some(4))], ["at least 2 tasks", "1 task", "1 to 4 tasks"].map(own));
        assert_eq!(
            told(0, Some(131)),
            "131 tasks spawned while it was polled, by others or by itself: --follow-spawns tells which"
        );
    }
}
