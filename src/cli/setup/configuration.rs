//! The text of the configuration: a new one with only what differs from the defaults, or the one that is there with
//! what has to change, its comments and its layout kept.

mod listeners;

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use toml_edit::DocumentMut;

use super::super::edit::toml::{set, table};
use super::plan::{Broker, Plan};
use super::present::{Kind, Present};
use crate::config::Settings;

/// What begins a new one.
const HEAD: &str = "\
# The configuration of sensegate, as `sensegate setup` made it. Only what differs from the defaults stands here.
# `sensegate check` tells what it means, and everything that is wrong with it.
";

/// The prefix without any in the file.
const DEFAULT_PREFIX: &str = "myRasp";

/// The files that the configuration names; `None` for what it is not to name, or names already.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub(super) passwords: Option<PathBuf>,
    pub(super) acl: Option<PathBuf>,
    /// The certificate and its key.
    pub(super) tls: Option<(PathBuf, PathBuf)>,
}

/// The text in which `plan` holds.
///
/// # Errors
/// When what is there has a form into which nothing can be put.
pub(super) fn compose(present: &Present, plan: &Plan, named: &Named) -> anyhow::Result<String> {
    let mut document = present.document.clone();
    if present.prefix().unwrap_or(DEFAULT_PREFIX) != plan.prefix {
        set(document.as_table_mut(), "prefix", plan.prefix.as_str(), "# First level of all topics.\n");
    }
    match &plan.broker {
        Broker::External(url) => be_client(&mut document, present, url)?,
        Broker::Embedded { port, lan } => {
            let wanted = listeners::Wanted {
                port: *port,
                tls_port: lan.as_ref().and_then(|lan| lan.tls_port),
                is_open: lan.is_some(),
                files: named.tls.as_ref(),
            };
            be_broker(&mut document, present, named, &wanted)?;
        }
    }
    let text = document.to_string();
    Ok(match (present.configuration.or_empty().trim(), text.trim_start()) {
        ("", "") => HEAD.to_owned(),
        ("", lines) => format!("{HEAD}\n{lines}"),
        _ => text,
    })
}

fn be_client(document: &mut DocumentMut, present: &Present, url: &str) -> anyhow::Result<()> {
    if present.external().as_deref() == Some(url) {
        return Ok(());
    }
    let broker = table(document.as_table_mut(), "broker")?;
    set(broker, "mode", "external", "# Not a broker of its own, but a client of the one below.\n");
    set(table(broker, "external")?, "url", url, "");
    Ok(())
}

fn be_broker(
    document: &mut DocumentMut,
    present: &Present,
    named: &Named,
    wanted: &listeners::Wanted<'_>,
) -> anyhow::Result<()> {
    if present.settings.broker.is_none() {
        set(table(document.as_table_mut(), "broker")?, "mode", "embedded", "");
    }
    for (key, file, comment) in [
        ("password_file", &named.passwords, "# Who may come in; `sensegate passwd FILE USER` adds users.\n"),
        ("acl_file", &named.acl, "# What they may read and write.\n"),
    ] {
        if let Some(file) = file {
            set(table(document.as_table_mut(), "broker")?, key, utf8(file)?, comment);
        }
    }
    listeners::arrange(document, present, named.passwords.is_some() && !present.has_passwords, wanted)
}

/// Whether `settings` are what `plan` asks for: the last look at a text that was edited.
///
/// # Errors
/// What is not so.
pub(super) fn check(settings: &Settings, plan: &Plan) -> anyhow::Result<()> {
    let by_hand = "the file has a form that setup cannot change; change it by hand";
    let Broker::Embedded { port, lan } = &plan.broker else {
        return if settings.broker.is_none() { Ok(()) } else { Err(anyhow!("{by_hand}: broker.mode")) };
    };
    let listeners = settings.broker.as_ref().map(|broker| &broker.server.listeners);
    let has = |kind: Kind, port: u16| {
        let mut listeners = listeners.iter().flat_map(|listeners| listeners.iter());
        listeners.any(|it| Kind::of(it) == kind && it.address.tcp().is_some_and(|address| address.port() == port))
    };
    let is_open = match lan {
        None => true,
        Some(lan) => lan.tls_port.map_or_else(|| has(Kind::Open, *port), |port| has(Kind::OpenTls, port)),
    };
    if is_open { Ok(()) } else { Err(anyhow!("{by_hand}: [[broker.listener]]")) }
}

/// `path` as a string of the configuration.
fn utf8(path: &Path) -> anyhow::Result<&str> {
    match path.to_str() {
        Some(path) => Ok(path),
        None => bail!("{}: a configuration can name only paths that are UTF-8", path.display()),
    }
}

#[cfg(test)]
mod tests;
