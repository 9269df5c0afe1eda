//! The report as JSON: `profiler.report/1`, see `schema/profiler.report-1.schema.json`.

use std::io::Write;

use super::ExportError;
use crate::model::Report;

/// Writes the report, indented, with a newline at its end.
pub fn write(report: &Report, mut out: impl Write) -> Result<(), ExportError> {
    serde_json::to_writer_pretty(&mut out, report)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, fixture, report};

    #[test]
    fn what_is_written_is_the_report_on_lines_of_its_own() {
        let report = report(&fixture::capture(), &Filter::All);
        let mut written = Vec::new();
        write(&report, &mut written).unwrap();
        assert!(written.starts_with(b"{\n  \"schema\": \"profiler.report/1\",\n  \"target\": {\n    \"pid\": 1234,"));
        assert!(written.ends_with(b"}\n"));
        assert_eq!(Report::read(&written).unwrap(), report);
        // JSON spells control characters out by itself: nothing reaches a terminal raw.
        assert!(!written.contains(&0x1b));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let report = report(&fixture::capture(), &Filter::All);
        let mut room = [0_u8; 64];
        assert!(matches!(write(&report, room.as_mut_slice()), Err(ExportError::Write(_))));
    }
}
