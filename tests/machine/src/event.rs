//! What a machine tells: one line an event, marked, among whatever else is written to the serial port.

use std::fmt;
use std::time::Duration;

use crate::plan::Test;

/// Begins every event. A kernel's message may stand before it on the line.
const MARK: &str = "@vm ";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The init runs, on this release of the kernel.
    Kernel(String),
    /// A test begins. The lines up to its end are its own.
    Began(Test),
    /// It has ended.
    Ended(Test, Ending, Duration),
    /// The machine could not do what it was told to.
    Broken(String),
    /// Nothing more comes.
    Done,
}

/// How a test's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed, because its time was over.
    Late,
    /// It was never there.
    NotStarted,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        match self {
            Self::Kernel(release) => write!(f, "kernel {release}"),
            Self::Began(test) => write!(f, "began {test}"),
            Self::Ended(test, ending, time) => write!(f, "ended {} {ending} {test}", time.as_millis()),
            Self::Broken(why) => write!(f, "broken {}", why.replace('\n', " ")),
            Self::Done => f.write_str("done"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit:{code}"),
            Self::Signal(signal) => write!(f, "signal:{signal}"),
            Self::Late => f.write_str("late"),
            Self::NotStarted => f.write_str("not-started"),
        }
    }
}

impl Event {
    /// The event on a line of the serial port.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (_, event) = line.split_once(MARK)?;
        let (word, rest) = event.trim_end().split_once(' ').unwrap_or((event.trim_end(), ""));
        match word {
            "kernel" => Some(Self::Kernel(rest.to_owned())),
            "began" => Test::parse(rest).map(Self::Began),
            "ended" => {
                let (millis, rest) = rest.split_once(' ')?;
                let (ending, test) = rest.split_once(' ')?;
                Some(Self::Ended(Test::parse(test)?, Ending::parse(ending)?, Duration::from_millis(millis.parse().ok()?)))
            }
            "broken" => Some(Self::Broken(rest.to_owned())),
            "done" => Some(Self::Done),
            _ => None,
        }
    }
}

impl Ending {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("exit", code)) => code.parse().ok().map(Self::Exit),
            Some(("signal", signal)) => signal.parse().ok().map(Self::Signal),
            None if text == "late" => Some(Self::Late),
            None if text == "not-started" => Some(Self::NotStarted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test() -> Test {
        Test { program: "/kernel".to_owned(), name: "states::polls_nest".to_owned() }
    }

    /// Check that every event is read as it was written, behind a kernel's message too.
    #[test]
    fn events_go_through_their_lines() {
        let ended = |ending| Event::Ended(test(), ending, Duration::from_millis(9_100));
        let events = [
            Event::Kernel("6.1.0-56-cloud-amd64".to_owned()),
            Event::Began(test()),
            ended(Ending::Exit(101)),
            ended(Ending::Signal(9)),
            ended(Ending::Late),
            ended(Ending::NotStarted),
            Event::Broken("cannot mount /proc: EPERM".to_owned()),
            Event::Done,
        ];
        for event in events {
            assert_eq!(Event::parse(&event.to_string()), Some(event.clone()));
            assert_eq!(Event::parse(&format!("[    9.1] clocksource: slow{event}\r")), Some(event));
        }
    }

    /// Check that a test's own lines are none.
    #[test]
    fn other_lines_are_none() {
        for line in
            ["", "test states::polls_nest ... ok", "@vm", "@vm ended x y z", "@vm ended 3 exit:x /kernel a", "@vm began /kernel"]
        {
            assert_eq!(Event::parse(line), None, "{line}");
        }
    }
}
