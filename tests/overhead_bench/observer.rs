//! Who is attached in a row.

use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::load::Load;
use profiler_tests::rig::service::Service;
use profiler_tests::{Failure, Result};

use crate::used::peak_bytes;

/// A profiler that comes and goes.
pub(crate) trait Observer {
    /// Comes, and is there when this returns.
    fn begin(&mut self, service: &Service) -> Result<()>;

    /// Goes, and tells what it has seen, where it does.
    fn end(&mut self) -> Result<Option<Sight>>;

    /// Its process, where it has one of its own.
    fn pid(&self) -> Option<u32>;

    /// A service that has it inside, under a load of its own, instead of the other.
    fn instead(&mut self) -> Option<(&mut Service, &Load)> {
        None
    }

    /// The most memory that it has had at once, beyond what the service `plain` has had.
    fn peak_bytes(&mut self, plain: &Service) -> Option<u64> {
        match self.instead() {
            Some((service, _)) => Some(peak_bytes(service.pid())?.saturating_sub(peak_bytes(plain.pid())?)),
            None => peak_bytes(self.pid()?),
        }
    }
}

/// Nobody: what the rig says of itself.
pub(crate) struct Nobody;

impl Observer for Nobody {
    fn begin(&mut self, _service: &Service) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        Ok(None)
    }

    fn pid(&self) -> Option<u32> {
        None
    }
}

/// For whoever cannot be measured here.
pub(crate) fn cannot(why: impl Into<String>) -> Failure {
    Failure::Wrong(vec![why.into()])
}
