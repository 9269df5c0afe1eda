//! One function for each register that an argument can stand in. (Not the stack pointer: no argument does.)

use std::arch::naked_asm;

use profiler_common::site::Register;

/// A register, the place at which it holds the argument, and what to call for that.
pub(crate) type Place = (Register, unsafe extern "C" fn(), extern "C" fn(u64));

macro_rules! registers {
    ($($register:ident $name:literal $function:ident $site:ident $label:literal;)*) => {
        $(
            extern "C" fn $function(argument: u64) {
                #[unsafe(no_mangle)]
                #[unsafe(naked)]
                extern "C" fn $site(argument: u64) {
                    naked_asm!(
                        concat!("xchg rdi, ", $name),
                        concat!(".globl ", $label),
                        concat!($label, ":"),
                        "nop",
                        concat!("xchg rdi, ", $name),
                        "ret"
                    )
                }
                $site(argument);
            }
        )*

        mod places {
            unsafe extern "C" {
                $(
                    #[link_name = $label]
                    pub(super) fn $function();
                )*
            }
        }

        /// Every register.
        pub(crate) const ALL: &[Place] = &[$((Register::$register, places::$function, $function)),*];
    };
}

registers! {
    Rax "rax" rax trigger_in_rax "trigger_at_rax";
    Rcx "rcx" rcx trigger_in_rcx "trigger_at_rcx";
    Rdx "rdx" rdx trigger_in_rdx "trigger_at_rdx";
    Rbx "rbx" rbx trigger_in_rbx "trigger_at_rbx";
    Rbp "rbp" rbp trigger_in_rbp "trigger_at_rbp";
    Rsi "rsi" rsi trigger_in_rsi "trigger_at_rsi";
    Rdi "rdi" rdi trigger_in_rdi "trigger_at_rdi";
    R8 "r8" r8 trigger_in_r8 "trigger_at_r8";
    R9 "r9" r9 trigger_in_r9 "trigger_at_r9";
    R10 "r10" r10 trigger_in_r10 "trigger_at_r10";
    R11 "r11" r11 trigger_in_r11 "trigger_at_r11";
    R12 "r12" r12 trigger_in_r12 "trigger_at_r12";
    R13 "r13" r13 trigger_in_r13 "trigger_at_r13";
    R14 "r14" r14 trigger_in_r14 "trigger_at_r14";
    R15 "r15" r15 trigger_in_r15 "trigger_at_r15";
}
