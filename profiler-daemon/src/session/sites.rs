//! Whether probe sites find what they were put there for. One that never does is wrong, and is taken out.
//!
//! The kernel side refuses what does not belong to a site, so a wrong one makes no number wrong: it costs the target a trap a hit, and is told of.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use profiler_common::hits::SiteHits;

use crate::attach::{AttachError, Attached};
use crate::inspect::{Inspection, Role};
use crate::model::RefusedSite;
use crate::plan::Plan;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Refused hits after which a site of one type is wrong, if none was accepted.
const ENOUGH_OF_TYPE: u64 = 32;
/// The same for a site that tasks of every type reach: the first of them may be of types that are not known.
const ENOUGH_OF_ALL: u64 = 4096;

/// The sites of a session.
#[derive(Debug, Default)]
pub(super) struct Sites {
    /// By the address of the instruction in the target.
    sites: HashMap<u64, Site>,
    looked: Option<Instant>,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Site {
    /// In the file.
    offset: u64,
    told: RefusedSite,
    /// Whether it is of one type's tasks.
    of_type: bool,
    /// Whether hits are accepted there: at ends only what is refused is counted.
    is_judged: bool,
}

impl Site {
    /// Whether it is wrong, going by its first hits.
    const fn is_wrong(&self) -> bool {
        let enough = if self.of_type { ENOUGH_OF_TYPE } else { ENOUGH_OF_ALL };
        self.is_judged && !self.told.taken_out && self.told.accepted == 0 && self.told.refused >= enough
    }
}

impl Sites {
    /// Those of a plan, in a program that lies `bias` behind where its file says.
    pub(super) fn of(plan: &Plan, inspection: &Inspection, bias: u64) -> Self {
        let rows = crate::plan::SiteTable::new(plan, inspection).rows();
        let sites = plan.sites.iter().zip(rows).map(|(planned, row)| {
            let site = Site {
                offset: planned.site.file_offset,
                told: RefusedSite { event: row.event.to_owned(), address: row.address, name: row.name, ..RefusedSite::default() },
                of_type: planned.site.task_type.is_some(),
                is_judged: matches!(
                    planned.site.role,
                    Role::PollStart | Role::Spawn | Role::SpawnBlocking | Role::LocalScheduled
                ),
            };
            (planned.site.vaddr.wrapping_add(bias), site)
        });
        Self { sites: sites.collect(), looked: None }
    }

    /// Looks from time to time, and takes out what is wrong.
    pub(super) fn look_in_time(&mut self, attached: &mut Attached) -> Result<(), AttachError> {
        let now = Instant::now();
        if self.sites.is_empty() || self.looked.is_some_and(|looked| now.duration_since(looked) < PAUSE) {
            return Ok(());
        }
        self.looked = Some(now);
        self.look(attached)?;
        let wrong = self.wrong();
        if !wrong.is_empty() {
            attached.take_out(&wrong)?;
            self.sites.values_mut().filter(|site| wrong.contains(&site.offset)).for_each(|site| site.told.taken_out = true);
        }
        Ok(())
    }

    /// Sites at which something was refused, in the order of the file.
    pub(super) fn refused(&mut self, attached: &mut Attached) -> Result<Vec<RefusedSite>, AttachError> {
        if !self.sites.is_empty() {
            self.look(attached)?;
        }
        let mut told: Vec<RefusedSite> =
            self.sites.values().filter(|site| site.told.refused > 0).map(|site| site.told.clone()).collect();
        told.sort_by_key(|site| site.address);
        Ok(told)
    }

    fn look(&mut self, attached: &mut Attached) -> Result<(), AttachError> {
        self.take(&attached.site_hits()?);
        Ok(())
    }

    fn take(&mut self, hits: &[(u64, SiteHits)]) {
        for (address, hits) in hits {
            if let Some(site) = self.sites.get_mut(address) {
                (site.told.accepted, site.told.refused) = (hits.accepted, hits.refused);
            }
        }
    }

    /// Where in the file those are that are wrong by what was last seen.
    fn wrong(&self) -> Vec<u64> {
        self.sites.values().filter(|site| site.is_wrong()).map(|site| site.offset).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(offset: u64, of_type: bool, is_judged: bool) -> (u64, Site) {
        let told = RefusedSite { event: "poll start".to_owned(), address: offset, ..RefusedSite::default() };
        (0x1000 + offset, Site { offset, told, of_type, is_judged })
    }

    fn sites() -> Sites {
        Sites { sites: [site(1, true, true), site(2, false, true), site(3, true, false)].into(), looked: None }
    }

    fn hits(accepted: u64, refused: u64) -> Vec<(u64, SiteHits)> {
        // The last is of nobody.
        [0x1001, 0x1002, 0x1003, 0x2000].map(|address| (address, SiteHits { accepted, refused })).to_vec()
    }

    /// Check that a site is wrong after enough refused hits and no accepted one, that one accepted hit clears it for good, and that ends are never judged.
    #[test]
    fn only_refused_hits_make_a_site_wrong() {
        let wrong_after = |accepted, refused| {
            let mut sites = sites();
            sites.take(&hits(accepted, refused));
            let mut wrong = sites.wrong();
            wrong.sort_unstable();
            wrong
        };
        assert!(wrong_after(0, 0).is_empty());
        assert!(wrong_after(0, ENOUGH_OF_TYPE - 1).is_empty());
        assert_eq!(wrong_after(0, ENOUGH_OF_TYPE), [1]);
        assert_eq!(wrong_after(0, ENOUGH_OF_ALL), [1, 2]);
        assert!(wrong_after(1, u64::MAX).is_empty());
    }

    /// Check that what is taken out is not taken out again.
    #[test]
    fn a_site_is_taken_out_once() {
        let mut sites = sites();
        sites.take(&hits(0, ENOUGH_OF_TYPE));
        sites.sites.values_mut().for_each(|site| site.told.taken_out = true);
        assert!(sites.wrong().is_empty());
    }
}
