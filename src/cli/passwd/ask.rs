//! A password from the terminal, without showing it.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::bail;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::base::secret::Secret;

/// Asks twice on the terminal; where standard input is none, reads two lines of it.
///
/// # Errors
/// When the two differ, or the input ends before both.
pub(super) fn ask_twice() -> anyhow::Result<Secret> {
    let silence = Silence::begin()?;
    let first = ask("Password: ", &silence)?;
    let second = ask("Reenter password: ", &silence)?;
    if first != second {
        bail!("the two passwords differ");
    }
    Ok(first)
}

fn ask(prompt: &str, silence: &Silence) -> anyhow::Result<Secret> {
    silence.show(prompt)?;
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        bail!("the input ended before the password");
    }
    // what ended the line was not shown either
    silence.show("\n")?;
    Ok(Secret::new(line.trim_end_matches(['\n', '\r'])))
}

/// As long as it lives, the terminal does not show what is typed. Ctrl-C ends the process with the terminal still
/// silent, as with other programs of this kind; shells set it right again.
struct Silence(Option<Termios>);

impl Silence {
    fn begin() -> io::Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // what was typed ahead was shown: it is no secret any more
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(Some(before)))
    }

    /// On standard error, and only when somebody sits there.
    fn show(&self, text: &str) -> io::Result<()> {
        if self.0.is_some() { io::stderr().write_all(text.as_bytes()) } else { Ok(()) }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // the terminal is gone: nothing is left to set right
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}
