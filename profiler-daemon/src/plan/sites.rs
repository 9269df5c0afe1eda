//! Every planned site by itself, for `inspect`: where it is, what stands there, what a hit costs, and why it may be there.

use std::fmt;

use serde::Serialize;

use super::display::name;
use super::{Plan, PlannedSite, ProbeKind};
use crate::inspect::{Inspection, Proof};

/// One site of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteRow<'p> {
    /// What a hit means.
    pub event: &'p str,
    /// Address of the instruction in the file.
    pub address: u64,
    /// Address of the function it stands in.
    pub function: Option<u64>,
    /// Its name; of a poll with the type that it polls.
    pub name: Option<String>,
    /// The instruction.
    pub instruction: &'p str,
    /// Whether this machine's kernel emulates it; else it is single-stepped.
    pub emulated: bool,
    /// The plain sites: the function's entry, or the loads from which an inlined exchange begins.
    pub plain: &'p [u64],
    /// Bytes from the first of them.
    pub moved: i64,
    /// Estimated cost of a hit.
    pub estimated_ns: u32,
    /// What a hit of the plain site would cost.
    pub plain_ns: u32,
    /// Why it tells what the plain sites tell; none at the annotation's own probes, which are made for that.
    pub proof: Option<&'p Proof>,
    /// The same in words.
    pub why: String,
}

/// The sites of a plan as an aligned table, or as rows.
#[derive(Debug, Clone, Copy)]
pub struct SiteTable<'p> {
    plan: &'p Plan,
    inspection: &'p Inspection,
}

impl<'p> SiteTable<'p> {
    /// Of the plan that was made of the inspection.
    #[must_use]
    pub const fn new(plan: &'p Plan, inspection: &'p Inspection) -> Self {
        Self { plan, inspection }
    }

    /// One row a site.
    #[must_use]
    pub fn rows(&self) -> Vec<SiteRow<'p>> {
        let sites = self.plan.named_sites(self.inspection).map(|(planned, of)| row(planned, of));
        let scopes = self.plan.scopes.iter().map(|scope| SiteRow {
            event: &scope.probe.name,
            address: scope.probe.vaddr,
            function: None,
            name: None,
            instruction: &scope.probe.instruction,
            emulated: scope.emulated,
            plain: std::slice::from_ref(&scope.probe.vaddr),
            moved: 0,
            estimated_ns: scope.hit_ns,
            plain_ns: scope.hit_ns,
            proof: None,
            why: "the annotation's own".to_owned(),
        });
        sites.chain(scopes).collect()
    }
}

fn row<'p>(planned: &'p PlannedSite, of: Option<&str>) -> SiteRow<'p> {
    let site = &planned.site;
    let name = match (&site.function_name, of) {
        (Some(function), Some(of)) => Some(format!("{function} of {of}")),
        (None, Some(of)) => Some(format!("of {of}")),
        (function, None) => function.clone(),
    };
    let from = planned.plain.first().copied().unwrap_or(site.vaddr);
    SiteRow {
        event: name_of(planned),
        address: site.vaddr,
        function: Some(site.function),
        name,
        instruction: if planned.probe == ProbeKind::Return { "return probe" } else { &site.instruction },
        emulated: planned.emulated,
        plain: &planned.plain,
        moved: site.vaddr.wrapping_sub(from).cast_signed(),
        estimated_ns: planned.hit_ns,
        plain_ns: planned.plain_ns,
        proof: Some(&site.proof),
        why: site.proof.to_string(),
    }
}

const fn name_of(planned: &PlannedSite) -> &'static str {
    name(planned.site.role)
}

/// One line a site, then the functions that they stand in.
impl fmt::Display for SiteTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let wide = |text: fn(&SiteRow<'_>) -> usize, least: usize| rows.iter().map(text).max().unwrap_or(0).max(least);
        let (event, instruction) = (wide(|row| row.event.len(), 4), wide(|row| row.instruction.len(), 11));
        let address = wide(|row| format!("{:#x}", row.address).len(), 7);
        writeln!(
            f,
            "{:<event$}  {:>address$}  {:<instruction$}  {:<8}  {:>6}  {:>6}  {:>6}  PROOF, FUNCTION",
            "SITE", "ADDRESS", "INSTRUCTION", "KERNEL", "MOVED", "NS", "PLAIN"
        )?;
        for row in &rows {
            let moved = if row.moved == 0 { "-".to_owned() } else { format!("{:+}", row.moved) };
            writeln!(
                f,
                "{:<event$}  {:>#address$x}  {:<instruction$}  {:<8}  {moved:>6}  {:>6}  {:>6}  {}{}",
                row.event,
                row.address,
                row.instruction,
                if row.emulated { "emulated" } else { "stepped" },
                row.estimated_ns,
                row.plain_ns,
                row.why,
                row.name.as_ref().map_or_else(String::new, |name| format!("; {name}")),
            )?;
        }
        Ok(())
    }
}
