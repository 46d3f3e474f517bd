//! A line of a password file, and what a user may be called.

use thiserror::Error;

/// The longest user name that a CONNECT can carry, in bytes.
const USER_NAME_BYTES_MAX: usize = 65_535;

/// Why somebody cannot be called so. `mosquitto_passwd` refuses the colon, control characters and the length; the
/// others it takes, and mosquitto then never finds the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UserNameError {
    /// Nothing stands before the colon.
    #[error("a user name is not empty")]
    Empty,
    /// It ends the name.
    #[error("a user name holds no colon")]
    Colon,
    /// Among them tab and line feed.
    #[error("a user name holds no control characters")]
    Control,
    /// More than a CONNECT can carry.
    #[error("a user name is at most 65535 bytes long")]
    TooLong,
    /// The line would be a comment.
    #[error("a user name does not begin with #: its line would be a comment")]
    Comment,
    /// They are taken away when the file is read.
    #[error("a user name neither begins nor ends with a space")]
    Blank,
}

/// Checks that a line of a password file can stand for `name`.
///
/// # Errors
/// See [`UserNameError`].
pub fn check_user_name(name: &str) -> Result<(), UserNameError> {
    match name {
        "" => Err(UserNameError::Empty),
        _ if name.contains(':') => Err(UserNameError::Colon),
        _ if name.contains(char::is_control) => Err(UserNameError::Control),
        _ if name.len() > USER_NAME_BYTES_MAX => Err(UserNameError::TooLong),
        _ if name.starts_with('#') => Err(UserNameError::Comment),
        _ if name.starts_with(' ') || name.ends_with(' ') => Err(UserNameError::Blank),
        _ => Ok(()),
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Blank, or a comment.
    Silent,
    /// Something without a colon.
    Shapeless,
    /// A user, and a hash or a plain-text password, both without the blanks around them.
    Entry { user: &'a str, value: &'a str, value_at: usize },
}

impl<'a> Line<'a> {
    /// Looks at `line`, with or without its end.
    pub(super) fn of(line: &'a str) -> Self {
        if line.starts_with('#') || line.trim_ascii().is_empty() {
            return Self::Silent;
        }
        let Some((user, value)) = line.split_once(':') else { return Self::Shapeless };
        let blanks = value.find(|character: char| !character.is_ascii_whitespace()).unwrap_or_default();
        let value_at = user.len() + 1 + blanks;
        Self::Entry { user: user.trim_ascii(), value: value.trim_ascii(), value_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_line_can_stand_for_are_refused() {
        for (name, error) in [
            ("", UserNameError::Empty),
            ("a:b", UserNameError::Colon),
            ("a\tb", UserNameError::Control),
            ("#a", UserNameError::Comment),
            (" a", UserNameError::Blank),
            ("a ", UserNameError::Blank),
        ] {
            assert_eq!(check_user_name(name), Err(error), "{name:?}");
        }
        assert_eq!(check_user_name(&"x".repeat(65_536)), Err(UserNameError::TooLong));
        for name in ["bob", "été", "a b", "a#b", "$x", "a/b"] {
            assert_eq!(check_user_name(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn line_is_cut_at_its_first_colon_and_trimmed() {
        assert_eq!(Line::of(" bob : x:y \r\n"), Line::Entry { user: "bob", value: "x:y", value_at: 7 });
        assert_eq!(Line::of(" \r\n"), Line::Silent);
        assert_eq!(Line::of("# bob:x"), Line::Silent);
        assert_eq!(Line::of("bob"), Line::Shapeless);
    }
}
