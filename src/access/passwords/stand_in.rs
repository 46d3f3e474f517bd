//! What a login of an unknown user is verified against.
//!
//! A refusal must not tell whether the user exists, its time included. Where a file has hashes of several methods, no
//! single method would do: users with another one would be recognised by their time. So an unknown user name is given
//! one of the methods, always the same one, and each method as often as the file has it.

use ring::hmac;

use super::hash::{Hash, Method};

/// Hashes that no password matches, one for each method of a password file.
pub(super) struct StandIns {
    /// Chooses the method of a user name. Made from the hashes in the file, which nobody else knows, so that a restart
    /// changes no choice.
    key: hmac::Key,
    /// The hash of the file's last method, in the order of methods.
    last: Hash,
    /// Users of the file, at least 1.
    users: usize,
    /// The hashes of the other methods, each with the number of users whose methods sort up to its own.
    others: Vec<(usize, Hash)>,
}

impl StandIns {
    /// Creates the hashes for a file whose users have `hashes`. An empty file gets the default method.
    pub(super) fn new<'a>(hashes: impl Iterator<Item = &'a Hash> + Clone) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        // the users of a file come in no certain order
        let mut digests: Vec<&[u8]> = hashes.clone().map(Hash::digest).collect();
        digests.sort_unstable();
        for digest in &digests {
            context.update(digest);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, context.finish().as_ref());
        let mut methods: Vec<Method> = hashes.map(Hash::method).collect();
        methods.sort_unstable();
        let mut others = Vec::new();
        for (index, (method, next)) in methods.iter().zip(methods.iter().skip(1)).enumerate() {
            if method != next {
                others.push((index + 1, Hash::that_nothing_matches(*method)));
            }
        }
        let last = Hash::that_nothing_matches(methods.last().copied().unwrap_or_default());
        Self { key, last, users: methods.len().max(1), others }
    }

    /// Returns the hash for an unknown `user`.
    pub(super) fn of(&self, user: &str) -> &Hash {
        let tag = hmac::sign(&self.key, user.as_bytes());
        let number = tag.as_ref().first_chunk().map_or(0, |bytes| usize::from_be_bytes(*bytes)) % self.users;
        self.others.iter().find(|(count, _)| number < *count).map_or(&self.last, |(_, hash)| hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Method = Method::Pbkdf2Sha512 { iterations: 2 };
    const DEAR: Method = Method::Pbkdf2Sha512 { iterations: 9 };

    fn hashes(methods: &[(Method, u8)]) -> Vec<Hash> {
        let of = |(method, count): &(Method, u8)| {
            let method = *method;
            (0..*count).map(move |salt| Hash::parse(&method.hash(b"x", &[salt; 12]).unwrap()).unwrap())
        };
        methods.iter().flat_map(of).collect()
    }

    fn stand_ins(methods: &[(Method, u8)]) -> StandIns {
        StandIns::new(hashes(methods).iter())
    }

    #[test]
    fn unknown_users_have_each_method_as_often_as_the_users_of_the_file() {
        let stand_ins = stand_ins(&[(CHEAP, 30), (DEAR, 10)]);
        let names = (0..4000).map(|number| format!("user{number}"));
        let dear = names.filter(|name| stand_ins.of(name).method() == DEAR).count();
        assert!((800..1200).contains(&dear), "{dear} of 4000, a quarter is expected");
    }

    #[test]
    fn an_unknown_user_keeps_its_method_when_the_same_file_is_read_again() {
        let (once, again) = (hashes(&[(CHEAP, 3), (DEAR, 3)]), hashes(&[(DEAR, 3), (CHEAP, 3)]));
        let (once, again) = (StandIns::new(once.iter()), StandIns::new(again.iter()));
        for name in ["ann", "bob", "eve", "root", "admin", "homeassistant"] {
            assert_eq!(once.of(name).method(), again.of(name).method(), "{name}");
        }
    }

    #[test]
    fn where_all_users_have_one_method_unknown_ones_have_it_too() {
        for method in [CHEAP, DEAR, Method::Sha512] {
            assert_eq!(stand_ins(&[(method, 3)]).of("eve").method(), method);
        }
        assert_eq!(stand_ins(&[]).of("eve").method(), Method::default());
    }
}
