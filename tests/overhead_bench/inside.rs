//! Profilers that a service has inside, each with a load of its own, measured in the slices in which the plain service stands still.

use std::path::Path;

use profiler_tests::Result;
use profiler_tests::rig::attached::Sight;
use profiler_tests::rig::load::Load;
use profiler_tests::rig::rival::Rival;
use profiler_tests::rig::service::Service;

use crate::observer::Observer;

/// A running service with a profiler inside. Whoever begins pauses the load of the plain one.
pub(crate) struct Inside {
    service: Service,
    load: Load,
}

impl Inside {
    /// Starts the service with `rival`, and pauses its load.
    pub(crate) fn start(rival: &Rival, folder: &Path) -> Result<Self> {
        let service = rival.start(folder)?;
        let load = Load::start(service.port);
        load.pause(true);
        Ok(Self { service, load })
    }
}

impl Observer for Inside {
    fn begin(&mut self, _plain: &Service) -> Result<()> {
        self.load.pause(false);
        Ok(())
    }

    fn end(&mut self) -> Result<Option<Sight>> {
        self.load.pause(true);
        Ok(None)
    }

    /// Its CPU time is the service's.
    fn pid(&self) -> Option<u32> {
        None
    }

    fn instead(&mut self) -> Option<(&mut Service, &Load)> {
        Some((&mut self.service, &self.load))
    }
}
