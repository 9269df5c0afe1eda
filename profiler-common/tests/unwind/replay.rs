//! Captured stacks walked again: `replay/*.txt`.
//!
//! Each holds the registers of one sample, the rows and the words of the stack that a walk needs, and the frames that framehop found on
//! the whole stack. Any other word cannot be read here, so a walk that strays fails. `profiler-daemon/tests/unwind` writes them:
//!
//! ```console
//! $ PROFILER_CAPTURE_STACKS=$PWD/profiler-common/tests/unwind/replay cargo test --release -p profiler-daemon --test unwind
//! ```
//!
//! | line | holds (addresses in hexadecimal, the rest decimal) |
//! | --- | --- |
//! | `registers` | pc, sp, bp |
//! | `row` | first address, address behind the last, then the rule: cfa, offset, addend, rbp, rbp_offset |
//! | `word` | address, value |
//! | `frame` | pc, innermost first |
//! | `end` | the name of the walk's end |

use std::collections::BTreeMap;
use std::path::Path;

use profiler_common::limits::STACK_FRAMES;
use profiler_common::unwind::{Cursor, End, Memory, Rule};

#[derive(Default)]
struct Capture {
    cursor: Cursor,
    /// By first address: the address behind the last, and the rule.
    rows: BTreeMap<u64, (u64, Rule)>,
    words: BTreeMap<u64, u64>,
    frames: Vec<u64>,
    end: String,
}

impl Memory for Capture {
    fn word(&self, address: u64) -> Option<u64> {
        self.words.get(&address).copied()
    }
}

impl Capture {
    fn read(text: &str) -> Self {
        let mut capture = Self::default();
        let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["registers", pc, sp, bp] => capture.cursor = Cursor { pc: hex(pc), sp: hex(sp), bp: hex(bp), is_return: 0 },
                ["row", from, to, cfa, offset, addend, rbp, rbp_offset] => {
                    let rule = Rule {
                        cfa: cfa.parse().unwrap(),
                        rbp: rbp.parse().unwrap(),
                        padding: 0,
                        offset: offset.parse().unwrap(),
                        addend: addend.parse().unwrap(),
                        rbp_offset: rbp_offset.parse().unwrap(),
                    };
                    capture.rows.insert(hex(from), (hex(to), rule));
                }
                ["word", address, value] => drop(capture.words.insert(hex(address), hex(value))),
                ["frame", pc] => capture.frames.push(hex(pc)),
                ["end", name] => name.clone_into(&mut capture.end),
                _ => panic!("no such line: {line}"),
            }
        }
        capture
    }

    fn rule(&self, address: u64) -> Option<&Rule> {
        let (_, (to, rule)) = self.rows.range(..=address).next_back()?;
        (address < *to).then_some(rule)
    }

    /// The frames up to the end, of which none lies behind `poll_sp`.
    fn walk(&self, poll_sp: u64) -> (Vec<u64>, End) {
        let mut cursor = self.cursor;
        let mut frames = vec![cursor.pc];
        while frames.len() < STACK_FRAMES {
            let Some(rule) = self.rule(cursor.lookup()) else { return (frames, End::NoRow) };
            match cursor.step(rule, poll_sp, self) {
                End::Going => frames.push(cursor.pc),
                end => return (frames, end),
            }
        }
        (frames, End::TooDeep)
    }
}

fn captures() -> Vec<(String, Capture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/unwind/replay");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut captures: Vec<_> =
        files.map(|path| (path.display().to_string(), Capture::read(&std::fs::read_to_string(path).unwrap()))).collect();
    captures.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(captures.len() >= 8, "the captures are part of the repository");
    captures
}

/// Check every captured stack's frames and end.
#[test]
fn captured_stacks_walk_as_they_did() {
    for (name, capture) in captures() {
        let (frames, end) = capture.walk(u64::MAX);
        assert_eq!((frames, end.name()), (capture.frames.clone(), capture.end.as_str()), "{name}");
    }
}

/// Check that a walk stops at the poll function, wherever on the stack its return address lies: the frames are those before it.
#[test]
fn a_walk_stops_at_the_poll() {
    for (name, capture) in captures() {
        if capture.rows.values().any(|(_, rule)| rule.cfa == profiler_common::unwind::CfaKind::Signal as u8) {
            // The stack on which a signal came may be another one; polls do not happen in handlers.
            continue;
        }
        for (depth, pc) in capture.frames.iter().enumerate().skip(1) {
            // Return addresses are the words of the stack that became frames.
            let Some((poll_sp, _)) = capture.words.iter().find(|(_, word)| *word == pc) else { panic!("{name}: {pc:x}") };
            let (frames, end) = capture.walk(*poll_sp);
            assert_eq!(end, End::Poll, "{name}");
            assert!(frames.len() <= depth && capture.frames.starts_with(&frames), "{name} at {depth}");
        }
    }
}

/// Check that a captured stack of which one word cannot be read is cut there and says so.
#[test]
fn a_word_that_cannot_be_read_cuts_the_walk() {
    for (name, capture) in captures() {
        for address in capture.words.keys() {
            let mut less = Capture { words: capture.words.clone(), rows: capture.rows.clone(), ..Capture::default() };
            less.cursor = capture.cursor;
            less.words.remove(address);
            let (frames, end) = less.walk(u64::MAX);
            assert_eq!(end, End::Unreadable, "{name} without {address:x}");
            assert!(capture.frames.starts_with(&frames), "{name} without {address:x}");
        }
    }
}
