//! Folded stacks: `root;caller;callee 1234`, one stack a line, nanoseconds. What inferno, speedscope and
//! `flamegraph.pl` read.

use std::collections::BTreeMap;
use std::io::Write;

use super::ExportError;
use crate::model::Graph;

/// Writes the graph, its stacks sorted frame by frame, so that equal beginnings stand together.
pub fn write(graph: &Graph, mut out: impl Write) -> Result<(), ExportError> {
    for line in lines(graph)? {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// The lines, in that order. Stacks that read the same are one line.
pub(super) fn lines(graph: &Graph) -> Result<Vec<String>, ExportError> {
    if graph.total_ns() == 0 {
        return Err(ExportError::NothingToDraw { title: graph.title.clone(), metric: graph.metric });
    }
    let mut stacks: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for line in &graph.lines {
        let names = line.stack.iter().filter_map(|&id| graph.frames.name(id)).map(|name| frame(&name.text));
        let sum = stacks.entry(names.collect()).or_default();
        *sum = sum.saturating_add(line.ns);
    }
    Ok(stacks.into_iter().map(|(stack, ns)| format!("{} {ns}", stack.join(";"))).collect())
}

/// A frame's text such that a reader of folded lines takes it for one frame.
///
/// `;` ends a frame: it becomes `:`, as in `stackcollapse-perf.pl` (Rust types have it: `[u8; 8]`). Readers take a
/// last word of digits for a second count: the space before it becomes a no-break space, which reads the same. They
/// skip lines that begin with `# `: it becomes `\#`. Line ends and control characters are escaped by the model.
pub(super) fn frame(text: &str) -> String {
    let mut frame = text.trim().replace(';', ":");
    if frame.is_empty() {
        return "[unnamed]".to_owned();
    }
    if frame == "#" || frame.starts_with("# ") {
        frame.insert(0, '\\');
    }
    match frame.rsplit_once(' ') {
        Some((before, word)) if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            format!("{before}\u{a0}{word}")
        }
        _ => frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{self, Names};
    use crate::model::{GraphOptions, Metric, RequestId, Selection, graph};
    use proptest::prelude::*;

    fn folded(id: RequestId, metric: Metric) -> String {
        let mut capture = fixture::capture();
        for sample in &mut capture.samples {
            sample.stack.frames = vec![0x5000, 0x1001];
        }
        let drawn = graph(&capture, &Selection::Request { id }, metric, GraphOptions::default(), &mut Names).unwrap();
        let mut out = Vec::new();
        write(&drawn, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_sorted_and_a_hostile_symbol_is_one_frame() {
        let hostile = "<script>alert(1)</script>\\x0a\\x1b[31m\"'&\u{a0}42";
        assert_eq!(
            folded("order-42".into(), Metric::Cpu),
            format!(
                "request order-42 #1;spawned task orders::audit;orders::load;{hostile} 2000000
request order-42 #1;task orders::handle;orders::load;{hostile} 5000001
request order-42 #2 (not ended);task orders::handle;[running, no sample] 40000
"
            )
        );
    }

    #[test]
    fn a_hostile_id_is_one_frame() {
        let id = fixture::capture().requests[2].id.clone();
        for line in folded(id, Metric::Wall).lines() {
            let (stack, ns) = line.rsplit_once(' ').unwrap();
            assert!(ns.parse::<u64>().is_ok(), "{line}");
            let frames: Vec<&str> = stack.split(';').collect();
            assert_eq!(frames.len(), 3, "{line}");
            assert_eq!(frames[0], "request <script>\\x3b\\x1b[31m\\xff\"'\\x0a 7 #1");
        }
    }

    #[test]
    fn no_time_is_an_error_and_not_an_empty_file() {
        let mut capture = fixture::capture();
        capture.tasks[0].states = crate::model::States::default();
        let task = Selection::Task { id: 12 };
        let drawn = graph(&capture, &task, Metric::Cpu, GraphOptions::default(), &mut Names).unwrap();
        let error = write(&drawn, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "task 12 has no CPU time to draw in this window");
    }

    proptest! {
        #[test]
        fn any_text_is_one_frame(text in "\\PC{0,20}|[a-c;# 0-9.]{0,12}") {
            let frame = frame(&text);
            let line = format!("{frame} 12");
            prop_assert!(!frame.contains(';') && !frame.is_empty() && !line.starts_with("# "));
            let (stack, _) = line.rsplit_once(' ').unwrap();
            prop_assert_eq!(stack, &frame);
            let last_word = stack.rsplit_once(' ').map(|(_, word)| word);
            prop_assert!(last_word.is_none_or(|word| word.contains(|c: char| !c.is_ascii_digit() && c != '.')));
        }
    }
}
