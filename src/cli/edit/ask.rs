//! Questions to whoever sits at the terminal. Without one every question is answered by its default.

use std::io::{self, BufRead, ErrorKind, Write};

/// Asks on one stream and reads the answers, a line each, from another.
pub(in crate::cli) struct Asker<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
    asks: bool,
}

impl<'a> Asker<'a> {
    /// Somebody is asked, if `asks`.
    pub(in crate::cli) fn new(input: &'a mut dyn BufRead, output: &'a mut dyn Write, asks: bool) -> Self {
        Self { input, output, asks }
    }

    /// Whether somebody is asked.
    pub(in crate::cli) fn asks(&self) -> bool {
        self.asks
    }

    /// Tells something that is no question.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::cli) fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.output, "{text}")
    }

    /// Yes or no; the end of the input is a no.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(in crate::cli) fn yes(&mut self, question: &str, default: bool) -> io::Result<bool> {
        if !self.asks {
            return Ok(default);
        }
        let choice = if default { "Y/n" } else { "y/N" };
        loop {
            let Some(line) = self.line(&format!("{question} [{choice}] "))? else { return Ok(false) };
            match line.to_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => self.say("  y or n")?,
            }
        }
    }

    /// A value that `check` takes; it is asked for until there is one.
    ///
    /// # Errors
    /// When the input ends, and when the terminal is gone.
    pub(in crate::cli) fn value<T>(
        &mut self,
        question: &str,
        default: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        loop {
            let typed = if self.asks { self.required(&format!("{question} [{default}] "))? } else { String::new() };
            match check(if typed.is_empty() { default } else { &typed }) {
                Ok(value) => return Ok(value),
                Err(error) if self.asks => self.say(&format!("  {error}"))?,
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidInput, error)),
            }
        }
    }

    /// A value that `check` takes; `None` for an empty line, and at the end of the input.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(in crate::cli) fn optional<T>(
        &mut self,
        question: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<Option<T>> {
        loop {
            let Some(typed) = self.line(&format!("{question} "))?.filter(|typed| !typed.is_empty()) else {
                return Ok(None);
            };
            match check(&typed) {
                Ok(value) => return Ok(Some(value)),
                Err(error) => self.say(&format!("  {error}"))?,
            }
        }
    }

    /// The position of the one that is chosen; the first without anybody to ask.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub(in crate::cli) fn choice(&mut self, question: &str, options: &[String]) -> io::Result<usize> {
        if !self.asks {
            return Ok(0);
        }
        for (index, option) in options.iter().enumerate() {
            self.say(&format!("  {}  {option}", index + 1))?;
        }
        let count = options.len();
        self.value(question, "1", |typed| match typed.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => Ok(number - 1),
            _ => Err(format!("a number from 1 to {count}")),
        })
    }

    /// Waits for the Enter key.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub(in crate::cli) fn wait(&mut self, text: &str) -> io::Result<()> {
        self.required(text).map(drop)
    }

    fn required(&mut self, prompt: &str) -> io::Result<String> {
        let ended = || io::Error::new(ErrorKind::UnexpectedEof, "the input ended; nothing was changed");
        self.line(prompt)?.ok_or_else(ended)
    }

    /// `None` at the end of the input.
    fn line(&mut self, prompt: &str) -> io::Result<Option<String>> {
        write!(self.output, "{prompt}")?;
        self.output.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            // what comes next begins a line of its own
            writeln!(self.output)?;
            return Ok(None);
        }
        Ok(Some(line.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(input: &str, asks: bool, ask: impl FnOnce(&mut Asker<'_>) -> T) -> (T, String) {
        let (mut input, mut output) = (input.as_bytes(), Vec::new());
        let answer = ask(&mut Asker::new(&mut input, &mut output, asks));
        (answer, String::from_utf8(output).unwrap())
    }

    fn number(typed: &str) -> Result<u16, String> {
        typed.parse().map_err(|_| "a number".into())
    }

    #[test]
    fn enter_is_the_default_and_the_end_of_the_input_a_no() {
        for (input, default, expected) in [
            ("\n", true, true),
            ("\n", false, false),
            ("", true, false),
            ("YES\n", false, true),
            ("n\n", true, false),
            ("what\ny\n", false, true),
        ] {
            assert_eq!(with(input, true, |asker| asker.yes("?", default).unwrap()).0, expected, "{input:?} {default}");
        }
    }

    #[test]
    fn value_is_asked_for_until_it_can_be_used() {
        let (value, output) = with("x\n\n", true, |asker| asker.value("Port", "1883", number).unwrap());
        assert_eq!((value, output.as_str()), (1883, "Port [1883]   a number\nPort [1883] "));
        let (ended, _) = with("x\n", true, |asker| asker.value("Port", "1883", number));
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn one_of_several_is_chosen_by_its_number() {
        let options = ["a".to_owned(), "b".to_owned()];
        let (chosen, output) = with("3\n2\n", true, |asker| asker.choice("Which", &options).unwrap());
        assert_eq!(chosen, 1);
        assert!(output.starts_with("  1  a\n  2  b\nWhich [1] "), "{output}");
    }

    #[test]
    fn nobody_is_asked_without_a_terminal() {
        let (answers, output) = with("", false, |asker| {
            let options = ["a".to_owned()];
            (
                asker.yes("?", true).unwrap(),
                asker.value("?", "7", number).unwrap(),
                asker.choice("?", &options).unwrap(),
            )
        });
        assert_eq!((answers, output.as_str()), ((true, 7, 0), ""));
        let (refused, _) = with("", false, |asker| asker.value("?", "seven", number));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
