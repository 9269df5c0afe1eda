//! Full names in the tips of a flamegraph: a frame shows its short name, and pointing at it tells the rest.

use std::collections::HashMap;

/// Adds to the tip of each frame in inferno's SVG the full name that its text has in `full`.
///
/// A tip reads `NAME (TIME, PART)`, and inferno's script draws the name from it, up to the last opening parenthesis: the full
/// name goes inside of the last pair, with its own parentheses written wide.
pub(super) fn with_full_names(svg: &str, full: &HashMap<String, String>) -> String {
    let mut parts = svg.split("<title>");
    let mut with = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        with.push_str("<title>");
        let tip = part.split_once(")</title>").and_then(|(tip, rest)| Some((tip, tip.rsplit_once(" (")?.0, rest)));
        match tip.and_then(|(tip, name, rest)| Some((tip, full.get(&unescaped(name))?, rest))) {
            Some((tip, full, rest)) => {
                with.push_str(tip);
                with.push_str("; ");
                with.push_str(&escaped(full));
                with.push_str(")</title>");
                with.push_str(rest);
            }
            None => with.push_str(part),
        }
    }
    with
}

fn escaped(name: &str) -> String {
    let wide = name.replace('(', "（").replace(')', "）");
    wide.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Undoes the five entities of XML 1.0, the only ones that are written.
fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tips_of_names_that_were_shortened_say_more() {
        let full = HashMap::from([
            ("Vec<_>::f".to_owned(), "Vec<(A, &B)>::f".to_owned()),
            ("g (h)".to_owned(), "</title><script>".to_owned()),
        ]);
        let svg = "<svg><title>Vec&lt;_&gt;::f (5 ns, 3.1%)</title><text>Vec&lt;_&gt;::f</text><title>g (h) (1 ns, 1%)</title><title>x</title>\
                   <title>y (2 ns)</title></svg>";
        assert_eq!(
            with_full_names(svg, &full),
            "<svg><title>Vec&lt;_&gt;::f (5 ns, 3.1%; Vec&lt;（A, &amp;B）&gt;::f)</title><text>Vec&lt;_&gt;::f</text>\
             <title>g (h) (1 ns, 1%; &lt;/title&gt;&lt;script&gt;)</title><title>x</title><title>y (2 ns)</title></svg>"
        );
        assert_eq!(with_full_names(svg, &HashMap::new()), svg);
    }
}
