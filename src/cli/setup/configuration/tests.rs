use super::super::certificates;
use super::super::plan as plans;
use super::*;
use crate::cli::edit::changes;
use crate::config::DEFAULTS;
use crate::server::ListenerOptions;

/// How other machines come in.
#[derive(Clone, Copy)]
enum Lan {
    Closed,
    Plain,
    Tls(u16),
}

fn plan(prefix: &str, port: u16, wanted: Lan) -> Plan {
    let lan = |tls_port| Some(plans::Lan { user: "laptop".into(), has_new_password: false, tls_port });
    let lan = match wanted {
        Lan::Closed => None,
        Lan::Plain => lan(None),
        Lan::Tls(port) => lan(Some(port)),
    };
    Plan { prefix: prefix.into(), broker: Broker::Embedded { port, lan } }
}

/// A directory with the files that a configuration may name.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = certificates::Names { host: "pi".into(), addresses: vec![] };
        let now = crate::base::clock::Wall::from_unix_ms(1_800_000_000_000);
        let made = certificates::make(&certificates::Texts::default(), &names, now).unwrap();
        for (name, text) in
            [("passwords", ""), ("acl", ""), ("server.pem", &made.certificate), ("server.key", &made.key)]
        {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn named(&self) -> Named {
        let path = |name| self.0.path().join(name);
        let tls = Some((path("server.pem"), path("server.key")));
        Named { passwords: Some(path("passwords")), acl: Some(path("acl")), tls }
    }

    /// What becomes of `old`, and what that means. Doing it again changes nothing.
    fn composed(&self, old: &str, plan: &Plan) -> (String, Settings) {
        let text = self.once(old, plan);
        let settings = self.read(&text).settings;
        check(&settings, plan).unwrap();
        assert_eq!(changes(&text, &self.once(&text, plan)), [""; 0], "{text}");
        (text, settings)
    }

    fn once(&self, old: &str, plan: &Plan) -> String {
        let present = self.read(old);
        let named = if plan.lan().is_some() { self.named() } else { Named::default() };
        let named = Named {
            passwords: named.passwords.filter(|_| !present.has_passwords),
            acl: named.acl.filter(|_| !present.has_acl),
            tls: named.tls,
        };
        compose(&present, plan, &named).unwrap()
    }

    fn read(&self, text: &str) -> Present {
        let file = self.0.path().join("sensegate.toml");
        std::fs::write(&file, text).unwrap();
        Present::read(&file).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    /// `text` with the directory's own name taken out.
    fn bare(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// `127.0.0.1:1883*`, with a star for everybody and a T for TLS.
fn listeners(settings: &Settings) -> Vec<String> {
    let show = |listener: &ListenerOptions| {
        let star = if listener.allow_anonymous { "*" } else { "" };
        let tls = if listener.tls.is_some() { "T" } else { "" };
        format!("{}{star}{tls}", listener.address.tcp().unwrap())
    };
    settings.broker.as_ref().unwrap().server.listeners.iter().map(show).collect()
}

#[test]
fn new_file_holds_only_what_differs() {
    let place = Place::new();
    let (text, settings) = place.composed("", &plan("myRasp", 1883, Lan::Plain));
    let expected = format!(
        "{HEAD}\n[broker]\n\
         # Who may come in; `sensegate passwd FILE USER` adds users.\npassword_file = \"passwords\"\n\
         # What they may read and write.\nacl_file = \"acl\"\n\n\
         # This machine, without a password.\n\
         [[broker.listener]]\naddress = \"127.0.0.1:1883\"\nallow_anonymous = true\n\n\
         [[broker.listener]]\naddress = \"[::1]:1883\"\nallow_anonymous = true\n\n\
         # Other machines, with user and password.\n\
         [[broker.listener]]\naddress = \"0.0.0.0:1883\"\n\n[[broker.listener]]\naddress = \"[::]:1883\"\n"
    );
    assert_eq!(place.bare(&text), expected);
    assert_eq!(listeners(&settings), ["127.0.0.1:1883*", "[::1]:1883*", "0.0.0.0:1883", "[::]:1883"]);
    assert_eq!(place.composed("", &plan("myRasp", 1883, Lan::Closed)).0, HEAD);
    let (text, _) = place.composed("", &plan("kitchen", 1883, Lan::Closed));
    assert_eq!(text, format!("{HEAD}\n# First level of all topics.\nprefix = \"kitchen\"\n"));
}

#[test]
fn tls_leaves_the_plain_port_to_this_machine() {
    let place = Place::new();
    let (text, settings) = place.composed("", &plan("myRasp", 1999, Lan::Tls(8883)));
    assert_eq!(listeners(&settings), ["127.0.0.1:1999*", "[::1]:1999*", "0.0.0.0:8883T", "[::]:8883T"]);
    let tls = "tls = { certificate = \"server.pem\", key = \"server.key\" }\n";
    assert!(place.bare(&text).ends_with(tls), "{text}");
    // and back
    let (_, settings) = place.composed(&text, &plan("myRasp", 1999, Lan::Plain));
    assert_eq!(listeners(&settings), ["127.0.0.1:1999*", "[::1]:1999*", "0.0.0.0:1999", "[::]:1999"]);
    let (_, settings) = place.composed(&text, &plan("myRasp", 1999, Lan::Closed));
    assert_eq!(listeners(&settings), ["127.0.0.1:1999*", "[::1]:1999*"]);
}

#[test]
fn this_machine_has_a_way_in_when_the_plain_port_is_closed() {
    let place = Place::new();
    let old = format!(
        "[broker]\npassword_file = \"{}\"\n[[broker.listener]]\naddress = \"0.0.0.0:1883\"\n",
        place.0.path().join("passwords").display()
    );
    for (lan, expected) in [
        (Lan::Plain, &["0.0.0.0:1883"][..]),
        (Lan::Closed, &["127.0.0.1:1883*", "[::1]:1883*"]),
        (Lan::Tls(8883), &["127.0.0.1:1883*", "[::1]:1883*", "0.0.0.0:8883T", "[::]:8883T"]),
    ] {
        assert_eq!(listeners(&place.composed(&old, &plan("myRasp", 1883, lan)).1), expected);
    }
}

#[test]
fn shipped_file_keeps_every_comment() {
    let place = Place::new();
    let (text, settings) = place.composed(DEFAULTS, &plan("kitchen", 1884, Lan::Plain));
    let went: Vec<_> = changes(DEFAULTS, &text).into_iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(went, ["- prefix = \"myRasp\"", "- address = \"127.0.0.1:1883\"", "- address = \"[::1]:1883\""]);
    assert_eq!(listeners(&settings), ["127.0.0.1:1884*", "[::1]:1884*", "0.0.0.0:1884", "[::]:1884"]);
    assert!(
        text.contains(
            "# First level of the gateway's topics: `{prefix}` in the templates below.\nprefix = \"kitchen\"\n"
        )
    );
    let without = place.composed(DEFAULTS, &plan("myRasp", 1883, Lan::Closed)).0;
    assert_eq!(without, DEFAULTS);
}

#[test]
fn file_of_ones_own_keeps_its_layout_and_its_other_listeners() {
    let place = Place::new();
    let old = "# mine\n[labels]\nroom   = \"a\" # here\n\n[[broker.listener]]\naddress = \"127.0.0.1:1883\" # local\n\n\
               [[broker.listener]]\nprotocol = \"websocket\"\naddress = \"127.0.0.1:9001\"\n\n[log]\nlevel = \"debug\"\n";
    let (text, settings) = place.composed(old, &plan("myRasp", 1884, Lan::Plain));
    let went: Vec<_> = changes(old, &text).into_iter().filter(|line| line.starts_with('-')).collect();
    assert_eq!(went, ["- address = \"127.0.0.1:1883\" # local"]);
    assert!(text.contains("address = \"127.0.0.1:1884\" # local\n"), "{text}");
    assert_eq!(listeners(&settings), ["127.0.0.1:1884*", "127.0.0.1:9001*", "0.0.0.0:1884", "[::]:1884"]);
}

#[test]
fn list_on_one_line_and_dotted_keys_are_understood() {
    let place = Place::new();
    for old in [
        "broker = { listener = [{ address = \"127.0.0.1:1883\" }] }\n",
        "broker.listener = [{ address = \"127.0.0.1:1883\" }]\n",
        "[broker]\nlistener = [\n  { address = \"127.0.0.1:1883\" },\n]\n[log]\nlevel = \"info\"\n",
    ] {
        let present = place.read(old);
        let composed = compose(&present, &plan("myRasp", 1883, Lan::Plain), &place.named());
        let text = composed.unwrap_or_else(|error| panic!("{error}: {old}"));
        let settings = place.read(&text).settings;
        assert_eq!(listeners(&settings), ["127.0.0.1:1883*", "0.0.0.0:1883", "[::]:1883"], "{old}\n{text}");
    }
}

#[test]
fn client_of_another_broker_names_it_and_can_come_back() {
    let place = Place::new();
    let external = Plan { prefix: "myRasp".into(), broker: Broker::External("mqtt://127.0.0.1:1883".into()) };
    for old in ["", DEFAULTS] {
        let (text, settings) = place.composed(old, &external);
        assert!(settings.broker.is_none(), "{text}");
        let back = place.composed(&text, &plan("myRasp", 1883, Lan::Closed)).1;
        assert_eq!(listeners(&back), ["127.0.0.1:1883*", "[::1]:1883*"]);
    }
}
