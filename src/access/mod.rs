//! Who may come in, and what they may do: password files and access control lists in mosquitto's formats.
//!
//! - Holds what the two files say, and for a client the list of [`Rights`] made from it once.
//! - Never enters: time, sockets, sessions. Only [`load_passwords`], [`load_acl`] and [`read_text`] read
//!   files; everything else is text and values. Hashing takes milliseconds on purpose: [`Passwords::verify`] belongs on a thread that
//!   may wait.
//! - Uses `mqtt` for topic filters.
//! - Follows `mosquitto_passwd(1)` and `acl_file` in `mosquitto.conf(5)`, and where these are silent what mosquitto
//!   2.0 does. Where this room is stricter, the function says so.
//!
//! Start reading at [`Passwords`], [`Acl::rights`] and [`Rights`].

mod acl;
mod load;
mod passwords;
mod problem;

pub use acl::{Acl, Rights};
pub use load::{FILE_BYTES_MAX, LoadError, load_acl, load_passwords, read_text};
pub use passwords::{
    Change, HashError, LOGIN_KEY_BYTES, LoginDigest, Method, Passwords, SALT_BYTES, UserNameError, Verdict,
    VerifiedLogins, check_user_name, hash_plain_entries, remove_user, set_user,
};
pub use problem::Problem;
