//! What is there already: the configuration and the files beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::super::replace::directory;
use crate::access::{Acl, LoadError, Passwords, Problem, read_text};
use crate::agent::BrokerAddress;
use crate::config::{self, Settings};
use crate::server::{ListenerOptions, Protocol};

/// A file and its text; `None` when it is not there.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: Option<String>,
}

impl Text {
    fn read(path: PathBuf) -> Result<Self, String> {
        match read_text(&path) {
            Ok(text) => Ok(Self { path, text: Some(text) }),
            Err(LoadError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(Self { path, text: None })
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text, empty when there is none.
    pub(super) fn or_empty(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// What is there.
pub(super) struct Present {
    pub(super) configuration: Text,
    /// The same text, with its layout.
    pub(super) document: DocumentMut,
    /// What it means; the defaults without one.
    pub(super) settings: Settings,
    /// The listeners of the embedded broker, also where it is another one at present.
    listeners: Vec<ListenerOptions>,
    pub(super) passwords: Text,
    pub(super) acl: Text,
    /// Whether the configuration names the two.
    pub(super) has_passwords: bool,
    pub(super) has_acl: bool,
}

impl Present {
    /// Reads the configuration at `path`, and the files that it names, else those that lie beside it.
    ///
    /// # Errors
    /// Everything that is wrong with one of them, a line each.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let configuration = Text::read(path.to_owned())?;
        let settings = parse(path, configuration.or_empty())?;
        let document = configuration.or_empty().parse::<DocumentMut>();
        let document = document.map_err(|error| format!("{}: {error}", path.display()))?;
        let listeners = listeners(path, &document, &settings);
        let named = |key| document.get("broker").and_then(|broker| broker.get(key)).and_then(Item::as_str);
        let (named_passwords, named_acl) = (named("password_file"), named("acl_file"));
        let beside = |named: Option<&str>, name| named.map_or_else(|| directory(path).join(name), PathBuf::from);
        let passwords = Text::read(beside(named_passwords, "passwords"))?;
        let acl = Text::read(beside(named_acl, "acl"))?;
        check(&passwords, |text| Passwords::parse(text).map(drop))?;
        check(&acl, |text| Acl::parse(text).map(drop))?;
        let (has_passwords, has_acl) = (named_passwords.is_some(), named_acl.is_some());
        Ok(Self { configuration, document, settings, listeners, passwords, acl, has_passwords, has_acl })
    }

    /// The first level of the topics.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.document.get("prefix").and_then(Item::as_str)
    }

    /// The broker that the configuration publishes to, if that is another one.
    pub(super) fn external(&self) -> Option<String> {
        let url = self.document.get("broker")?.get("external")?.get("url").and_then(Item::as_str);
        match (&self.settings.agent.broker, url) {
            (BrokerAddress::External { .. }, Some(url)) => Some(url.to_owned()),
            _ => None,
        }
    }

    /// The listeners of the embedded broker.
    pub(super) fn listeners(&self) -> &[ListenerOptions] {
        &self.listeners
    }

    /// The port of the first listener that is `kind`.
    pub(super) fn port(&self, kind: Kind) -> Option<u16> {
        let mut listeners = self.listeners().iter().filter(|listener| Kind::of(listener) == kind);
        listeners.find_map(|listener| Some(listener.address.tcp()?.port())).filter(|port| *port != 0)
    }

    /// Whether a listener for other machines shows another certificate than the one at `own`.
    pub(super) fn has_certificate_from_elsewhere(&self, own: &Path) -> bool {
        let listeners = self.document.get("broker").and_then(|broker| broker.get("listener"));
        let shown = |index: usize| listeners?.get(index)?.get("tls")?.get("certificate")?.as_str();
        let is_open = |listener: &ListenerOptions| Kind::of(listener) == Kind::OpenTls;
        let open = self.listeners().iter().enumerate().filter(|(_, listener)| is_open(listener));
        open.filter_map(|(index, _)| shown(index)).any(|certificate| Path::new(certificate) != own)
    }

    /// The first user of the password file.
    pub(super) fn first_user(&self) -> Option<&str> {
        let lines = self.passwords.or_empty().lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(':')).map(|(user, _)| user.trim_ascii()).next()
    }
}

fn listeners(path: &Path, document: &DocumentMut, settings: &Settings) -> Vec<ListenerOptions> {
    let of = |settings: &Settings| Some(settings.broker.as_ref()?.server.listeners.clone());
    let as_broker = || {
        let mut document = document.clone();
        *document.get_mut("broker")?.get_mut("mode")? = toml_edit::value("embedded");
        of(&parse(path, &document.to_string()).ok()?)
    };
    of(settings).or_else(as_broker).unwrap_or_default()
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// MQTT without TLS for this machine.
    Local,
    /// MQTT without TLS for other machines.
    Open,
    /// MQTT with TLS for other machines.
    OpenTls,
    /// What `setup` leaves alone: WebSocket, Unix sockets, TLS on loopback, client certificates.
    Other,
}

impl Kind {
    pub(super) fn of(listener: &ListenerOptions) -> Self {
        match listener.address.tcp() {
            Some(address) if listener.protocol == Protocol::Mqtt && !listener.asks_certificates() => {
                match (address.ip().is_loopback(), listener.tls.is_some()) {
                    (true, false) => Self::Local,
                    (true, true) => Self::Other,
                    (false, false) => Self::Open,
                    (false, true) => Self::OpenTls,
                }
            }
            _ => Self::Other,
        }
    }
}

/// What `text` means as the configuration at `path`. Variables of this environment are not the service's: they stay
/// out, but for the directories that a state directory may lie in.
///
/// # Errors
/// Its problems, a line each.
pub(super) fn parse(path: &Path, text: &str) -> Result<Settings, String> {
    let state = [("STATE_DIRECTORY".to_owned(), "/var/lib/sensegate".to_owned())];
    let environment = state.into_iter().chain(config::environment());
    let environment = environment.filter(|(name, _)| !name.starts_with("SENSEGATE_"));
    config::parse(path, text, environment).map_err(|problems| problems.to_string())
}

fn check(file: &Text, parse: impl FnOnce(&str) -> Result<(), Vec<Problem>>) -> Result<(), String> {
    parse(file.or_empty()).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{}:{problem}", file.path.display()));
        lines.collect::<Vec<_>>().join("\n")
    })
}
