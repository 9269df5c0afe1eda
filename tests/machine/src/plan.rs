//! What is to be run: tests of libtest programs, each in a process of its own and within a time limit.

use std::fmt;
use std::time::Duration;

/// One test of one program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// The program's path in the machine.
    pub program: String,
    /// The test's full name.
    pub name: String,
}

/// All tests, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How long each may take.
    pub limit: Duration,
    /// How often one is tried that fails: where instructions are translated, a sleep of milliseconds may be over before it has begun.
    pub tries: u32,
    /// What to run.
    pub tests: Vec<Test>,
}

/// Why a text is no plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The first line names no limits.
    #[error("the plan's first line is not `limit SECONDS TRIES`")]
    NoLimit,
    /// A later line is not a program and a test.
    #[error("line {0} of the plan is not `PROGRAM TEST`")]
    NoTest(usize),
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "limit {} {}", self.limit.as_secs(), self.tries)?;
        self.tests.iter().try_for_each(|test| writeln!(f, "{test}"))
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.name)
    }
}

impl Plan {
    /// Reads what `Display` wrote.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let mut lines = text.lines().enumerate();
        let first = lines.next().and_then(|(_, line)| line.strip_prefix("limit ")?.split_once(' '));
        let numbers = first.and_then(|(limit, tries)| Some((limit.parse().ok()?, tries.parse().ok()?)));
        let (limit, tries) = numbers.ok_or(PlanError::NoLimit)?;
        let tests =
            lines.map(|(number, line)| Test::parse(line).ok_or(PlanError::NoTest(number + 1))).collect::<Result<_, _>>()?;
        Ok(Self { limit: Duration::from_secs(limit), tries, tests })
    }
}

impl Test {
    /// Reads what `Display` wrote: neither part holds spaces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (program, name) = text.split_once(' ')?;
        let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        (is_word(program) && is_word(name)).then(|| Self { program: program.to_owned(), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        Test { program: "/kernel".to_owned(), name: name.to_owned() }
    }

    /// Check that a plan is read as it was written.
    #[test]
    fn a_plan_goes_through_its_text() {
        let plan = Plan { limit: Duration::from_secs(90), tries: 2, tests: vec![test("states::a_busy_poll_runs"), test("x")] };
        assert_eq!(Plan::parse(&plan.to_string()), Ok(plan));
    }

    /// Check that what is no plan is refused by its line.
    #[test]
    fn other_texts_are_refused() {
        assert_eq!(Plan::parse(""), Err(PlanError::NoLimit));
        assert_eq!(Plan::parse("/kernel x\n"), Err(PlanError::NoLimit));
        assert_eq!(Plan::parse("limit 3\n"), Err(PlanError::NoLimit));
        assert_eq!(Plan::parse("limit 3 1\n/kernel x\n/kernel\n"), Err(PlanError::NoTest(3)));
        assert_eq!(Plan::parse("limit 3 1\n/kernel x y\n"), Err(PlanError::NoTest(2)));
    }
}
