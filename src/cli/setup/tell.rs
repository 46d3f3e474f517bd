//! What is said at the end: the lines for the other machine, and what comes next.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use super::outcome::Outcome;
use super::plan::{Broker, Lan, Plan};
use super::service::Service;
use crate::base::clock::Wall;

/// What the words depend on.
pub(super) struct Told<'a> {
    pub(super) plan: &'a Plan,
    pub(super) outcome: &'a Outcome,
    /// How other machines call this one.
    pub(super) host: &'a str,
    pub(super) addresses: &'a [IpAddr],
    /// Who copies files from here.
    pub(super) login: &'a str,
    pub(super) configuration: &'a Path,
    pub(super) service: Service,
    /// Files that the service may not read.
    pub(super) hidden: &'a [&'a Path],
    /// Whether something has changed that the service is still to take over.
    pub(super) has_changes: bool,
}

impl Told<'_> {
    /// All of it, a line each.
    pub(super) fn lines(&self) -> String {
        let subscribe = match &self.plan.broker {
            Broker::External(url) => self.of_another_broker(url),
            Broker::Embedded { port, lan: None } => self.here(*port),
            Broker::Embedded { port, lan: Some(lan) } => self.there(lan) + &self.here(*port),
        };
        subscribe + &self.next()
    }

    fn of_another_broker(&self, url: &str) -> String {
        format!(
            "\nThe broker at {} says who may subscribe, and from where. Such as:\n    {}\n",
            url,
            self.line("", 1883)
        )
    }

    /// For this machine, which shows no password.
    fn here(&self, port: u16) -> String {
        format!("\nOn this machine:\n    {}\n", self.line("", port))
    }

    /// For the other machines.
    fn there(&self, lan: &Lan) -> String {
        let password = self.outcome.password.as_ref().map_or("PASSWORD", |password| password.reveal());
        let ca = if lan.tls_port.is_some() { "--cafile ca.pem " } else { "" };
        let who = format!("{ca}-h {} -u {} -P {} ", self.host, quoted(&lan.user), quoted(password));
        let mut lines = String::from("\nOn another machine of the network:\n");
        if let Some((authority, _)) = &self.outcome.tls {
            let from = quoted(&format!("{}@{}:{}", self.login, self.host, authority.display()));
            let _ = writeln!(lines, "    scp {from} .");
        }
        let _ = writeln!(lines, "    {}", self.line(&who, self.plan.lan_port().unwrap_or(1883)));
        lines + &self.remarks(lan)
    }

    fn remarks(&self, lan: &Lan) -> String {
        let address = self.addresses.first().filter(|_| self.host != "localhost");
        let address = address.map(|address| format!("Where {} is not found, {address} stands for it.\n", self.host));
        let password = match &self.outcome.password {
            Some(_) => "The password is shown this once; --new-password makes another.\n".into(),
            None => format!("{} has a password already; --new-password makes another.\n", lan.user),
        };
        let way = match &self.outcome.tls {
            Some((_, Some(end))) => of_certificate(*end),
            _ if lan.tls_port.is_some() => {
                "ca.pem holds the authority that signed the listener's certificate.\n".into()
            }
            _ => "Without TLS it crosses the network readable; --tls changes that.\n".into(),
        };
        address.unwrap_or_default() + &password + &way
    }

    /// Nothing that mosquitto_sub assumes anyway.
    fn line(&self, who: &str, port: u16) -> String {
        let port = if port == 1883 { String::new() } else { format!("-p {port} ") };
        format!("mosquitto_sub {who}{port}-t {} -v", quoted(&self.plan.filter()))
    }

    fn next(&self) -> String {
        let file = quoted(&self.configuration.display().to_string());
        let start = match self.service {
            Service::Active | Service::Enabled if self.has_changes => "    sudo systemctl restart sensegate\n".into(),
            Service::Active | Service::Enabled => String::new(),
            Service::Disabled => "    sudo systemctl enable --now sensegate\n".into(),
            Service::None => format!("    sensegate run --config {file}\n"),
        };
        let cure = |path: &&Path| {
            let path = quoted(&path.display().to_string());
            format!("    sudo chgrp sensegate {path} && sudo chmod 640 {path}\n")
        };
        let cures = self.hidden.iter().map(cure).collect::<Vec<_>>().concat();
        format!("\nNext:\n{cures}{start}    sensegate doctor --config {file}\n")
    }
}

fn of_certificate(end: Wall) -> String {
    let end = end.to_string();
    let day = end.split('T').next().unwrap_or_default();
    format!("The certificate is valid until {day}; 90 days before, setup --tls renews it, and ca.pem stays as it is.\n")
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+=,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::secret::Secret;
    use crate::cli::edit::files::Changes;

    fn told(broker: Broker, password: Option<&str>, tls: Option<(PathBuf, Option<Wall>)>, service: Service) -> String {
        let outcome = Outcome { changes: Changes::of(vec![]), password: password.map(Secret::new), tls };
        Told {
            plan: &Plan { prefix: "my Rasp".into(), broker },
            outcome: &outcome,
            host: "pi4.local",
            addresses: &["192.168.1.2".parse().unwrap()],
            login: "ann",
            configuration: Path::new("/etc/sensegate/sensegate.toml"),
            service,
            hidden: &[Path::new("/etc/sensegate/acl")],
            has_changes: true,
        }
        .lines()
    }

    fn embedded(port: u16, user: &str, tls_port: Option<u16>) -> Broker {
        Broker::Embedded { port, lan: Some(Lan { user: user.into(), has_new_password: false, tls_port }) }
    }

    #[test]
    fn line_of_the_other_machine_can_be_pasted() {
        let lines = told(embedded(1883, "bob's", None), Some("a-b"), None, Service::Disabled);
        assert!(
            lines.contains("\n    mosquitto_sub -h pi4.local -u 'bob'\\''s' -P a-b -t 'my Rasp/#' -v\n"),
            "{lines}"
        );
        assert!(lines.contains("\n    mosquitto_sub -t 'my Rasp/#' -v\n"), "{lines}");
        assert!(lines.contains("192.168.1.2 stands for it") && lines.contains("--tls"), "{lines}");
        let next = "    sudo chgrp sensegate /etc/sensegate/acl && sudo chmod 640 /etc/sensegate/acl\n    \
                    sudo systemctl enable --now sensegate\n";
        assert!(lines.contains(next), "{lines}");
    }

    #[test]
    fn with_tls_the_file_is_copied_first() {
        let tls = Some(("/etc/sensegate/tls/ca.pem".into(), Some(Wall::from_unix_ms(0))));
        let lines = told(embedded(1999, "bob", Some(8883)), None, tls, Service::None);
        let expected = "    scp ann@pi4.local:/etc/sensegate/tls/ca.pem .\n    \
                        mosquitto_sub --cafile ca.pem -h pi4.local -u bob -P PASSWORD -p 8883 -t 'my Rasp/#' -v\n";
        assert!(lines.contains(expected), "{lines}");
        assert!(lines.contains("mosquitto_sub -p 1999 -t") && lines.contains("until 1970-01-01"), "{lines}");
    }

    #[test]
    fn another_broker_has_its_own_say() {
        let lines = told(Broker::External("mqtt://b".into()), None, None, Service::Active);
        assert!(lines.contains("The broker at mqtt://b says who"), "{lines}");
    }
}
