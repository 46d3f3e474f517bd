//! The user of the other machines: the line in the password file, and the lines in the access control list.

use super::super::passwd::hash;
use super::password;
use super::plan::Plan;
use super::present::Present;
use crate::access::{Acl, Method, set_user};
use crate::base::secret::Secret;

/// What stands above a list that is new. Clients without a user name come in from this machine alone.
const ACL_HEAD: &str = "\
# What the users of the gateway may do, in the format of mosquitto's acl_file.
#
# Clients of this machine, who have no user name, may do everything, as without this file.
topic readwrite #
topic readwrite $SYS/#
";

/// The two files as they are to be, and the password that was made.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) passwords: String,
    /// `None` where there is to be none.
    pub(super) acl: Option<String>,
    /// `None` when the user keeps the one that is there.
    pub(super) password: Option<Secret>,
}

/// Makes the user of `plan`; `None` when no other machine comes in.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn make(plan: &Plan, present: &Present) -> anyhow::Result<Option<Users>> {
    let Some(lan) = plan.lan() else { return Ok(None) };
    let old = present.passwords.or_empty();
    let acl = is_list_wanted(present, &lan.user).then(|| grant(present.acl.text.as_deref(), &lan.user, plan));
    if is_known(old, &lan.user) && !lan.has_new_password {
        return Ok(Some(Users { passwords: old.to_owned(), acl, password: None }));
    }
    let password = password::generate()?;
    let hash = hash(Method::default(), password.reveal())?;
    let (passwords, _) = set_user(old, &lan.user, &hash);
    Ok(Some(Users { passwords, acl, password: Some(password) }))
}

/// Whether `passwords` has a line for `user`.
pub(super) fn is_known(passwords: &str, user: &str) -> bool {
    let lines = passwords.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim_ascii() == user)
}

/// Where users are at home without a list, one would take away from them what they may do.
fn is_list_wanted(present: &Present, user: &str) -> bool {
    let others = present.passwords.or_empty().lines().filter(|line| !line.starts_with('#') && line.contains(':'));
    let has_others = others.filter_map(|line| line.split_once(':')).any(|(name, _)| name.trim_ascii() != user);
    present.has_acl || !(present.has_passwords && has_others)
}

/// The list in which `user` may read everything that is published, and command the matrix.
fn grant(acl: Option<&str>, user: &str, plan: &Plan) -> String {
    let mut text = acl.unwrap_or(ACL_HEAD).to_owned();
    let (prefix, command) = (&plan.prefix, format!("{}/leds/set", plan.prefix));
    // no list but the one above is taken that was not read before
    let (mut reads, mut writes) = (false, false);
    if let Ok(acl) = Acl::parse(&text) {
        let rights = acl.rights(Some(user), "");
        reads = ["", "/state", "/a/b/c"].iter().all(|below| rights.may_read(&format!("{prefix}{below}")));
        writes = rights.may_write(&command);
    }
    let mut lines = Vec::new();
    lines.extend((!reads).then(|| format!("topic read {}", plan.filter())));
    lines.extend((!writes).then(|| format!("topic write {command}")));
    if !lines.is_empty() {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        text.extend([gap, "\nuser ", user, "\n", &lines.join("\n"), "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Broker, Lan};
    use super::*;
    use crate::access::{Passwords, Verdict};

    fn plan(prefix: &str, has_new_password: bool) -> Plan {
        let lan = Some(Lan { user: "ann".into(), has_new_password, tls_port: None });
        Plan { prefix: prefix.into(), broker: Broker::Embedded { port: 1883, lan } }
    }

    fn made(toml: &str, passwords: &str, acl: Option<&str>, plan: &Plan) -> Users {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        std::fs::write(path("passwords"), passwords).unwrap();
        if let Some(acl) = acl {
            std::fs::write(path("acl"), acl).unwrap();
        }
        let toml = toml.replace("DIRECTORY", &directory.path().display().to_string());
        std::fs::write(path("sensegate.toml"), toml).unwrap();
        make(plan, &Present::read(&path("sensegate.toml")).unwrap()).unwrap().unwrap()
    }

    fn line(user: &str) -> String {
        format!("{user}:{}\n", Method::Sha512.hash(b"old", &[1; 12]).unwrap())
    }

    #[test]
    fn new_user_comes_in_with_the_password_that_is_shown() {
        let old = format!("# mine\n{}", line("bob"));
        let users = made("", &old, None, &plan("myRasp", false));
        let password = users.password.unwrap();
        assert!(users.passwords.starts_with(&old), "other lines stay");
        assert!(!users.passwords.contains(password.reveal()));
        let passwords = Passwords::parse(&users.passwords).unwrap();
        assert_eq!(passwords.verify("ann", Some(password.reveal().as_bytes())), Verdict::Accepted);
        assert_eq!(passwords.verify("bob", Some(b"old")), Verdict::Accepted);
    }

    #[test]
    fn user_that_is_there_is_replaced_only_when_that_is_wanted() {
        let old = line("ann");
        let kept = made("", &old, None, &plan("myRasp", false));
        assert!(kept.passwords == old && kept.password.is_none());
        let replaced = made("", &old, None, &plan("myRasp", true));
        assert!(replaced.passwords != old && replaced.password.is_some());
        assert_eq!(replaced.passwords.lines().count(), 1);
    }

    #[test]
    fn user_may_read_what_is_published_and_write_commands_and_nothing_else() {
        let acl = made("", "", None, &plan("a/b", false)).acl.unwrap();
        let parsed = Acl::parse(&acl).unwrap();
        let ann = parsed.rights(Some("ann"), "c");
        assert!(ann.may_read("a/b/state") && ann.may_write("a/b/leds/set"));
        assert!(!ann.may_write("a/b/state") && !ann.may_read("$SYS/uptime") && !ann.may_read("a/c"));
        let local = parsed.rights(None, "c");
        assert!(local.may_write("a/b/state") && local.may_read("$SYS/uptime"));
    }

    #[test]
    fn list_that_is_there_keeps_its_lines_and_gets_what_is_missing_once() {
        let old = "user bob\ntopic read x/#";
        let first = made("", "", Some(old), &plan("myRasp", false)).acl.unwrap();
        assert_eq!(first, format!("{old}\n\nuser ann\ntopic read myRasp/#\ntopic write myRasp/leds/set\n"));
        assert_eq!(made("", "", Some(&first), &plan("myRasp", false)).acl.unwrap(), first);
        let wide = "user ann\ntopic readwrite #\n";
        assert_eq!(made("", "", Some(wide), &plan("myRasp", false)).acl.unwrap(), wide);
    }

    #[test]
    fn users_without_a_list_keep_what_they_may_do() {
        let named = "[broker]\npassword_file = \"DIRECTORY/passwords\"\n";
        assert!(made(named, &line("bob"), None, &plan("myRasp", false)).acl.is_none());
        assert!(made(named, &line("ann"), None, &plan("myRasp", false)).acl.is_some());
    }
}
