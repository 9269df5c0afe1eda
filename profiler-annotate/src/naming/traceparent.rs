//! W3C Trace Context, `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>):
//! `version "-" trace-id "-" parent-id "-" trace-flags`, all lower-case hexadecimal, 2, 32, 16 and 2 digits.

use crate::record::TraceContext;

/// `None` for what the standard calls invalid: other digits, zero ids, version `ff`, a version 00 that goes on. A later version
/// may go on after another `-`.
pub(super) fn parse(header: &[u8]) -> Option<TraceContext> {
    let (version, rest) = field::<1>(header)?;
    let (trace_id, rest) = field::<16>(rest.strip_prefix(b"-")?)?;
    let (span_id, rest) = field::<8>(rest.strip_prefix(b"-")?)?;
    let ([flags], rest) = field::<1>(rest.strip_prefix(b"-")?)?;
    let well_ended = match version {
        [0] => rest.is_empty(),
        [0xff] => false,
        _ => matches!(rest, [] | [b'-', ..]),
    };
    let valid = well_ended && trace_id != [0; 16] && span_id != [0; 8];
    valid.then_some(TraceContext { trace_id, span_id, flags })
}

/// N bytes from 2 N digits; and what follows.
fn field<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (digits, rest) = text.split_at_checked(2 * N)?;
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some((bytes, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

    #[test]
    fn reads_the_example_of_the_standard() {
        let trace = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(trace.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert_eq!(trace.span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
        assert_eq!(trace.flags, 3);
    }

    #[test]
    fn a_later_version_may_go_on() {
        assert!(parse(GOOD.replacen("00", "01", 1).as_bytes()).is_some());
        assert!(parse(format!("{}-more", GOOD.replacen("00", "01", 1)).as_bytes()).is_some());
        assert!(parse(format!("{}more", GOOD.replacen("00", "01", 1)).as_bytes()).is_none());
    }

    #[test]
    fn refuses_what_the_standard_refuses() {
        let bad = [
            String::new(),
            format!("{GOOD}-more"),
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD[..54].to_owned(),
        ];
        for header in bad {
            assert_eq!(parse(header.as_bytes()), None, "{header}");
        }
    }
}
