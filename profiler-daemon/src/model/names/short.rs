//! Names short enough to be read in a picture: generic arguments go, what was called stays.

/// Generic arguments up to this length (bytes) say more than they take, unless they hold generic arguments themselves.
const KEPT_MAX: usize = 16;

/// A name with its generic arguments shortened: one long argument to `<_>`, several to `<..>`.
///
/// The type and trait of `<T as Trait>::method` stay, with their own arguments shortened; around a type alone the
/// brackets go (v0 symbols say `<Type>::method` where legacy ones say `Type::method`). A name whose brackets do not
/// match stays as it is. One pass over the name, however deep its brackets.
#[must_use]
pub fn shortened(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut open: Vec<Open> = Vec::new();
    let mut before = None;
    for character in name.chars() {
        match character {
            // Of `->`, and of nothing else in a Rust name.
            '>' if before == Some('-') => short.push('>'),
            '<' | '(' | '[' | '{' => {
                open.push(Open { with: character, at: short.len(), kind: kind(character, &short), ..Open::default() });
                short.push(character);
            }
            '>' | ')' | ']' | '}' => {
                let Some(closed) = open.pop().filter(|open| closes(open.with, character)) else {
                    return name.to_owned();
                };
                short.push(character);
                if character == '>' {
                    closed.shorten(&mut short);
                }
                if let Some(outer) = open.last_mut() {
                    outer.nested |= closed.nested || closed.kind == Kind::Generic;
                }
            }
            _ => {
                if let Some(innermost) = open.last_mut().filter(|open| open.with == '<') {
                    innermost.see(character);
                }
                short.push(character);
            }
        }
        before = Some(character);
    }
    if open.is_empty() { short } else { name.to_owned() }
}

/// What a bracket stands for.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    /// `Vec<..>`.
    Generic,
    /// `<T as Trait>`, `<Type>`.
    Type,
    /// Any but `<`.
    #[default]
    Other,
}

/// A bracket that is not closed yet.
#[derive(Clone, Copy, Default)]
struct Open {
    with: char,
    kind: Kind,
    /// Where it stands in the shortened name (bytes).
    at: usize,
    /// It holds a comma of its own.
    several: bool,
    /// It holds other generic arguments.
    nested: bool,
    /// It holds something that no plain path has: ` as `, a reference, a pointer.
    more_than_path: bool,
}

impl Open {
    fn see(&mut self, character: char) {
        self.several |= character == ',';
        self.more_than_path |= matches!(character, ' ' | '&' | '*' | ',' | '!');
    }

    /// The brackets from `at` to the end of `short` have just been closed.
    fn shorten(self, short: &mut String) {
        let inside = short.len().saturating_sub(self.at).saturating_sub(2);
        if self.kind != Kind::Generic {
            self.without_brackets(short);
        } else if self.nested || inside > KEPT_MAX {
            short.truncate(self.at);
            short.push_str(if self.several { "<..>" } else { "<_>" });
        }
    }

    /// `<orders::Db>` to `orders::Db`. Not `<[u8]>` or `<(A, B)>`: there the brackets tell the type from the path behind it.
    /// Only at the begin of the name: taking a character out of its middle moves the rest.
    fn without_brackets(self, short: &mut String) {
        if self.at > 0 {
            return;
        }
        let is_path = short.get(self.at.saturating_add(1)..).is_some_and(|inside| inside.starts_with(begins_a_name));
        if is_path && !self.more_than_path {
            short.pop();
            short.remove(self.at);
        }
    }
}

const fn closes(open: char, character: char) -> bool {
    matches!((open, character), ('<', '>') | ('(', ')') | ('[', ']') | ('{', '}'))
}

fn kind(bracket: char, before: &str) -> Kind {
    match bracket {
        '<' if follows_a_name(before) => Kind::Generic,
        '<' => Kind::Type,
        _ => Kind::Other,
    }
}

fn follows_a_name(before: &str) -> bool {
    before.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '_' | ':' | '}' | '>'))
}

fn begins_a_name(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn generic_arguments_are_shortened_and_paths_stay() {
        for (full, short) in [
            ("orders::load", "orders::load"),
            ("<orders::Db as store::Load>::load", "<orders::Db as store::Load>::load"),
            ("alloc::vec::Vec<alloc::string::String>::push", "alloc::vec::Vec<_>::push"),
            ("alloc::vec::Vec<u8>::push", "alloc::vec::Vec<u8>::push"),
            ("std::collections::HashMap<alloc::string::String,orders::Order>::get", "std::collections::HashMap<..>::get"),
            ("Option<Vec<u8>>::map", "Option<_>::map"),
            ("<alloc::vec::Vec<alloc::string::String> as Extend<T>>::extend", "<alloc::vec::Vec<_> as Extend<T>>::extend"),
            ("<orders::Db>::load", "orders::Db::load"),
            ("<alloc::vec::Vec<alloc::string::String>>::push", "alloc::vec::Vec<_>::push"),
            ("<alloc::vec::Vec<_>>::push::<core::array::iter::IntoIter<u8>>", "alloc::vec::Vec<_>::push::<_>"),
            ("<[u8; 8] as serde::Serialize>::serialize", "<[u8; 8] as serde::Serialize>::serialize"),
            ("<[u8]>::sort", "<[u8]>::sort"),
            ("<&mut F as Future>::poll", "<&mut F as Future>::poll"),
            ("<dyn core::any::Any>::is", "<dyn core::any::Any>::is"),
            ("a::call<fn(u8) -> alloc::string::String>", "a::call<_>"),
            ("<F as FnOnce<(u8, u16)>>::call_once", "<F as FnOnce<(u8, u16)>>::call_once"),
            ("core::ptr::drop_in_place<orders::Order>", "core::ptr::drop_in_place<orders::Order>"),
            ("<<A as B>::C as D>::f", "<<A as B>::C as D>::f"),
            ("[libx.so+0x42]", "[libx.so+0x42]"),
        ] {
            assert_eq!(shortened(full), short);
        }
    }

    #[test]
    fn what_does_not_match_stays() {
        for name in ["", "operator<", "operator>>", "a<b", "a>b", "a<(b>)", "operator->", "}", "f(std::map<int, (int)1>"] {
            assert_eq!(shortened(name), name);
        }
    }

    #[test]
    fn the_depth_of_brackets_costs_no_stack() {
        let deep = 200_000;
        assert_eq!(shortened(&format!("a{}b{}", "<".repeat(deep), ">".repeat(deep))), "a<_>");
        assert_eq!(shortened(&format!("{}a{}", "Vec<".repeat(deep), ">".repeat(deep))), "Vec<_>");
    }

    fn balanced(name: &str) -> bool {
        let mut open = Vec::new();
        let mut before = ' ';
        for character in name.chars() {
            match character {
                '<' | '(' | '[' | '{' => open.push(character),
                '>' if before == '-' => {}
                '>' | ')' | ']' | '}' if !open.pop().is_some_and(|with| closes(with, character)) => return false,
                _ => {}
            }
            before = character;
        }
        open.is_empty()
    }

    proptest! {
        #[test]
        fn never_empty_never_longer_and_balanced_where_the_name_is(parts in prop::collection::vec(prop::sample::select(vec![
            "a", "Vec", "::", "<", ">", "<", ">", "(", ")", "[", "]", "{", "}", ", ", " as ", "->", "-", "&", "é", "a_long_name_of_a_type",
        ]), 1..24)) {
            let full = parts.concat();
            let short = shortened(&full);
            prop_assert!(!short.is_empty());
            prop_assert!(short.len() <= full.len().max(1) + 2, "{} {}", full, short);
            prop_assert_eq!(balanced(&full), balanced(&short), "{} {}", full, short);
            if !balanced(&full) {
                prop_assert_eq!(&short, &full);
            }
        }
    }
}
