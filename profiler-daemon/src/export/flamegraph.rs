//! A flamegraph as SVG, drawn by inferno. Widths are nanoseconds; the file needs nothing but a browser.

use std::collections::HashMap;
use std::io::Write;

use inferno::flamegraph::color::{BackgroundColor, BasicPalette, Color, PaletteMap};
use inferno::flamegraph::{Options, Palette, from_lines};

use super::ExportError;
use super::folded::{frame, lines};
use super::hover::with_full_names;
use super::numbers::{ms, plural};
use crate::model::stacks::FrameKind;
use crate::model::{Graph, Metric, State};

/// Writes the graph as an SVG.
pub fn write(graph: &Graph, mut out: impl Write) -> Result<(), ExportError> {
    let lines = lines(graph)?;
    let mut colours = colours(graph);
    let mut options = Options::default();
    options.title = match graph.metric {
        Metric::Wall => format!("Wall time of {}", graph.title),
        Metric::Cpu => format!("CPU time of {}", graph.title),
        Metric::Blocked => format!("Blocked time of {}", graph.title),
    };
    options.subtitle = Some(subtitle(graph));
    "ns".clone_into(&mut options.count_name);
    "Frame:".clone_into(&mut options.name_type);
    options.colors = Palette::Basic(BasicPalette::Orange);
    options.deterministic = true;
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 250, g: 250, b: 250 }));
    options.palette_map = Some(&mut colours);
    // inferno's own order is by bytes of whole lines, where `a::b;x` comes between `a 1` and `a;x`, and `a` is drawn
    // twice. Ours is by frames; of all its modes only this one takes lines in the order given, and wants them reversed.
    options.flame_chart = true;
    let mut svg = Vec::new();
    from_lines(&mut options, lines.iter().rev().map(String::as_str), &mut svg)?;
    out.write_all(with_full_names(&String::from_utf8_lossy(&svg), &full_names(graph)).as_bytes())?;
    Ok(out.flush()?)
}

/// The full name of each text that stands for a longer one.
fn full_names(graph: &Graph) -> HashMap<String, String> {
    let ids = graph.lines.iter().flat_map(|line| &line.stack);
    ids.filter_map(|&id| Some((frame(&graph.frames.name(id)?.text), graph.frames.full(id)?.to_owned()))).collect()
}

/// The numbers that the picture alone does not show, the exact ones first.
fn subtitle(graph: &Graph) -> String {
    let mut notes = String::new();
    if graph.metric.counts(State::Running) && graph.unsampled_ns > 0 {
        notes = format!(", {} of CPU too short for a sample", ms(graph.unsampled_ns));
    }
    if graph.truncated > 0 {
        notes = format!("{notes}, {} without a full stack", graph.truncated);
    }
    if graph.unplaced > 0 {
        notes = format!("{notes}, {} more in tasks that are not known", graph.unplaced);
    }
    let (named, ns) = match graph.metric {
        Metric::Wall | Metric::Cpu => ("CPU", graph.cpu_ns),
        Metric::Blocked => ("blocked", graph.blocked_ns),
    };
    // Without probes it is not known.
    let wall = if graph.wall_ns == 0 { String::new() } else { format!("wall {}, ", ms(graph.wall_ns)) };
    format!("{wall}{named} {}; {}{notes}", ms(ns), seen(graph))
}

/// What the shape rests on.
fn seen(graph: &Graph) -> String {
    match (graph.metric, graph.period_ns, graph.scale()) {
        (Metric::Blocked, ..) if graph.stretches == 1 => "1 stretch off the CPU".to_owned(),
        (Metric::Blocked, ..) => format!("{} stretches off the CPU", graph.stretches),
        (_, None, _) => "stacks were not sampled".to_owned(),
        (_, Some(_), None) => "no CPU samples".to_owned(),
        (_, Some(_), Some(scale)) => {
            format!("{} for {}, scaled by {scale:.3}", plural(graph.samples, "CPU sample"), ms(graph.sampled_ns))
        }
    }
}

/// A colour for each frame that is no function: the same in every graph. Functions get theirs from their name.
fn colours(graph: &Graph) -> PaletteMap {
    let mut colours = PaletteMap::default();
    // inferno's own frame below all others has no name.
    colours.insert("", Color { r: 226, g: 230, b: 234 });
    for name in graph.lines.iter().flat_map(|line| &line.stack).filter_map(|&id| graph.frames.name(id)) {
        if let Some(colour) = colour(name.kind) {
            colours.insert(frame(&name.text), colour);
        }
    }
    colours
}

const fn colour(kind: FrameKind) -> Option<Color> {
    let (r, g, b) = match kind {
        FrameKind::Code => return None,
        FrameKind::Request => (142, 154, 166),
        FrameKind::Task => (182, 192, 200),
        FrameKind::Unseen => (214, 214, 214),
        FrameKind::State(State::Running) => (94, 177, 98),
        FrameKind::State(State::Preempted) => (176, 126, 196),
        FrameKind::State(State::Blocked) => (214, 72, 72),
        FrameKind::State(State::Scheduled) => (242, 196, 76),
        FrameKind::State(State::Suspended) => (124, 178, 224),
    };
    Some(Color { r, g, b })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;
    use crate::model::fixture::{self, Names};
    use crate::model::{Capture, Frame, GraphOptions, Selection, Symbolize, graph};

    fn svg(capture: &Capture, selection: &Selection, metric: Metric) -> String {
        let drawn = graph(capture, selection, metric, GraphOptions::default(), &mut Names).unwrap();
        let mut out = Vec::new();
        write(&drawn, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Parses the SVG as a browser would: text of `<text>` and `<title>`, fill of each frame by its title, and names of
    /// all elements with how often they occur.
    fn parsed(svg: &str) -> (Vec<String>, BTreeMap<String, String>, BTreeMap<String, usize>) {
        let mut reader = Reader::from_str(svg);
        let (mut texts, mut fills, mut elements) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut open = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) => {
                    let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                    *elements.entry(name.clone()).or_insert(0) += 1;
                    if name == "text" || name == "title" {
                        texts.push(String::new());
                    }
                    open.push(name);
                }
                Event::End(_) => drop(open.pop()),
                Event::Empty(tag) if tag.name().as_ref() == b"rect" => {
                    if let Some(fill) = tag.try_get_attribute("fill").unwrap() {
                        let title = texts.last().cloned().unwrap_or_default();
                        fills.insert(title, String::from_utf8(fill.value.to_vec()).unwrap());
                    }
                }
                Event::Text(text) if open.last().is_some_and(|name| name == "text" || name == "title") => {
                    texts.last_mut().unwrap().push_str(&text.decode().unwrap());
                }
                Event::GeneralRef(reference) => {
                    let name = reference.decode().unwrap();
                    let character = quick_xml::escape::resolve_xml_entity(&name).expect("a standard entity");
                    texts.last_mut().unwrap().push_str(character);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert!(open.is_empty(), "unclosed: {open:?}");
        (texts, fills, elements)
    }

    fn order_42() -> Selection {
        Selection::Request { id: "order-42".into() }
    }

    #[test]
    fn the_numbers_stand_on_top_and_every_state_has_its_width() {
        let (texts, fills, _) = parsed(&svg(&fixture::capture(), &order_42(), Metric::Wall));
        assert!(texts.contains(&"Wall time of request order-42".to_owned()), "{texts:?}");
        let notes = "3 CPU samples for 3.000 ms, scaled by 1.680, 0.040 ms of CPU too short for a sample";
        let subtitle = format!("wall 27.250 ms, CPU 5.040 ms; {notes}");
        assert!(texts.contains(&subtitle), "{texts:?}");
        for (title, fill) in [
            ("all (27,250,001 ns, 100%)", None),
            ("request order-42 #1 (26,310,001 ns, 96.55%)", Some("rgb(142,154,166)")),
            ("[suspended] (20,000,000 ns, 73.39%)", Some("rgb(124,178,224)")),
            ("[blocked, no stack] (1,000,000 ns, 3.67%)", Some("rgb(214,72,72)")),
            ("[scheduled] (60,000 ns, 0.22%)", Some("rgb(242,196,76)")),
            ("[preempted, no stack] (250,000 ns, 0.92%)", Some("rgb(176,126,196)")),
            ("[running] (3,333,334 ns, 12.23%)", Some("rgb(94,177,98)")),
            ("[running, no sample] (40,000 ns, 0.15%)", Some("rgb(214,214,214)")),
        ] {
            assert!(texts.contains(&title.to_owned()), "no {title} in {texts:?}");
            assert!(fill.is_none_or(|fill| fills.get(title).is_some_and(|found| found == fill)), "{title}: {fills:?}");
        }
    }

    #[test]
    fn what_shapes_nothing_is_counted() {
        let mut capture = fixture::capture();
        capture.samples[0].stack.task_id = Some(98);
        capture.samples[1].stack.end = profiler_common::unwind::End::NoRow;
        let (texts, _, _) = parsed(&svg(&capture, &order_42(), Metric::Wall));
        let seen = "2 CPU samples for 2.000 ms, scaled by 2.520, 0.040 ms of CPU too short for a sample";
        let notes = format!("{seen}, 1 without a full stack, 1 more in tasks that are not known");
        assert!(texts.iter().any(|text| text.ends_with(&notes)), "{texts:?}");
    }

    #[test]
    fn the_same_graph_is_the_same_file() {
        let one = svg(&fixture::capture(), &order_42(), Metric::Cpu);
        assert_eq!(one, svg(&fixture::capture(), &order_42(), Metric::Cpu));
    }

    /// `a` is a leaf, has a callee, and a neighbour that sorts between the two by bytes.
    #[test]
    fn a_frame_is_drawn_once_whatever_its_neighbours_are_called() {
        let mut capture = fixture::capture();
        let sample = capture.samples[0].clone();
        let stacks: [&[u64]; 3] = [&[0x6000], &[0x6100], &[0x1000, 0x6001]];
        capture.samples = stacks
            .into_iter()
            .map(|stack| {
                let mut sample = sample.clone();
                sample.stack.frames = stack.to_vec();
                sample
            })
            .collect();
        let (texts, _, _) = parsed(&svg(&capture, &order_42(), Metric::Cpu));
        let drawn: Vec<&String> = texts.iter().filter(|text| text.starts_with("a (")).collect();
        assert_eq!(drawn, ["a (3,333,334 ns, 47.35%)"], "{texts:?}");
    }

    #[test]
    fn hostile_ids_and_symbols_are_text() {
        let mut capture = fixture::capture();
        for sample in &mut capture.samples {
            sample.stack.frames = vec![0x5000, 0x1001];
        }
        let (_, _, plain) = parsed(&svg(&fixture::capture(), &order_42(), Metric::Cpu));
        let with_symbol = svg(&capture, &order_42(), Metric::Cpu);
        let (texts, _, elements) = parsed(&with_symbol);
        let symbol = "<script>alert(1)</script>\\x0a\\x1b[31m\"'&\u{a0}42 (";
        assert!(texts.iter().any(|text| text.starts_with(symbol)), "{texts:?}");
        assert_eq!(elements["script"], plain["script"], "no script but inferno's own");

        let id = capture.requests[2].id.clone();
        let with_id = svg(&capture, &Selection::Request { id }, Metric::Wall);
        let (texts, _, elements) = parsed(&with_id);
        let request = "request <script>\\x3b\\x1b[31m\\xff\"'\\x0a 7 #1 (";
        assert!(texts.iter().any(|text| text.starts_with(request)), "{texts:?}");
        assert_eq!(elements["script"], plain["script"]);
        for svg in [with_symbol, with_id] {
            assert!(!svg.contains(|c: char| c.is_control() && c != '\n' && c != '\t' && c != '\r'));
        }
    }

    #[test]
    fn pointing_at_a_shortened_name_tells_it_in_full() {
        struct Short;
        impl Symbolize for Short {
            fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
                let frame = Frame { full: "Vec<orders::Order>::push".to_owned(), ..Frame::named("Vec<_>::push") };
                addresses.iter().map(|_| vec![frame.clone()]).collect()
            }
        }
        let drawn = graph(&fixture::capture(), &Selection::All, Metric::Cpu, GraphOptions::default(), &mut Short).unwrap();
        let mut out = Vec::new();
        write(&drawn, &mut out).unwrap();
        let (texts, ..) = parsed(&String::from_utf8(out).unwrap());
        let tips: Vec<&String> = texts.iter().filter(|text| text.starts_with("Vec<_>::push (")).collect();
        assert!(!tips.is_empty() && tips.iter().all(|tip| tip.ends_with("; Vec<orders::Order>::push)")), "{tips:?}");
    }
}
