//! From the arguments that several commands share to settings.

use std::process::ExitCode;

use super::arguments::SourceArgs;
use super::{EXIT_CONFIGURATION, log};
use crate::config::{self, Loaded, Problems};

impl SourceArgs {
    /// The configuration, with the HAT that the command line asks for.
    ///
    /// # Errors
    /// Every problem of the configuration.
    pub(super) fn load(&self) -> Result<Loaded, Problems> {
        let mut loaded = config::load(self.config.as_deref(), config::environment())?;
        if let Some(dump) = &self.simulate {
            loaded.settings.simulate(dump.as_deref());
        }
        Ok(loaded)
    }

    /// What was typed behind the command, else what was typed before it.
    pub(super) fn or(self, before: Self) -> Self {
        Self { config: self.config.or(before.config), simulate: self.simulate.or(before.simulate) }
    }

    /// Runs a command that needs the settings, or prints what is wrong with them.
    ///
    /// # Errors
    /// The command's.
    pub(super) fn with(&self, command: impl FnOnce(&Loaded) -> anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
        match self.load() {
            Ok(loaded) => command(&loaded),
            Err(problems) => Ok(refuse(&problems)),
        }
    }
}

/// Prints the problems of a configuration.
pub(super) fn refuse(problems: &Problems) -> ExitCode {
    log::print_error(&problems.to_string());
    ExitCode::from(EXIT_CONFIGURATION)
}
