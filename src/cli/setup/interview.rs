//! The questions, in their order. A flag answers its question; so does `--yes`, by what is there or by the default.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::super::edit::ask::Asker;
use super::super::passwd::parse_user;
use super::arguments::SetupArgs;
use super::plan::{Broker, Lan, Plan};
use super::ports::{self, Decision};
use super::present::{Kind, Present};
use super::users;

const PREFIX: &str = "myRasp";
const USER: &str = "laptop";
const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// Asks everything that is to be known, on the machine whose files are below `root`.
///
/// # Errors
/// When the input ends where a value is needed, or the terminal is gone.
pub(super) fn ask(asker: &mut Asker<'_>, args: &SetupArgs, present: &Present, root: &Path) -> io::Result<Plan> {
    let interview = Interview { args, present, root };
    let prefix = interview.prefix(asker)?;
    let broker = interview.broker(asker)?;
    Ok(Plan { prefix, broker })
}

struct Interview<'a> {
    args: &'a SetupArgs,
    present: &'a Present,
    root: &'a Path,
}

impl Interview<'_> {
    fn prefix(&self, asker: &mut Asker<'_>) -> io::Result<String> {
        match &self.args.prefix {
            Some(prefix) => Ok(prefix.clone()),
            None => asker.value("First level of all topics", self.present.prefix().unwrap_or(PREFIX), check_prefix),
        }
    }

    fn broker(&self, asker: &mut Asker<'_>) -> io::Result<Broker> {
        if let Some(url) = &self.args.broker {
            return Ok(Broker::External(url.clone()));
        }
        if let Some(url) = self.present.external()
            && !self.asks_for_embedded()
            && asker.yes(&format!("Publish to {url}, as now?"), true)?
        {
            return Ok(Broker::External(url));
        }
        let is_open = !self.args.no_lan && (self.args.asks_for_lan() || ask_for_lan(asker)?);
        let has_tls = is_open && self.has_tls(asker)?;
        match self.port(asker, is_open && !has_tls)? {
            Decision::UseThatBroker => Ok(Broker::External(format!("mqtt://127.0.0.1:{}", self.wanted_port()))),
            Decision::Port(port) => {
                let lan = if is_open { Some(self.lan(asker, has_tls, port)?) } else { None };
                Ok(Broker::Embedded { port, lan })
            }
        }
    }

    /// Whether a flag makes sense only with a broker of one's own.
    fn asks_for_embedded(&self) -> bool {
        self.args.asks_for_lan() || self.args.no_lan || self.args.port.is_some()
    }

    fn has_tls(&self, asker: &mut Asker<'_>) -> io::Result<bool> {
        if self.args.tls {
            return Ok(true);
        }
        let is_there = self.present.port(Kind::OpenTls).is_some();
        asker.yes(
            "With TLS, so that nobody on the way reads along? (A file has to be copied to each of them.)",
            is_there,
        )
    }

    /// What is asked for, before anybody looks whether it is free.
    fn wanted_port(&self) -> u16 {
        let there = || self.present.port(Kind::Local).or_else(|| self.present.port(Kind::Open));
        self.args.port.or_else(there).unwrap_or(PORT)
    }

    fn port(&self, asker: &mut Asker<'_>, is_wide: bool) -> io::Result<Decision> {
        let mut wanted = self.wanted_port();
        if self.args.port.is_none() {
            wanted = asker.value("Port of the broker", &wanted.to_string(), ports::parse)?;
        }
        ports::settle(asker, self.root, wanted, is_wide, !self.args.asks_for_lan())
    }

    fn lan(&self, asker: &mut Asker<'_>, has_tls: bool, port: u16) -> io::Result<Lan> {
        let tls_port = if has_tls { Some(self.tls_port(asker, port)?) } else { None };
        let user = match &self.args.user {
            Some(user) => user.clone(),
            None => asker.value("User for them", self.present.first_user().unwrap_or(USER), parse_user)?,
        };
        let has_new_password = self.has_new_password(asker, &user)?;
        Ok(Lan { user, has_new_password, tls_port })
    }

    /// Another one than `plain`, the port without TLS.
    fn tls_port(&self, asker: &mut Asker<'_>, plain: u16) -> io::Result<u16> {
        let check = |typed: &str| match ports::parse(typed)? {
            port if port == plain => Err(format!("another port than {plain}, which is the one without TLS")),
            port => Ok(port),
        };
        let wanted = self.args.tls_port.or_else(|| self.present.port(Kind::OpenTls)).unwrap_or(TLS_PORT);
        let wanted = match self.args.tls_port {
            Some(port) => check(&port.to_string()).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?,
            None => asker.value("Port with TLS", &wanted.to_string(), check)?,
        };
        match ports::settle(asker, self.root, wanted, true, false)? {
            Decision::Port(port) => Ok(port),
            Decision::UseThatBroker => Ok(wanted),
        }
    }

    fn has_new_password(&self, asker: &mut Asker<'_>, user: &str) -> io::Result<bool> {
        if self.args.new_password || !users::is_known(self.present.passwords.or_empty(), user) {
            return Ok(self.args.new_password);
        }
        asker.yes(&format!("User {user} is there already. Another password?"), false)
    }
}

impl SetupArgs {
    /// Whether a flag makes sense only when other machines come in.
    fn asks_for_lan(&self) -> bool {
        self.tls || self.user.is_some() || self.new_password
    }
}

fn ask_for_lan(asker: &mut Asker<'_>) -> io::Result<bool> {
    asker.yes("May other machines of the network subscribe? (With a user and a password, made here.)", true)
}

/// What is certainly wrong; the configuration's own reader has the last word.
fn check_prefix(typed: &str) -> Result<String, String> {
    let is_wrong = typed.contains(['+', '#', '{', '}']) || typed.contains(char::is_control) || typed.ends_with('/');
    if is_wrong {
        return Err("a name such as myRasp, without + # { } and without / at its end".into());
    }
    Ok(typed.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        setup: SetupArgs,
    }

    /// With `input` typed, or without anybody to ask; on a machine without any process.
    fn plan(toml: &str, passwords: &str, flags: &[&str], input: Option<&str>) -> io::Result<Plan> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sensegate.toml");
        std::fs::write(&file, toml).unwrap();
        std::fs::write(directory.path().join("passwords"), passwords).unwrap();
        let present = Present::read(&file).unwrap();
        let args = Line::try_parse_from([&["setup"], flags].concat()).unwrap().setup;
        let (mut typed, mut output) = (input.unwrap_or_default().as_bytes(), Vec::new());
        ask(&mut Asker::new(&mut typed, &mut output, input.is_some()), &args, &present, directory.path())
    }

    fn embedded(port: u16, lan: Option<(&str, bool, Option<u16>)>) -> Broker {
        let lan = lan.map(|(user, has_new_password, tls_port)| Lan { user: user.into(), has_new_password, tls_port });
        Broker::Embedded { port, lan }
    }

    fn check(toml: &str, flags: &[&str], input: Option<&str>, prefix: &str, broker: Broker) {
        let expected = Plan { prefix: prefix.into(), broker };
        assert_eq!(plan(toml, "", flags, input).unwrap(), expected, "{toml} {flags:?} {input:?}");
    }

    #[test]
    fn defaults_are_taken_without_a_question_and_by_enter() {
        for input in [None, Some("\n\n\n\n\n")] {
            check("", &[], input, "myRasp", embedded(1883, Some(("laptop", false, None))));
        }
    }

    #[test]
    fn answers_are_taken() {
        check("", &[], Some("kitchen\nn\n1999\n"), "kitchen", embedded(1999, None));
        let lan = Some(("ann", false, Some(9999)));
        check("", &[], Some("a#\na\ny\ny\n\n9999\nx:y\nann\n"), "a", embedded(1883, lan));
    }

    #[test]
    fn flags_answer_their_questions() {
        let flags = ["--prefix", "p", "--port", "2000", "--tls", "--tls-port", "2001", "--user", "u"];
        check("", &flags, Some(""), "p", embedded(2000, Some(("u", false, Some(2001)))));
        check("", &["--no-lan", "--port", "2000"], Some("\n"), "myRasp", embedded(2000, None));
        check("", &["--broker", "mqtt://b"], None, "myRasp", Broker::External("mqtt://b".into()));
    }

    #[test]
    fn what_is_there_is_the_default() {
        let toml = "prefix = \"p\"\n[[broker.listener]]\naddress = \"127.0.0.1:2000\"\n\
                    [[broker.listener]]\naddress = \"0.0.0.0:2000\"\nallow_anonymous = true\n";
        check(toml, &[], None, "p", embedded(2000, Some(("laptop", false, None))));
        let external = "broker.mode = \"external\"\nbroker.external.url = \"mqtt://b\"\n";
        check(external, &[], None, "myRasp", Broker::External("mqtt://b".into()));
        check(external, &["--no-lan"], None, "myRasp", embedded(1883, None));
    }

    #[test]
    fn user_that_is_there_keeps_the_password_unless_another_is_wanted() {
        let hash = crate::access::Method::Sha512.hash(b"x", &[1; 12]).unwrap();
        let passwords = format!("# users\nann:{hash}\n");
        let lan = |flags: &[&str], input| plan("", &passwords, flags, input).unwrap().lan().cloned().unwrap();
        assert_eq!((lan(&[], None).user.as_str(), lan(&[], None).has_new_password), ("ann", false));
        assert!(lan(&["--new-password"], None).has_new_password);
        assert!(lan(&["--user", "ann"], Some("\n\n\ny\n")).has_new_password);
        assert!(!lan(&["--user", "ann"], Some("\n\n\n")).has_new_password, "the end of the input is a no");
    }

    #[test]
    fn one_port_is_not_both_with_and_without_tls() {
        assert!(plan("", "", &["--tls", "--port", "9", "--tls-port", "9"], None).is_err());
        check(
            "",
            &["--tls", "--port", "8883"],
            Some("\n\n8884\n\n"),
            "myRasp",
            embedded(8883, Some(("laptop", false, Some(8884)))),
        );
    }

    #[test]
    fn input_that_ends_at_a_value_ends_everything() {
        assert!(plan("", "", &[], Some("")).is_err());
        assert!(plan("", "", &[], Some("\n\nn\n")).is_err());
    }
}
