//! The annotation's probes: `.note.stapsdt`, provider `profiler_annotate`.
//!
//! Source: SystemTap's `sys/sdt.h`, note type 3: three words (probe, base, semaphore), then provider, name and
//! arguments as NUL-terminated strings. Addresses are moved by as much as `.stapsdt.base` was (prelink).

use object::LittleEndian;
use object::read::elf::{NoteIterator, SectionHeader};
use serde::Serialize;

use super::code;
use super::image::Image;
use super::inspection::{InstructionClass, Register};
use super::note::Note;

const PROVIDER: &str = "profiler_annotate";
const NOTE_TYPE: u32 = 3;
/// More probes than the annotation has call sites.
const MAX_PROBES: usize = 10_000;
/// `sys/sdt.h` allows 12 arguments.
const MAX_ARGUMENTS: usize = 12;

/// One place where the annotation fires a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsdtProbe {
    /// `scope_enter`, `scope_exit` or `scope_end`.
    pub name: String,
    /// Address of the probe's `nop`.
    pub vaddr: u64,
    /// Its offset in the file.
    pub file_offset: u64,
    /// Address of the 16-bit counter that says someone listens; `None` where the probe has none.
    pub semaphore: Option<u64>,
    /// How the kernel steps over the instruction there.
    pub class: InstructionClass,
    /// The instruction as text.
    pub instruction: String,
    /// The counter's offset in the file, for `ref_ctr_offset`.
    pub semaphore_offset: Option<u64>,
    /// Where the arguments are when it fires.
    pub arguments: Vec<Argument>,
}

/// One argument of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Sign-extended when loaded.
    pub signed: bool,
    /// Where it is.
    pub operand: Operand,
}

/// A place that holds an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// `%rdi`.
    Register(Register),
    /// `$5`.
    Constant(i64),
    /// `-8(%rbp)`: memory at the register plus an offset.
    Memory {
        /// The base register.
        base: Register,
        /// Bytes from it.
        offset: i64,
    },
}

/// Reads the annotation's probes. Notes that cannot be read are told, not fatal.
pub(crate) fn read(image: &Image<'_>) -> (Vec<UsdtProbe>, Vec<Note>) {
    let endian = LittleEndian;
    let base = image.sections.iter().find(|section| section.name == ".stapsdt.base").map(|section| section.vaddr);
    let mut probes = Vec::new();
    let mut bad = Vec::new();
    for section in image.file.elf_section_table().iter() {
        let name = image.file.elf_section_table().section_name(endian, section).unwrap_or_default();
        if name != b".note.stapsdt" {
            continue;
        }
        let Ok(bytes) = section.data(endian, image.file.data()) else {
            bad.push(Note::BadUsdtNote { why: ".note.stapsdt lies outside the file".to_owned() });
            continue;
        };
        // Notes of this section are 4-aligned whatever the section says.
        let notes = NoteIterator::<object::elf::FileHeader64<LittleEndian>>::new(endian, 4, bytes);
        let Ok(mut notes) = notes else { continue };
        loop {
            match notes.next() {
                Ok(Some(note)) if note.name() == b"stapsdt" && note.n_type(endian) == NOTE_TYPE => {
                    match probe(image, base, note.desc()) {
                        Ok(Some(found)) if probes.len() < MAX_PROBES => probes.push(found),
                        Ok(_) => {}
                        Err(why) => bad.push(Note::BadUsdtNote { why }),
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    bad.push(Note::BadUsdtNote { why: error.to_string() });
                    break;
                }
            }
        }
    }
    probes.sort_by(|a, b| (&a.name, a.vaddr).cmp(&(&b.name, b.vaddr)));
    (probes, bad)
}

/// The probe of one note; `None` where another provider owns it.
fn probe(image: &Image<'_>, base: Option<u64>, desc: &[u8]) -> Result<Option<UsdtProbe>, String> {
    let word = |index: usize| -> Result<u64, String> {
        let bytes = desc.get(8 * index..8 * index + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(|| format!("note of {} bytes is too short", desc.len()))
    };
    let (location, link_base, semaphore) = (word(0)?, word(1)?, word(2)?);
    let mut strings = desc.get(24..).unwrap_or_default().split(|byte| *byte == 0);
    let mut string = || strings.next().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let (provider, name) = (string(), string());
    let arguments = string();
    if provider != Some(PROVIDER) {
        return Ok(None);
    }
    let name = name.filter(|name| !name.is_empty()).ok_or("probe without a name")?.to_owned();
    let moved = base.map_or(0, |base| base.wrapping_sub(link_base));
    let vaddr = location.wrapping_add(moved);
    let file_offset = image
        .file_offset(vaddr)
        .filter(|_| image.is_code(vaddr))
        .ok_or_else(|| format!("probe {name} at {vaddr:#x} lies in no code"))?;
    let semaphore = (semaphore != 0).then(|| semaphore.wrapping_add(moved));
    let arguments = arguments
        .unwrap_or_default()
        .split_ascii_whitespace()
        .take(MAX_ARGUMENTS)
        .map(|text| argument(text).ok_or_else(|| format!("probe {name}: argument `{text}` is of no known form")))
        .collect::<Result<_, _>>()?;
    let semaphore_offset = semaphore.and_then(|semaphore| image.file_offset(semaphore));
    let (class, instruction) = code::single(image, vaddr);
    Ok(Some(UsdtProbe { name, vaddr, file_offset, semaphore, class, instruction, semaphore_offset, arguments }))
}

/// `8@%rdi`, `-4@-8(%rbp)`, `8@$5`.
fn argument(text: &str) -> Option<Argument> {
    let (size, place) = text.split_once('@')?;
    let size: i8 = size.parse().ok()?;
    if !matches!(size.unsigned_abs(), 1 | 2 | 4 | 8) {
        return None;
    }
    let operand = if let Some(constant) = place.strip_prefix('$') {
        Operand::Constant(number(constant)?)
    } else if let Some(register) = place.strip_prefix('%') {
        Operand::Register(register_named(register)?)
    } else {
        let (offset, base) = place.strip_suffix(')')?.split_once("(%")?;
        let offset = if offset.is_empty() { 0 } else { number(offset)? };
        Operand::Memory { base: register_named(base).filter(|_| base.starts_with('r'))?, offset }
    };
    Some(Argument { size: size.unsigned_abs(), signed: size < 0, operand })
}

fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    if negative { magnitude.checked_neg() } else { Some(magnitude) }
}

/// A register in any of its widths: the argument's size says how much of it counts. High bytes (`%ah`) are none of ours.
fn register_named(name: &str) -> Option<Register> {
    Some(match name {
        "rax" | "eax" | "ax" | "al" => Register::Rax,
        "rcx" | "ecx" | "cx" | "cl" => Register::Rcx,
        "rdx" | "edx" | "dx" | "dl" => Register::Rdx,
        "rbx" | "ebx" | "bx" | "bl" => Register::Rbx,
        "rsp" | "esp" | "sp" | "spl" => Register::Rsp,
        "rbp" | "ebp" | "bp" | "bpl" => Register::Rbp,
        "rsi" | "esi" | "si" | "sil" => Register::Rsi,
        "rdi" | "edi" | "di" | "dil" => Register::Rdi,
        _ => match name.trim_end_matches(['d', 'w', 'b']) {
            "r8" => Register::R8,
            "r9" => Register::R9,
            "r10" => Register::R10,
            "r11" => Register::R11,
            "r12" => Register::R12,
            "r13" => Register::R13,
            "r14" => Register::R14,
            "r15" => Register::R15,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::specimen::{CODE, with_image};

    #[test]
    fn arguments_of_every_form() {
        let parsed = |text| argument(text).map(|argument| (argument.size, argument.signed, argument.operand));
        assert_eq!(parsed("8@%rdi"), Some((8, false, Operand::Register(Register::Rdi))));
        assert_eq!(parsed("-4@-8(%rbp)"), Some((4, true, Operand::Memory { base: Register::Rbp, offset: -8 })));
        assert_eq!(parsed("8@(%r12)"), Some((8, false, Operand::Memory { base: Register::R12, offset: 0 })));
        assert_eq!(parsed("8@$5"), Some((8, false, Operand::Constant(5))));
        assert_eq!(parsed("1@%r11b"), Some((1, false, Operand::Register(Register::R11))));
        assert_eq!(parsed("8@$-0x10"), Some((8, false, Operand::Constant(-16))));
    }

    #[test]
    fn arguments_of_no_form_are_refused() {
        for text in [
            "",
            "8",
            "8@",
            "3@%rdi",
            "8@%xmm0",
            "8@8(%rax,%rcx,2)",
            "8@%ah",
            "8@sym(%rip)",
            "999@%rdi",
            "8@$--9223372036854775808",
            "8@$",
        ] {
            assert_eq!(argument(text), None, "{text}");
        }
    }

    fn desc(words: [u64; 3], strings: &str) -> Vec<u8> {
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        words.chain(strings.bytes()).collect()
    }

    fn parse(base: Option<u64>, desc: &[u8]) -> Result<Option<UsdtProbe>, String> {
        let mut parsed = Ok(None);
        with_image(&[("f", &[0x90; 32])], |image, _, _| {
            parsed = probe(image, base, desc);
        });
        parsed
    }

    #[test]
    fn a_note_is_moved_with_its_base() {
        let strings = "profiler_annotate\0scope_enter\08@%rdi 8@-16(%rbp)\0";
        // Linked at 0x10, 0x20 and 0x30; the base went from 0x20 to where the code is.
        let found = parse(Some(CODE), &desc([0x24, 0x20, 0x30], strings)).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.vaddr), ("scope_enter", CODE + 4));
        assert_eq!(found.file_offset, 0x1004);
        assert_eq!(found.semaphore, Some(CODE + 0x10));
        assert_eq!(found.arguments.len(), 2);
        let unmoved = parse(None, &desc([CODE + 1, 0, 0], strings)).unwrap().unwrap();
        assert_eq!((unmoved.vaddr, unmoved.semaphore, unmoved.semaphore_offset), (CODE + 1, None, None));
    }

    #[test]
    fn bad_notes_say_what_is_wrong() {
        let at = [CODE, 0, 0];
        assert_eq!(parse(None, &desc(at, "libc\0setjmp\08@%rdi\0")), Ok(None), "another provider");
        assert!(parse(None, &[0; 20]).unwrap_err().contains("too short"));
        assert!(parse(None, &desc(at, "profiler_annotate\0\0\0")).unwrap_err().contains("without a name"));
        assert!(parse(None, &desc([1, 0, 0], "profiler_annotate\0a\0\0")).unwrap_err().contains("no code"));
        assert!(parse(None, &desc(at, "profiler_annotate\0a\08@%zmm1\0")).unwrap_err().contains("no known form"));
    }
}
