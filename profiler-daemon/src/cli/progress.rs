//! A line on standard error for what takes over a second, on a terminal only.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::command::Streams;

/// Nothing is drawn before this: what is quick should leave the terminal alone.
const QUIET: Duration = Duration::from_secs(1);
/// Time between two redraws.
const TICK: Duration = Duration::from_millis(120);
/// Columns of the bar.
const BAR: u32 = 30;
/// The wheel of a wait whose end is not known.
const WHEEL: [char; 4] = ['|', '/', '-', '\\'];

/// A running line; gone when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    words: Arc<Mutex<String>>,
}

impl Progress {
    /// Shows `words` and the seconds gone, for work whose length is not known.
    #[must_use]
    pub fn spinner(words: &str, streams: Streams) -> Self {
        Self::start(words, None, streams)
    }

    /// Shows `words`, a bar and the seconds left, for a wait of `length`.
    #[must_use]
    pub fn countdown(words: &str, length: Duration, streams: Streams) -> Self {
        Self::start(words, Some(length), streams)
    }

    /// Changes the words.
    pub fn say(&self, words: &str) {
        words.clone_into(&mut self.words.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes the line away while `print` writes to the terminal.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    fn start(words: &str, length: Option<Duration>, streams: Streams) -> Self {
        let words = Arc::new(Mutex::new(words.to_owned()));
        if !streams.stderr_is_terminal {
            return Self { bar: ProgressBar::hidden(), words };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let shown = Arc::clone(&words);
        let style =
            ProgressStyle::default_spinner().with_key("line", move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
                let words = shown.lock().unwrap_or_else(PoisonError::into_inner);
                // A line that cannot be drawn is drawn again at the next tick.
                let _ = to.write_str(&line(&words, state.elapsed(), length));
            });
        // The template is a constant; were it refused, indicatif's own wheel would do as well.
        if let Ok(style) = style.template("{line}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, words }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What stands on the terminal after `elapsed`.
fn line(words: &str, elapsed: Duration, length: Option<Duration>) -> String {
    if elapsed < QUIET {
        return String::new();
    }
    let Some(length) = length else {
        let turn = usize::try_from(elapsed.as_millis() / TICK.as_millis()).unwrap_or(0);
        let wheel = WHEEL.get(turn % WHEEL.len()).copied().unwrap_or('|');
        return format!("{wheel} {words} ({} s)", elapsed.as_secs());
    };
    let done = elapsed.min(length);
    let filled = done.as_millis().saturating_mul(u128::from(BAR)) / length.as_millis().max(1);
    let mut bar = String::new();
    for column in 0..u128::from(BAR) {
        bar.push(if column < filled { '=' } else { ' ' });
    }
    let mut text = format!("[{bar}] {words}");
    // Writing to a String cannot fail.
    let _ = write!(text, ", {} s left", length.saturating_sub(done).as_secs());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_first_second() {
        assert_eq!(line("reading", Duration::from_millis(999), None), "");
        assert_eq!(line("recording", Duration::from_millis(999), Some(Duration::from_secs(10))), "");
    }

    #[test]
    fn a_countdown_fills_and_never_overflows() {
        let at = |seconds| line("recording", Duration::from_secs(seconds), Some(Duration::from_secs(10)));
        assert_eq!(at(5), format!("[{}{}] recording, 5 s left", "=".repeat(15), " ".repeat(15)));
        assert_eq!(at(60), format!("[{}] recording, 0 s left", "=".repeat(30)));
    }

    #[test]
    fn a_wheel_says_how_long_it_turns() {
        assert!(line("reading", Duration::from_secs(3), None).ends_with(" reading (3 s)"));
    }

    #[test]
    fn hidden_where_standard_error_is_no_terminal() {
        let streams = Streams { stdout_is_terminal: true, stderr_is_terminal: false, no_color: false };
        let progress = Progress::spinner("reading", streams);
        assert!(progress.bar.is_hidden());
        progress.say("still reading");
        assert_eq!(progress.aside(|| 7), 7);
    }
}
