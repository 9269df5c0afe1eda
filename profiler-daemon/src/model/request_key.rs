//! Ids of requests that a key of the application names: the bytes of its value, and how people write them.

use profiler_common::awaits::KeyKind;

use super::RequestId;

/// What values of a key are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFormat {
    /// What they are.
    pub kind: KeyKind,
    /// Of integers their width (bytes).
    pub width: u32,
}

/// An id that no value of the key can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key's values are {what}, and `{id}` is none")]
pub struct IdError {
    id: String,
    what: &'static str,
}

impl KeyFormat {
    /// An id as the value that it is of.
    ///
    /// # Errors
    /// [`IdError`] where no value of the key is written so.
    pub fn value(self, id: &[u8]) -> Result<Vec<u8>, IdError> {
        let text = String::from_utf8_lossy(id);
        let none = |what| IdError { id: text.clone().into_owned(), what };
        let width = self.width as usize;
        match self.kind {
            KeyKind::Text => Ok(id.to_vec()),
            KeyKind::Unsigned => {
                let all = text.parse().ok().map(u128::to_le_bytes);
                let fits = all.filter(|all| all.iter().skip(width).all(|byte| *byte == 0));
                fits.and_then(|all| Some(all.get(..width)?.to_vec())).ok_or_else(|| none("whole numbers of its width"))
            }
            KeyKind::Signed => {
                let number: Option<i128> = text.parse().ok();
                let cut = number.and_then(|number| Some((number, number.to_le_bytes().get(..width)?.to_vec())));
                let fits = cut.filter(|(number, bytes)| signed(bytes) == *number);
                fits.map(|(_, bytes)| bytes).ok_or_else(|| none("whole numbers of its width"))
            }
            KeyKind::Uuid => {
                let digits: String = text.chars().filter(|letter| *letter != '-').collect();
                let number = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
                number.map(|number| number.to_be_bytes().to_vec()).ok_or_else(|| none("UUIDs"))
            }
        }
    }

    /// A value as people write it.
    #[must_use]
    pub fn text(self, value: &[u8]) -> Vec<u8> {
        match self.kind {
            KeyKind::Text => value.to_vec(),
            KeyKind::Unsigned => unsigned(value).to_string().into_bytes(),
            KeyKind::Signed => signed(value).to_string().into_bytes(),
            KeyKind::Uuid => {
                let digits = RequestId::new(value).to_hex();
                let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
                [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-").into_bytes()
            }
        }
    }

    /// An id as it is shown, however it was written. One that no value has stays as it is.
    #[must_use]
    pub fn shown(self, id: &[u8]) -> Vec<u8> {
        self.value(id).map_or_else(|_| id.to_vec(), |value| self.text(&value))
    }
}

fn unsigned(value: &[u8]) -> u128 {
    value.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn signed(value: &[u8]) -> i128 {
    let is_negative = value.last().is_some_and(|byte| byte & 0x80 != 0);
    let begin = if is_negative { -1 } else { 0 };
    value.iter().rev().fold(begin, |number: i128, byte| number << 8 | i128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(kind: KeyKind, width: u32, id: &str) -> Option<String> {
        let format = KeyFormat { kind, width };
        let value = format.value(id.as_bytes()).ok()?;
        if kind != KeyKind::Text {
            assert_eq!(value.len(), width as usize);
        }
        Some(String::from_utf8(format.text(&value)).unwrap())
    }

    /// Check that ids come back as they are written, and that those which no value has are refused.
    #[test]
    fn ids_are_values_and_back() {
        let same = |kind, width, id: &str| assert_eq!(there_and_back(kind, width, id).as_deref(), Some(id));
        same(KeyKind::Text, 0, "order-42");
        same(KeyKind::Unsigned, 8, "18446744073709551615");
        same(KeyKind::Unsigned, 16, "340282366920938463463374607431768211455");
        same(KeyKind::Signed, 8, "-9223372036854775808");
        same(KeyKind::Signed, 1, "-1");
        same(KeyKind::Signed, 16, "-7");
        same(KeyKind::Uuid, 16, "67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(
            there_and_back(KeyKind::Uuid, 16, "67E5504410B1426F9247BB680E5FE0C8").unwrap(),
            "67e55044-10b1-426f-9247-bb680e5fe0c8"
        );
        assert_eq!(there_and_back(KeyKind::Unsigned, 4, "007").unwrap(), "7");
        for (kind, width, id) in [
            (KeyKind::Unsigned, 1, "256"),
            (KeyKind::Unsigned, 8, "-1"),
            (KeyKind::Unsigned, 8, "order"),
            (KeyKind::Signed, 1, "128"),
            (KeyKind::Uuid, 16, "67e55044"),
        ] {
            assert_eq!(there_and_back(kind, width, id), None, "{id}");
        }
    }
}
