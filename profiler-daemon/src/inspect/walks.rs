//! Random small functions, walked at random: wherever a site may sit, a thread that comes by a plain site comes by it next, with the argument in
//! the register named and the stack pointer where it is said to be; and nothing that others could see is done between.

use iced_x86::Register as Iced;
use proptest::prelude::*;

use super::code::Function;
use super::flow::Root;
use super::inspection::{Register, Role, Spot};
use super::placement::places;
use super::proof::Claim;
use super::specimen::with_image;

/// Registers that the functions use, by their number in the encoding: rax, rcx, rdx, rbx, rsi, rdi.
const NUMBERS: [u8; 6] = [0, 1, 2, 3, 6, 7];
const RDI: u8 = 7;
/// Functions that are tried.
const CASES: u32 = 3_000;
/// Steps of one walk.
const STEPS: usize = 400;

#[derive(Debug, Clone, Copy)]
enum Op {
    Nop,
    LongNop,
    /// `mov to, from`
    Move(u8, u8),
    /// `xor r, r`
    Clear(u8),
    /// `mov rax, [r]`
    Load(u8),
    /// `mov [rsp + 8], rax`
    Spill,
    /// `mov [rsi], rax`
    Store,
    /// `lock inc qword [rdi]`
    Exchange,
    Call,
    JumpIf(prop::sample::Index),
    Jump(prop::sample::Index),
    Return,
}

fn any_op() -> impl Strategy<Value = Op> {
    let register = || prop::sample::select(&NUMBERS[..]);
    prop_oneof![
        2 => Just(Op::Nop),
        1 => Just(Op::LongNop),
        4 => (register(), register()).prop_map(|(to, from)| Op::Move(to, from)),
        1 => register().prop_map(Op::Clear),
        2 => register().prop_map(Op::Load),
        2 => Just(Op::Spill),
        1 => Just(Op::Store),
        1 => Just(Op::Exchange),
        1 => Just(Op::Call),
        4 => any::<prop::sample::Index>().prop_map(Op::JumpIf),
        2 => any::<prop::sample::Index>().prop_map(Op::Jump),
        1 => Just(Op::Return),
    ]
}

/// A function: so many pushes, then the operations, then a return.
struct Written {
    pushes: usize,
    ops: Vec<Op>,
    /// Offset of each operation's code.
    offsets: Vec<usize>,
    code: Vec<u8>,
}

impl Written {
    fn new(pushes: usize, mut ops: Vec<Op>) -> Self {
        ops.push(Op::Return);
        let mut offsets = Vec::new();
        let mut length = pushes;
        for op in &ops {
            offsets.push(length);
            length += encode(*op, 0).len();
        }
        let mut written = Self { pushes, ops, offsets, code: vec![0x53; pushes] };
        for (place, op) in written.ops.clone().into_iter().enumerate() {
            let end = written.offsets[place] + encode(op, 0).len();
            let target = match op {
                Op::JumpIf(to) | Op::Jump(to) => written.offset_of(written.target(to)),
                // The function behind this one, which begins at the next multiple of 16.
                _ => length.next_multiple_of(16),
            };
            let distance = i32::try_from(target).unwrap() - i32::try_from(end).unwrap();
            let bytes = encode(op, distance);
            written.code.extend(bytes);
        }
        written
    }

    /// Where a jump leads: to the entry, or to an operation. No compiler jumps into a prologue.
    fn target(&self, to: prop::sample::Index) -> Option<usize> {
        to.index(self.ops.len() + 1).checked_sub(1)
    }

    fn offset_of(&self, place: Option<usize>) -> usize {
        place.map_or(0, |place| self.offsets[place])
    }
}

fn encode(op: Op, distance: i32) -> Vec<u8> {
    let near = |opcode: &[u8]| [opcode, &distance.to_le_bytes()].concat();
    match op {
        Op::Nop => vec![0x90],
        Op::LongNop => vec![0x0f, 0x1f, 0x40, 0],
        Op::Move(to, from) => vec![0x48, 0x89, 0xc0 | from << 3 | to],
        Op::Clear(register) => vec![0x48, 0x31, 0xc0 | register << 3 | register],
        Op::Load(register) => vec![0x48, 0x8b, register],
        Op::Spill => vec![0x48, 0x89, 0x44, 0x24, 8],
        Op::Store => vec![0x48, 0x89, 0x06],
        Op::Exchange => vec![0xf0, 0x48, 0xff, 0x07],
        Op::Call => near(&[0xe8]),
        Op::JumpIf(_) => near(&[0x0f, 0x84]),
        Op::Jump(_) => near(&[0xe9]),
        Op::Return => vec![0xc3],
    }
}

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is about to execute what stands at this offset, with these registers and that stack pointer.
    At { offset: usize, registers: [u64; 8], sp: u64 },
    /// It has done what others can see.
    Seen,
    /// It has left the function for good.
    Left,
}

/// One walk: branches, and whether calls return, are decided by `choices`.
fn walk(function: &Written, choices: &[bool]) -> Vec<Step> {
    let mut choices = choices.iter().copied().cycle();
    let mut registers: [u64; 8] = std::array::from_fn(|register| register as u64 + 1);
    let (mut fresh, mut sp) = (100, 1_u64 << 40);
    let mut steps = Vec::new();
    let mut next = None;
    while steps.len() < STEPS {
        let Some(place) = next else {
            for offset in 0..function.pushes {
                steps.push(Step::At { offset, registers, sp });
                sp -= 8;
            }
            next = Some(0);
            continue;
        };
        steps.push(Step::At { offset: function.offsets[place], registers, sp });
        next = Some(place + 1);
        let mut set = |register: u8| {
            fresh += 1;
            registers[usize::from(register)] = fresh;
        };
        match function.ops[place] {
            Op::Move(to, from) => registers[usize::from(to)] = registers[usize::from(from)],
            Op::Clear(register) => set(register),
            Op::Load(_) => set(0),
            Op::Store | Op::Exchange => steps.push(Step::Seen),
            Op::Call if choices.next().unwrap() => [0, 1, 2, 6, 7].into_iter().for_each(set),
            Op::JumpIf(to) if choices.next().unwrap() => next = function.target(to),
            Op::Jump(to) => next = function.target(to),
            Op::JumpIf(_) | Op::Nop | Op::LongNop | Op::Spill => {}
            Op::Call | Op::Return => {
                steps.push(Step::Left);
                return steps;
            }
        }
    }
    // Cut short: what comes next is not known.
    steps
}

fn number(register: Register) -> usize {
    match register {
        Register::Rax => 0,
        Register::Rcx => 1,
        Register::Rdx => 2,
        Register::Rbx => 3,
        Register::Rsi => 6,
        Register::Rdi => 7,
        other => panic!("{other} is not used"),
    }
}

/// An event of a plain site: what its handler would see, and whether the moved site has told it.
#[derive(Debug, Clone, Copy)]
struct Event {
    argument: u64,
    entry: u64,
    told: bool,
}

/// Follows one walk and checks what the spot, which stands for the plain sites `own` among `roots`, tells.
fn check(spot: &Spot, at: usize, own: &[usize], roots: &[(usize, usize)], steps: &[Step]) -> Result<(), TestCaseError> {
    let mut event: Option<Event> = None;
    // The stack pointer at the function's entry: the walk begins there, and a jump there is a new entry.
    let mut entry = 0;
    for step in steps {
        match *step {
            Step::At { offset, registers, sp } => {
                if offset == 0 {
                    entry = sp;
                }
                if let Some((_, register)) = roots.iter().find(|(root, _)| *root == offset) {
                    prop_assert!(event.is_none_or(|event| event.told), "untold before the next: {event:?}, {spot:?}");
                    event = own.contains(&offset).then_some(Event { argument: registers[*register], entry, told: false });
                }
                if offset == at {
                    let Some(event) = &mut event else {
                        return Err(TestCaseError::fail(format!("told without an event: {spot:?}")));
                    };
                    prop_assert_eq!(registers[number(spot.header)], event.argument, "another argument: {:?}", spot);
                    prop_assert_eq!(sp + u64::from(spot.sp_adjust), event.entry, "another stack: {:?}", spot);
                    prop_assert!(!event.told || spot.repeats, "told twice: {spot:?}");
                    event.told = true;
                }
            }
            Step::Seen | Step::Left => {
                prop_assert!(event.is_none_or(|event| event.told), "untold when it matters: {event:?}, {spot:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_moved_site_tells_what_the_plain_sites_tell(
        pushes in 0..3_usize,
        ops in prop::collection::vec(any_op(), 1..24),
        inner in any::<bool>(),
        choices in prop::collection::vec(prop::collection::vec(any::<bool>(), 24), 12),
    ) {
        let function = Written::new(pushes, ops);
        // Plain sites: the entry, or every load through one register.
        let loads = function.ops.iter().zip(&function.offsets).filter_map(|(op, offset)| match op {
            Op::Load(register) if *register == RDI => Some((*offset, usize::from(RDI))),
            _ => None,
        });
        let roots: Vec<(usize, usize)> = if inner { loads.collect() } else { vec![(0, usize::from(RDI))] };
        let mut found = Vec::new();
        with_image(&[("f", &function.code), ("g", &[0xc3])], |image, functions, starts| {
            let decoded = Function::decode(image, functions, starts[0]).unwrap();
            let claimed: Vec<Root> = roots.iter().map(|(at, _)| Root::new(starts[0] + *at as u64, Iced::RDI)).collect();
            let claim = Claim { role: Role::PollIdle, roots: &claimed, exchange: None, after_will_do: false };
            let offset = |address: u64| usize::try_from(address - starts[0]).unwrap();
            for places in places(functions, &decoded, &claim) {
                // A plain site that is not proved itself has no spot, and then nothing stands for it.
                let own: Vec<usize> = places.plain.iter().map(|spot| offset(spot.vaddr)).collect();
                let candidates = places.candidates.into_iter().map(|spot| (offset(spot.vaddr), spot, own.clone()));
                found.extend(candidates);
            }
        });
        for (at, spot, own) in &found {
            for choices in &choices {
                check(spot, *at, own, &roots, &walk(&function, choices))?;
            }
        }
    }
}
