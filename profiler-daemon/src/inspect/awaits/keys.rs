//! The task-local keys of a program, and finding one by its name.

use profiler_common::awaits::RequestKey;
use profiler_common::awaits::key::KeyKind;

/// A static that `tokio::task_local!` declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLocalKey {
    /// Its path: `my_app::REQUEST_ID`.
    pub name: String,
    /// Its address in the file.
    pub address: u64,
    /// The type of its values.
    pub type_name: String,
    /// How a value is read. `None`: it is of a type that cannot name a request.
    pub value: Option<KeyLayout>,
    /// What its thread-local is made of. `None`: not known.
    pub cell: Option<KeyCell>,
}

/// The `RefCell<Option<T>>` in which a thread has a key's value while a future with one is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCell {
    /// Where in it the `Option` lies (bytes).
    pub value: u32,
    /// Its size (bytes).
    pub size: u32,
}

/// How a key's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLayout {
    /// Where it lies, without the key's address.
    pub recipe: RequestKey,
    /// What it is.
    pub kind: KeyKind,
}

/// Why a key cannot name requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The program has none.
    #[error("the program has no `tokio::task_local!` key, so `{wanted}` cannot name its requests")]
    NoKeys {
        /// What was asked for.
        wanted: String,
    },
    /// None is called so.
    #[error("the program has no task-local key `{wanted}`; its keys are {known}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// Several are.
    #[error("several task-local keys of the program end with `{wanted}`: {matching}; name one by more of its path")]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Those that match.
        matching: String,
    },
    /// Its values are no names.
    #[error(
        "the task-local key `{name}` is of type `{type_name}`, which cannot name requests: String, &'static str, Arc<str>, integers, \
         Uuid and newtypes of these can; the program's keys are {known}"
    )]
    Unsupported {
        /// The key.
        name: String,
        /// Its type.
        type_name: String,
        /// Those that there are.
        known: String,
    },
}

/// Keys that a sentence lists, at most.
const LISTED: usize = 20;

/// The key of this path, or the only one whose path ends so, and how its values are read.
///
/// # Errors
/// [`KeyError`] says which keys there are.
pub fn find_key<'k>(keys: &'k [TaskLocalKey], wanted: &str) -> Result<(&'k TaskLocalKey, KeyLayout), KeyError> {
    if keys.is_empty() {
        return Err(KeyError::NoKeys { wanted: wanted.to_owned() });
    }
    let exact: Vec<&TaskLocalKey> = keys.iter().filter(|key| key.name == wanted).collect();
    let ends = |key: &&TaskLocalKey| key.name.strip_suffix(wanted).is_some_and(|front| front.ends_with("::"));
    let matching = if exact.is_empty() { keys.iter().filter(ends).collect() } else { exact };
    match matching[..] {
        [] => Err(KeyError::Unknown { wanted: wanted.to_owned(), known: listed(keys.iter()) }),
        [key] => key.value.map(|value| (key, value)).ok_or_else(|| KeyError::Unsupported {
            name: key.name.clone(),
            type_name: key.type_name.clone(),
            known: listed(keys.iter()),
        }),
        _ => Err(KeyError::Ambiguous { wanted: wanted.to_owned(), matching: listed(matching.into_iter()) }),
    }
}

fn listed<'k>(keys: impl ExactSizeIterator<Item = &'k TaskLocalKey>) -> String {
    let left_out = keys.len().saturating_sub(LISTED);
    let mut names: Vec<String> = keys.take(LISTED).map(|key| format!("{} ({})", key.name, key.type_name)).collect();
    if left_out > 0 {
        names.push(format!("and {left_out} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, is_readable: bool) -> TaskLocalKey {
        let value = is_readable.then_some(KeyLayout { recipe: RequestKey::NONE, kind: KeyKind::Text });
        TaskLocalKey { name: name.to_owned(), address: 0, type_name: "T".to_owned(), value, cell: None }
    }

    /// Check that a key is found by its path or by an end of it, at a whole part only.
    #[test]
    fn keys_are_found_by_their_path() {
        let keys = [key("a::ID", true), key("a::b::ID", true), key("a::REQUEST_ID", true), key("ID", true)];
        let name = |wanted| find_key(&keys, wanted).map(|(key, _)| key.name.clone());
        assert_eq!(name("a::b::ID"), Ok("a::b::ID".to_owned()));
        assert_eq!(name("b::ID"), Ok("a::b::ID".to_owned()));
        assert_eq!(name("REQUEST_ID"), Ok("a::REQUEST_ID".to_owned()));
        assert_eq!(name("ID"), Ok("ID".to_owned()), "the whole path goes before ends of others");
        assert!(matches!(name("T_ID"), Err(KeyError::Unknown { .. })));
    }

    /// Check that what is refused names the keys that there are.
    #[test]
    fn refusals_list_the_keys() {
        let keys = [key("a::ID", true), key("b::ID", true), key("c::STATE", false)];
        let told = |wanted| find_key(&keys, wanted).unwrap_err().to_string();
        assert!(told("ID").contains("a::ID (T), b::ID (T)"), "{}", told("ID"));
        assert!(told("NAME").contains("a::ID (T), b::ID (T), c::STATE (T)"), "{}", told("NAME"));
        assert!(told("STATE").contains("`c::STATE` is of type `T`"), "{}", told("STATE"));
        assert!(find_key(&[], "ID").unwrap_err().to_string().contains("no `tokio::task_local!` key"));
    }
}
