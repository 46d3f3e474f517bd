//! Hashes of passwords, in mosquitto's three notations.
//!
//! | notation | made from |
//! |---|---|
//! | `$7$iterations$salt$digest` | PBKDF2 with HMAC-SHA-512 (RFC 8018 §5.2), 64 bytes; mosquitto 1.6 and later |
//! | `$6$salt$digest` | SHA-512 of password and salt, once; mosquitto 1.x |
//! | `$argon2id$v=19$m=…,t=…,p=…$salt$digest` | Argon2id (RFC 9106) in the PHC string format; mosquitto 2.1 |
//!
//! Salt and digest are base64, without padding in the last.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::{digest, pbkdf2};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The length of a new salt, in bytes: the one that mosquitto 2.0 insists on.
pub const SALT_BYTES: usize = 12;

/// What SHA-512 gives, in bytes.
const SHA512_BYTES: usize = digest::SHA512_OUTPUT_LEN;
/// The longest salt that is taken, in bytes; mosquitto 2.1 makes salts of this length.
const SALT_BYTES_MAX: usize = 64;
/// Argon2's shortest salt, in bytes (RFC 9106 §3.1).
const ARGON2_SALT_BYTES_MIN: usize = 8;
/// A login of more iterations would hold a core for seconds.
const ITERATIONS_MAX: u32 = 10_000_000;
/// A login of more memory (256 MiB) would take a gateway down.
const ARGON2_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// A login of more passes would hold a core for seconds.
const ARGON2_PASSES_MAX: u32 = 100;
/// Lanes are computed one after the other here.
const ARGON2_LANES_MAX: u32 = 64;

/// Why a text is no usable hash. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashError {
    /// A password as it is typed.
    #[error("the password is not hashed: `sensegate passwd -U FILE` hashes every such line")]
    Plain,
    /// A dollar, but no known word after it.
    #[error(
        "an unknown hash: $7$, $6$ or $argon2id$ is expected; if it is plain text, `sensegate passwd -U FILE` hashes it"
    )]
    Unknown,
    /// Too few or too many dollars.
    #[error("the hash does not have the parts of {0}")]
    Parts(&'static str),
    /// Not base64.
    #[error("the {0} of the hash is not base64")]
    Base64(&'static str),
    /// A salt or digest of a length that this hash does not have.
    #[error("the {what} of the hash is {bytes} bytes long, {expected} are expected")]
    Length {
        /// Salt or digest.
        what: &'static str,
        /// What was found.
        bytes: usize,
        /// What would be right.
        expected: &'static str,
    },
    /// Not a number, or out of range.
    #[error("the hash has iterations that are not from 1 to 10000000")]
    Iterations,
    /// Argon2 in another version than 1.3.
    #[error("the hash is not of Argon2 version 19 (v=19)")]
    Argon2Version,
    /// Argon2 with parameters that it does not have, or that cost too much.
    #[error("the hash has Argon2 parameters that are not m=8..262144 (KiB), t=1..100, p=1..64")]
    Argon2Parameters,
}

/// How a password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// `$6$`: fast to try out, only for mosquitto 1.5 and older.
    Sha512,
    /// `$7$`
    Pbkdf2Sha512 {
        /// 1 to 10 000 000.
        iterations: u32,
    },
    /// `$argon2id$`: what trying out costs is memory; only mosquitto 2.1 and later read it.
    Argon2id {
        /// 8 (for each lane) to 262 144 KiB.
        memory_kib: u32,
        /// 1 to 100.
        passes: u32,
        /// 1 to 64.
        lanes: u32,
    },
}

impl Default for Method {
    /// PBKDF2 with 20 000 iterations, tens of milliseconds: many enough to make trying out dear, few enough that a
    /// fleet that comes back at once gets in, and that mosquitto, which hashes on its only thread and makes 101 (2.1:
    /// 1000) itself, can be given the same file.
    fn default() -> Self {
        Self::Pbkdf2Sha512 { iterations: 20_000 }
    }
}

impl Method {
    /// Argon2id with mosquitto's parameters: 46 MiB, once.
    pub const ARGON2ID: Self = Self::Argon2id { memory_kib: 47_104, passes: 1, lanes: 1 };

    /// The line's hash for `password`. `salt` must be fresh from the system's random numbers.
    ///
    /// # Errors
    /// When a parameter is out of its range.
    pub fn hash(self, password: &[u8], salt: &[u8; SALT_BYTES]) -> Result<String, HashError> {
        self.check()?;
        let mut digest = [0; SHA512_BYTES];
        self.derive(password, salt, &mut digest)?;
        Ok(self.notation(salt, &digest))
    }

    fn notation(self, salt: &[u8], digest: &[u8]) -> String {
        match self {
            Self::Sha512 => format!("$6${}${}", STANDARD.encode(salt), STANDARD.encode(digest)),
            Self::Pbkdf2Sha512 { iterations } => {
                format!("$7${iterations}${}${}", STANDARD.encode(salt), STANDARD.encode(digest))
            }
            Self::Argon2id { memory_kib, passes, lanes } => {
                let (salt, digest) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(digest));
                format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${digest}")
            }
        }
    }

    fn check(self) -> Result<(), HashError> {
        match self {
            Self::Sha512 | Self::Pbkdf2Sha512 { iterations: 1..=ITERATIONS_MAX } => Ok(()),
            Self::Pbkdf2Sha512 { .. } => Err(HashError::Iterations),
            Self::Argon2id {
                memory_kib: ..=ARGON2_MEMORY_KIB_MAX,
                passes: ..=ARGON2_PASSES_MAX,
                lanes: ..=ARGON2_LANES_MAX,
            } => self.argon2().map(drop),
            Self::Argon2id { .. } => Err(HashError::Argon2Parameters),
        }
    }

    /// Fills `digest`. Cost: what the method says.
    fn derive(self, password: &[u8], salt: &[u8], digest: &mut [u8]) -> Result<(), HashError> {
        match self {
            Self::Sha512 => {
                let mut context = digest::Context::new(&digest::SHA512);
                context.update(password);
                context.update(salt);
                digest.copy_from_slice(context.finish().as_ref());
            }
            Self::Pbkdf2Sha512 { iterations } => {
                let iterations = NonZeroU32::new(iterations).ok_or(HashError::Iterations)?;
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, password, digest);
            }
            Self::Argon2id { .. } => {
                let argon2 = self.argon2()?;
                argon2.hash_password_into(password, salt, digest).map_err(|_| HashError::Argon2Parameters)?;
            }
        }
        Ok(())
    }

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let Self::Argon2id { memory_kib, passes, lanes } = self else { return Err(HashError::Argon2Parameters) };
        let parameters = Params::new(memory_kib, passes, lanes, None).map_err(|_| HashError::Argon2Parameters)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
    }
}

/// A hashed password.
#[derive(PartialEq, Eq)]
pub(super) struct Hash {
    method: Method,
    salt: Box<[u8]>,
    digest: Box<[u8]>,
}

impl Hash {
    /// Reads one of the three notations.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if let Some(parts) = text.strip_prefix("$7$") {
            Self::parse_pbkdf2(parts)
        } else if let Some(parts) = text.strip_prefix("$6$") {
            let [salt, digest] = split(parts, "$6$salt$digest")?;
            Self::of_sha512(Method::Sha512, salt, digest)
        } else if let Some(parts) = text.strip_prefix("$argon2id$") {
            Self::parse_argon2id(parts)
        } else if text.starts_with('$') {
            Err(HashError::Unknown)
        } else {
            Err(HashError::Plain)
        }
    }

    fn parse_pbkdf2(parts: &str) -> Result<Self, HashError> {
        let [iterations, salt, digest] = split(parts, "$7$iterations$salt$digest")?;
        let iterations = iterations.parse().map_err(|_| HashError::Iterations)?;
        let method = Method::Pbkdf2Sha512 { iterations };
        method.check()?;
        Self::of_sha512(method, salt, digest)
    }

    fn of_sha512(method: Method, salt: &str, digest: &str) -> Result<Self, HashError> {
        let salt = decode(&STANDARD, "salt", salt)?;
        let digest = decode(&STANDARD, "digest", digest)?;
        check_length("salt", &salt, 1..=SALT_BYTES_MAX, "1 to 64")?;
        check_length("digest", &digest, SHA512_BYTES..=SHA512_BYTES, "64")?;
        Ok(Self { method, salt, digest })
    }

    // by hand: the salts of mosquitto 2.1 are longer than the `password-hash` crate takes
    fn parse_argon2id(parts: &str) -> Result<Self, HashError> {
        let [version, parameters, salt, digest] = split(parts, "$argon2id$v=19$m=…,t=…,p=…$salt$digest")?;
        if version != "v=19" {
            return Err(HashError::Argon2Version);
        }
        let method = argon2id(parameters).ok_or(HashError::Argon2Parameters)?;
        method.check()?;
        let salt = decode(&STANDARD_NO_PAD, "salt", salt)?;
        let digest = decode(&STANDARD_NO_PAD, "digest", digest)?;
        check_length("salt", &salt, ARGON2_SALT_BYTES_MIN..=SALT_BYTES_MAX, "8 to 64")?;
        check_length("digest", &digest, 16..=SHA512_BYTES, "16 to 64")?;
        Ok(Self { method, salt, digest })
    }

    /// Costs what `method` costs.
    pub(super) fn that_nothing_matches(method: Method) -> Self {
        Self { method, salt: Box::new([0; SALT_BYTES]), digest: Box::new([0; SHA512_BYTES]) }
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    pub(super) fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Hands salt and digest to `update`, each with its length before it.
    pub(super) fn feed(&self, mut update: impl FnMut(&[u8])) {
        for part in [&self.salt, &self.digest] {
            update(&part.len().to_be_bytes());
            update(part);
        }
    }

    /// Whether it is the hash of `password`. The time does not tell how much of it is right.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut digest = vec![0; self.digest.len()];
        self.method.derive(password, &self.salt, &mut digest).is_ok() && digest.ct_eq(&self.digest).into()
    }
}

fn argon2id(parameters: &str) -> Option<Method> {
    let mut values = parameters.split(',');
    let mut value = |name| values.next()?.strip_prefix(name)?.parse().ok();
    let (memory_kib, passes, lanes) = (value("m=")?, value("t=")?, value("p=")?);
    values.next().is_none().then_some(Method::Argon2id { memory_kib, passes, lanes })
}

fn split<'a, const N: usize>(parts: &'a str, notation: &'static str) -> Result<[&'a str; N], HashError> {
    let parts: Vec<_> = parts.split('$').collect();
    parts.try_into().map_err(|_| HashError::Parts(notation))
}

fn decode(engine: &impl Engine, what: &'static str, text: &str) -> Result<Box<[u8]>, HashError> {
    engine.decode(text).map(Vec::into_boxed_slice).map_err(|_| HashError::Base64(what))
}

fn check_length(
    what: &'static str,
    bytes: &[u8],
    range: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<(), HashError> {
    let length = HashError::Length { what, bytes: bytes.len(), expected };
    if range.contains(&bytes.len()) { Ok(()) } else { Err(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, start: &str) {
        let text = method.hash(b"a password", b"twelve bytes").unwrap();
        assert!(text.starts_with(start), "{text}");
        let hash = Hash::parse(&text).unwrap();
        assert_eq!(hash.method(), method);
        assert!(hash.matches(b"a password"), "{text}");
        assert!(!hash.matches(b"another"), "{text}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        check(Method::Sha512, "$6$dHdlbHZlIGJ5dGVz$");
        check(Method::Pbkdf2Sha512 { iterations: 2 }, "$7$2$dHdlbHZlIGJ5dGVz$");
        check(
            Method::Argon2id { memory_kib: 64, passes: 2, lanes: 2 },
            "$argon2id$v=19$m=64,t=2,p=2$dHdlbHZlIGJ5dGVz$",
        );
    }

    #[test]
    fn salts_of_64_bytes_are_read_as_mosquitto_2_1_makes_them() {
        let digest = "A".repeat(86);
        assert!(Hash::parse(&format!("$argon2id$v=19$m=47104,t=1,p=1${digest}${digest}")).is_ok());
        assert!(Hash::parse(&format!("$7$1000${digest}==${digest}==")).is_ok());
    }

    #[test]
    fn each_mistake_has_its_words() {
        let digest = format!("{}==", "A".repeat(86));
        let long = format!("{}=", "A".repeat(87));
        for (text, error) in [
            ("", HashError::Plain),
            ("hunter2", HashError::Plain),
            ("$ecret", HashError::Unknown),
            ("$7$1$YQ==", HashError::Parts("$7$iterations$salt$digest")),
            (&format!("$7$1$YQ==${digest}$"), HashError::Parts("$7$iterations$salt$digest")),
            (&format!("$7$0$YQ==${digest}"), HashError::Iterations),
            (&format!("$7$-1$YQ==${digest}"), HashError::Iterations),
            (&format!("$7$10000001$YQ==${digest}"), HashError::Iterations),
            (&format!("$6$Y Q${digest}"), HashError::Base64("salt")),
            ("$6$YQ==$*", HashError::Base64("digest")),
            (&format!("$6$${digest}"), HashError::Length { what: "salt", bytes: 0, expected: "1 to 64" }),
            (&format!("$6${long}${digest}"), HashError::Length { what: "salt", bytes: 65, expected: "1 to 64" }),
            ("$6$YQ==$YQ==", HashError::Length { what: "digest", bytes: 1, expected: "64" }),
            ("$argon2id$v=16$m=64,t=1,p=1$YQ$YQ", HashError::Argon2Version),
            ("$argon2id$v=19$m=1,t=1,p=1$YQ$YQ", HashError::Argon2Parameters),
            ("$argon2id$v=19$m=64,t=1,p=1,x=1$YQ$YQ", HashError::Argon2Parameters),
            ("$argon2id$v=19$m=4000000,t=1,p=1$YQ$YQ", HashError::Argon2Parameters),
            ("$argon2id$v=19$m=64,t=1,p=1$YQ$YQ", HashError::Length { what: "salt", bytes: 1, expected: "8 to 64" }),
        ] {
            assert_eq!(Hash::parse(text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_not_hashed() {
        let salt = &[0; SALT_BYTES];
        assert_eq!(Method::Pbkdf2Sha512 { iterations: 0 }.hash(b"", salt), Err(HashError::Iterations));
        let argon2 = Method::Argon2id { memory_kib: 64, passes: 0, lanes: 1 };
        assert_eq!(argon2.hash(b"", salt), Err(HashError::Argon2Parameters));
    }

    #[test]
    fn stand_in_of_each_method_is_computed_to_its_end_and_matches_nothing() {
        let argon2 = Method::Argon2id { memory_kib: 64, passes: 1, lanes: 1 };
        for method in [Method::Sha512, Method::Pbkdf2Sha512 { iterations: 3 }, argon2] {
            let mut digest = [0; SHA512_BYTES];
            assert_eq!(method.derive(b"x", &[0; SALT_BYTES], &mut digest), Ok(()));
            assert!(!Hash::that_nothing_matches(method).matches(b"x"));
        }
    }
}
