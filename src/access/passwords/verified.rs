//! Logins that were verified before, so that a client that returns costs no password hash.

use std::collections::HashMap;
use std::fmt;

use ring::hmac;
use subtle::ConstantTimeEq;

use super::Passwords;

/// The length of the key in bytes. It must be random and never leave the process.
pub const LOGIN_KEY_BYTES: usize = 32;

/// Users whose digest is kept at a time; beyond it any other digest is forgotten.
const USERS_MAX: usize = 10_000;

/// HMAC-SHA-256 of a user name, a password and the user's line in the password file. Without the key it reveals
/// nothing about them.
#[derive(Clone, Copy)]
pub struct LoginDigest([u8; 32]);

/// Compares in a time that does not depend on the contents.
impl PartialEq for LoginDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for LoginDigest {}

impl fmt::Debug for LoginDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginDigest")
    }
}

/// Digests of logins that were right. A user has one password, and so at most one digest.
pub struct VerifiedLogins {
    key: hmac::Key,
    digests: HashMap<Box<str>, LoginDigest>,
}

impl VerifiedLogins {
    /// Creates an empty cache with a key that is random in each process.
    pub fn new(key: &[u8; LOGIN_KEY_BYTES]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), digests: HashMap::new() }
    }

    /// Computes the digest of a login. Costs the same for every user, known or not.
    pub fn digest(&self, passwords: &Passwords, user: &str, password: &[u8]) -> LoginDigest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user.as_bytes(), password] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        passwords.hash_of(user).feed(|bytes| context.update(bytes));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        LoginDigest(digest)
    }

    /// Returns whether this login was right before.
    pub fn contains(&self, user: &str, digest: &LoginDigest) -> bool {
        self.digests.get(user).is_some_and(|known| known == digest)
    }

    /// Remembers a login that was right.
    pub fn insert(&mut self, user: &str, digest: LoginDigest) {
        if self.digests.len() >= USERS_MAX
            && !self.digests.contains_key(user)
            && let Some(other) = self.digests.keys().next().cloned()
        {
            self.digests.remove(&other);
        }
        self.digests.insert(user.into(), digest);
    }

    /// Forgets everything, as after the password file was read again.
    pub fn clear(&mut self) {
        self.digests.clear();
    }
}

impl fmt::Debug for VerifiedLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedLogins").field("users", &self.digests.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, SALT_BYTES};
    use super::*;

    fn passwords(users: &[(&str, &[u8])]) -> Passwords {
        let line = |(user, password): &(&str, &[u8])| {
            format!("{user}:{}\n", Method::Sha512.hash(password, &[1; SALT_BYTES]).unwrap())
        };
        Passwords::parse(&users.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn only_the_same_user_password_and_line_are_found_again() {
        let file = passwords(&[("ann", b"secret"), ("bob", b"secret")]);
        let mut verified = VerifiedLogins::new(&[7; LOGIN_KEY_BYTES]);
        verified.insert("ann", verified.digest(&file, "ann", b"secret"));
        let check = |file: &Passwords, user: &str, password: &[u8]| {
            verified.contains(user, &verified.digest(file, user, password))
        };
        assert!(check(&file, "ann", b"secret"));
        assert!(!check(&file, "ann", b"secret2"));
        assert!(!check(&file, "ann", b""));
        assert!(!check(&file, "bob", b"secret"));
        assert!(!check(&file, "eve", b"secret"));
        assert!(!check(&passwords(&[("ann", b"other")]), "ann", b"secret"));
        assert_ne!(verified.digest(&file, "ab", b"c"), verified.digest(&file, "a", b"bc"));
        assert_ne!(VerifiedLogins::new(&[8; LOGIN_KEY_BYTES]).digest(&file, "ann", b"secret"), {
            verified.digest(&file, "ann", b"secret")
        });
        verified.clear();
        assert!(!verified.contains("ann", &verified.digest(&file, "ann", b"secret")));
    }

    #[test]
    fn cache_is_bounded() {
        let file = passwords(&[]);
        let mut verified = VerifiedLogins::new(&[7; LOGIN_KEY_BYTES]);
        for number in 0..USERS_MAX + 100 {
            let user = number.to_string();
            verified.insert(&user, verified.digest(&file, &user, b""));
            assert!(verified.contains(&user, &verified.digest(&file, &user, b"")));
        }
        assert_eq!(verified.digests.len(), USERS_MAX);
    }

    #[test]
    fn debug_shows_neither_key_nor_digest() {
        let mut verified = VerifiedLogins::new(&[7; LOGIN_KEY_BYTES]);
        let digest = verified.digest(&passwords(&[]), "ann", b"secret");
        verified.insert("ann", digest);
        assert_eq!(format!("{verified:?} {digest:?}"), "VerifiedLogins { users: 1, .. } LoginDigest");
    }
}
