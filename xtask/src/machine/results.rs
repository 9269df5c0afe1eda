//! What the lines of a serial port say became of the tests.

use serde::Serialize;
use std::collections::BTreeMap;
use test_machine::event::{Ending, Event};
use test_machine::plan::Test;

/// Begins the line by which a test says that it cannot run here: `SKIPPED: <test>: <reason>`.
const SKIPPED: &str = "SKIPPED: ";
/// Begins the line by which the kernel tests tell a program's cost: `VERIFIED: <program> <instructions>`.
const VERIFIED: &str = "VERIFIED: ";
/// How many of a failed test's lines are kept.
const KEPT_LINES: usize = 40;

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub(crate) enum Outcome {
    /// It did what it was to do.
    Passed,
    /// It did so at a later try.
    PassedAgain,
    /// It did not; its last lines say why.
    Failed(Vec<String>),
    /// It could not run there, for this reason.
    Skipped(String),
}

/// What one kernel made of all tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Results {
    /// The kernel's release, once it has told.
    pub(crate) release: Option<String>,
    /// The tests by name.
    pub(crate) tests: BTreeMap<String, Outcome>,
    /// How many instructions the verifier walked, by program.
    pub(crate) verified: BTreeMap<String, u64>,
    /// Why nothing ran, or not all.
    pub(crate) broken: Option<String>,
    /// How long it took (s).
    pub(crate) seconds: u64,
}

impl Results {
    /// How many passed, failed and were skipped.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| self.tests.values().filter(|outcome| wanted(outcome)).count();
        (
            count(|outcome| matches!(outcome, Outcome::Passed | Outcome::PassedAgain)),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_))),
        )
    }

    /// Says of what was asked for and not told of why it was not.
    pub(crate) fn complete(&mut self, wanted: &[Test], why: &str) {
        for test in wanted {
            self.tests.entry(test.name.clone()).or_insert_with(|| Outcome::Skipped(why.to_owned()));
        }
    }
}

/// Reads a serial port line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    results: Results,
    /// The test that runs, and what it wrote.
    running: Option<(Test, Vec<String>)>,
    /// The last lines while none ran: a kernel's panic.
    others: Vec<String>,
    done: bool,
}

impl Reader {
    /// Takes a line, and gives what has ended with it, as `name: passed in 9.1 s`.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        match Event::parse(line) {
            Some(Event::Kernel(release)) => self.results.release = Some(release),
            Some(Event::Began(test)) => self.running = Some((test, Vec::new())),
            Some(Event::Broken(why)) => self.results.broken = Some(why),
            Some(Event::Done) => self.done = true,
            Some(Event::Ended(test, ending, time)) => {
                let lines = self.running.take().map(|(_, lines)| lines).unwrap_or_default();
                let mut outcome = outcome(ending, lines);
                if outcome == Outcome::Passed && self.results.tests.contains_key(&test.name) {
                    outcome = Outcome::PassedAgain;
                }
                let told = format!("{}: {} in {:.1} s", test.name, word(&outcome), time.as_secs_f64());
                self.results.tests.insert(test.name, outcome);
                return Some(told);
            }
            None => self.other(line),
        }
        None
    }

    fn other(&mut self, line: &str) {
        if let Some((_, rest)) = line.split_once(VERIFIED)
            && let Some((program, count)) = rest.trim().split_once(' ')
            && let Ok(count) = count.parse::<u64>()
        {
            let most = self.results.verified.entry(program.to_owned()).or_default();
            *most = count.max(*most);
            return;
        }
        let lines = self.running.as_mut().map_or(&mut self.others, |(_, lines)| lines);
        lines.push(line.to_owned());
        let surplus = lines.len().saturating_sub(KEPT_LINES);
        drop(lines.drain(..surplus));
    }

    /// What was told. `late`: the machine was ended because its time was over.
    pub(crate) fn end(mut self, late: bool) -> Results {
        if !self.done {
            let where_ = self.running.take().map(|(test, lines)| (test.name, lines));
            if late {
                self.results.broken.get_or_insert_with(|| "its time was over before all tests had run".to_owned());
            } else {
                let last = where_.as_ref().map_or("no test", |(name, _)| name.as_str());
                let said = where_.as_ref().map_or(&self.others, |(_, lines)| lines);
                let why =
                    format!("the machine ended in {last}: {}", said.last().map_or("it said nothing", String::as_str).trim());
                self.results.broken.get_or_insert(why);
                if let Some((name, lines)) = where_ {
                    self.results.tests.insert(name, Outcome::Failed(lines));
                }
            }
        }
        self.results
    }
}

fn outcome(ending: Ending, mut lines: Vec<String>) -> Outcome {
    if ending == Ending::Exit(0) {
        let skip = lines.iter().find_map(|line| line.split_once(SKIPPED)?.1.split_once(": "));
        return skip.map_or(Outcome::Passed, |(_, reason)| Outcome::Skipped(reason.trim().to_owned()));
    }
    lines.push(match ending {
        Ending::Exit(code) => format!("its process ended with code {code}"),
        Ending::Signal(signal) => format!("its process was killed by signal {signal}"),
        Ending::Late => "it had not ended when its time was over".to_owned(),
        Ending::NotStarted => "its process could not be started".to_owned(),
    });
    Outcome::Failed(lines)
}

/// One word for a table.
pub(crate) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::PassedAgain => "passed, 2nd try",
        Outcome::Failed(_) => "FAILED",
        Outcome::Skipped(_) => "skipped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, late: bool) -> Results {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.end(late)
    }

    /// Check a whole run: what passed, what failed and with which words, what skipped itself, and the verifier's counts.
    #[test]
    fn a_run_is_read() {
        let results = read(
            "SeaBIOS\n@vm kernel 6.1.0-56-cloud-amd64\n@vm began /k a\ntest a ... ok\n@vm ended 10 exit:0 /k a\n\
            @vm began /k b\npanicked at b\n@vm ended 10 exit:101 /k b\n@vm began /k c\ntest c ... SKIPPED: main: no multi links: Missing\nok\n\
            @vm ended 10 exit:0 /k c\n@vm began /k v\nVERIFIED: poll_start 382443\nVERIFIED: poll_start 12\n@vm ended 9 exit:0 /k v\n@vm done\n",
            false,
        );
        assert_eq!(results.release.as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(results.counts(), (2, 1, 1));
        assert_eq!(
            results.tests["b"],
            Outcome::Failed(vec!["panicked at b".to_owned(), "its process ended with code 101".to_owned()])
        );
        assert_eq!(results.tests["c"], Outcome::Skipped("no multi links: Missing".to_owned()));
        assert_eq!(results.verified["poll_start"], 382_443);
        assert_eq!(results.broken, None);
    }

    /// Check that a test which passes at its second try is told from others.
    #[test]
    fn second_tries_are_told() {
        let results = read("@vm ended 9 exit:101 /k a\n@vm ended 9 exit:0 /k a\n@vm ended 9 exit:0 /k b\n@vm done\n", false);
        assert_eq!((&results.tests["a"], &results.tests["b"]), (&Outcome::PassedAgain, &Outcome::Passed));
        assert_eq!(results.counts(), (2, 0, 0));
    }

    /// Check that a kernel which dies in a test fails it, and that what it never reached has a reason.
    #[test]
    fn a_dead_kernel_fails_its_test() {
        let mut results = read("@vm kernel 6.1\n@vm began /k a\nBUG: kernel NULL pointer dereference\n", false);
        assert_eq!(results.counts(), (0, 1, 0));
        assert_eq!(results.broken.as_deref(), Some("the machine ended in a: BUG: kernel NULL pointer dereference"));
        let test = |name: &str| Test { program: "/k".to_owned(), name: name.to_owned() };
        results.complete(&[test("a"), test("b")], "not reached");
        assert_eq!(results.counts(), (0, 1, 1));
    }

    /// Check that time that is over is no failure of the test that ran, and is said.
    #[test]
    fn time_that_is_over_is_said() {
        let results = read("@vm kernel 6.1\n@vm began /k a\n", true);
        assert_eq!((results.counts(), results.broken.is_some()), ((0, 0, 0), true));
        assert!(read("SeaBIOS\n", false).broken.is_some_and(|why| why == "the machine ended in no test: SeaBIOS"));
    }
}
