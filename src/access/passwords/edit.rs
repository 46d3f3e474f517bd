//! Edits the text of a password file. Lines of other users are not changed, not even their white space.

use std::fmt::Display;

use super::Problem;
use super::hash::{Hash, HashError};
use super::line::{Line, check_user_name};

/// What [`set_user`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user is new; its line is the last one.
    Added,
    /// The user's line was replaced.
    Updated,
}

/// Sets the password hash of `user`. Further lines of the same user, which would make the file unusable, are removed.
pub fn set_user(text: &str, user: &str, hash: &str) -> (String, Change) {
    let mut edited = String::with_capacity(text.len() + user.len() + hash.len() + 3);
    let mut change = Change::Added;
    for line in text.split_inclusive('\n') {
        if !is_of(line, user) {
            edited.push_str(line);
        } else if change == Change::Added {
            change = Change::Updated;
            edited.extend([user, ":", hash, end(line)]);
        }
    }
    if change == Change::Added {
        let gap = if edited.is_empty() || edited.ends_with('\n') { "" } else { "\n" };
        edited.extend([gap, user, ":", hash, "\n"]);
    }
    (edited, change)
}

/// Removes all lines of `user`; `None` if there is none.
pub fn remove_user(text: &str, user: &str) -> Option<String> {
    let edited: String = text.split_inclusive('\n').filter(|line| !is_of(line, user)).collect();
    (edited.len() < text.len()).then_some(edited)
}

/// Hashes every plain-text password with `hash`, and returns the new text and the number of hashed passwords. Passwords
/// that are hashed already are not changed (`mosquitto_passwd -U` hashes them again).
///
/// # Errors
/// One problem for every line that is not an entry, has a damaged hash, or has no password.
pub fn hash_plain_entries<E: Display>(
    text: &str,
    mut hash: impl FnMut(&str) -> Result<String, E>,
) -> Result<(String, usize), Vec<Problem>> {
    let (mut edited, mut count, mut problems) = (String::with_capacity(text.len()), 0, Vec::new());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match plain(index, line) {
            Ok(None) => edited.push_str(line),
            Ok(Some((user, password))) => match hash(password) {
                Ok(hash) => {
                    count += 1;
                    edited.extend([user, ":", &hash, end(line)]);
                }
                Err(error) => problems.push(Problem::new(index, line, 0, error)),
            },
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok((edited, count)) } else { Err(problems) }
}

/// Returns the user and the plain-text password of a line; `None` if there is no plain-text password.
fn plain(index: usize, line: &str) -> Result<Option<(&str, &str)>, Problem> {
    let Line::Entry { user, value, value_at } = Line::of(line) else {
        let shapeless = Line::of(line) == Line::Shapeless;
        let problem = || Problem::new(index, line, 0, "a line is user:password, and this one has no colon");
        return if shapeless { Err(problem()) } else { Ok(None) };
    };
    check_user_name(user).map_err(|error| Problem::new(index, line, 0, error))?;
    if value.is_empty() {
        return Err(Problem::new(index, line, value_at, "the password is empty"));
    }
    match Hash::parse(value) {
        Ok(_) => Ok(None),
        // a plain-text password may begin with a dollar sign
        Err(HashError::Plain | HashError::Unknown) => Ok(Some((user, value))),
        Err(error) => Err(Problem::new(index, line, value_at, error)),
    }
}

/// Returns whether `line` is the entry of the user `wanted`.
fn is_of(line: &str, wanted: &str) -> bool {
    matches!(Line::of(line), Line::Entry { user, .. } if user == wanted)
}

/// Returns the line break at the end of `line`; empty if there is none.
fn end(line: &str) -> &str {
    if line.ends_with("\r\n") {
        "\r\n"
    } else if line.ends_with('\n') {
        "\n"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    #[test]
    fn user_is_replaced_in_place_and_the_rest_kept_to_the_byte() {
        let text = "# a:b\n\n x : 1 \r\nbob:2\n\tann:3";
        assert_eq!(set_user(text, "x", "$"), ("# a:b\n\nx:$\r\nbob:2\n\tann:3".into(), Change::Updated));
        assert_eq!(set_user(text, "ann", "$"), ("# a:b\n\n x : 1 \r\nbob:2\nann:$".into(), Change::Updated));
        assert_eq!(set_user(text, "eve", "$"), (format!("{text}\neve:$\n"), Change::Added));
        assert_eq!(set_user(text, "# a", "$").1, Change::Added);
        assert_eq!(set_user("", "eve", "$"), ("eve:$\n".into(), Change::Added));
        assert_eq!(set_user("a:1\nb:2\na:3\n", "a", "$"), ("a:$\nb:2\n".into(), Change::Updated));
    }

    #[test]
    fn user_is_removed_and_the_rest_kept_to_the_byte() {
        assert_eq!(remove_user("# bob:1\nbob:2\nbobby:3\n bob : 4", "bob").as_deref(), Some("# bob:1\nbobby:3\n"));
        assert_eq!(remove_user("# bob:1\n", "bob"), None);
    }

    #[test]
    fn plain_entries_are_hashed_and_hashed_ones_kept() {
        let hashed = Method::Sha512.hash(b"x", &[1; 12]).unwrap();
        let text = format!("# p\nbob:pass:word\nann:{hashed}\r\neve: $ecret \r\n");
        let marked = hash_plain_entries(&text, |password| Ok::<_, HashError>(format!("<{password}>"))).unwrap();
        assert_eq!(marked, (format!("# p\nbob:<pass:word>\nann:{hashed}\r\neve:<$ecret>\r\n"), 2));
    }

    #[test]
    fn nothing_is_hashed_while_a_line_is_wrong() {
        let text = "bob:secret\nann\neve:\nmax:$7$broken\n";
        let problems = hash_plain_entries(text, |_| Ok::<_, HashError>(String::new())).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!(places, [(2, 1), (3, 5), (4, 5)]);
    }
}
