//! Licence expressions, as SPDX and the older manifests of crates.io write them: `MIT OR Apache-2.0`, `(A OR B) AND C`, `A/B`.

/// Whether what `allowed` allows is enough for `expression`. An expression that does not read as one is not allowed.
pub(super) fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { words: spaced.split_whitespace().collect(), at: 0 };
    let verdict = words.any(allowed);
    verdict == Some(true) && words.at == words.words.len()
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl Words<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let is = self.words.get(self.at).is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(is);
        is
    }

    /// One or more, of which one is enough. `None`: this is no expression.
    fn any(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        let mut verdict = self.all(allowed)?;
        while self.next_is("OR") {
            verdict |= self.all(allowed)?;
        }
        Some(verdict)
    }

    /// One or more, of which each is needed.
    fn all(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        let mut verdict = self.one(allowed)?;
        while self.next_is("AND") {
            verdict &= self.one(allowed)?;
        }
        Some(verdict)
    }

    fn one(&mut self, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
        if self.next_is("(") {
            let verdict = self.any(allowed)?;
            return self.next_is(")").then_some(verdict);
        }
        let name = *self.words.get(self.at).filter(|word| !matches!(**word, "(" | ")" | "OR" | "AND" | "WITH"))?;
        self.at += 1;
        if self.next_is("WITH") {
            let exception = *self.words.get(self.at)?;
            self.at += 1;
            return Some(allowed(&format!("{name} WITH {exception}")));
        }
        Some(allowed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    fn mit_and_apache(expression: &str) -> bool {
        is_allowed(expression, &|name| matches!(name, "MIT" | "Apache-2.0" | "Apache-2.0 WITH LLVM-exception"))
    }

    /// Check every form that crates use.
    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 / MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "MIT OR GPL-3.0 AND GPL-2.0",
        ] {
            assert!(mit_and_apache(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND BSD-3-Clause", "MIT WITH odd-exception"] {
            assert!(!mit_and_apache(bad), "{bad}");
        }
    }

    /// Check that what cannot be read is not allowed.
    #[test]
    fn what_is_no_expression() {
        for bad in ["", "MIT OR", "(MIT", "MIT)", "OR MIT", "MIT Apache-2.0", "MIT WITH", "()"] {
            assert!(!mit_and_apache(bad), "{bad}");
        }
    }
}
