//! `.symtab`: names by address and addresses by name.

use memchr::memmem::Finder;
use object::read::elf::{ElfFile64, Sym};
use object::{LittleEndian, Object, ObjectSymbol, SymbolKind};

use super::image::Image;

/// More symbols than any program has; the rest is ignored.
const MAX_SYMBOLS: usize = 16 << 20;

/// A function symbol.
struct FunctionSymbol<'d> {
    address: u64,
    size: u64,
    name: &'d str,
}

/// The function symbols of a file; empty where it is stripped.
pub(crate) struct Symbols<'d> {
    /// Sorted by address; several names may share one.
    functions: Vec<FunctionSymbol<'d>>,
    /// Those with Tokio in their names, whose paths are asked for again and again: which of `functions`, in their order. A large program
    /// has a hundred thousand names of a hundred bytes each, and every other search of them is one too many.
    of_tokio: Vec<usize>,
}

/// In every path of Tokio's, in either mangling: its crate's name, or `tokio..` where a type stands in an angle bracket.
const TOKIO: &str = "tokio";

impl<'d> Symbols<'d> {
    pub(crate) fn read(image: &Image<'d>) -> Self {
        Self::of(&image.file)
    }

    /// Those of a file that has the symbols of another, stripped one, and of its code only the addresses.
    pub(crate) fn of_debug_file(bytes: &'d [u8]) -> Option<Self> {
        ElfFile64::<LittleEndian>::parse(bytes).ok().map(|file| Self::of(&file))
    }

    fn of(file: &ElfFile64<'d, LittleEndian>) -> Self {
        let strings = file.elf_symbol_table().strings();
        let mut functions = Vec::new();
        for symbol in file.symbols().take(MAX_SYMBOLS) {
            if symbol.address() == 0 || symbol.kind() != SymbolKind::Text {
                continue;
            }
            let name = symbol.elf_symbol().name(LittleEndian, strings).ok().and_then(|name| std::str::from_utf8(name).ok());
            if let Some(name) = name {
                functions.push(FunctionSymbol { address: symbol.address(), size: symbol.size(), name });
            }
        }
        functions.sort_by_key(|function| function.address);
        let tokio = Finder::new(TOKIO);
        let is_of_tokio = |function: &FunctionSymbol<'_>| tokio.find(function.name.as_bytes()).is_some();
        let of_tokio = (0..).zip(&functions).filter(|(_, function)| is_of_tokio(function)).map(|(place, _)| place).collect();
        Self { functions, of_tokio }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Address and size of every function symbol.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.functions.iter().map(|function| (function.address, function.size))
    }

    /// The mangled names at `address`; several where the linker merged functions.
    pub(crate) fn at(&self, address: u64) -> impl Iterator<Item = &'d str> + '_ {
        let first = self.functions.partition_point(|function| function.address < address);
        let rest = self.functions.get(first..).unwrap_or_default();
        rest.iter().take_while(move |function| function.address == address).map(|function| function.name)
    }

    /// Those whose names speak of Tokio, by address.
    fn of_tokio(&self) -> impl Iterator<Item = &FunctionSymbol<'d>> {
        self.of_tokio.iter().filter_map(|place| self.functions.get(*place))
    }

    /// Whether any function is Tokio's.
    pub(crate) fn mentions_tokio(&self) -> bool {
        self.of_tokio().any(|function| function.name.contains("5tokio7runtime"))
    }

    /// Addresses of Tokio's functions whose path, without generics and hash, ends with `path`
    /// (`["raw", "poll"]`). Sorted, each once.
    pub(crate) fn ending_with(&self, path: &[&str]) -> Vec<u64> {
        let parts: Vec<String> = path.iter().map(|part| format!("{}{part}", part.len())).collect();
        let needle = parts.concat();
        let needle = Finder::new(&needle);
        let named = self.of_tokio().filter(|function| is_path_end(function.name, &needle));
        let mut found: Vec<u64> = named.map(|function| function.address).collect();
        found.dedup();
        found
    }
}

/// Whether `needle` ends the path of a mangled name: in legacy mangling the hash (`17h...E`) follows it;
/// in v0 anything but a further path component (a digit or `s_` disambiguator) does.
fn is_path_end(name: &str, needle: &Finder<'_>) -> bool {
    let Some(at) = needle.find(name.as_bytes()) else {
        return false;
    };
    let rest = name.get(at + needle.needle().len()..).unwrap_or_default();
    if name.starts_with("_ZN") {
        rest.starts_with("17h")
    } else {
        name.starts_with("_R") && !rest.starts_with(|c: char| c.is_ascii_digit())
    }
}

/// The demangled name without its hash.
pub(crate) fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// `static NEXT_ID: AtomicU64` in `Id::next` (tokio `runtime/task/id.rs`, before 1.41 `runtime/task/mod.rs`). Both manglings write the path's end
/// like this; the counter of thread ids is `ThreadId`'s.
const NEXT_ID: &str = "2Id4next7NEXT_ID";

/// Address of that counter, where there is exactly one in the file.
pub(crate) fn next_task_id(image: &Image<'_>) -> Option<u64> {
    let strings = image.file.elf_symbol_table().strings();
    let named =
        image.file.symbols().take(MAX_SYMBOLS).filter(|symbol| symbol.kind() == SymbolKind::Data && symbol.address() != 0);
    let next_id = Finder::new(NEXT_ID);
    let mut found = named.filter(|symbol| {
        let name = symbol.elf_symbol().name(LittleEndian, strings).unwrap_or_default();
        next_id.find(name).is_some() && std::str::from_utf8(name).is_ok_and(|name| name.contains("5tokio"))
    });
    let first = found.next()?.address();
    found.all(|other| other.address() == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_ends_before_the_hash() {
        let poll = "_ZN5tokio7runtime4task3raw4poll17h160a59a6e8834fd4E";
        assert!(is_path_end(poll, &Finder::new("4task3raw4poll")));
        let closure = "_ZN5tokio7runtime4task3raw4poll28_$u7b$$u7b$closure$u7d$$u7d$17h160a59a6e8834fd4E";
        assert!(!is_path_end(closure, &Finder::new("4task3raw4poll")));
        let v0 = "_RINvNtNtNtCs9k3_5tokio7runtime4task3raw4pollNCNvNtCs1_3app6orders4load0E";
        assert!(is_path_end(v0, &Finder::new("4task3raw4poll")));
    }

    #[test]
    fn demangling_drops_the_hash() {
        assert_eq!(demangle("_ZN5tokio7runtime4task3raw4poll17h160a59a6e8834fd4E"), "tokio::runtime::task::raw::poll");
    }
}
