//! What a check found, and how a list of them is printed.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Verdict {
    /// As it should be.
    Ok,
    /// The gateway runs, with less than it could have.
    Warning,
    /// The gateway, or a part of it, cannot do its work.
    Problem,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    /// What was found.
    pub text: String,
    /// What to do; empty when there is nothing to do.
    pub cure: String,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject, text: text.into(), cure: String::new() }
    }

    pub(super) fn warning(subject: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, subject, text: text.into(), cure: cure.into() }
    }

    pub(super) fn problem(subject: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, subject, text: text.into(), cure: cure.into() }
    }
}

/// `problem  i2c bus      /dev/i2c-1 is not there  -> sudo raspi-config nonint do_i2c 0`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}{:<15}{}", self.verdict.name(), self.subject, self.text)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "  -> {}", self.cure) }
    }
}

/// All findings, in the order of the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report(pub Vec<Finding>);

impl Report {
    /// The worst verdict of all.
    pub(super) fn verdict(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// One line a finding, then a sum.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            writeln!(f, "{finding}")?;
        }
        let [problems, warnings] = [Verdict::Problem, Verdict::Warning].map(|verdict| self.count(verdict));
        writeln!(f, "\n{} checks, {problems} with a problem, {warnings} with a warning", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_end_with_what_to_do() {
        let report = Report(vec![
            Finding::ok("i2c bus", "/dev/i2c-1"),
            Finding::problem("LPS25H", "nobody answers", "look at the pins"),
        ]);
        let expected = "ok       i2c bus        /dev/i2c-1\n\
                        problem  LPS25H         nobody answers  -> look at the pins\n\
                        \n2 checks, 1 with a problem, 0 with a warning\n";
        assert_eq!(report.to_string(), expected);
        assert_eq!(report.verdict(), Verdict::Problem);
    }

    #[test]
    fn warning_alone_is_no_problem() {
        let report = Report(vec![Finding::warning("clock", "not set", "set it"), Finding::ok("i2c bus", "")]);
        assert_eq!(report.verdict(), Verdict::Warning);
        assert_eq!(Report::default().verdict(), Verdict::Ok);
    }
}
