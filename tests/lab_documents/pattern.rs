//! Lines as a document shows them: `…` stands for what varies.

/// What stands for anything within a line, and alone for any number of lines.
const ANYTHING: &str = "…";

/// Whether this stands for any number of lines.
pub(crate) fn is_any_lines(shown: &str) -> bool {
    shown.trim() == ANYTHING
}

/// Whether `line` is what is shown. Spaces at the end, which nobody sees, do not count.
pub(crate) fn matches(shown: &str, line: &str) -> bool {
    let (shown, line) = (shown.trim_end(), line.trim_end());
    let Some((first, rest)) = shown.split_once(ANYTHING) else {
        return shown == line;
    };
    line.strip_prefix(first).is_some_and(|line| matches_rest(rest, line))
}

/// Whether `line` ends with what follows a [`ANYTHING`].
fn matches_rest(shown: &str, line: &str) -> bool {
    match shown.split_once(ANYTHING) {
        None => line.ends_with(shown),
        Some((part, rest)) => line.find(part).is_some_and(|at| matches_rest(rest, &line[at + part.len()..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_matches_anything_and_the_rest_only_itself() {
        for (shown, line, expected) in [
            ("a b", "a b", true),
            ("a b", "a b ", true),
            ("a b", "a c", false),
            ("a … c", "a b c", true),
            ("a … c", "a b d", false),
            ("a…", "a", true),
            ("…b…", "abc", true),
            ("…b…d", "abcd", true),
            ("…b…b", "ab", false),
            ("$7$…", "$6$x", false),
        ] {
            assert_eq!(matches(shown, line), expected, "{shown:?} and {line:?}");
        }
    }
}
