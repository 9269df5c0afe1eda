//! A file that is cut short while names are looked up in it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use object::{Object as _, ObjectSymbol as _, SymbolKind};

use crate::model::symbols::blaze::{Files, frames_at};

/// Addresses of this very program, all over it.
fn addresses(bytes: &[u8]) -> Vec<u64> {
    let elf = object::File::parse(bytes).unwrap();
    let functions = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 8);
    let mut all: Vec<u64> = functions.map(|symbol| symbol.address()).collect();
    all.sort_unstable();
    let step = (all.len() / 40).max(1);
    all.into_iter().step_by(step).collect()
}

/// Check that this costs the names and not the process, at moments spread over a look-up, and that the whole file has its names.
#[test]
fn a_file_that_is_cut_short_costs_its_names() {
    let bytes = std::fs::read("/proc/self/exe").unwrap();
    let addresses = addresses(&bytes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let begin = bytes.len() / 16;
    std::fs::write(&path, &bytes).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let files = Files { table: &file, debug: Some(&file) };
    let since = Instant::now();
    assert!(frames_at(files, &addresses).unwrap().frames.iter().any(|frames| !frames.is_empty()));
    let took = since.elapsed().min(Duration::from_secs(2));
    let mut cut = 0;
    for part in [8, 2, 16, 4, 32, 3, 64, 1] {
        let named = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(took / part);
                file.set_len(begin as u64).unwrap();
            });
            frames_at(files, &addresses)
        });
        cut += usize::from(named.is_err_and(|why| why.contains("cut short")));
        file.write_all_at(&bytes[begin..], begin as u64).unwrap();
        if cut == 2 {
            break;
        }
    }
    assert!(cut > 0, "no look-up met the file as it was cut");
    assert!(frames_at(files, &addresses).is_ok());
}
