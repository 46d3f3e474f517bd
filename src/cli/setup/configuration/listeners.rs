//! `[[broker.listener]]`: this machine without a password, the others with one, or through TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::anyhow;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table};

use super::super::present::{Kind, Present};
use super::utf8;
use crate::cli::edit::toml::{set, table};
use crate::server::ListenerOptions;

const LOCAL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
const OPEN: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// The port without TLS.
    pub(super) port: u16,
    /// The port with it; `None` without TLS.
    pub(super) tls_port: Option<u16>,
    /// Whether other machines come in.
    pub(super) is_open: bool,
    /// Certificate and key of a listener that is new.
    pub(super) files: Option<&'a (PathBuf, PathBuf)>,
}

impl Wanted<'_> {
    /// What a listener for other machines is to be; `None` when there is to be none.
    fn open_kind(&self) -> Option<(Kind, u16)> {
        self.is_open.then(|| self.tls_port.map_or((Kind::Open, self.port), |port| (Kind::OpenTls, port)))
    }
}

/// Changes the listeners that are there, and adds those that are missing. With `has_first_passwords` those that let
/// everybody in go on doing so by saying it.
///
/// # Errors
/// When the list has a form into which nothing can be put.
pub(super) fn arrange(
    document: &mut DocumentMut,
    present: &Present,
    has_first_passwords: bool,
    wanted: &Wanted<'_>,
) -> anyhow::Result<()> {
    let is_typed = present.document.get("broker").and_then(|broker| broker.get("listener")).is_some();
    if !is_typed && !wanted.is_open && wanted.port == 1883 {
        return Ok(());
    }
    let list = list(document)?;
    // without a list there are the two of the defaults, which the first entry replaces
    let there: &[ListenerOptions] = if is_typed { present.listeners() } else { &[] };
    change(list, there, has_first_passwords, wanted)?;
    // with neither, this machine could not come in, or not without TLS
    let has_local = there.iter().any(|listener| Kind::of(listener) == Kind::Local);
    let is_needed = !has_local && wanted.open_kind().is_none_or(|(kind, _)| kind == Kind::OpenTls);
    if !is_typed || is_needed {
        add(list, LOCAL, wanted.port, "# This machine, without a password.\n", |entry| {
            set(entry, "allow_anonymous", true, "");
            Ok(())
        })?;
    }
    add_open(list, there, wanted)
}

fn list(document: &mut DocumentMut) -> anyhow::Result<&mut ArrayOfTables> {
    let broker = table(document.as_table_mut(), "broker")?;
    let item = broker.entry("listener").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    // `listener = [{ … }]`
    if item.is_value() {
        *item = std::mem::take(item).into_array_of_tables().map_or_else(|item| item, Item::ArrayOfTables);
    }
    item.as_array_of_tables_mut().ok_or_else(|| anyhow!("broker.listener is no list of tables"))
}

/// What stays keeps its place, its comments and its other keys.
fn change(
    list: &mut ArrayOfTables,
    there: &[ListenerOptions],
    has_first_passwords: bool,
    wanted: &Wanted<'_>,
) -> anyhow::Result<()> {
    let old_port = there.iter().find(|it| Kind::of(it) == Kind::Local).and_then(|it| Some(it.address.tcp()?.port()));
    for (index, listener) in there.iter().enumerate().rev() {
        let kind = Kind::of(listener);
        let is_open = matches!(kind, Kind::Open | Kind::OpenTls);
        if is_open && wanted.open_kind().is_none_or(|(open, _)| open != kind) {
            list.remove(index);
            continue;
        }
        let entry = list.get_mut(index).ok_or_else(|| anyhow!("broker.listener is shorter than it reads"))?;
        let port = match (kind, wanted.open_kind()) {
            (Kind::Local, _) if listener.address.tcp().map(|address| address.port()) == old_port => Some(wanted.port),
            (Kind::Open | Kind::OpenTls, Some((_, port))) => Some(port),
            _ => None,
        };
        move_to(entry, listener, port);
        if has_first_passwords && listener.allow_anonymous && !entry.contains_key("allow_anonymous") {
            set(entry, "allow_anonymous", true, "");
        }
    }
    Ok(())
}

fn move_to(entry: &mut Table, listener: &ListenerOptions, port: Option<u16>) {
    if let (Some(address), Some(port)) = (listener.address.tcp(), port)
        && address.port() != port
    {
        set(entry, "address", SocketAddr::new(address.ip(), port).to_string(), "");
    }
}

fn add_open(list: &mut ArrayOfTables, there: &[ListenerOptions], wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let Some((kind, port)) = wanted.open_kind() else { return Ok(()) };
    if there.iter().any(|listener| Kind::of(listener) == kind) {
        return Ok(());
    }
    let comment = match kind {
        Kind::OpenTls => "# Other machines, with user and password, through TLS.\n",
        _ => "# Other machines, with user and password.\n",
    };
    add(list, OPEN, port, comment, |entry| match (kind, wanted.files) {
        (Kind::OpenTls, Some((certificate, key))) => {
            let mut tls = InlineTable::new();
            tls.insert("certificate", utf8(certificate)?.into());
            tls.insert("key", utf8(key)?.into());
            set(entry, "tls", tls, "");
            Ok(())
        }
        _ => Ok(()),
    })
}

/// Adds one for each family of addresses: the gateway leaves out the one that the machine has not got.
fn add(
    list: &mut ArrayOfTables,
    ips: [IpAddr; 2],
    port: u16,
    comment: &str,
    complete: impl Fn(&mut Table) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for (index, ip) in ips.into_iter().enumerate() {
        let mut entry = Table::new();
        entry.decor_mut().set_prefix(format!("\n{}", if index == 0 { comment } else { "" }));
        set(&mut entry, "address", SocketAddr::new(ip, port).to_string(), "");
        complete(&mut entry)?;
        list.push(entry);
    }
    Ok(())
}
