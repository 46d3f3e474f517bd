//! `sensegate passwd`: makes and changes password files, with the flags of `mosquitto_passwd`.

mod ask;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use ring::rand::{SecureRandom, SystemRandom};

use crate::access::{
    Change, Method, Passwords, Problem, SALT_BYTES, check_user_name, hash_plain_entries, remove_user, set_user,
};
use crate::base::secret::Secret;

use super::replace::{Access, replace};

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

/// For clap: a user that a line of the file can stand for.
pub(super) fn parse_user(text: &str) -> Result<String, String> {
    check_user_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap asks for")]
fn parse_password(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

/// Changes the file as asked, and warns of lines that keep it from being used.
///
/// # Errors
/// When the file cannot be read or replaced, is there with `-c` or not there without it, when there is no such user
/// to delete, or when the passwords that were typed differ. The file is as it was then.
pub(super) fn run(args: &PasswdArgs) -> anyhow::Result<ExitCode> {
    let (text, done) = edit(args)?;
    replace(&args.file, &text, Access::OWNER).with_context(|| format!("{}: cannot be written", args.file.display()))?;
    // a closed standard output leaves nobody to tell
    let _ = writeln!(io::stdout(), "{done}");
    if let Err(problems) = Passwords::parse(&text) {
        eprintln!("sensegate: the file cannot be used as it is:\n{}", list(&args.file, &problems));
    }
    Ok(ExitCode::SUCCESS)
}

/// The new text of the file, and what to tell.
fn edit(args: &PasswdArgs) -> anyhow::Result<(String, String)> {
    let text = if args.create { nothing_yet(&args.file)? } else { read(&args.file)? };
    let Some(user) = &args.user else { return hash_all(args, &text) };
    if args.delete {
        let edited = remove_user(&text, user).ok_or_else(|| anyhow!("{}: no user {user}", args.file.display()))?;
        return Ok((edited, format!("Deleted user {user}")));
    }
    let hash = hash(args.method(), password(args)?.reveal())?;
    let (edited, change) = set_user(&text, user, &hash);
    let done = match change {
        Change::Added => "Added",
        Change::Updated => "Updated password of",
    };
    Ok((edited, format!("{done} user {user}")))
}

fn hash_all(args: &PasswdArgs, text: &str) -> anyhow::Result<(String, String)> {
    let (edited, count) = hash_plain_entries(text, |password| hash(args.method(), password))
        .map_err(|problems| anyhow!("nothing was changed:\n{}", list(&args.file, &problems)))?;
    Ok((edited, format!("Hashed {count} plain-text passwords")))
}

impl PasswdArgs {
    fn method(&self) -> Method {
        match (self.hash, self.iterations) {
            (HashKind::Sha512Pbkdf2, Some(iterations)) => Method::Pbkdf2Sha512 { iterations },
            (HashKind::Sha512Pbkdf2, None) => Method::default(),
            (HashKind::Argon2id, _) => Method::ARGON2ID,
            (HashKind::Sha512, _) => Method::Sha512,
        }
    }
}

fn nothing_yet(file: &Path) -> anyhow::Result<String> {
    if file.symlink_metadata().is_ok() {
        bail!("{}: exists already; without -c the user is added to it", file.display());
    }
    Ok(String::new())
}

fn read(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => anyhow!("{}: does not exist; -c creates it", file.display()),
        _ => anyhow!(error).context(format!("{}: cannot be read", file.display())),
    })
}

fn password(args: &PasswdArgs) -> anyhow::Result<Secret> {
    let password = match &args.password {
        Some(password) => password.clone(),
        None => ask::ask_twice()?,
    };
    if password.reveal().is_empty() {
        bail!("the password is empty");
    }
    Ok(password)
}

/// The hash of `password` with a fresh salt.
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
