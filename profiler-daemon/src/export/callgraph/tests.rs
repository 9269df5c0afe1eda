//! Both forms of a call graph: whole, escaped, the same each time.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::model::fixture::{self, Names};
use crate::model::{Capture, Frame, GraphOptions, Selection, Symbolize, graph};

fn wall(capture: &Capture, selection: &Selection, symbols: &mut dyn Symbolize) -> Graph {
    let options = GraphOptions { children: true, ..GraphOptions::default() };
    graph(capture, selection, Metric::Wall, options, symbols).unwrap()
}

fn order_42() -> Selection {
    Selection::Request { id: "order-42".into() }
}

fn dot(graph: &Graph) -> String {
    let mut written = Vec::new();
    write_dot(graph, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

fn svg(graph: &Graph) -> String {
    let mut written = Vec::new();
    write_svg(graph, &mut written).unwrap();
    String::from_utf8(written).unwrap()
}

/// Texts of an SVG, as a browser reads it.
fn texts(svg: &str) -> Vec<String> {
    let mut reader = Reader::from_str(svg);
    let mut texts = Vec::new();
    let mut inside = false;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                inside = matches!(tag.name().as_ref(), b"text" | b"title");
                if inside {
                    texts.push(String::new());
                }
            }
            Event::Text(text) if inside => texts.last_mut().unwrap().push_str(&text.decode().unwrap()),
            Event::GeneralRef(entity) if inside => {
                let character = match &*entity.decode().unwrap() {
                    "lt" => "<",
                    "gt" => ">",
                    "amp" => "&",
                    "quot" => "\"",
                    other => panic!("{other}"),
                };
                texts.last_mut().unwrap().push_str(character);
            }
            Event::End(_) => inside = false,
            Event::Eof => return texts,
            _ => {}
        }
    }
}

#[test]
fn dot_has_every_number() {
    let written = dot(&wall(&fixture::awaits(), &order_42(), &mut Names));
    let query = "[label=\"orders::query\\nwall 8.900 ms (24.6 %), own 8.900 ms, awaiting 8.900 ms\", tooltip=\"orders::query\"";
    assert!(written.contains(query), "{written}");
    assert!(
        written.contains("kind=async, wall_ns=8900000, own_wall_ns=8900000, cpu_ns=0, own_cpu_ns=0, awaited_ns=8900000];"),
        "{written}"
    );
    assert!(
        written.contains("[label=\"8.900 ms\\n3 waits\", penwidth=1.98, wall_ns=8900000, cpu_ns=0, waits=3, seen=0];"),
        "{written}"
    );
    assert!(written.starts_with("digraph calls {\n  graph [label=\"Calls of request order-42\", ") && written.ends_with("}\n"));
    assert_eq!(written, dot(&wall(&fixture::awaits(), &order_42(), &mut Names)));
}

/// Names of a hostile program.
struct Hostile;

impl Symbolize for Hostile {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        addresses.iter().map(|_| vec![Frame::named("</title><script>&\"\\\n\u{1b}[31m\"]; x [")]).collect()
    }
}

#[test]
fn hostile_names_stay_text() {
    let graph = wall(&fixture::capture(), &order_42(), &mut Hostile);
    let name = "</title><script>&\"\\\\\\x0a\\x1b[31m\"]; x [";
    let read = texts(&svg(&graph));
    assert!(read.iter().any(|text| text == name), "{read:#?}");
    let written = dot(&graph);
    assert!(written.contains("label=\"</title><script>&\\\"\\\\\\\\\\\\x0a\\\\x1b[31m\\\"]; x [\\nwall "), "{written}");
    let lines = written.lines().filter(|line| !matches!(*line, "digraph calls {" | "}"));
    assert!(lines.clone().all(|line| line.ends_with("];")) && !written.contains('\u{1b}'), "{written}");
}

#[test]
fn the_picture_is_well_formed_and_the_same_each_time() {
    let graph = wall(&fixture::awaits(), &order_42(), &mut Names);
    let picture = svg(&graph);
    let read = texts(&picture);
    for text in ["Calls of request order-42", "orders::load_order", "8.900 ms", "3 waits"] {
        assert!(read.iter().any(|read| read == text), "{text} in {read:#?}");
    }
    assert!(read[1].starts_with("wall 36.250 ms, CPU 7.040 ms; blue awaits, orange does not"), "{read:#?}");
    assert_eq!(picture, svg(&graph));
}

#[test]
fn what_is_small_is_counted() {
    let mut capture = fixture::awaits();
    for span in &mut capture.awaits {
        span.suspended_ns /= 1_000;
    }
    let read = texts(&svg(&wall(&capture, &order_42(), &mut Names)));
    assert!(read[1].ends_with("functions with the least time not drawn"), "{read:#?}");
}

#[test]
fn nothing_is_refused() {
    let mut graph = wall(&fixture::capture(), &order_42(), &mut Names);
    graph.lines.clear();
    assert!(matches!(write_dot(&graph, Vec::new()), Err(ExportError::NothingToDraw { .. })));
    let graph = wall(&fixture::capture(), &order_42(), &mut Names);
    assert!(matches!(write_svg(&graph, [0_u8; 64].as_mut_slice()), Err(ExportError::Write(_))));
}
