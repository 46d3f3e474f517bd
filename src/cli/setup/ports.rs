//! A port that somebody else has: who, and what can be done about it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::super::doctor::ports::{Occupant, occupants};
use super::super::edit::ask::Asker;

/// How many ports above the wanted one are looked at for a free one.
const SEARCHED: u16 = 100;

/// What was decided about a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This one.
    Port(u16),
    /// None: publish to the broker that has it.
    UseThatBroker,
}

/// Which port it is, when `wanted` is asked for. `is_wide` says whether other machines come in there too, and
/// `may_join` whether to be a client of what is there is a way out.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn settle(
    asker: &mut Asker<'_>,
    root: &Path,
    wanted: u16,
    is_wide: bool,
    may_join: bool,
) -> io::Result<Decision> {
    let mut wanted = wanted;
    loop {
        let Some(occupant) = stranger(root, wanted, is_wide) else { return Ok(Decision::Port(wanted)) };
        let free = next_free(root, wanted, is_wide);
        asker.say(&format!("port {wanted} is taken by {occupant}"))?;
        if !asker.asks() {
            asker.say(&format!("taking port {free} instead"))?;
            return Ok(Decision::Port(free));
        }
        match ask(asker, wanted, free, may_join)? {
            Way::Other(port) => wanted = port,
            Way::Join => return Ok(Decision::UseThatBroker),
            Way::Stop => wait_for_its_end(asker, &occupant)?,
        }
    }
}

/// What whoever is asked wants to do about it.
enum Way {
    Other(u16),
    Join,
    Stop,
}

fn ask(asker: &mut Asker<'_>, wanted: u16, free: u16, may_join: bool) -> io::Result<Way> {
    let mut options = vec![format!("take another port for sensegate, such as {free}")];
    options.extend(may_join.then(|| format!("be no broker: publish to the one on port {wanted}")));
    options.push("stop the other one".into());
    Ok(match asker.choice("What to do?", &options)? {
        0 => Way::Other(asker.value("Port", &free.to_string(), parse)?),
        1 if may_join => Way::Join,
        _ => Way::Stop,
    })
}

/// Never done here: whoever runs it decides.
fn wait_for_its_end(asker: &mut Asker<'_>, occupant: &Occupant) -> io::Result<()> {
    let name = occupant.name().unwrap_or("NAME");
    asker.say("In another terminal (for a service; what was started by hand is ended there):")?;
    asker.say(&format!("    sudo systemctl disable --now {name}"))?;
    asker.wait("Then press Enter. ")
}

/// A port, as it is typed.
///
/// # Errors
/// What is expected instead.
pub(super) fn parse(typed: &str) -> Result<u16, String> {
    typed.parse().ok().filter(|port| *port > 0).ok_or_else(|| "a port from 1 to 65535".into())
}

/// Who has the port, other than a sensegate.
fn stranger(root: &Path, port: u16, is_wide: bool) -> Option<Occupant> {
    let local: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    let wide: [SocketAddr; 2] = [(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()];
    let addresses = if is_wide { wide } else { local };
    addresses.into_iter().flat_map(|address| occupants(root, address)).find(|occupant| !occupant.is_sensegate())
}

fn next_free(root: &Path, wanted: u16, is_wide: bool) -> u16 {
    let mut above = (wanted..=u16::MAX).skip(1).take(usize::from(SEARCHED));
    above.find(|port| stranger(root, *port, is_wide).is_none()).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A machine on which each of the processes listens on a port of loopback.
    fn machine(listening: &[(u16, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        let mut table = vec!["  sl  local_address".to_owned()];
        for (port, name) in listening {
            let ip = u32::from_ne_bytes([127, 0, 0, 1]);
            table.push(format!("0: {ip:08X}:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {port} 1"));
            let process = root.path().join(format!("proc/{port}"));
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            symlink(format!("socket:[{port}]"), process.join("fd/3")).unwrap();
        }
        fs::write(root.path().join("proc/net/tcp"), table.join("\n")).unwrap();
        root
    }

    fn check(listening: &[(u16, &str)], input: Option<&str>, may_join: bool) -> (io::Result<Decision>, String) {
        let (mut typed, mut output) = (input.unwrap_or_default().as_bytes(), Vec::new());
        let mut asker = Asker::new(&mut typed, &mut output, input.is_some());
        let decision = settle(&mut asker, machine(listening).path(), 1883, true, may_join);
        (decision, String::from_utf8(output).unwrap())
    }

    const MOSQUITTO: (u16, &str) = (1883, "mosquitto");

    #[test]
    fn free_port_and_that_of_a_running_sensegate_are_taken_without_a_word() {
        for listening in [&[][..], &[(1883, "sensegate")], &[(1884, "mosquitto")]] {
            let (decision, output) = check(listening, Some(""), true);
            assert_eq!((decision.unwrap(), output.as_str()), (Decision::Port(1883), ""));
        }
    }

    #[test]
    fn without_a_question_the_next_free_one_is_taken_and_told() {
        let (decision, output) = check(&[MOSQUITTO, (1884, "nginx"), (1885, "sensegate")], None, true);
        assert_eq!(decision.unwrap(), Decision::Port(1885));
        assert!(output.contains("mosquitto (pid 1883)") && output.contains("taking port 1885"), "{output}");
    }

    #[test]
    fn another_port_that_is_taken_too_is_asked_for_again() {
        let (decision, output) = check(&[MOSQUITTO, (1999, "nginx")], Some("1\n1999\n\n\n"), true);
        assert_eq!(decision.unwrap(), Decision::Port(2000));
        assert!(output.contains("port 1999 is taken by nginx"), "{output}");
    }

    #[test]
    fn one_may_join_the_other_broker_where_that_helps() {
        assert_eq!(check(&[MOSQUITTO], Some("2\n"), true).0.unwrap(), Decision::UseThatBroker);
        let (_, output) = check(&[MOSQUITTO], Some(""), false);
        assert!(!output.contains("publish to"), "{output}");
    }

    #[test]
    fn the_other_one_is_never_stopped_here_but_it_is_told_how() {
        let (decision, output) = check(&[MOSQUITTO], Some("3\n\n1\n\n"), true);
        assert_eq!(decision.unwrap(), Decision::Port(1884));
        assert!(output.contains("sudo systemctl disable --now mosquitto"), "{output}");
        assert!(check(&[MOSQUITTO], Some("3\n"), true).0.is_err(), "the input ended");
    }
}
