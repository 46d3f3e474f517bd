//! The uplinks that there are, remembered: the session of one that is renamed or removed is ended, and what is not
//! subscribed to any more is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::LocalOptions;
use crate::base::keep::{self, KeepError};
use crate::client::{self, ConnectError, Publication};
use crate::mqtt::{ProtocolVersion, Subscription, TopicFilter};

/// How long the local broker may take to end a session.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which side of an uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Local,
    Far,
}

/// The book of uplinks, in a small file that is written when they change.
#[derive(Clone, Debug)]
pub struct Registry {
    path: PathBuf,
    book: Book,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    uplinks: BTreeMap<String, Known>,
}

/// What is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Where its state is told.
    state: String,
    /// The client identifier of its outbox.
    #[serde(default)]
    client_id: String,
    /// What its sessions have subscribed to.
    #[serde(default)]
    local: BTreeSet<String>,
    #[serde(default)]
    far: BTreeSet<String>,
}

impl Registry {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn load(path: &Path) -> Result<Self, KeepError> {
        Ok(Self { path: path.to_owned(), book: keep::load(path)?.unwrap_or_default() })
    }

    /// Uplinks of earlier that `names` does not have, with what is known of them.
    pub fn gone(&self, names: &BTreeSet<&str>) -> Vec<(String, Known)> {
        let gone = self.book.uplinks.iter().filter(|(name, _)| !names.contains(name.as_str()));
        gone.map(|(name, known)| (name.clone(), known.clone())).collect()
    }

    /// Adds one, with the client identifier of its outbox and the topic of its state.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, name: &str, client_id: &str, state: &str) -> Result<(), KeepError> {
        let known = self.book.uplinks.entry(name.to_owned()).or_default();
        if known.state == state && known.client_id == client_id {
            return Ok(());
        }
        state.clone_into(&mut known.state);
        client_id.clone_into(&mut known.client_id);
        keep::save(&self.path, &self.book)
    }

    /// Takes one out, because its session is ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&mut self, name: &str) -> Result<(), KeepError> {
        self.book.uplinks.remove(name);
        keep::save(&self.path, &self.book)
    }

    /// What `name` has subscribed to and does not want any more.
    pub(super) fn stale(&self, name: &str, end: End, wanted: &[Subscription]) -> Vec<TopicFilter> {
        let Some(known) = self.book.uplinks.get(name) else { return Vec::new() };
        let had = match end {
            End::Local => &known.local,
            End::Far => &known.far,
        };
        let wanted: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.filter.as_str()).collect();
        let stale = had.iter().filter(|filter| !wanted.contains(filter.as_str()));
        stale.filter_map(|filter| TopicFilter::new(filter).ok()).collect()
    }

    /// What `name` subscribes to now.
    pub(super) fn subscribed(&mut self, name: &str, end: End, wanted: &[Subscription]) -> Result<(), KeepError> {
        let filters: BTreeSet<String> = wanted.iter().map(|wanted| wanted.filter.as_str().to_owned()).collect();
        let known = self.book.uplinks.entry(name.to_owned()).or_default();
        let had = match end {
            End::Local => &mut known.local,
            End::Far => &mut known.far,
        };
        if *had == filters {
            return Ok(());
        }
        *had = filters;
        keep::save(&self.path, &self.book)
    }
}

/// Ends the session of an uplink that is gone, with everything that waits in it, and clears its state.
///
/// # Errors
/// When the broker does not let it in.
pub async fn end_session(local: &LocalOptions, gone: &Known) -> Result<(), ConnectError> {
    let tls = client::client_config(&local.tls);
    let tls = tls.map_err(|error| ConnectError::Tls(error.to_string())).ok();
    let options = client::Options {
        version: ProtocolVersion::V311,
        client_id: gone.client_id.clone(),
        clean_session: true,
        session_expiry_s: 0,
        keep_alive: PATIENCE,
        credentials: local.credentials.clone(),
        will: None,
        packet_bytes_max: local.packet_bytes_max,
        receive_max: local.receive_max,
        patience: PATIENCE,
    };
    let (mut link, _) = client::connect(&local.address, tls.as_ref(), &options).await?;
    link.publish(&Publication { retain: true, ..Publication::new(gone.state.clone(), Bytes::new()) });
    link.disconnect().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::QoS;

    fn wanted(filters: &[&str]) -> Vec<Subscription> {
        let filters = filters.iter().map(|filter| TopicFilter::new(filter).unwrap());
        filters.map(|filter| Subscription::new(filter, QoS::AtLeastOnce)).collect()
    }

    #[test]
    fn what_is_gone_and_what_is_stale_is_known_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("uplinks.json");
        let mut registry = Registry::load(&path).unwrap();
        registry.add("old", "sensegate/uplink/old", "my/uplink/old/state").unwrap();
        registry.add("new", "sensegate/uplink/new", "my/uplink/new/state").unwrap();
        registry.subscribed("new", End::Local, &wanted(&["a", "b"])).unwrap();
        registry.subscribed("new", End::Far, &wanted(&["c"])).unwrap();

        let mut registry = Registry::load(&path).unwrap();
        let gone = registry.gone(&BTreeSet::from(["new"]));
        let [(name, known)] = gone.as_slice() else { panic!("{gone:?}") };
        assert_eq!((name.as_str(), known.state.as_str()), ("old", "my/uplink/old/state"));
        assert_eq!(registry.stale("new", End::Local, &wanted(&["b"])), [TopicFilter::new("a").unwrap()]);
        assert_eq!(registry.stale("new", End::Far, &wanted(&["c"])), []);
        registry.remove("old").unwrap();
        assert_eq!(Registry::load(&path).unwrap().gone(&BTreeSet::from(["new"])), []);
    }
}
