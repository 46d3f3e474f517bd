//! Users and their hashed passwords.

mod edit;
mod hash;
mod line;
mod stand_in;
mod verified;

use std::collections::HashMap;
use std::fmt;

pub use edit::{Change, hash_plain_entries, remove_user, set_user};
pub use hash::{HashError, Method, SALT_BYTES};
pub use line::{UserNameError, check_user_name};
pub use verified::{LOGIN_KEY_BYTES, LoginDigest, VerifiedLogins};

use hash::Hash;
use line::Line;
use stand_in::StandIns;

use super::Problem;

/// Whether somebody may come in. Says no more on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The user exists and the password is the user's.
    Accepted,
    /// Anything else.
    Refused,
}

/// A password file: `user:hash` a line, `#` in the first column for comments.
pub struct Passwords {
    users: HashMap<Box<str>, Hash>,
    /// What users that do not exist are verified against.
    stand_ins: StandIns,
}

impl Passwords {
    /// Takes in the text of a password file: `$7$` (PBKDF2 with SHA-512), `$6$` (SHA-512) and `$argon2id$` hashes.
    /// Stricter than mosquitto, which passes over lines that it cannot use.
    ///
    /// # Errors
    /// Every line that is no entry, every hash that cannot be used, plain-text passwords, users that stand twice.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut users = HashMap::new();
        let mut lines_of_users = HashMap::new();
        let mut problems = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match entry(index, line) {
                Ok(None) => {}
                Ok(Some((user, hash))) => {
                    if let Some(first) = lines_of_users.insert(user, index) {
                        let text = format!("the user stands in line {} already", first + 1);
                        problems.push(Problem::new(index, line, 0, text));
                    }
                    users.insert(user.into(), hash);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let stand_ins = StandIns::new(users.values());
        if problems.is_empty() { Ok(Self { users, stand_ins }) } else { Err(problems) }
    }

    /// Returns whether `password` is that of `user`; a client that sent none is refused. Takes milliseconds, and for
    /// Argon2id its memory, on purpose. A user that does not exist costs as much as one that does: it is verified
    /// against a hash of one of the file's methods that no password matches.
    pub fn verify(&self, user: &str, password: Option<&[u8]>) -> Verdict {
        let matches = self.hash_of(user).matches(password.unwrap_or_default());
        if matches && self.has_user(user) && password.is_some() { Verdict::Accepted } else { Verdict::Refused }
    }

    /// Returns the hash that logins of `user` are verified against.
    fn hash_of(&self, user: &str) -> &Hash {
        let stand_in = self.stand_ins.of(user);
        self.users.get(user).unwrap_or(stand_in)
    }

    /// Whether the file has a line for `user`; for clients that were let in before it was read again.
    pub fn has_user(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// Whether `user` has the same line here as in `earlier`, or in neither one: a client that was let in by
    /// `earlier` would be let in again.
    pub fn agrees_on(&self, user: &str, earlier: &Self) -> bool {
        self.users.get(user) == earlier.users.get(user)
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody can come in.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// The same users with the same hashes.
impl PartialEq for Passwords {
    fn eq(&self, other: &Self) -> bool {
        self.users == other.users
    }
}

impl Eq for Passwords {}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("users", &self.len()).finish_non_exhaustive()
    }
}

fn entry(index: usize, line: &str) -> Result<Option<(&str, Hash)>, Problem> {
    match Line::of(line) {
        Line::Silent => Ok(None),
        Line::Shapeless => Err(Problem::new(index, line, 0, "a line is user:hash, and this one has no colon")),
        Line::Entry { user, value, value_at } => {
            check_user_name(user).map_err(|error| Problem::new(index, line, 0, error))?;
            let hash = Hash::parse(value).map_err(|error| Problem::new(index, line, value_at, error))?;
            Ok(Some((user, hash)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // made by mosquitto_passwd 2.0.11 and, for Argon2, from the reference implementation's test vectors
    const FILE: &str = "\
# people
bob:$7$101$aUE3kBfO0ilWE+4h$twSBQHyyvqFPeXaFyDdhHMl+mOBPP0hSrn+bd9bRliaQA1pcA+aGhmAky+y6C1fI9hCjy/X+sPQkLlIYBRoKhA==

eve:$6$q9JYbHCvHqDISg1c$WBOIc4ftUZr1PP0OjdJt8kMMWrJpnWzMriiJoAzXFWmU6yCjwks637ovTjuWazu7GSlE/nUWtDJKrFuGSLcqXw==\r
ann:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4
";

    fn verdict(user: &str, password: &str) -> Verdict {
        Passwords::parse(FILE).unwrap().verify(user, Some(password.as_bytes()))
    }

    fn problems(text: &str) -> Vec<String> {
        Passwords::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kind_of_hash_lets_its_password_in_and_no_other() {
        for (user, password) in [("bob", "secret"), ("eve", "secret2"), ("ann", "password")] {
            assert_eq!(verdict(user, password), Verdict::Accepted, "{user}");
            assert_eq!(verdict(user, "Secret"), Verdict::Refused, "{user}");
            assert_eq!(verdict(user, ""), Verdict::Refused, "{user}");
        }
    }

    #[test]
    fn unknown_users_and_clients_without_a_password_are_refused() {
        let passwords = Passwords::parse(FILE).unwrap();
        for user in ["", "Bob", "bob ", "mallory", "# people"] {
            assert_eq!(passwords.verify(user, Some(b"secret")), Verdict::Refused, "{user:?}");
        }
        assert_eq!(passwords.verify("bob", None), Verdict::Refused);
        assert!(passwords.has_user("bob") && !passwords.has_user("mallory"));
    }

    #[test]
    fn empty_file_lets_nobody_in() {
        let passwords = Passwords::parse("\n# nobody yet\n").unwrap();
        assert!(passwords.is_empty());
        assert_eq!(passwords.verify("", Some(b"")), Verdict::Refused);
    }

    #[test]
    fn unknown_user_is_verified_with_a_method_of_the_file() {
        let hash = Method::Pbkdf2Sha512 { iterations: 7 }.hash(b"x", &[1; SALT_BYTES]).unwrap();
        let passwords = Passwords::parse(&format!("a:{hash}\n")).unwrap();
        assert_eq!(passwords.hash_of("b").method(), passwords.hash_of("a").method());
        assert_ne!(passwords.hash_of("b").digest(), passwords.hash_of("a").digest());
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let text = "bob\n:$7$\nann: plain\nx\ty:$6$\neve:$7$0$YQ==$YQ==\né:$8$a\nann:$6$YQ==$YQ==\n";
        let places: Vec<_> =
            problems(text).iter().map(|problem| problem.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(places, ["1:1:", "2:1:", "3:6:", "4:1:", "5:5:", "6:3:", "7:5:"]);
    }

    #[test]
    fn user_that_stands_twice_is_told_with_its_first_line() {
        let line = FILE.lines().nth(1).unwrap();
        let problems = problems(&format!("{line}\n\n{line}\n"));
        assert_eq!(problems, ["3:1: the user stands in line 1 already"]);
    }

    #[test]
    fn plain_text_is_refused_with_what_to_do_and_never_repeated() {
        let problems = problems("bob:hunter2\n");
        assert!(problems[0].contains("sensegate passwd -U"), "{problems:?}");
        assert!(!problems[0].contains("hunter2"), "{problems:?}");
    }

    #[test]
    fn debug_shows_no_hash_and_no_name() {
        assert_eq!(format!("{:?}", Passwords::parse(FILE).unwrap()), "Passwords { users: 3, .. }");
    }
}
