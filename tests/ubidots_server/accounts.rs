//! Who may come in, and what each token may touch.

use std::collections::{BTreeMap, BTreeSet};

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose devices they are; two tokens of one owner see the same.
    pub owner: String,
    /// The devices that it may write and see; `None` for all of the owner's.
    pub devices: Option<BTreeSet<String>>,
}

impl Account {
    /// All devices of `owner`.
    pub fn of(owner: &str) -> Self {
        Self { owner: owner.to_owned(), devices: None }
    }

    /// Only these devices, as a device token has it.
    #[must_use]
    pub fn only(self, devices: &[&str]) -> Self {
        Self { devices: Some(devices.iter().map(|&device| device.to_owned()).collect()), ..self }
    }

    /// Whether it may write and see this device.
    pub fn may_touch(&self, device: &str) -> bool {
        self.devices.as_ref().is_none_or(|devices| devices.contains(device))
    }
}

/// What becomes of those who are connected with a token that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// They stay, are acknowledged, and nothing is stored or shown.
    Silent,
    /// Their connections are closed.
    Closing,
}

/// The accounts by token.
#[derive(Debug, Default)]
pub(super) struct Accounts(BTreeMap<String, Account>);

impl Accounts {
    pub(super) fn insert(&mut self, token: &str, account: Account) {
        self.0.insert(token.to_owned(), account);
    }

    pub(super) fn remove(&mut self, token: &str) {
        self.0.remove(token);
    }

    pub(super) fn get(&self, token: &str) -> Option<&Account> {
        self.0.get(token)
    }
}
