//! Debug files of a real program, in each place where they may lie, and files that are not its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSymbol as _};
use tempfile::TempDir;

use crate::model::symbols::debug_file::find;
use crate::model::symbols::elf::Elf;
use crate::model::symbols::{Frame, Symbolize as _, Symbols};
use crate::target::mapped::{Modules, open_regular};
use crate::text::hex;

/// A function that is not exported, with another one inlined into it.
const SOURCE: &str = "
#include <unistd.h>
static inline __attribute__((always_inline)) int inner(int x) { volatile int y = x; return y * SALT; }
static __attribute__((noinline)) int landmark(int x) { return inner(x) + 1; }
int main(void) { char c; return read(0, &c, 1) == 1 ? landmark(c) : 0; }
";

fn tool(name: &str, arguments: &[&str], folder: &Path) {
    let ran = Command::new(name).args(arguments).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A program, stripped, and its debug file apart from it.
struct Stripped {
    folder: TempDir,
    /// The address of `landmark` in the file.
    landmark: u64,
}

impl Stripped {
    fn new(build_id: &str, salt: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prog.c"), SOURCE).unwrap();
        let (salt, build_id) = (format!("-DSALT={salt}"), format!("-Wl,--build-id={build_id}"));
        tool("cc", &["-g", "-O1", &salt, &build_id, "-o", "prog", "prog.c"], folder.path());
        let whole = std::fs::read(folder.path().join("prog")).unwrap();
        let landmark =
            object::File::parse(&*whole).unwrap().symbols().find(|symbol| symbol.name() == Ok("landmark")).unwrap().address();
        std::fs::create_dir(folder.path().join("apart")).unwrap();
        tool("cp", &["prog", "apart/whole"], folder.path());
        tool("objcopy", &["--only-keep-debug", "prog", "apart/prog.debug"], folder.path());
        tool("strip", &["prog"], folder.path());
        Self { folder, landmark }
    }

    fn linked(build_id: &str) -> Self {
        let stripped = Self::new(build_id, 3);
        tool("objcopy", &["--add-gnu-debuglink=apart/prog.debug", "prog"], stripped.folder.path());
        stripped
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("prog")
    }

    fn elf(&self) -> Elf {
        Elf::read(&open_regular(None, &self.path()).unwrap()).unwrap()
    }

    /// Puts one of the files apart to a place.
    fn put(&self, which: &str, to: &Path) {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(self.folder.path().join("apart").join(which), to).unwrap();
    }

    fn place_by_build_id(&self) -> PathBuf {
        let id = hex(&self.elf().build_id.unwrap());
        Path::new(".build-id").join(&id[..2]).join(format!("{}.debug", &id[2..]))
    }

    fn search(&self, root: Option<&Path>, dirs: &[PathBuf]) -> (bool, Vec<String>) {
        let root = root.map(|root| std::fs::File::open(root).unwrap());
        let found = find(&self.elf(), self.path().as_os_str().as_encoded_bytes(), root.as_ref(), dirs);
        (found.file.is_some_and(|file| file.elf.debug_info), found.refused)
    }

    fn found_in(&self, dir: &Path) -> (bool, Vec<String>) {
        self.search(None, &[dir.to_owned()])
    }

    /// What the first bytes of `landmark` are called in a process that runs the program, and the notes.
    fn named(&self, dirs: &[PathBuf]) -> (Vec<Vec<Frame>>, Vec<String>) {
        let mut child = Waiting(Command::new(self.path()).stdin(Stdio::piped()).spawn().unwrap());
        let path = self.path();
        // Until it runs its program, the child is a copy of us.
        let give_up = Instant::now() + Duration::from_secs(20);
        let modules = loop {
            let modules = Modules::of_process(child.0.id()).unwrap();
            if modules.each().any(|(_, at)| at.path == path.as_os_str().as_encoded_bytes()) {
                break modules;
            }
            assert!(Instant::now() < give_up, "the child never ran its program");
        };
        child.0.kill().unwrap();
        let (range, code) = modules.each().find(|(_, at)| at.path == path.as_os_str().as_encoded_bytes()).unwrap();
        let bias = range.start - self.elf().address_of(code.file_offset).unwrap();
        let mut symbols = Symbols::new(modules);
        symbols.add_debug_dirs(dirs);
        let body: Vec<u64> = (0..8).map(|offset| bias + self.landmark + offset).collect();
        (symbols.symbolize(&body), symbols.warnings())
    }
}

struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn functions(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|frame| frame.function.as_str()).collect()
}

#[test]
fn a_given_folder_has_it_by_build_id_and_by_each_name() {
    let program = Stripped::linked("sha1");
    let inside = program.folder.path().strip_prefix("/").unwrap().join("prog.debug");
    let places = [
        ("prog.debug", program.place_by_build_id()),
        ("prog.debug", PathBuf::from("prog.debug")),
        ("prog.debug", inside),
        ("whole", PathBuf::from("prog")),
    ];
    for (which, place) in places {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(program.found_in(dir.path()), (false, Vec::new()));
        program.put(which, &dir.path().join(&place));
        assert_eq!(program.found_in(dir.path()), (true, Vec::new()), "{}", place.display());
    }
}

#[test]
fn the_link_is_followed_beside_the_program() {
    let program = Stripped::linked("none");
    assert_eq!(program.search(None, &[]), (false, Vec::new()));
    program.put("prog.debug", &program.folder.path().join(".debug/prog.debug"));
    assert_eq!(program.search(None, &[]), (true, Vec::new()), "by its checksum alone");
    program.put("prog.debug", &program.folder.path().join("prog.debug"));
    assert_eq!(program.search(None, &[]), (true, Vec::new()));
}

#[test]
fn a_container_has_its_own_system_folder() {
    let program = Stripped::linked("sha1");
    let beside = program.folder.path().strip_prefix("/").unwrap();
    let system = Path::new("usr/lib/debug");
    for place in [system.join(program.place_by_build_id()), system.join(beside).join("prog.debug"), beside.join("prog.debug")] {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(program.search(Some(root.path()), &[]), (false, Vec::new()));
        program.put("prog.debug", &root.path().join(&place));
        assert_eq!(program.search(Some(root.path()), &[]), (true, Vec::new()), "{}", place.display());
    }
}

#[test]
fn links_of_a_container_do_not_lead_out_of_it() {
    let program = Stripped::linked("sha1");
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("usr/lib/debug").join(program.place_by_build_id());
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let outside = program.folder.path().join("apart/prog.debug");
    std::os::unix::fs::symlink(&outside, &place).unwrap();
    assert_eq!(program.search(Some(root.path()), &[]), (false, Vec::new()), "there is no such file in the container");
    program.put("prog.debug", &root.path().join(outside.strip_prefix("/").unwrap()));
    assert_eq!(program.search(Some(root.path()), &[]), (true, Vec::new()), "there is now");
}

#[test]
fn a_file_of_another_program_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("prog.debug");
    let refused = |program: &Stripped| {
        let (found, refused) = program.found_in(dir.path());
        assert!(!found);
        let begin = format!("the debug file {} is not used for {}: ", place.display(), program.path().display());
        refused.into_iter().map(|sentence| sentence.strip_prefix(&begin).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (by_id, by_checksum, by_nothing) = (Stripped::linked("sha1"), Stripped::linked("none"), Stripped::new("none", 3));

    let other = Stripped::new("sha1", 4);
    other.put("prog.debug", &place);
    let ids = [other.elf(), by_id.elf()].map(|elf| hex(&elf.build_id.unwrap()));
    assert_eq!(refused(&by_id), [format!("its build id is {} and the program's is {}", ids[0], ids[1])]);
    let checksum = refused(&by_checksum);
    assert!(checksum[0].starts_with("its checksum is ") && checksum[0].contains(" and the program asks for "), "{checksum:?}");
    by_nothing.put("prog.debug", &place);
    assert_eq!(refused(&by_nothing), ["nothing tells that it is of this program: there is no build id in both and no checksum"]);

    std::fs::copy(by_id.path(), &place).unwrap();
    assert_eq!(refused(&by_id), ["it has neither debug information nor a symbol table"]);
    std::fs::write(&place, "not a program").unwrap();
    assert!(refused(&by_id)[0].starts_with("it is no ELF file: "));
    std::fs::remove_file(&place).unwrap();
    tool("mkfifo", &["prog.debug"], dir.path());
    assert_eq!(refused(&by_id), ["it cannot be read: it is not a regular file"]);
}

#[test]
fn a_stripped_program_that_runs_gets_its_names_lines_and_inlined_calls() {
    let program = Stripped::linked("sha1");
    let apart = program.folder.path().join("apart");
    let (named, notes) = program.named(&[apart]);
    let frames = named.iter().find(|frames| frames.len() > 1).unwrap();
    assert_eq!(functions(frames), ["inner", "landmark"]);
    assert_eq!((frames[0].line, frames[1].line), (Some(3), Some(4)));
    assert!(frames[1].file.as_deref().unwrap().ends_with("/prog.c"));
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn a_stripped_program_without_debug_file_says_how_to_help() {
    let program = Stripped::linked("sha1");
    let (named, notes) = program.named(&[]);
    assert!(!named[0][0].resolved && named[0][0].function.starts_with("[prog+0x"), "{named:?}");
    let path = program.path().display().to_string();
    assert!(notes.iter().any(|note| note.contains(&path) && note.contains("--debug-dir")), "{notes:?}");
    let gone = program.folder.path().join("nowhere");
    let (_, notes) = program.named(&[gone]);
    assert!(notes.iter().any(|note| note.starts_with("cannot look for debug files in ")), "{notes:?}");
}
