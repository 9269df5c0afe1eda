//! The words behind `curl`: ours, and those that curl gets. They may stand in any order, as in `curl -d @order.json URL -o flame.svg`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use super::options;

/// Our options that take a value.
const OURS: &[&str] = &["output", "body", "pid", "metric", "format", "profile-key-file", "duration", "debug-dir", "color"];
/// Those that do not.
const OUR_FLAGS: &[&str] = &["raw-frames", "help"];

/// The words, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// For clap.
    pub(super) ours: Vec<OsString>,
    /// For curl.
    pub(super) theirs: Vec<OsString>,
}

/// What curl's words ask for, as far as it matters to us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) urls: Vec<OsString>,
    pub(super) headers: Vec<OsString>,
    /// The user's own `--write-out`.
    pub(super) write_out: bool,
    /// An option by which curl does not go to the URL's host and port.
    pub(super) detour: Option<String>,
    /// An option that cannot be had here.
    pub(super) refused: Option<String>,
}

/// One word of curl's, or two that belong together.
enum Word<'a> {
    Url(&'a OsStr),
    /// Its long name, or its letter.
    Flag(&'a str),
    Valued(&'a str, OsString),
}

/// Tells the words behind `curl` apart.
pub(super) fn split(words: impl IntoIterator<Item = OsString>) -> Words {
    let mut words = words.into_iter();
    let mut split = Words::default();
    while let Some(word) = words.next() {
        if word == "--" {
            // What stands behind it is curl's, as clap has it too.
            split.theirs.extend(words.by_ref());
        } else if let Some(name) = word.as_bytes().strip_prefix(b"--").map(OsStr::from_bytes) {
            long(&word, &name.to_string_lossy(), &mut words, &mut split);
        } else if word.len() > 1 && word.as_bytes().starts_with(b"-") {
            short(&word, &mut words, &mut split);
        } else {
            split.theirs.push(word);
        }
    }
    split
}

fn long(word: &OsStr, name: &str, words: &mut impl Iterator<Item = OsString>, split: &mut Words) {
    let (bare, has_value) = name.split_once('=').map_or((name, false), |(bare, _)| (bare, true));
    let (to, takes_next) = if OURS.contains(&bare) {
        (&mut split.ours, !has_value)
    } else if OUR_FLAGS.contains(&name) {
        (&mut split.ours, false)
    } else {
        (&mut split.theirs, options::takes_value(name))
    };
    to.push(word.to_owned());
    if takes_next {
        to.extend(words.next());
    }
}

/// Letters may stand together; the first that takes a value takes the rest of the word, or the next word.
fn short(word: &OsStr, words: &mut impl Iterator<Item = OsString>, split: &mut Words) {
    let letters = word.as_bytes();
    let valued = letters.iter().skip(1).position(|letter| options::SHORT.contains(letter) || *letter == b'o').map(|at| at + 1);
    if letters == b"-h" {
        split.ours.push(word.to_owned());
        return;
    }
    let Some(at) = valued else {
        split.theirs.push(word.to_owned());
        return;
    };
    let is_output = letters.get(at) == Some(&b'o');
    let (flags, rest) = letters.split_at(if is_output { at } else { letters.len() });
    if flags.len() > 1 {
        split.theirs.push(OsString::from_vec(flags.to_vec()));
    }
    let to = if is_output {
        split.ours.push(OsString::from_vec([b"-", rest].concat()));
        &mut split.ours
    } else {
        &mut split.theirs
    };
    if at + 1 == letters.len() {
        to.extend(words.next());
    }
}

impl Asked {
    /// Looks through curl's words.
    pub(super) fn of(theirs: &[OsString]) -> Self {
        let mut asked = Self::default();
        let mut words = theirs.iter();
        while let Some(word) = words.next() {
            each(word, &mut words, &mut |word| asked.note(word));
        }
        asked
    }

    fn note(&mut self, word: Word<'_>) {
        match word {
            Word::Url(url) => self.urls.push(url.to_owned()),
            Word::Valued("url", url) => self.urls.push(url),
            Word::Valued("header" | "H", header) => self.headers.push(header),
            Word::Valued("write-out" | "w", _) => self.write_out = true,
            Word::Valued("x", _) => self.detour = Some("-x".to_owned()),
            Word::Valued(name, _) if options::DETOURS.contains(&name) => self.detour = Some(format!("--{name}")),
            Word::Flag(name) if options::REFUSED.contains(&name) => self.refused = Some(format!("--{name}")),
            Word::Flag(letter) if letter.len() == 1 && options::REFUSED_SHORT.contains(&letter.as_bytes()[0]) => {
                self.refused = Some(format!("-{letter}"));
            }
            Word::Flag(_) | Word::Valued(..) => {}
        }
    }
}

/// Hands on what stands in one word, and in the next where that is its value.
fn each<'a>(word: &'a OsStr, words: &mut impl Iterator<Item = &'a OsString>, note: &mut impl FnMut(Word<'a>)) {
    let mut value =
        |rest: &[u8]| if rest.is_empty() { words.next().cloned().unwrap_or_default() } else { OsString::from_vec(rest.to_vec()) };
    let bytes = word.as_bytes();
    if let Some(name) = word.to_str().and_then(|word| word.strip_prefix("--")) {
        note(if options::takes_value(name) { Word::Valued(name, value(b"")) } else { Word::Flag(name) });
        return;
    }
    if bytes.len() < 2 || !bytes.starts_with(b"-") {
        note(Word::Url(word));
        return;
    }
    for (at, letter) in bytes.iter().enumerate().skip(1) {
        // A letter that is none is no option of curl's either, and curl will say so.
        let name = bytes.get(at..=at).and_then(|letter| str::from_utf8(letter).ok()).unwrap_or("?");
        if options::SHORT.contains(letter) {
            note(Word::Valued(name, value(bytes.get(at + 1..).unwrap_or_default())));
            return;
        }
        note(Word::Flag(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    fn told_apart(line: &str) -> (String, String) {
        let Words { ours, theirs } = split(words(line));
        let line = |words: Vec<OsString>| words.join(OsStr::new(" ")).into_string().unwrap();
        (line(ours), line(theirs))
    }

    #[test]
    fn ours_may_stand_anywhere() {
        for (line, ours, theirs) in [
            ("-X POST -d @x http://a/ -o f.svg", "-o f.svg", "-X POST -d @x http://a/"),
            ("-o f.svg http://a/ --pid=7 -k --http2 -u a:b", "-o f.svg --pid=7", "http://a/ -k --http2 -u a:b"),
            (
                "--output f.svg --metric cpu -F x=@y --form z=1 a --duration 5s",
                "--output f.svg --metric cpu --duration 5s",
                "-F x=@y --form z=1 a",
            ),
            ("-sSof.svg a", "-of.svg", "-sS a"),
            ("-sSo f.svg a", "-o f.svg", "-sS a"),
            // Values that look like options of ours.
            ("-H -o --data --pid -Ho -d--pid a", "", "-H -o --data --pid -Ho -d--pid a"),
            ("-kd -o -vH --output a -o -", "-o -", "-kd -o -vH --output a"),
            ("--expand-data -o a", "", "--expand-data -o a"),
            ("-o x -- -o y -T -", "-o x", "-o y -T -"),
            ("-d - a --body - -T - -v", "--body -", "-d - a -T - -v"),
            ("-h", "-h", ""),
            ("-o", "-o", ""),
            ("-d", "", "-d"),
        ] {
            assert_eq!(told_apart(line), (ours.to_owned(), theirs.to_owned()), "{line}");
        }
    }

    #[test]
    fn what_curl_is_asked_for() {
        let asked = |line| Asked::of(&words(line));
        let found = asked("-X POST -H a:1 -kHb:2 --header c:3 -d http://no --url http://yes -w x");
        assert_eq!((found.urls, found.headers), (words("http://yes"), words("a:1 b:2 c:3")));
        assert!(found.write_out && found.detour.is_none() && found.refused.is_none());
        for (line, detour) in
            [("-x p a", "-x"), ("-kxp a", "-x"), ("--unix-socket s a", "--unix-socket"), ("--resolve h:1:a a", "--resolve")]
        {
            assert_eq!(asked(line).detour.as_deref(), Some(detour), "{line}");
        }
        for (line, refused) in
            [("a --next b", "--next"), ("a -: b", "-:"), ("-sO a", "-O"), ("-Z a b", "-Z"), ("--remote-name a", "--remote-name")]
        {
            assert_eq!(asked(line).refused.as_deref(), Some(refused), "{line}");
        }
        assert_eq!(asked("a b -T c - d").urls, words("a b - d"));
    }

    /// Check that nothing is lost or changed, whatever comes.
    #[test]
    fn every_word_is_somewhere() {
        use proptest::prelude::*;
        let word = prop::sample::select(vec![
            "-o", "-sSo", "--output", "--pid", "-H", "x", "--", "-", "", "-d", "--data", "-vvv", "--nope", "é", "-é", "-ov",
        ]);
        proptest!(|(words in prop::collection::vec(word, 0..8))| {
            let split = split(words.iter().map(OsString::from));
            let letters = |words: &mut dyn Iterator<Item = &OsStr>| {
                let mut all: Vec<u8> = words.flat_map(OsStr::as_bytes).copied().filter(|byte| *byte != b'-').collect();
                all.sort_unstable();
                all
            };
            let before = letters(&mut words.iter().map(OsStr::new));
            let after = letters(&mut split.ours.iter().chain(&split.theirs).map(OsString::as_os_str));
            prop_assert_eq!(before, after);
            let _ = Asked::of(&split.theirs);
        });
    }
}
