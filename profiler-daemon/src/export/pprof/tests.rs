//! The columns, labels and tables of a profile. That others read it is tested with their readers, in `tests/formats`.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;
use crate::model::fixture::{Names, blocked};
use crate::model::{Frame, Keep, MappedFile, RequestId, Selection, weighted};

/// Names with mapped files.
struct Mapped;

impl Symbolize for Mapped {
    fn symbolize(&mut self, addresses: &[u64]) -> Vec<Vec<Frame>> {
        Names.symbolize(addresses)
    }

    fn modules(&self) -> Vec<MappedFile> {
        let file = |start, end, path: &str| MappedFile {
            start,
            end,
            file_offset: 0x40,
            path: path.to_owned(),
            build_id: Some("00ff".to_owned()),
        };
        vec![file(0x1000, 0x4000, "/srv/orders"), file(0x7000, 0x8000, "/lib/libc.so.6")]
    }
}

fn written(id: RequestId, metric: Metric) -> Profile {
    let capture = blocked();
    let stacks = weighted(&capture, &Selection::Request { id }, Keep::Own, &mut Mapped).unwrap();
    let mut out = Vec::new();
    write(&capture, &stacks, metric, &mut Mapped, &mut out).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(out.as_slice()).read_to_end(&mut bytes).unwrap();
    Profile::decode(bytes.as_slice()).unwrap()
}

fn text(profile: &Profile, index: i64) -> &str {
    &profile.string_table[usize::try_from(index).unwrap()]
}

fn column_sum(profile: &Profile, name: &str) -> i64 {
    let at = profile.sample_type.iter().position(|of| text(profile, of.r#type) == name).unwrap();
    profile.sample.iter().map(|sample| sample.value[at]).sum()
}

/// Check that the columns have the rows' times, to the nanosecond, the children's on top of the CPU's.
#[test]
fn columns_are_exact() {
    let profile = written("order-42".into(), Metric::Wall);
    let capture = blocked();
    let rows = Selection::Request { id: "order-42".into() }.requests(&capture);
    let wall: u64 = rows.iter().map(|row| row.states.wall_ns()).sum();
    assert_eq!(column_sum(&profile, "wall"), signed(wall));
    let children = rows.iter().flat_map(|row| &row.children).map(|child| child.states.running_ns).sum::<u64>();
    let cpu = rows.iter().map(|row| row.states.running_ns).sum::<u64>() + children;
    assert_eq!(column_sum(&profile, "cpu"), signed(cpu));
    assert_eq!(text(&profile, profile.default_sample_type), "wall");
    assert_eq!(text(&profile, written("order-42".into(), Metric::Cpu).default_sample_type), "cpu");
}

/// Check that addresses lie in their files, with every inlined function, and that states have no address.
#[test]
fn places_are_told_from_states() {
    let profile = written("order-42".into(), Metric::Wall);
    let at = |address| profile.location.iter().find(|location| location.address == address).unwrap();
    assert_eq!((at(0x1000).mapping_id, at(0x7100).mapping_id), (1, 2));
    assert_eq!(profile.mapping[1].memory_start, 0x7000);
    let function = |id: u64| &profile.function[usize::try_from(id).unwrap() - 1];
    let names = |location: &proto::Location| {
        location.line.iter().map(|line| text(&profile, function(line.function_id).name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(at(0x1000)), ["orders::load"]);
    let suspended = profile.location.iter().find(|location| names(location) == ["[suspended]"]).unwrap();
    assert_eq!((suspended.address, suspended.mapping_id), (0, 0));
}

/// Check that a hostile id is a label's text, and nothing else.
#[test]
fn a_hostile_id_is_text() {
    let profile = written(blocked().requests[2].id.clone(), Metric::Wall);
    let label = profile.sample[0].label.iter().find(|label| text(&profile, label.key) == "request").unwrap();
    assert_eq!(text(&profile, label.str), "<script>;\\x1b[31m\\xff\"'\\x0a 7");
}

/// Check that a stack that is cut to what await stacks have keeps its addresses, and loses the functions that only carry.
#[test]
fn a_cut_stack_has_parts_of_its_locations() {
    let mut capture = crate::model::fixture::awaits();
    capture.samples.truncate(1);
    capture.samples[0].stack.frames = vec![0x1000, 0x2001, 0x7201];
    let selection = Selection::Request { id: "order-42".into() };
    let stacks = weighted(&capture, &selection, Keep::Own, &mut Mapped).unwrap();
    let profile = profile(&capture, &stacks, Metric::Wall, &mut Mapped);
    let location = |id: &u64| &profile.location[usize::try_from(*id).unwrap() - 1];
    let cpu = |sample: &&Sample| sample.value[1] == 5_000_001;
    let sample = profile.sample.iter().find(cpu).unwrap();
    let addresses: Vec<u64> = sample.location_id.iter().map(|id| location(id).address).collect();
    assert_eq!(addresses, [0x1000, 0x2000], "`std::thread::sleep` around the handler only carries");
    let handle = location(&sample.location_id[1]);
    let function = &profile.function[usize::try_from(handle.line[0].function_id).unwrap() - 1];
    assert_eq!((text(&profile, function.name), handle.mapping_id), ("orders::handle", 1));
}
