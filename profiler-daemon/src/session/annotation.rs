//! The annotation's table in a target: whether it may be used, and what is asked by it.

use super::SessionError;
use super::manner::Subject;
use super::mode::ModeChosen;
use super::table::{self, Table};
use crate::inspect::Inspection;
use crate::target::Target;
use crate::target::hardening::PtraceScope;

/// The annotation's table, without what a daemon has left in it that was killed.
pub(super) fn table_of(
    target: &Target,
    inspection: &Inspection,
    bias: u64,
    is_needed: bool,
) -> Result<Option<Table>, SessionError> {
    let Some(address) = inspection.annotation_table else { return Ok(None) };
    let address = address.wrapping_add(bias);
    if !table::lies_in_data(&target.mappings()?, address) {
        return Ok(None);
    }
    let found = match (Table::find(target, address), PtraceScope::in_force()) {
        // Nobody can read it. Who measures every poll can do without.
        (Err(_), Some(scope)) if scope.is_shut() && !is_needed => return Ok(None),
        (Err(_), Some(scope)) if scope.is_shut() => {
            return Err(SessionError::TableClosed { pid: target.pid(), scope: Some(scope), lacks: None });
        }
        (found, _) => found,
    };
    let mut table = found.map_err(|source| SessionError::Table { pid: target.pid(), source })?;
    if let Some(table) = &mut table {
        table.clean_if_free()?;
    }
    Ok(table)
}

/// Asks for what is wanted, if the annotation is to decide. Gives back how many scopes had been numbered by then.
pub(super) fn arm(table: &mut Table, subject: &Subject, mode: ModeChosen) -> Result<Option<u64>, SessionError> {
    if let (Subject::Requests(choice), true) = (subject, mode.through_table) {
        table.arm(&choice.asked(mode.mode)?)?;
    }
    // Behind it: scopes that began meanwhile were judged at a later poll than their first.
    Ok(table.scopes_numbered())
}
