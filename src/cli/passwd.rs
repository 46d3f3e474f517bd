//! `sensegate passwd`: creates and edits password files, with the flags of `mosquitto_passwd`.

mod ask;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use ring::rand::{SecureRandom, SystemRandom};

use crate::access::{
    Change, FILE_BYTES_MAX, LoadError, Method, Passwords, Problem, SALT_BYTES, check_user_name, hash_plain_entries,
    read_text, remove_user, set_user,
};
use crate::base::secret::Secret;

use super::directory_lock::DirectoryLock;
use super::replace::{Access, create, directory, replace, secret_access};

/// Directory of the files that the service reads.
const SERVICE_DIRECTORY: &str = "/etc/sensegate";

/// Add, change or remove a user of a password file
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct PasswdArgs {
    /// Create the file; it must not exist
    #[arg(short, long, conflicts_with_all = ["delete", "update"])]
    create: bool,
    /// Take the password from the command line, where other users of the system can see it
    #[arg(short, long, requires = "password", conflicts_with_all = ["delete", "update"])]
    batch: bool,
    /// Delete the user
    #[arg(short = 'D', long, conflicts_with = "update")]
    delete: bool,
    /// Hash every password that stands in the file as plain text
    #[arg(short = 'U', long, conflicts_with = "user")]
    update: bool,
    /// How to hash
    #[arg(short = 'H', long, value_enum, default_value = "sha512-pbkdf2")]
    hash: HashKind,
    /// Iterations of sha512-pbkdf2, 1 to 10000000
    #[arg(short = 'I', long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    iterations: Option<u32>,
    /// The password file
    file: PathBuf,
    /// The user
    #[arg(required_unless_present = "update", value_parser = parse_user)]
    user: Option<String>,
    /// The password, only with -b; without it the password is asked for twice
    #[arg(requires = "batch", value_parser = parse_password)]
    password: Option<Secret>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum HashKind {
    /// Read by mosquitto 1.6 and later
    Sha512Pbkdf2,
    /// Read by mosquitto 2.1 and later; every login takes 46 MiB for a moment
    Argon2id,
    /// Weak; for mosquitto before 1.6
    Sha512,
}

/// Checks a user name for clap: a line of the file must be able to contain it.
pub(super) fn parse_user(text: &str) -> Result<String, String> {
    check_user_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "the signature that clap requires")]
fn parse_password(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

/// Edits the file as the arguments say, and warns of lines that make it unusable.
///
/// The file's directory is locked from before the file is read until it is replaced, so that concurrent calls do not
/// lose each other's users. The lock is not held while a password is typed or hashed.
///
/// # Errors
/// When the file cannot be read or replaced, exists with `-c` or does not exist without it, when there is no such user
/// to delete, or when the passwords that were typed differ. The file is unchanged then.
pub(super) fn run(args: &PasswdArgs) -> anyhow::Result<ExitCode> {
    // reported before a password is asked for
    args.read()?;
    let hash = args.hash_password()?;
    let lock = DirectoryLock::acquire(&args.file)
        .with_context(|| format!("{}: its directory cannot be locked", args.file.display()))?;
    let (text, done) = args.edit(&args.read()?, hash.as_deref())?;
    args.write(&text)?;
    drop(lock);
    // the file is written: a standard output that is closed is no reason to fail
    let _ = writeln!(io::stdout(), "{done}");
    if let Err(problems) = Passwords::parse(&text) {
        eprintln!("sensegate: the file cannot be used as it is:\n{}", list(&args.file, &problems));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns who may read a new file: also the service if the file is in the directory of its configuration, otherwise
/// only the owner.
fn access_of(file: &Path) -> Access {
    let directory = std::fs::canonicalize(directory(file)).unwrap_or_default();
    if directory.starts_with(SERVICE_DIRECTORY) {
        secret_access(Path::new("/"), rustix::process::geteuid().is_root())
    } else {
        Access::OWNER
    }
}

impl PasswdArgs {
    /// Returns the text of the file; the empty text with `-c`.
    fn read(&self) -> anyhow::Result<String> {
        if self.create {
            return if self.file.symlink_metadata().is_ok() { Err(self.exists()) } else { Ok(String::new()) };
        }
        read_text(&self.file).map_err(|error| match error {
            LoadError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                anyhow!("{}: does not exist; -c creates it", self.file.display())
            }
            error => anyhow!(error),
        })
    }

    fn exists(&self) -> anyhow::Error {
        anyhow!("{}: exists already; without -c the user is added to it", self.file.display())
    }

    /// Returns the hash of the user's new password; `None` where no user gets one.
    fn hash_password(&self) -> anyhow::Result<Option<String>> {
        if self.delete || self.update {
            return Ok(None);
        }
        let password = match &self.password {
            Some(password) => password.clone(),
            None => ask::ask_twice()?,
        };
        if password.reveal().is_empty() {
            bail!("the password is empty");
        }
        hash(self.method(), password.reveal()).map(Some)
    }

    /// Returns the new text of the file, and the line that reports the change.
    fn edit(&self, text: &str, hash: Option<&str>) -> anyhow::Result<(String, String)> {
        match (&self.user, hash) {
            (Some(user), Some(hash)) => {
                let (edited, change) = set_user(text, user, hash);
                let done = match change {
                    Change::Added => "Added",
                    Change::Updated => "Updated password of",
                };
                Ok((edited, format!("{done} user {user}")))
            }
            (Some(user), None) => match remove_user(text, user) {
                Some(edited) => Ok((edited, format!("Deleted user {user}"))),
                None => bail!("{}: no user {user}", self.file.display()),
            },
            (None, _) => {
                let (edited, count) = hash_plain_entries(text, |password| self::hash(self.method(), password))
                    .map_err(|problems| anyhow!("nothing was changed:\n{}", list(&self.file, &problems)))?;
                Ok((edited, format!("Hashed {count} plain-text passwords")))
            }
        }
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        if text.len() as u64 > FILE_BYTES_MAX {
            bail!(
                "{}: would be larger than {FILE_BYTES_MAX} bytes, which the gateway does not read",
                self.file.display()
            );
        }
        let access = access_of(&self.file);
        let written = if self.create { create(&self.file, text, access) } else { replace(&self.file, text, access) };
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(self.exists()),
            written => written.with_context(|| format!("{}: cannot be written", self.file.display())),
        }
    }

    fn method(&self) -> Method {
        match (self.hash, self.iterations) {
            (HashKind::Sha512Pbkdf2, Some(iterations)) => Method::Pbkdf2Sha512 { iterations },
            (HashKind::Sha512Pbkdf2, None) => Method::default(),
            (HashKind::Argon2id, _) => Method::ARGON2ID,
            (HashKind::Sha512, _) => Method::Sha512,
        }
    }
}

/// Hashes `password` with a random salt.
///
/// # Errors
/// When the method's parameters are out of range, or there are no random numbers.
pub(super) fn hash(method: Method, password: &str) -> anyhow::Result<String> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(method.hash(password.as_bytes(), &salt)?)
}

fn list(file: &Path, problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| format!("{}:{problem}", file.display())).collect();
    lines.join("\n")
}
