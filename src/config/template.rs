//! Topic templates: `"{prefix}/{floor}/{quantity}"`, with `{{` and `}}` for plain braces.

use super::value::nearest;

/// The names a template may use, and what each stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// Adds one.
    pub(super) fn insert(&mut self, name: &str, meaning: &str) {
        self.0.push((name.to_owned(), meaning.to_owned()));
    }

    /// These and one more.
    pub(super) fn with(&self, name: &str, meaning: &str) -> Self {
        let mut more = self.clone();
        more.insert(name, meaning);
        more
    }

    fn meaning(&self, name: &str) -> Result<&str, String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, meaning)| meaning.as_str()).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> String {
        let names = || self.0.iter().map(|(name, _)| name.as_str());
        let advice = match nearest(name, names()) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => format!("known are {}", names().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")),
        };
        format!("uses `{{{name}}}`, which [labels] does not have; {advice}")
    }
}

/// `template` with each `{name}` replaced by what it stands for.
///
/// # Errors
/// When a brace is not closed or not opened, or a name is unknown.
pub(super) fn expand(template: &str, names: &Names) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some((before, brace, behind)) = split_at_brace(rest) {
        expanded.push_str(before);
        rest = if let Some(behind) = behind.strip_prefix(brace) {
            expanded.push(brace);
            behind
        } else if brace == '{' {
            let (name, behind) = behind.split_once('}').ok_or("has a `{` without `}`; a plain brace is typed `{{`")?;
            expanded.push_str(names.meaning(name)?);
            behind
        } else {
            return Err("has a `}` without `{`; a plain brace is typed `}}`".into());
        };
    }
    Ok(expanded + rest)
}

fn split_at_brace(text: &str) -> Option<(&str, char, &str)> {
    let at = text.find(['{', '}'])?;
    let (before, from_brace) = text.split_at_checked(at)?;
    let mut characters = from_brace.chars();
    characters.next().map(|brace| (before, brace, characters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let mut names = Names::default();
        names.insert("prefix", "myRasp");
        names.insert("floor", "groundfloor");
        let expanded = expand(template, &names);
        assert_eq!(expanded.as_deref().map_err(String::as_str), expected, "{template}");
    }

    #[test]
    fn names_are_replaced_and_doubled_braces_are_plain() {
        check("{prefix}/{floor}/x", Ok("myRasp/groundfloor/x"));
        check("Temperature", Ok("Temperature"));
        check("", Ok(""));
        check("{{prefix}}", Ok("{prefix}"));
        check("{{{floor}}}", Ok("{groundfloor}"));
        check("é{floor}é", Ok("égroundflooré"));
    }

    #[test]
    fn unknown_names_and_lone_braces_are_refused() {
        check("{flor}", Err("uses `{flor}`, which [labels] does not have; did you mean `{floor}`?"));
        check("{}", Err("uses `{}`, which [labels] does not have; known are `{prefix}`, `{floor}`"));
        check("a{prefix", Err("has a `{` without `}`; a plain brace is typed `{{`"));
        check("a}b", Err("has a `}` without `{`; a plain brace is typed `}}`"));
    }
}
