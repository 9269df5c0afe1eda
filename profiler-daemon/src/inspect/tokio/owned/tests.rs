//! The lists are found in whatever units their structures are described: alone in one, or spread over several as link-time optimisation
//! leaves them.

use std::collections::HashMap;

use gimli::constants::{self, DwAt, DwTag};
use gimli::write::{
    Address, AttributeValue, DebugInfoRef, Dwarf as Written, EndianVec, LineProgram, Sections, Unit, UnitEntryId, UnitId,
};
use gimli::{DwarfSections, Encoding, EndianSlice, Format, LittleEndian};
use proptest::prelude::*;

use super::{ListPlace, OwnedLists, OwnedListsError, SchedulerLists, in_debug_info};
use crate::inspect::inspection::{NameSource, TaskKind, TaskType};

const POLL: u64 = 0x1000;

/// A description: in which unit, and where.
type Type = (UnitId, UnitEntryId);

/// Structures of Tokio, in two units of which the first has the code of a poll.
struct Specimen {
    dwarf: Written,
    units: [UnitId; 2],
    spaces: HashMap<(UnitId, String), UnitEntryId>,
    /// A bit for each type, in the order they are made: the unit that describes it.
    spread: u32,
}

impl Specimen {
    fn new(spread: u32) -> Self {
        let mut dwarf = Written::new();
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let units = [(); 2].map(|()| dwarf.units.add(Unit::new(encoding, LineProgram::none())));
        let mut specimen = Self { dwarf, units, spaces: HashMap::new(), spread };
        for (unit, start) in units.into_iter().zip([POLL, POLL + 0x1000]) {
            let root = specimen.dwarf.units.get(unit).root();
            specimen.spaces.insert((unit, String::new()), root);
            specimen.set((unit, root), constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(start)));
            specimen.set((unit, root), constants::DW_AT_high_pc, AttributeValue::Udata(0x1000));
        }
        specimen
    }

    fn set(&mut self, (unit, entry): Type, name: DwAt, value: AttributeValue) {
        self.dwarf.units.get_mut(unit).get_mut(entry).set(name, value);
    }

    fn add(&mut self, (unit, parent): Type, tag: DwTag, name: &str) -> Type {
        let entry = (unit, self.dwarf.units.get_mut(unit).add(parent, tag));
        self.set(entry, constants::DW_AT_name, AttributeValue::String(name.into()));
        entry
    }

    fn refer(&mut self, from: Type, to: Type) {
        let is_near = from.0 == to.0;
        let far = AttributeValue::DebugInfoRef(DebugInfoRef::Entry(to.0, to.1));
        self.set(from, constants::DW_AT_type, if is_near { AttributeValue::UnitRef(to.1) } else { far });
    }

    fn space(&mut self, unit: UnitId, path: &str) -> Type {
        if let Some(space) = self.spaces.get(&(unit, path.to_owned())) {
            return (unit, *space);
        }
        let (outer, name) = path.rsplit_once("::").unwrap_or(("", path));
        let outer = self.space(unit, outer);
        let space = self.add(outer, constants::DW_TAG_namespace, name);
        self.spaces.insert((unit, path.to_owned()), space.1);
        space
    }

    /// A type without members, in the unit whose turn it is.
    fn plain(&mut self, tag: DwTag, path: &str, name: &str, size: u64) -> Type {
        let unit = self.units[(self.spread & 1) as usize];
        self.spread >>= 1;
        let space = self.space(unit, path);
        let new = self.add(space, tag, name);
        self.set(new, constants::DW_AT_byte_size, AttributeValue::Udata(size));
        new
    }

    fn member(&mut self, of: Type, (name, what, offset): (&str, Type, u64)) {
        let member = self.add(of, constants::DW_TAG_member, name);
        self.refer(member, what);
        self.set(member, constants::DW_AT_data_member_location, AttributeValue::Udata(offset));
    }

    fn structure(&mut self, path: &str, name: &str, size: u64, members: &[(&str, Type, u64)]) -> Type {
        let new = self.plain(constants::DW_TAG_structure_type, path, name, size);
        for member in members {
            self.member(new, *member);
        }
        new
    }

    fn pointer(&mut self, to: Type) -> Type {
        let pointer = self.plain(constants::DW_TAG_pointer_type, "", "", 8);
        self.refer(pointer, to);
        pointer
    }

    /// The scheduler, its `Arc` and its lists, as Tokio 1.54 has them.
    fn scheduler(&mut self) {
        let word = self.plain(constants::DW_TAG_base_type, "", "usize", 8);
        let non_zero = self.structure("core::num::nonzero", "NonZero<u64>", 8, &[("__0", word, 0)]);
        let arc_name = "alloc::sync::Arc<tokio::runtime::scheduler::multi_thread::handle::Handle, alloc::alloc::Global>";
        let handle = self.structure("tokio::runtime::scheduler::multi_thread::handle", "Handle", 0x200, &[]);
        let inner = self.structure("alloc::sync", "ArcInner<Handle>", 0x210, &[("strong", word, 0), ("data", handle, 16)]);
        let pointer = self.pointer(inner);
        let filled = self.structure("core::ptr::non_null", "NonNull<ArcInner<Handle>>", 8, &[("pointer", pointer, 0)]);
        let arc = self.structure("alloc::sync", "Arc<Handle>", 8, &[("ptr", filled, 0)]);
        let list_name = format!("LinkedList<tokio::runtime::task::Task<{arc_name}>>");
        let list = self.structure("tokio::util::linked_list", &list_name, 16, &[("head", word, 0), ("tail", word, 8)]);
        let mutex = self.structure("tokio::loom::std::mutex", "Mutex<..>", 24, &[("__0", list, 8)]);
        let first = self.pointer(mutex);
        let slice = self.structure("alloc::boxed", "Box<[..]>", 16, &[("data_ptr", first, 0), ("length", word, 8)]);
        let list_of_tasks =
            self.structure("tokio::util::sharded_list", "ShardedList<..>", 0x28, &[("lists", slice, 0), ("count", word, 0x18)]);
        let owned_name = format!("OwnedTasks<{arc_name}>");
        let owned = self.structure(
            "tokio::runtime::task::list",
            &owned_name,
            0x38,
            &[("list", list_of_tasks, 0), ("id", non_zero, 0x28)],
        );
        let parameter = self.add(owned, constants::DW_TAG_template_type_parameter, "S");
        self.refer(parameter, arc);
        let shared =
            self.structure("tokio::runtime::scheduler::multi_thread::worker", "Shared", 0x100, &[("owned", owned, 0x40)]);
        self.member(handle, ("shared", shared, 0x10));
    }

    /// What a task has of them.
    fn task(&mut self) {
        let word = self.plain(constants::DW_TAG_base_type, "", "u64", 8);
        let both = self.structure("tokio::util::linked_list", "PointersInner", 16, &[("prev", word, 0), ("next", word, 8)]);
        let pointers = self.structure("tokio::util::linked_list", "Pointers", 16, &[("inner", both, 0)]);
        self.structure("tokio::runtime::task::core", "Trailer", 32, &[("owned", pointers, 8)]);
        self.structure("tokio::runtime::task::core", "Header", 32, &[("owner_id", word, 0x18)]);
    }

    /// A description of the multi-thread scheduler's lists that says nothing of them.
    fn hollow(&mut self, is_declaration: bool) {
        let name = "OwnedTasks<alloc::sync::Arc<tokio::runtime::scheduler::multi_thread::handle::Handle, alloc::alloc::Global>>";
        let hollow = self.structure("tokio::runtime::task::list", name, 0x38, &[]);
        if is_declaration {
            self.set(hollow, constants::DW_AT_declaration, AttributeValue::Flag(true));
        }
    }

    fn find(mut self) -> Result<OwnedLists, OwnedListsError> {
        let mut sections = Sections::new(EndianVec::new(LittleEndian));
        self.dwarf.write(&mut sections).unwrap();
        let empty = EndianVec::new(LittleEndian);
        let read = DwarfSections::load(|id| Ok::<_, gimli::Error>(sections.get(id).unwrap_or(&empty).slice().to_vec()));
        in_debug_info(&read.unwrap().borrow(|section| EndianSlice::new(section, LittleEndian)), &[task_type()])
    }
}

fn task_type() -> TaskType {
    TaskType {
        vtable: 0x9000,
        poll: POLL,
        body: POLL,
        body_end: None,
        shutdown: POLL,
        id_offset: None,
        scheduler_offset: None,
        trailer_offset: Some(64),
        kind: TaskKind::MultiThread,
        name: "task".to_owned(),
        raw_name: None,
        name_source: NameSource::DebugInfo,
    }
}

/// What is found of every specimen.
fn expected() -> OwnedLists {
    let owned = 16 + 0x10 + 0x40;
    let lists = SchedulerLists {
        kind: TaskKind::MultiThread,
        id: owned + 0x28,
        count: Some(owned + 0x18),
        lists: ListPlace::Sharded { pointer: owned, length: owned + 8, size: 24 },
        head: 8,
        tail: 16,
    };
    OwnedLists { owner_id: 0x18, prev: 8, next: 16, schedulers: vec![lists] }
}

/// Check that the lists are found where one unit describes everything.
#[test]
fn lists_of_one_unit_are_found() {
    let mut specimen = Specimen::new(0);
    specimen.scheduler();
    specimen.task();
    assert_eq!(specimen.find(), Ok(expected()));
}

/// Check that an `id` and a length whose types another unit describes are found: so release builds have it.
#[test]
fn members_of_types_of_another_unit_are_found() {
    let mut specimen = Specimen::new(0b11);
    specimen.scheduler();
    specimen.task();
    assert_eq!(specimen.find(), Ok(expected()));
}

/// Check that of several descriptions the complete one is taken, whichever comes first.
#[test]
fn hollow_descriptions_are_passed_by() {
    for is_declaration in [false, true] {
        let mut specimen = Specimen::new(0);
        specimen.hollow(is_declaration);
        specimen.spread = u32::MAX;
        specimen.scheduler();
        specimen.task();
        assert_eq!(specimen.find(), Ok(expected()), "a declaration: {is_declaration}");
    }
}

/// Check that what no description tells is said.
#[test]
fn hollow_descriptions_alone_are_told() {
    let mut specimen = Specimen::new(0);
    specimen.hollow(false);
    specimen.task();
    assert_eq!(specimen.find(), Err(OwnedListsError::Unexpected("`OwnedTasks` has no scheduler")));
    let mut specimen = Specimen::new(0);
    specimen.task();
    assert_eq!(specimen.find(), Err(OwnedListsError::NotDescribed));
}

proptest! {
    /// Check that it does not matter which of two units describes which type.
    #[test]
    fn types_may_be_spread_over_units(spread: u32) {
        let mut specimen = Specimen::new(spread);
        specimen.scheduler();
        specimen.task();
        prop_assert_eq!(specimen.find(), Ok(expected()));
    }
}
