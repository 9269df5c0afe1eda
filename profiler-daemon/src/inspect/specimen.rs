//! Real function bodies and a small ELF file around them, for tests.
//!
//! Cut from a release build of Tokio 1.54.1 by rustc 1.95.0 for x86-64.

use super::functions::Functions;
use super::image::Image;
use super::symbols::Symbols;

/// `State::transition_to_idle`, to its last panic:
/// ```text
/// sub rsp, 24; mov rax, [rdi]; lea rdx, [rsp+8]; lea rsi, [rsp+16]; nopw cs:[rax+rax]
/// 20: test al, 1; je panic           <- the first instruction the kernel emulates, at 0x22
///     test al, 32; jne cancelled
///     mov r8, rax; and r8, -34; test al, 4; jne notified; cmp rax, 63; jbe panic
///     add r8, -64; cmp r8, 64; setb cl; add cl, cl; jmp store
/// cancelled: mov cl, 3; mov r9, rdx; xor r8d, r8d; mov [r9], r8; cmp dword [rsp+8], 1; je exchange; jmp done
/// notified:  test rax, rax; js panic; add r8, 64; mov cl, 1
/// store:     mov qword [rsp+8], 1; mov r9, rsi; mov [r9], r8; cmp dword [rsp+8], 1; jne done
/// exchange:  mov r8, [rsp+16]; lock cmpxchg [rdi], r8; jne 20
/// done:      mov eax, ecx; add rsp, 24; ret
/// ```
pub(crate) const IDLE: &str = "4883ec18488b07488d542408488d7424106666666666662e0f1f840000000000\
    a8010f847c000000a82075244989c04983e0dea80475394883f83f0f867c000000\
    4983c0c04983f8400f92c100c9eb2bb1034989d14531c04d8901837c240801742feb39\
    6666662e0f1f8400000000004885c078614983c040b10148c7442408010000004989f1\
    4d8901837c240801750c4c8b442410f04c0fb107758389c84883c418c3\
    488d3d91befbff488d1536ea0400be23000000ff15e3160500488d3dd5bffbff488d150deb0400be26000000ff15ca160500\
    488d3de2bffbff488d150ceb0400be2f000000ff15b1160500";

/// `State::transition_to_running`: `push rax; mov rax, [rdi]; jmp 29; .. and rdx, -8; inc rdx; .. lock cmpxchg [rdi], rdx; ..`
pub(crate) const RUNNING: &str = "50488b07eb23662e0f1f8400000000004889c24883e2f848ffc289c1c0e90580e101\
    f0480fb1177423a8047423a80374df4883f83f7632488d50c04883fa400f92c180c902f0480fb11775dd89c859c3\
    488d3df8bdfbff488d1592e90400be24000000ff1527160500488d3d19bffbff488d1551ea0400be26000000ff150e160500";

/// `State::transition_to_complete`: `push rax; mov rax, [rdi]; 16: mov rcx, rax; xor rcx, 3; lock cmpxchg [rdi], rcx; jne 16; ..`
pub(crate) const COMPLETE: &str = "50488b07\
    6666662e0f1f8400000000004889c14883f103f0480fb10f75f2a801740aa802751f4883f00359c3\
    488d3dd5bdfbff488d1556e90400be23000000ff15bb150500488d3d97bdfbff488d1525e90400be25000000ff15a2150500";

/// `State::transition_to_shutdown`: `.. xor edx, edx; test cl, 3; sete dl; or rdx, rax; or rdx, 32; lock cmpxchg [rdi], rdx; ..`
pub(crate) const SHUTDOWN: &str = "488b07666666662e0f1f840000000000\
    4889c131d2f6c1030f94c24809c24883ca20f0480fb11775e7f6c1030f94c0c3";

/// `State::drop_join_handle_fast`: `mov ecx, 132; mov eax, 204; lock cmpxchg [rdi], rcx; setne al; ret`
pub(crate) const DROP_JOIN_HANDLE: &str = "b984000000b8cc000000f0480fb10f0f95c0c3";

/// `raw::poll` after what fat LTO makes of it (Tokio 1.54.1, rustc 1.95.0), with the future itself left out: [`IDLE`] inlined, one of its two
/// stack addresses made long before, and a block behind the call of a panic. To be followed by the function that panics.
/// ```text
/// push rbx; sub rsp, 64; mov rbx, rdi; mov rax, [rdi]; .. lock cmpxchg [rbx], rcx; .. js panic; lea r12, [rsp+16]; jne late
/// 37: mov rax, [rbx]; lea rcx, [rsp+40]
/// 3f: test al, 1; je panic; .. mov r8, r12; .. lock cmpxchg [rbx], rdx; jne 3f; ..; ret
/// panic: call +d0
/// late: inc r13; jmp 37
/// ```
pub(crate) const INLINED_IDLE: &str = "534883ec404889fb488b07a8030f85980000004889c14883e1f848ffc1f0480fb10b75e785f60f88890000004c8d6424100f\
    8583000000488b03488d4c2428a8017472a82075224889c24883e2dea804752b4883f83f765d4883c2c04883fa40400f92c6\
    4000f6eb2040b6034d89e031d2498910837c2410017424eb2e4885c078334883c24040b60148c7442410010000004989c849\
    8910837c241001750c488b542428f0480fb1137594400fb6c64883c4405bc3e81600000049ffc5e975ffffff";

/// Where [`elf`] puts its first function.
pub(crate) const CODE: u64 = 0x40_1000;

/// The bytes of a hexadecimal text.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// A non-PIE ELF file with these functions one after the other from [`CODE`] on, each padded to 16 bytes, with symbols of these names.
/// Gives the file and the functions' addresses.
pub(crate) fn elf(functions: &[(&str, &[u8])]) -> (Vec<u8>, Vec<u64>) {
    const HEADERS: usize = 0x1000;
    let mut text = Vec::new();
    let mut starts = Vec::new();
    let mut names = vec![0_u8];
    let mut symbols = vec![0_u8; 24];
    for (name, code) in functions {
        let start = CODE + text.len() as u64;
        starts.push(start);
        symbols.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        // A global function in section 1.
        symbols.extend([0x12, 0, 1, 0]);
        symbols.extend(start.to_le_bytes());
        symbols.extend((code.len() as u64).to_le_bytes());
        names.extend(name.bytes().chain([0]));
        text.extend_from_slice(code);
        text.resize(text.len().next_multiple_of(16), 0xcc);
    }
    let section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let mut file = vec![0_u8; HEADERS];
    let mut place = |content: &[u8]| {
        file.resize(file.len().next_multiple_of(8), 0);
        let at = file.len() as u64;
        file.extend_from_slice(content);
        (at, content.len() as u64)
    };
    let text = place(&text);
    let symbols = place(&symbols);
    let names = place(&names);
    let section_names = place(section_names);
    let headers = place(&[]).0;
    let mut section = |name: u32, kind: u32, flags: u64, address: u64, (at, size): (u64, u64), link: u32, entry: u64| {
        file.extend(name.to_le_bytes().into_iter().chain(kind.to_le_bytes()));
        for word in [flags, address, at, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend(link.to_le_bytes().into_iter().chain(1_u32.to_le_bytes()));
        file.extend(8_u64.to_le_bytes().into_iter().chain(entry.to_le_bytes()));
    };
    section(0, 0, 0, 0, (0, 0), 0, 0);
    section(1, 1, 6, CODE, text, 0, 0); // .text: PROGBITS, ALLOC | EXECINSTR
    section(7, 2, 0, 0, symbols, 3, 24); // .symtab, names in section 3
    section(15, 3, 0, 0, names, 0, 0); // .strtab
    section(23, 3, 0, 0, section_names, 0, 0); // .shstrtab
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    header.extend([2, 0, 62, 0, 1, 0, 0, 0]); // EXEC, x86-64, version 1
    for word in [CODE, 64, headers] {
        header.extend(word.to_le_bytes());
    }
    header.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 5, 0, 4, 0]); // one program header, five sections, names in 4
    header.extend([1, 0, 0, 0, 5, 0, 0, 0]); // LOAD, R | X
    for word in [HEADERS as u64, CODE, CODE, text.1, text.1, 0x1000] {
        header.extend(word.to_le_bytes());
    }
    file[..header.len()].copy_from_slice(&header);
    (file, starts)
}

/// Runs `test` on the parsed file.
pub(crate) fn with_image(functions: &[(&str, &[u8])], test: impl FnOnce(&Image<'_>, &Functions<'_>, &[u64])) {
    let (file, starts) = elf(functions);
    let image = Image::parse(&file).unwrap();
    let symbols = Symbols::read(&image);
    let functions = Functions::read(&image, &symbols);
    test(&image, &functions, &starts);
}
