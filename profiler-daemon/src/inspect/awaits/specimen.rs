//! Small programs described as rustc describes them, for tests.

use std::collections::HashMap;

use gimli::constants::{self, DwAt, DwTag};
use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, Expression, FileId, LineProgram, LineString, Sections, UnitEntryId,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};

use super::{AwaitLayouts, await_layouts};
use crate::inspect::{HeaderLayout, Inspection, NameSource, TaskKind, TaskType};

/// A program.
pub(super) struct Program {
    dwarf: DwarfUnit,
    file: FileId,
    spaces: HashMap<String, UnitEntryId>,
    byte: UnitEntryId,
    result: UnitEntryId,
    tasks: Vec<TaskType>,
}

/// A variant: its discriminant, its name, its fields.
pub(super) type Variant<'a> = (Option<u64>, &'a str, UnitEntryId);

impl Program {
    pub(super) fn new() -> Self {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 4 };
        let mut dwarf = DwarfUnit::new(encoding);
        let (built_in, main) = (LineString::String(b"/app".to_vec()), LineString::String(b"src/main.rs".to_vec()));
        let mut lines = LineProgram::new(encoding, LineEncoding::default(), built_in, None, main.clone(), None);
        let file = lines.add_file(main, lines.default_directory(), None);
        dwarf.unit.line_program = lines;
        let root = dwarf.unit.root();
        let mut program =
            Self { dwarf, file, spaces: HashMap::from([(String::new(), root)]), byte: root, result: root, tasks: Vec::new() };
        program.text(root, constants::DW_AT_producer, "clang LLVM (rustc version 1.95.0 (59807616e 2026-04-14))");
        program.text(root, constants::DW_AT_comp_dir, "/app");
        program.byte = program.base("u8", 1);
        program.result = program.structure("core::task::poll", "Poll<()>", 1);
        program
    }

    fn add(&mut self, parent: UnitEntryId, tag: DwTag) -> UnitEntryId {
        self.dwarf.unit.add(parent, tag)
    }

    fn set(&mut self, entry: UnitEntryId, name: DwAt, value: AttributeValue) {
        self.dwarf.unit.get_mut(entry).set(name, value);
    }

    fn text(&mut self, entry: UnitEntryId, name: DwAt, text: &str) {
        let text = self.dwarf.strings.add(text);
        self.set(entry, name, AttributeValue::StringRef(text));
    }

    fn number(&mut self, entry: UnitEntryId, name: DwAt, number: u64) {
        self.set(entry, name, AttributeValue::Udata(number));
    }

    fn refer(&mut self, entry: UnitEntryId, name: DwAt, to: UnitEntryId) {
        self.set(entry, name, AttributeValue::UnitRef(to));
    }

    fn space(&mut self, path: &str) -> UnitEntryId {
        if let Some(space) = self.spaces.get(path) {
            return *space;
        }
        let (outer, name) = path.rsplit_once("::").unwrap_or(("", path));
        let outer = self.space(outer);
        let space = self.add(outer, constants::DW_TAG_namespace);
        self.text(space, constants::DW_AT_name, name);
        self.spaces.insert(path.to_owned(), space);
        space
    }

    pub(super) fn base(&mut self, name: &str, size: u64) -> UnitEntryId {
        let base = self.add(self.dwarf.unit.root(), constants::DW_TAG_base_type);
        self.text(base, constants::DW_AT_name, name);
        self.number(base, constants::DW_AT_byte_size, size);
        base
    }

    pub(super) fn structure(&mut self, path: &str, name: &str, size: u64) -> UnitEntryId {
        let space = self.space(path);
        let structure = self.add(space, constants::DW_TAG_structure_type);
        self.text(structure, constants::DW_AT_name, name);
        self.number(structure, constants::DW_AT_byte_size, size);
        structure
    }

    pub(super) fn pointer(&mut self, name: &str, to: UnitEntryId) -> UnitEntryId {
        let pointer = self.add(self.dwarf.unit.root(), constants::DW_TAG_pointer_type);
        self.text(pointer, constants::DW_AT_name, name);
        self.refer(pointer, constants::DW_AT_type, to);
        pointer
    }

    pub(super) fn member(&mut self, of: UnitEntryId, name: &str, what: UnitEntryId, offset: u64) -> UnitEntryId {
        let member = self.add(of, constants::DW_TAG_member);
        self.text(member, constants::DW_AT_name, name);
        self.refer(member, constants::DW_AT_type, what);
        self.number(member, constants::DW_AT_data_member_location, offset);
        member
    }

    pub(super) fn parameter(&mut self, of: UnitEntryId, name: &str, what: UnitEntryId) {
        let parameter = self.add(of, constants::DW_TAG_template_type_parameter);
        self.text(parameter, constants::DW_AT_name, name);
        self.refer(parameter, constants::DW_AT_type, what);
    }

    /// `name` with one field of each of these types.
    pub(super) fn fields(&mut self, path: &str, name: &str, size: u64, fields: &[(&str, UnitEntryId, u64)]) -> UnitEntryId {
        let structure = self.structure(path, name, size);
        for (name, what, offset) in fields {
            self.member(structure, name, *what, *offset);
        }
        structure
    }

    /// Makes a structure an enum, with a discriminant of this type at this place. The members of its variants, in their order.
    pub(super) fn variants(&mut self, of: UnitEntryId, tag: (&str, UnitEntryId, u64), list: &[Variant<'_>]) -> Vec<UnitEntryId> {
        let part = self.add(of, constants::DW_TAG_variant_part);
        let discriminant = self.member(part, tag.0, tag.1, tag.2);
        self.refer(part, constants::DW_AT_discr, discriminant);
        let member = |(value, name, fields): &Variant<'_>| {
            let variant = self.add(part, constants::DW_TAG_variant);
            if let Some(value) = value {
                self.number(variant, constants::DW_AT_discr_value, *value);
            }
            self.member(variant, name, *fields, 0)
        };
        list.iter().map(member).collect()
    }

    /// A coroutine, with the line and the awaited future (and its offset) of each suspend point. Its state is its first byte.
    pub(super) fn coroutine(&mut self, path: &str, name: &str, points: &[(u64, Option<(UnitEntryId, u64)>)]) -> UnitEntryId {
        let coroutine = self.structure(path, name, 64);
        let mut variants: Vec<(u64, UnitEntryId)> = Vec::new();
        for (state, name) in (0..).zip(["Unresumed", "Returned", "Panicked"]) {
            variants.push((state, self.structure(path, name, 64)));
        }
        for (number, (_, awaited)) in (0..).zip(points) {
            let fields = self.structure(path, &format!("Suspend{number}"), 64);
            if let Some((what, offset)) = awaited {
                self.member(fields, "__awaitee", *what, *offset);
            }
            variants.push((3 + number, fields));
        }
        let names: Vec<String> = variants.iter().map(|(state, _)| state.to_string()).collect();
        let list: Vec<Variant<'_>> =
            variants.iter().zip(&names).map(|((state, fields), name)| (Some(*state), name.as_str(), *fields)).collect();
        let members = self.variants(coroutine, ("__state", self.byte, 0), &list);
        for (member, (line, _)) in members.into_iter().skip(3).zip(points) {
            self.set(member, constants::DW_AT_decl_file, AttributeValue::FileIndex(Some(self.file)));
            self.number(member, constants::DW_AT_decl_line, *line);
        }
        coroutine
    }

    /// A poll of a future.
    pub(super) fn poll(&mut self, future: UnitEntryId, name: &str, address: Option<u64>) {
        let pointer = self.pointer(&format!("&mut {name}"), future);
        let pin = self.fields("core::pin", &format!("Pin<&mut {name}>"), 8, &[("pointer", pointer, 0)]);
        let space = self.space("app::{impl#0}");
        let poll = self.add(space, constants::DW_TAG_subprogram);
        self.text(poll, constants::DW_AT_name, "poll");
        self.refer(poll, constants::DW_AT_type, self.result);
        if let Some(address) = address {
            self.set(poll, constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(address)));
        }
        let parameter = self.add(poll, constants::DW_TAG_formal_parameter);
        self.refer(parameter, constants::DW_AT_type, pin);
    }

    /// A task of a future, polled at this address, with its vtable 0x1000 behind it. The future lies at 48.
    pub(super) fn task(&mut self, future: UnitEntryId, name: &str, poll: u64) {
        let stage = self.structure("tokio::runtime::task::core", &format!("Stage<{name}>"), 72);
        let running = self.fields("", "Running", 72, &[("__0", future, 8)]);
        let (finished, consumed) = (self.structure("", "Finished", 72), self.structure("", "Consumed", 72));
        let list = [(Some(0), "Running", running), (Some(1), "Finished", finished), (Some(2), "Consumed", consumed)];
        self.variants(stage, ("", self.byte, 0), &list);
        let cell = self.fields("core::cell", &format!("UnsafeCell<Stage<{name}>>"), 72, &[("value", stage, 0)]);
        let core = self.fields("tokio::runtime::task::core", &format!("Core<{name}>"), 80, &[("stage", cell, 8)]);
        let arguments = format!("{name}, app::Scheduler>");
        let all = self.fields("tokio::runtime::task::core", &format!("Cell<{arguments}"), 128, &[("core", core, 32)]);
        self.parameter(all, "T", future);
        let space = self.space("tokio::runtime::task::raw");
        let function = self.add(space, constants::DW_TAG_subprogram);
        self.text(function, constants::DW_AT_name, &format!("poll<{arguments}"));
        self.set(function, constants::DW_AT_low_pc, AttributeValue::Address(Address::Constant(poll)));
        self.parameter(function, "T", future);
        self.tasks.push(TaskType {
            vtable: poll + 0x1000,
            poll,
            body: poll,
            body_end: None,
            shutdown: poll,
            id_offset: None,
            scheduler_offset: None,
            trailer_offset: None,
            kind: TaskKind::MultiThread,
            name: name.to_owned(),
            raw_name: None,
            name_source: NameSource::DebugInfo,
        });
    }

    /// A vtable of `dyn Future`.
    pub(super) fn vtable(&mut self, future: UnitEntryId, name: &str, address: u64) {
        let root = self.dwarf.unit.root();
        let structure = self.structure("", &format!("<{name} as core::future::future::Future>::{{vtable_type}}"), 32);
        self.refer(structure, constants::DW_AT_containing_type, future);
        let variable = self.add(root, constants::DW_TAG_variable);
        self.text(variable, constants::DW_AT_name, &format!("<{name} as core::future::future::Future>::{{vtable}}"));
        self.refer(variable, constants::DW_AT_type, structure);
        let mut location = Expression::new();
        location.op_addr(Address::Constant(address));
        self.set(variable, constants::DW_AT_location, AttributeValue::Exprloc(location));
    }

    /// A key `name` of `path` at this address, whose values are of the type `of`, called `called`; their `Option` has `size` bytes, the value
    /// lies `at` bytes into it, and `None` is where its tag of 8 bytes at 0 is `none` (without one: where it is 0, and `Some` where it is 1).
    pub(super) fn key(
        &mut self,
        (path, name, address): (&str, &str, u64),
        (of, called): (UnitEntryId, &str),
        (size, at, none): (u64, u64, Option<u64>),
    ) -> UnitEntryId {
        let tag = self.base("u64", 8);
        let option = self.structure("core::option", &format!("Option<{called}>"), size);
        self.parameter(option, "T", of);
        let nothing = self.structure("", "None", size);
        let something = self.fields("", "Some", size, &[("__0", of, at)]);
        let some = if none.is_some() { None } else { Some(1) };
        self.variants(option, ("", tag, 0), &[(Some(none.unwrap_or(0)), "None", nothing), (some, "Some", something)]);
        let inner =
            self.fields("core::cell", &format!("UnsafeCell<core::option::Option<{called}>>"), size, &[("value", option, 0)]);
        let cell = format!("RefCell<core::option::Option<{called}>>");
        let cell = self.fields("core::cell", &cell, size + 8, &[("borrow", tag, 0), ("value", inner, 8)]);
        self.parameter(cell, "T", option);
        let thread_key = self.structure("std::thread::local", &format!("LocalKey<{called}>"), 8);
        self.parameter(thread_key, "T", cell);
        let key = self.fields("tokio::task::task_local", &format!("LocalKey<{called}>"), 8, &[("inner", thread_key, 0)]);
        self.parameter(key, "T", of);
        let space = self.space(path);
        let variable = self.add(space, constants::DW_TAG_variable);
        self.text(variable, constants::DW_AT_name, name);
        self.refer(variable, constants::DW_AT_type, key);
        let mut location = Expression::new();
        location.op_addr(Address::Constant(address));
        self.set(variable, constants::DW_AT_location, AttributeValue::Exprloc(location));
        option
    }

    /// `String`, in the order that rustc 1.95 gives it: capacity, pointer, length.
    pub(super) fn string(&mut self) -> UnitEntryId {
        let word = self.base("usize", 8);
        let pointer = self.pointer("*const u8", self.byte);
        let buffer = self.fields("alloc::raw_vec", "RawVec<u8>", 16, &[("cap", word, 0), ("ptr", pointer, 8)]);
        let vector = self.fields("alloc::vec", "Vec<u8>", 24, &[("buf", buffer, 0), ("len", word, 16)]);
        self.fields("alloc::string", "String", 24, &[("vec", vector, 0)])
    }

    /// `Pin<Box<dyn Future>>`.
    pub(super) fn boxed_object(&mut self) -> UnitEntryId {
        let object = "dyn core::future::future::Future<Output=()>";
        let pointer = self.pointer("", self.byte);
        let wide = self.fields(
            "",
            &format!("alloc::boxed::Box<{object}, alloc::alloc::Global>"),
            16,
            &[("pointer", pointer, 0), ("vtable", pointer, 8)],
        );
        self.fields("core::pin", &format!("Pin<alloc::boxed::Box<{object}>>"), 16, &[("pointer", wide, 0)])
    }

    pub(super) fn byte(&self) -> UnitEntryId {
        self.byte
    }

    /// What [`crate::inspect::inspect`] would say of it.
    pub(super) fn inspection(&self) -> Inspection {
        Inspection {
            build_id: None,
            pie: true,
            shared_object: false,
            tokio: None,
            has_symbols: false,
            has_debug_info: true,
            segments: Vec::new(),
            header: HeaderLayout { state: 0, vtable: 16 },
            task_types: self.tasks.clone(),
            sites: Vec::new(),
            usdt: Vec::new(),
            annotation_table: None,
            next_task_id: None,
            notes: Vec::new(),
        }
    }

    /// The file.
    pub(super) fn elf(&mut self) -> Vec<u8> {
        let mut sections = Sections::new(EndianVec::new(LittleEndian));
        self.dwarf.write(&mut sections).unwrap();
        let mut named: Vec<(&str, Vec<u8>)> = Vec::new();
        sections
            .for_each(|id, data| {
                if !data.slice().is_empty() {
                    named.push((id.name(), data.slice().to_vec()));
                }
                Ok::<_, gimli::write::Error>(())
            })
            .unwrap();
        elf(&named)
    }

    /// Its layouts.
    pub(super) fn layouts(&mut self) -> Result<AwaitLayouts, super::AwaitError> {
        await_layouts(&self.elf(), &self.inspection(), &mut |_| {})
    }
}

/// An ELF file of these sections.
fn elf(sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = vec![0_u8; 64];
    let (mut names, mut headers) = (vec![0_u8], vec![0_u8; 64]);
    let add = |file: &mut Vec<u8>, headers: &mut Vec<u8>, name: usize, kind: u32, bytes: &[u8]| {
        let at = file.len() as u64;
        file.extend_from_slice(bytes);
        headers.extend(u32::try_from(name).unwrap().to_le_bytes().into_iter().chain(kind.to_le_bytes()));
        for word in [0, 0, at, bytes.len() as u64] {
            headers.extend(word.to_le_bytes());
        }
        headers.extend([0; 8]);
        headers.extend(1_u64.to_le_bytes().into_iter().chain([0; 8]));
    };
    for (name, bytes) in sections {
        add(&mut file, &mut headers, names.len(), 1, bytes);
        names.extend(name.bytes().chain([0]));
    }
    let name = names.len();
    names.extend(b".shstrtab\0");
    add(&mut file, &mut headers, name, 3, &names);
    let at = file.len() as u64;
    let count = u16::try_from(headers.len() / 64).unwrap();
    file.extend(headers);
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend([3, 0, 62, 0, 1, 0, 0, 0]); // DYN, x86-64, version 1
    for word in [0, 0, at] {
        header.extend(word.to_le_bytes());
    }
    header.extend([0, 0, 0, 0, 64, 0, 56, 0, 0, 0, 64, 0]);
    header.extend(count.to_le_bytes().into_iter().chain((count - 1).to_le_bytes()));
    file[..64].copy_from_slice(&header);
    file
}

/// A task whose `async fn` awaits another or a boxed future; the other waits for a sleep.
pub(super) fn program() -> Program {
    let mut program = Program::new();
    let sleep = program.structure("tokio::time::sleep", "Sleep", 16);
    let inner = program.coroutine("app::inner", "{async_fn_env#0}", &[(7, Some((sleep, 8)))]);
    let object = program.boxed_object();
    let outer = program.coroutine("app::outer", "{async_fn_env#0}", &[(3, Some((inner, 4))), (4, Some((object, 16)))]);
    program.task(outer, "app::outer::{async_fn_env#0}", 0x1000);
    program.vtable(inner, "app::inner::{async_fn_env#0}", 0x9000);
    let string = program.string();
    program.key(("app::names", "REQUEST_ID", 0x7000), (string, "alloc::string::String"), (24, 0, Some(1 << 63)));
    program
}

/// Its layouts.
pub(super) fn layouts() -> AwaitLayouts {
    program().layouts().unwrap()
}
