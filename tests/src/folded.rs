//! Folded stacks: a line each, frames from the outermost on, then nanoseconds.

use crate::{Failure, Result};

/// A line of folded stacks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stack {
    /// From the outermost frame to the innermost.
    pub frames: Vec<String>,
    /// Its time.
    pub ns: u64,
}

impl Stack {
    /// Is one of the frames, but for its last, a function of this name?
    #[must_use]
    pub fn passes(&self, function: &str) -> bool {
        let last = self.frames.len().saturating_sub(1);
        self.frames.iter().take(last).any(|frame| crate::report::is_of(frame, function))
    }

    /// The innermost frame.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.frames.last().map_or("", String::as_str)
    }
}

/// Reads folded stacks; a line that is none is a failure.
pub fn parse(text: &str) -> Result<Vec<Stack>> {
    text.lines()
        .map(|line| {
            let (frames, ns) = line
                .rsplit_once(' ')
                .and_then(|(frames, ns)| Some((frames, ns.parse().ok()?)))
                .ok_or_else(|| Failure::Wrong(vec![format!("no line of folded stacks: {line:?}")]))?;
            Ok(Stack { frames: frames.split(';').map(str::to_owned).collect(), ns })
        })
        .collect()
}

/// The time of all of them.
pub fn sum<'a>(stacks: impl IntoIterator<Item = &'a Stack>) -> u64 {
    stacks.into_iter().map(|stack| stack.ns).sum()
}

#[cfg(test)]
mod tests {
    use super::{Stack, parse, sum};

    /// Check that frames may hold spaces, that the leaf is told from what leads to it, and that other text is refused.
    #[test]
    fn lines() {
        let stacks = parse("request a #1;shop::read;[blocked in read] 7\nrequest a #1;[suspended] 5\n").unwrap();
        let first =
            Stack { frames: vec!["request a #1".to_owned(), "shop::read".to_owned(), "[blocked in read]".to_owned()], ns: 7 };
        assert_eq!(stacks.first(), Some(&first));
        assert!(first.passes("read") && !first.passes("blocked") && first.leaf() == "[blocked in read]");
        assert_eq!(sum(&stacks), 12);
        assert!(parse("error: nothing").is_err());
    }
}
