//! The ways down to a bottom: 3 functions, 12 of differing frames, 90 by recursion.
//!
//! Each function does something with what its callee returned, so that no call is the last thing in it: the compiler would jump there and
//! the function would not stand on the stack.

use std::hint::black_box;

use crate::bottom::{Bottom, Span};
use crate::truth::Function;

/// A way down.
#[derive(Clone, Copy, Debug)]
pub struct Nest {
    /// Its name.
    pub name: &'static str,
    /// Goes down, and comes back when the bottom is done.
    pub run: fn(Bottom) -> Span,
    /// The functions on the way, outermost first.
    pub functions: fn() -> Vec<Function>,
}

/// A local variable that needs a stack frame of 64-byte alignment: the compiler realigns the stack, and the CFA is found by rbp.
#[repr(align(64))]
#[expect(dead_code, reason = "only its place on the stack matters")]
struct Aligned([u8; 64]);

/// A function that keeps a local of some type in its frame and calls the next.
macro_rules! floor {
    ($name:ident, $local:expr, $next:expr) => {
        #[inline(never)]
        fn $name(bottom: Bottom) -> Span {
            let local = $local;
            black_box(&local);
            let span = black_box($next(bottom));
            black_box(&local);
            span
        }
    };
}

floor!(three_1, [1_u8; 8], three_2);
floor!(three_2, [2_u8; 24], three_3);
floor!(three_3, [3_u8; 40], land);

floor!(twelve_1, [0_u64; 1], twelve_2);
floor!(twelve_2, Aligned([2; 64]), twelve_3);
floor!(twelve_3, [3_u8; 5000], twelve_4);
floor!(twelve_4, [4_u16; 3], twelve_5);
floor!(twelve_5, Aligned([5; 64]), twelve_6);
floor!(twelve_6, [6_u32; 9], twelve_7);
floor!(twelve_7, [7_u64; 40], twelve_8);
floor!(twelve_8, vec![8_u8; 100], twelve_9);
floor!(twelve_9, String::from("a value with a destructor"), twelve_10);
floor!(twelve_10, Box::new(Aligned([10; 64])), twelve_11);
floor!(twelve_11, [11_u8; 300], twelve_12);
floor!(twelve_12, Aligned([12; 64]), land);

/// Calls the bottom; inlined into the last floor.
#[expect(clippy::inline_always, reason = "no frame may stand between the last floor and the bottom")]
#[inline(always)]
fn land(bottom: Bottom) -> Span {
    bottom()
}

#[inline(never)]
fn ninety(left: u32, bottom: Bottom) -> Span {
    black_box(if left > 1 { ninety(left - 1, bottom) } else { bottom() })
}

/// How often `ninety` stands on the stack.
const DEPTH: u32 = 90;

macro_rules! functions {
    ($($name:ident)*) => {
        vec![$(Function { name: stringify!($name).to_owned(), address: $name as *const () as u64, through_others: false }),*]
    };
}

/// Three functions.
pub const THREE: Nest =
    Nest { name: "three", run: |bottom| three_1(black_box(bottom)), functions: || functions![three_1 three_2 three_3] };

/// Twelve, some of which realign the stack, hold much on it, or have something to drop.
pub const TWELVE: Nest = Nest {
    name: "twelve",
    run: |bottom| twelve_1(black_box(bottom)),
    functions: || functions![twelve_1 twelve_2 twelve_3 twelve_4 twelve_5 twelve_6 twelve_7 twelve_8 twelve_9 twelve_10 twelve_11 twelve_12],
};

/// One, ninety times.
pub const NINETY: Nest = Nest {
    name: "ninety",
    run: |bottom| ninety(black_box(DEPTH), black_box(bottom)),
    functions: || (0..DEPTH).flat_map(|_| functions![ninety]).collect(),
};
