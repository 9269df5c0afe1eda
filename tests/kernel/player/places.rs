//! From addresses in this process to offsets in its program's file, which is what uprobes are placed by.

use std::fs;

/// The offset in `/proc/self/exe` of what stands at `address`.
pub(crate) fn file_offset(address: u64) -> u64 {
    let exe = fs::read_link("/proc/self/exe").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_exe = maps.lines().filter(|line| line.ends_with(&*exe.to_string_lossy()));
    // proc(5): start-end permissions offset device inode path
    for line in of_exe {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let offset = hex(fields.nth(1).unwrap());
        if (hex(start)..hex(end)).contains(&address) {
            return address - hex(start) + offset;
        }
    }
    panic!("{address:#x} is not in the program's file");
}

fn hex(digits: &str) -> u64 {
    u64::from_str_radix(digits, 16).unwrap()
}
