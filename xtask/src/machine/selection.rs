//! Which kernel tests say nothing in a machine whose instructions are translated, and why. Everything else runs.

/// Tests, by how their names begin, and the reason.
const LEFT_OUT: [(&str, &str); 3] = [
    ("stress::", "it counts how much happens in a time, and translated instructions are 20 times slower"),
    ("sampling::only_wanted", LATE_TICKS),
    ("sampling::samples_come_at_their_rate", LATE_TICKS),
];
/// Of a sampling clock's rate.
const LATE_TICKS: &str = "it holds the number of samples against the time, and a translated CPU's ticks come late and together";
/// What matters most is run first, should the time not be enough for all.
const FIRST: [&str; 2] = ["verifier::", "programs::"];

/// Why `test` is not run on a translated CPU, if it is not.
pub(crate) fn left_out(test: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(begin, _)| test.starts_with(begin)).map(|(_, reason)| *reason)
}

/// Puts the tests into the order in which they are run.
pub(crate) fn order(tests: &mut [String]) {
    tests.sort_by_key(|test| !FIRST.iter().any(|begin| test.starts_with(begin)));
}

/// The names in what `PROGRAM --list --format terse` prints.
pub(crate) fn listed(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Check that tests are read from the list and nothing else is.
    #[test]
    fn lists_are_read() {
        assert_eq!(listed("states::polls_nest: test\nbench_it: benchmark\n\n"), ["states::polls_nest"]);
    }

    /// Check that what matters most comes first, and all else in its order.
    #[test]
    fn what_matters_comes_first() {
        let mut tests = ["awaits::a", "awaits::b", "programs::c", "verifier::d"].map(str::to_owned);
        order(&mut tests);
        assert_eq!(tests, ["programs::c", "verifier::d", "awaits::a", "awaits::b"]);
    }

    /// Check that what is left out has a reason, and what is not has none.
    #[test]
    fn what_is_left_out_has_a_reason() {
        assert!(left_out("stress::rows_add_up_while_they_are_written").is_some());
        assert_eq!(left_out("states::polls_nest"), None);
    }
}
