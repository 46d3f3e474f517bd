//! Python scripts under a given release of paho-mqtt, or under pika or `sense_emu`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Process;

/// Which paho-mqtt a script imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paho {
    /// 1.6.1, the one of Raspberry Pi OS.
    One,
    /// The newest 2.x.
    Two,
}

impl Paho {
    fn directory_name(self) -> &'static str {
        match self {
            Self::One => "paho1",
            Self::Two => "paho2",
        }
    }
}

/// A Python with one release of paho-mqtt on its path, or with pika or `sense_emu`.
#[derive(Clone, Debug)]
pub struct Python {
    path: PathBuf,
}

impl Python {
    /// Finds `paho1` or `paho2` below `$SENSEGATE_TEST_PYTHON`, `target/python` by default.
    ///
    /// # Errors
    /// Says what is missing and how to install it.
    pub fn find(paho: Paho) -> Result<Self, String> {
        let requirement = if paho == Paho::One { "paho-mqtt==1.6.1" } else { "'paho-mqtt>=2,<3'" };
        Self::find_in(paho.directory_name(), "paho", requirement)
    }

    /// Finds pika, which speaks AMQP 0-9-1, in `pika` below the same directory.
    ///
    /// # Errors
    /// Says what is missing and how to install it.
    pub fn find_pika() -> Result<Self, String> {
        Self::find_in("pika", "pika", "'pika>=1.3,<2'")
    }

    /// Finds `sense_emu`, the official Sense HAT emulator, in the directory of that name below the same directory.
    ///
    /// # Errors
    /// Says what is missing and how to install it.
    pub fn find_sense_emu() -> Result<Self, String> {
        Self::find_in("sense_emu", "sense_emu", "'sense-emu>=1.2,<2'")
    }

    fn find_in(directory: &str, module: &str, requirement: &str) -> Result<Self, String> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python");
        let root = std::env::var_os("SENSEGATE_TEST_PYTHON").map_or(default, PathBuf::from);
        let path = root.join(directory);
        if path.join(module).is_dir() {
            return Ok(Self { path });
        }
        Err(format!("no {module} there; pip install --target {} {requirement}", path.display()))
    }

    /// A command that runs `script`, unbuffered; more arguments and directories can be added.
    pub fn command(&self, script: &Path) -> Command {
        let mut command = self.on_path(Command::new("python3"));
        command.args(["-u", "-W", "ignore::DeprecationWarning"]).arg(script);
        command
    }

    /// Has every Python that `command` leads to find the release.
    #[must_use]
    pub fn on_path(&self, mut command: Command) -> Command {
        command.env("PYTHONPATH", &self.path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs `script` with `shim` first on Python's path, so that its `sitecustomize.py` is loaded.
    pub fn spawn_with_shim(&self, script: &Path, shim: &Path, port: u16) -> Process {
        let path = std::env::join_paths([shim, &self.path]).unwrap();
        Process::spawn(self.command(script).env("PYTHONPATH", path).env("LAB_PORT", port.to_string()))
    }
}
