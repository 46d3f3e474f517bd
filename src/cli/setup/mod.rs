//! `sensegate setup`: the first start, from a machine with a HAT to a line that another machine can paste.
//!
//! - Holds answers, and the files as they are to be, until they are written.
//! - Never enters: what is to be written before it was checked by the configuration's own reader, shown, and agreed to.
//!   The configuration says nothing secret, and nothing logs a password: it is printed once.
//! - Uses the doctor's checks, `access`, `config`.
//!
//! One file a concern, and what looks at the machine is handed the root of its files. Start reading at [`run`], then
//! `interview` (the questions), `outcome` (the files) and `configuration`.

mod arguments;
mod certificates;
mod configuration;
mod hat;
mod interrupts;
mod interview;
mod network;
mod outcome;
mod password;
mod plan;
mod ports;
mod present;
mod service;
mod tell;
mod users;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

pub(super) use arguments::SetupArgs;

use interrupts::Interrupts;
use outcome::{Outcome, Place, Refusal};
use plan::Plan;
use present::Present;
use service::Service;
use tell::Told;

use super::edit::ask::Asker;
use super::edit::files;
use super::replace::secret_access;
use super::{EXIT_CONFIGURATION, EXIT_USAGE};
use crate::base::clock;

/// The file that the service reads.
const CONFIGURATION: &str = "/etc/sensegate/sensegate.toml";
const SYSTEMCTL: &str = "systemctl";
const NOTHING_DONE: &str = "nothing was changed";

/// Asks, makes, checks, shows, writes and tells. `before` is the configuration that was named before the command.
///
/// # Errors
/// When the directory cannot be written, the terminal is gone, or the system refuses something. Nothing is changed then,
/// unless it was the restart, or I2C, at the end.
pub(super) fn run(args: &SetupArgs, before: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    if !args.yes && !io::stdin().is_terminal() {
        eprintln!("sensegate: setup asks questions, and standard input is no terminal; --yes takes the defaults");
        return Ok(ExitCode::from(EXIT_USAGE));
    }
    let interrupts = Interrupts::watch().context("cannot listen for signals")?;
    let path = args.config.clone().or(before).unwrap_or_else(|| CONFIGURATION.into());
    let path = std::path::absolute(&path).with_context(|| format!("{}: no path", path.display()))?;
    if !args.dry_run {
        files::check_writable(&path)?;
    }
    let (mut input, mut output) = (io::stdin().lock(), io::stderr());
    let mut asker = Asker::new(&mut input, &mut output, !args.yes);
    match Present::read(&path) {
        Ok(present) => Setup { args, root: Path::new("/"), path, present, interrupts }.run(&mut asker),
        Err(problems) => refuse(&mut asker, &problems),
    }
}

fn refuse(asker: &mut Asker<'_>, problems: &str) -> anyhow::Result<ExitCode> {
    asker.say(&format!("{problems}\n{NOTHING_DONE}"))?;
    Ok(ExitCode::from(EXIT_CONFIGURATION))
}

struct Setup<'a> {
    args: &'a SetupArgs,
    root: &'a Path,
    path: PathBuf,
    present: Present,
    interrupts: Interrupts,
}

impl Setup<'_> {
    fn run(&self, asker: &mut Asker<'_>) -> anyhow::Result<ExitCode> {
        let sensors = &self.present.settings.sensors;
        let hat = hat::examine(asker, self.root, sensors, self.args.enable_i2c)?;
        if hat == hat::Outcome::Stop {
            return leave(asker);
        }
        let plan = interview::ask(asker, self.args, &self.present, self.root)?;
        match self.make(&plan) {
            Ok(outcome) => self.carry_out(asker, &plan, &outcome, hat == hat::Outcome::SwitchOn),
            Err(Refusal::Problems(problems)) => refuse(asker, &problems),
            Err(Refusal::Other(error)) => Err(error.context(NOTHING_DONE)),
        }
    }

    fn make(&self, plan: &Plan) -> Result<Outcome, Refusal> {
        // what is only looked at is cleared away again
        let _undisturbed = self.interrupts.hold();
        let secret = secret_access(self.root, is_root());
        let place = Place { root: self.root, now: clock::wall(), is_dry: self.args.dry_run, secret };
        outcome::make(plan, &self.present, &place)
    }

    fn carry_out(
        &self,
        asker: &mut Asker<'_>,
        plan: &Plan,
        outcome: &Outcome,
        has_i2c: bool,
    ) -> anyhow::Result<ExitCode> {
        let service = Service::find(self.root, &self.path, Path::new(SYSTEMCTL));
        if outcome.changes.is_empty() {
            asker.say("\neverything is as it should be already")?;
        } else {
            asker.say(&format!("\n{}", outcome.changes.show()))?;
        }
        if has_i2c {
            asker.say("I2C will be switched on")?;
        }
        if self.args.dry_run {
            asker.say(&format!("a dry run: {NOTHING_DONE}"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let has_changes = !outcome.changes.is_empty();
        if has_changes && !asker.yes("Write this?", true)? {
            return leave(asker);
        }
        let is_served = matches!(service, Service::Active | Service::Enabled) && is_root();
        let restarts = has_changes && is_served && asker.yes("And restart sensegate?", true)?;
        self.write(plan, outcome, service, has_changes && !restarts)?;
        if has_i2c {
            hat::switch_on(self.root)?;
            asker.say("I2C is switched on; reboot if the bus stays away")?;
        }
        if restarts {
            service::restart(Path::new(SYSTEMCTL))?;
            asker.say("sensegate was restarted")?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes what changes, and says what is to be said, the password among it: both, or nothing.
    fn write(&self, plan: &Plan, outcome: &Outcome, service: Service, has_changes: bool) -> anyhow::Result<()> {
        let _undisturbed = self.interrupts.hold();
        let written = outcome.changes.commit().context(NOTHING_DONE)?;
        let mut words: Vec<_> = written.iter().map(|path| format!("wrote {}", path.display())).collect();
        words.push(self.told(plan, outcome, service, has_changes));
        io::stdout().write_all(words.join("\n").as_bytes()).context("cannot tell what was done")
    }

    fn told(&self, plan: &Plan, outcome: &Outcome, service: Service, has_changes: bool) -> String {
        let login = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
        let access = secret_access(self.root, is_root());
        let secrets = [&self.present.passwords.path, &self.present.acl.path].map(PathBuf::as_path);
        let hidden: Vec<_> = secrets.into_iter().filter(|path| files::is_hidden(path, access)).collect();
        let told = Told {
            plan,
            outcome,
            host: &network::name_in_network(self.root),
            addresses: &network::addresses(self.root),
            login: login.as_deref().unwrap_or("pi"),
            configuration: &self.path,
            service,
            hidden: &hidden,
            has_changes,
        };
        told.lines()
    }
}

fn leave(asker: &mut Asker<'_>) -> anyhow::Result<ExitCode> {
    asker.say(NOTHING_DONE)?;
    Ok(ExitCode::FAILURE)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
