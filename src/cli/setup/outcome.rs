//! From the answers to the files: made, and checked as the gateway will read them.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::edit::files::{Change, Changes, Shown, Staging};
use super::super::replace::{Access, directory};
use super::certificates::{self, Names, Paths, Texts};
use super::configuration::{self, Named};
use super::network;
use super::plan::Plan;
use super::present::{self, Present};
use super::users::{self, Users};
use crate::base::clock::Wall;
use crate::base::secret::Secret;

/// What comes of a plan.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) changes: Changes,
    /// The password that was made.
    pub(super) password: Option<Secret>,
    /// With TLS: the file that other machines need, and until when the listener's certificate is valid.
    pub(super) tls: Option<(PathBuf, Option<Wall>)>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The configuration would have these problems, a line each.
    Problems(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Where a setup takes place.
pub(super) struct Place<'a> {
    /// The root of the machine's files.
    pub(super) root: &'a Path,
    pub(super) now: Wall,
    /// Whether nothing will be written.
    pub(super) is_dry: bool,
    /// What only the service may read.
    pub(super) secret: Access,
}

/// Makes everything and checks it; nothing is written but what is gone again.
///
/// # Errors
/// See [`Refusal`].
pub(super) fn make(plan: &Plan, present: &Present, place: &Place<'_>) -> Result<Outcome, Refusal> {
    let users = users::make(plan, present)?;
    let tls = Tls::make(plan, present, place)?;
    check(plan, present, place, users.as_ref(), tls.as_ref())?;
    let named = Named {
        passwords: users.as_ref().filter(|_| !present.has_passwords).map(|_| present.passwords.path.clone()),
        acl: users
            .as_ref()
            .and_then(|users| users.acl.as_ref())
            .filter(|_| !present.has_acl)
            .map(|_| present.acl.path.clone()),
        tls: tls.as_ref().map(|tls| (tls.paths.certificate.clone(), tls.paths.key.clone())),
    };
    let configuration = Change {
        path: present.configuration.path.clone(),
        old: present.configuration.text.clone(),
        new: configuration::compose(present, plan, &named)?,
        access: Access::ALL,
        shown: Shown::Lines,
        has_backup: true,
    };
    let mut files = tls.as_ref().map(|tls| tls.changes(place.secret)).unwrap_or_default();
    files.extend(users.iter().flat_map(|users| user_changes(users, present, place.secret)));
    files.push(configuration);
    Ok(Outcome {
        changes: Changes::of(files),
        password: users.and_then(|users| users.password),
        tls: tls.map(|tls| (tls.paths.authority, certificates::ends(&tls.made.certificate))),
    })
}

/// Lets the configuration's own reader look at the text, with the files that it would name in a place of their own.
fn check(
    plan: &Plan,
    present: &Present,
    place: &Place<'_>,
    users: Option<&Users>,
    tls: Option<&Tls>,
) -> Result<(), Refusal> {
    let staging = Staging::make(&present.configuration.path, place.is_dry).context("cannot make a directory")?;
    let mut named = Named::default();
    if let Some(users) = users {
        named.passwords = Some(staging.put("passwords", &users.passwords)?);
        named.acl = users.acl.as_ref().map(|acl| staging.put("acl", acl)).transpose()?;
    }
    if let Some(tls) = tls {
        let certificate = staging.put("server.pem", &tls.made.certificate)?;
        named.tls = Some((certificate, staging.put("server.key", &tls.made.key)?));
    }
    let text = configuration::compose(present, plan, &named)?;
    let settings = present::parse(&present.configuration.path, &text).map_err(Refusal::Problems)?;
    Ok(configuration::check(&settings, plan)?)
}

fn user_changes(users: &Users, present: &Present, access: Access) -> Vec<Change> {
    let change = |file: &present::Text, new: &str, shown| Change {
        path: file.path.clone(),
        old: file.text.clone(),
        new: new.to_owned(),
        access,
        shown,
        has_backup: false,
    };
    let mut changes =
        vec![change(&present.passwords, &users.passwords, Shown::As("the user, and the password's hash"))];
    changes.extend(users.acl.as_ref().map(|acl| change(&present.acl, acl, Shown::Lines)));
    changes
}

/// What a listener with TLS shows.
struct Tls {
    paths: Paths,
    there: Texts,
    made: Texts,
}

impl Tls {
    /// `None` where it is not asked for, and where a listener shows a certificate from elsewhere.
    fn make(plan: &Plan, present: &Present, place: &Place<'_>) -> anyhow::Result<Option<Self>> {
        let paths = Paths::in_directory(&directory(&present.configuration.path).join("tls"));
        let is_wanted = plan.lan().is_some_and(|lan| lan.tls_port.is_some());
        if !is_wanted || present.has_certificate_from_elsewhere(&paths.certificate) {
            return Ok(None);
        }
        let there = paths.read()?;
        let names = Names { host: network::host_name(place.root), addresses: network::addresses(place.root) };
        let made = certificates::make(&there, &names, place.now)?;
        Ok(Some(Self { paths, there, made }))
    }

    fn changes(&self, secret: Access) -> Vec<Change> {
        let Self { paths, there, made } = self;
        let change = |path: &PathBuf, old: &String, new: &String, access, words| Change {
            path: path.clone(),
            old: (!old.is_empty()).then(|| old.clone()),
            new: new.clone(),
            access,
            shown: Shown::As(words),
            has_backup: false,
        };
        vec![
            change(
                &paths.authority_key,
                &there.authority_key,
                &made.authority_key,
                Access::OWNER,
                "the authority's key, which renews the certificate",
            ),
            change(
                &paths.authority,
                &there.authority,
                &made.authority,
                Access::ALL,
                "the authority's certificate, for other machines",
            ),
            change(&paths.key, &there.key, &made.key, secret, "the key of the listener's certificate"),
            change(
                &paths.certificate,
                &there.certificate,
                &made.certificate,
                Access::ALL,
                "the listener's certificate",
            ),
        ]
        .into_iter()
        // what was not there and is not needed, such as an authority's key that somebody has put elsewhere
        .filter(|change| !change.new.is_empty())
        .collect()
    }
}
