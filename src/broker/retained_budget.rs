//! How much may be retained, and whose messages it is.
//!
//! Everyone may use the common part of the budget. Beside it the gateway's internal clients have a share of their own,
//! and so have the first users that retain something, all anonymous clients together counting as one: a client that
//! fills the common part keeps nobody else from having a few messages retained. Nobody's messages are removed to make
//! room for those of others.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::Options;
use super::message::Owner;

/// The part of the budget that only the internal clients may use: one part of so many.
const INTERNAL_PARTS: usize = 32;

/// The part that only one other account may use.
const ACCOUNT_PARTS: usize = 256;

/// Accounts other than that of the internal clients that have such a part: the first to retain a message.
const ACCOUNTS_MAX: usize = 16;

/// Messages, and the bytes of memory that they use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

/// What is retained, by account.
#[derive(Debug, Default)]
pub(super) struct RetainedBudget {
    accounts: HashMap<Owner, Account, FixedState>,
    /// Accounts with a part of their own, without that of the internal clients.
    reserved: usize,
}

#[derive(Debug, Default)]
struct Account {
    used: Usage,
    /// Whether it has a part of its own.
    is_reserved: bool,
}

impl RetainedBudget {
    /// Returns the bytes of memory that all accounts use. Cost: the number of accounts.
    pub(super) fn bytes(&self) -> usize {
        self.accounts.values().map(|account| account.used.bytes).sum()
    }

    /// Returns whether a message of `bytes` fits that replaces `replaced`.
    pub(super) fn fits(
        &self,
        owner: &Owner,
        bytes: usize,
        replaced: Option<(&Owner, usize)>,
        options: &Options,
    ) -> bool {
        let Options { retained_messages_max, retained_bytes_max, .. } = *options;
        let fits = |limit: usize, new: usize, old: usize, used: fn(&Usage) -> usize| {
            let share = |owner: &Owner, is_reserved: bool| match owner {
                Owner::Internal => limit / INTERNAL_PARTS,
                _ if is_reserved => limit / ACCOUNT_PARTS,
                _ => 0,
            };
            let after = |other: &Owner, account: Option<&Account>| {
                let used = account.map_or(0, |account| used(&account.used));
                let gone = if replaced.is_some_and(|(replaced, _)| replaced == other) { old } else { 0 };
                (used + if other == owner { new } else { 0 }).saturating_sub(gone)
            };
            let is_reserved = self.reserved < ACCOUNTS_MAX;
            let newcomer = (!self.accounts.contains_key(owner))
                .then(|| after(owner, None).saturating_sub(share(owner, is_reserved)));
            let known = self
                .accounts
                .iter()
                .map(|(other, account)| after(other, Some(account)).saturating_sub(share(other, account.is_reserved)));
            let common = limit - limit / INTERNAL_PARTS - ACCOUNTS_MAX * (limit / ACCOUNT_PARTS);
            known.chain(newcomer).sum::<usize>() <= common
        };
        let old_bytes = replaced.map_or(0, |(_, bytes)| bytes);
        fits(retained_messages_max, 1, usize::from(replaced.is_some()), |used| used.messages)
            && fits(retained_bytes_max, bytes, old_bytes, |used| used.bytes)
    }

    /// Counts a message, whether it fits or not.
    pub(super) fn add(&mut self, owner: &Owner, bytes: usize) {
        let has_part = *owner != Owner::Internal && self.reserved < ACCOUNTS_MAX;
        let account = self.accounts.entry(owner.clone()).or_insert_with(|| {
            self.reserved += usize::from(has_part);
            Account { used: Usage::default(), is_reserved: has_part }
        });
        account.used.messages += 1;
        account.used.bytes += bytes;
    }

    /// Counts a message out.
    pub(super) fn remove(&mut self, owner: &Owner, bytes: usize) {
        let Some(account) = self.accounts.get_mut(owner) else { return };
        account.used.messages = account.used.messages.saturating_sub(1);
        account.used.bytes = account.used.bytes.saturating_sub(bytes);
        if account.used.messages == 0 {
            self.reserved -= usize::from(account.is_reserved);
            self.accounts.remove(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: fn() -> Options =
        || Options { retained_messages_max: 256, retained_bytes_max: 256_000, ..Options::default() };

    fn user(number: usize) -> Owner {
        Owner::User(number.to_string().into())
    }

    /// Adds messages of `bytes` until one does not fit; returns how many did.
    fn fill(budget: &mut RetainedBudget, owner: &Owner, bytes: usize) -> usize {
        let mut count = 0;
        while budget.fits(owner, bytes, None, &OPTIONS()) {
            budget.add(owner, bytes);
            count += 1;
        }
        count
    }

    #[test]
    fn an_account_uses_the_common_part_and_its_own_but_not_those_of_others() {
        let mut budget = RetainedBudget::default();
        // of 256 messages 8 are the internal clients', and 1 that of each of 16 accounts
        assert_eq!(fill(&mut budget, &Owner::Anonymous, 1), 256 - 8 - 16 + 1);
        assert_eq!(fill(&mut budget, &Owner::Internal, 1), 8);
        for number in 0..15 {
            assert_eq!(fill(&mut budget, &user(number), 1), 1, "user {number}");
        }
        assert_eq!(fill(&mut budget, &user(16), 1), 0, "one account too many for a part of its own");
    }

    #[test]
    fn bytes_are_shared_like_messages() {
        let mut budget = RetainedBudget::default();
        let common = 256_000 - 8_000 - 16_000;
        assert_eq!(fill(&mut budget, &user(1), 10_000), (common + 1_000) / 10_000);
        assert!(budget.fits(&user(2), 900, None, &OPTIONS()));
        assert!(!budget.fits(&user(2), 20_000, None, &OPTIONS()));
        assert!(budget.fits(&Owner::Internal, 8_000, None, &OPTIONS()));
    }

    #[test]
    fn what_a_message_replaces_makes_room_for_it_and_what_is_removed_for_others() {
        let mut budget = RetainedBudget::default();
        let count = fill(&mut budget, &Owner::Anonymous, 1);
        assert!(budget.fits(&Owner::Anonymous, 1, Some((&Owner::Anonymous, 1)), &OPTIONS()));
        assert!(budget.fits(&user(1), 1, Some((&Owner::Anonymous, 1)), &OPTIONS()));
        for _ in 0..count {
            budget.remove(&Owner::Anonymous, 1);
        }
        assert!(budget.accounts.is_empty() && budget.reserved == 0);
    }
}
