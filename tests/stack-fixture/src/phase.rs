//! Which nest meets which bottom, and one phase of it.

use fixture_service::clock;

use crate::bottom::{self, Ground};
use crate::nest::{NINETY, Nest, THREE, TWELVE};
use crate::truth::{Kind, Phase};

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The way down.
    pub nest: Nest,
    /// What happens there.
    pub ground: Ground,
    /// Whether the task is in a request's scope.
    pub scoped: bool,
}

/// Every combination that is tried, in its order.
#[must_use]
pub fn plans() -> Vec<Plan> {
    let all = bottom::ALL.into_iter().map(|ground| (THREE, ground, true));
    let others = [
        (TWELVE, bottom::SPIN, true),
        (TWELVE, bottom::SLEEP, true),
        (TWELVE, bottom::SIGNAL, true),
        (NINETY, bottom::SPIN, true),
        (NINETY, bottom::PIPE, true),
        (THREE, bottom::SPIN, false),
        (THREE, bottom::SLEEP, false),
    ];
    all.chain(others).map(|(nest, ground, scoped)| Plan { nest, ground, scoped }).collect()
}

impl Plan {
    /// `three-spin`; a plain task's is `plain-spin`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", if self.scoped { self.nest.name } else { "plain" }, self.ground.name)
    }

    /// The request's id: `chain-NAME`.
    #[must_use]
    pub fn request(&self) -> Option<String> {
        self.scoped.then(|| format!("chain-{}", self.name()))
    }

    /// Goes down and comes back with what was true meanwhile.
    #[must_use]
    pub fn run(&self) -> Phase {
        let (slept, cpu) = (clock::slept(), clock::thread_cpu());
        let span = (self.nest.run)(self.ground.bottom);
        let (slept_ns, cpu_ns) = (clock::slept() - slept, clock::thread_cpu() - cpu);
        // SAFETY: no arguments.
        let tid = unsafe { libc::gettid() }.cast_unsigned();
        let mut chain = (self.nest.functions)();
        chain.extend((self.ground.functions)());
        Phase {
            name: self.name(),
            request: self.request(),
            tid,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
            cpu_ns,
            kind: self.ground.syscall.map_or(Kind::Spin, |syscall| Kind::Blocked { syscall, slept_ns }),
            chain,
        }
    }
}
