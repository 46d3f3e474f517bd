//! The listeners' addresses: free, or taken, and by whom. Nothing is bound, so a gateway that is starting at this moment
//! is not disturbed. Follows `proc_net(5)` and `proc_pid_fd(5)`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::finding::Finding;

const SUBJECT: &str = "listener";
/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listening {
    address: SocketAddr,
    inode: u64,
}

/// Whether `address` can be listened on, by the tables in `proc` below `root`.
pub(super) fn check_tcp(root: &Path, address: SocketAddr) -> Finding {
    // Port 0 of the same address is always free: what fails here is the address.
    if TcpListener::bind((address.ip(), 0)).is_err() {
        let text = format!("{address}: this machine has no address {}", address.ip());
        return Finding::problem(SUBJECT, text, "take one that `ip address` lists in [[broker.listener]]");
    }
    match occupants(root, address).next() {
        None => Finding::ok(SUBJECT, format!("{address} is free")),
        Some(occupant) => judge(&address.to_string(), &occupant),
    }
}

/// Who listens where `address` cannot be listened on for that reason.
pub(in crate::cli) fn occupants(root: &Path, address: SocketAddr) -> impl Iterator<Item = Occupant> {
    let taken = listening(root).into_iter().filter(move |listening| collide(listening.address, address));
    taken.map(|listening| Occupant { owner: owner(root, listening.inode) })
}

/// Whether a Unix socket at `path` is answered.
pub(super) fn check_unix(path: &Path) -> Finding {
    match UnixStream::connect(path) {
        Ok(_) => Finding::warning(
            SUBJECT,
            format!("{} is answered by a program", path.display()),
            "if that is not sensegate, name another path in [[broker.listener]]",
        ),
        Err(_) => Finding::ok(SUBJECT, format!("{} is free", path.display())),
    }
}

/// Taken by a gateway that runs is as it should be; by anybody else, or by somebody unknown, it is a problem.
fn judge(address: &str, occupant: &Occupant) -> Finding {
    if occupant.is_sensegate() {
        return Finding::ok(SUBJECT, format!("{address} is served by {occupant}, which is running"));
    }
    let cure = match occupant.name() {
        Some(name) => format!(
            "stop it (a service: sudo systemctl disable --now {name}), or another address in [[broker.listener]]"
        ),
        None => "sudo sensegate doctor tells by which; stop it, or take another address in [[broker.listener]]".into(),
    };
    Finding::problem(SUBJECT, format!("{address} is taken by {occupant}"), cure)
}

fn listening(root: &Path) -> Vec<Listening> {
    let tables = ["proc/net/tcp", "proc/net/tcp6"].map(|file| fs::read_to_string(root.join(file)).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).filter_map(parse_line).collect()
}

/// `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`
fn parse_line(line: &str) -> Option<Listening> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let address = SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    (state == LISTENING).then_some(Listening { address, inode })
}

/// Words of 32 bits in the machine's byte order: one for IPv4, four for IPv6.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    match hex.len() {
        8 => Some(Ipv4Addr::from(parse_word(hex)?).into()),
        32 => {
            let words: Option<Vec<_>> =
                [0, 8, 16, 24].map(|at| hex.get(at..at + 8).and_then(parse_word)).into_iter().collect();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(words?.concat()).ok()?).into())
        }
        _ => None,
    }
}

fn parse_word(hex: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(hex, 16).ok().map(u32::to_ne_bytes)
}

/// Whether both cannot be listened on at one time. `[::]` takes IPv4 with it.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V4(ip) => ip.is_unspecified() && narrow.is_ipv4(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    let (first, second) = (one.ip(), other.ip());
    one.port() == other.port()
        && other.port() != 0
        && (first == second || covers(first, second) || covers(second, first))
}

/// Who listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Occupant {
    /// `None` when that is not ours to see.
    owner: Option<Owner>,
}

impl Occupant {
    /// Whether it is this gateway, or another one.
    pub(in crate::cli) fn is_sensegate(&self) -> bool {
        self.name() == Some("sensegate")
    }

    /// The program, when it may be known.
    pub(in crate::cli) fn name(&self) -> Option<&str> {
        self.owner.as_ref().map(|owner| owner.name.as_str())
    }
}

/// `mosquitto (pid 612)`
impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(Owner { pid, name }) => write!(f, "{name} (pid {pid})"),
            None => f.write_str("another user's program"),
        }
    }
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    name: String,
}

/// The process with a descriptor of the socket `inode`; `None` when it is not ours to see.
fn owner(root: &Path, inode: u64) -> Option<Owner> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir(root.join("proc")).ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.find(|pid| holds(&root.join(format!("proc/{pid}/fd")), &wanted))?;
    let name = fs::read_to_string(root.join(format!("proc/{pid}/comm"))).ok()?;
    Some(Owner { pid, name: name.trim().to_owned() })
}

fn holds(descriptors: &Path, wanted: &str) -> bool {
    let links = fs::read_dir(descriptors).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).any(|target| target.as_os_str() == wanted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::super::finding::Verdict;
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// One listening IPv4 socket, in the byte order of this machine.
    fn table(ip: Ipv4Addr, port: u16, state: &str, inode: u64) -> String {
        let ip = u32::from_ne_bytes(ip.octets());
        format!(
            "{HEAD}   0: {ip:08X}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 \
             {inode} 1 0000000000000000 100 0 0 10 0\n"
        )
    }

    fn machine(tcp: &str, holder: Option<(u32, &str, u64)>) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::write(root.path().join("proc/net/tcp"), tcp).unwrap();
        if let Some((pid, name, inode)) = holder {
            let process = root.path().join(format!("proc/{pid}"));
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            symlink(format!("socket:[{inode}]"), process.join("fd/7")).unwrap();
        }
        root
    }

    fn check(tcp: &str, holder: Option<(u32, &str, u64)>) -> Finding {
        check_tcp(machine(tcp, holder).path(), "127.0.0.1:1883".parse().unwrap())
    }

    #[test]
    fn free_port_is_ok_and_a_connection_from_it_does_not_take_it() {
        assert_eq!(check(HEAD, None).verdict, Verdict::Ok);
        assert_eq!(check(&table(Ipv4Addr::LOCALHOST, 1883, "01", 5), None).verdict, Verdict::Ok);
        assert_eq!(check(&table(Ipv4Addr::LOCALHOST, 1884, "0A", 5), None).verdict, Verdict::Ok);
        assert_eq!(check(&table(Ipv4Addr::new(10, 0, 0, 1), 1883, "0A", 5), None).verdict, Verdict::Ok);
    }

    #[test]
    fn taken_port_is_a_problem_that_names_its_owner() {
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED] {
            let finding = check(&table(ip, 1883, "0A", 5), Some((612, "mosquitto", 5)));
            assert_eq!(finding.verdict, Verdict::Problem);
            assert!(finding.text.contains("mosquitto (pid 612)"), "{finding}");
            assert!(finding.cure.contains("systemctl disable --now mosquitto"), "{finding}");
        }
        let unknown = check(&table(Ipv4Addr::LOCALHOST, 1883, "0A", 5), Some((612, "mosquitto", 6)));
        assert!(unknown.cure.contains("sudo sensegate doctor"), "{unknown}");
    }

    #[test]
    fn port_of_a_running_sensegate_is_ok() {
        let finding = check(&table(Ipv4Addr::LOCALHOST, 1883, "0A", 5), Some((612, "sensegate", 5)));
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.text.contains("pid 612"), "{finding}");
    }

    #[test]
    fn address_of_another_machine_is_a_problem() {
        let root = machine(HEAD, None);
        let finding = check_tcp(root.path(), "192.0.2.77:1883".parse().unwrap());
        assert_eq!(finding.verdict, Verdict::Problem);
        assert!(finding.text.contains("no address 192.0.2.77"), "{finding}");
    }

    #[test]
    fn wide_addresses_collide_with_narrow_ones_on_the_same_port() {
        let pairs = [
            ("0.0.0.0:1883", "127.0.0.1:1883", true),
            ("[::]:1883", "127.0.0.1:1883", true),
            ("[::1]:1883", "127.0.0.1:1883", false),
            ("[::1]:1883", "0.0.0.0:1883", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (one, other, expected) in pairs {
            let [one, other] = [one, other].map(|text| text.parse::<SocketAddr>().unwrap());
            assert_eq!([collide(one, other), collide(other, one)], [expected; 2], "{one} {other}");
        }
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        assert_eq!(parse_ip(&format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]))), Some(Ipv4Addr::LOCALHOST.into()));
        let last = format!("{:08X}", u32::from_ne_bytes([0, 0, 0, 1]));
        assert_eq!(parse_ip(&format!("{}{last}", "0".repeat(24))), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(parse_ip("01"), None);
    }

    #[test]
    fn own_listener_is_found_in_this_machines_tables() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = check_tcp(Path::new("/"), listener.local_addr().unwrap());
        let pid = format!("(pid {})", std::process::id());
        assert!(finding.text.contains(&pid), "{finding}");
    }
}
