//! The limits of the running embedded broker: how much of each is in use, read from `$SYS` over the gateway's private
//! socket. Nothing is published, and the session ends with the connection.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::finding::Finding;
use crate::broker::Options;
use crate::client::{self, Address, Event, Link};
use crate::config::EmbeddedBroker;
use crate::mqtt::{ProtocolVersion, QoS, Subscription, TopicFilter};

const SUBJECT: &str = "limits";

const CLIENT_ID: &str = "sensegate/doctor";

/// Longest time for the connection, and again for the values.
const WAIT: Duration = Duration::from_secs(2);

/// Largest packet of the broker: values are numbers.
const PACKET_BYTES_MAX: usize = 4096;

/// Share of a limit, in percent, from which on there is a warning.
const WARNING_PERCENT: u64 = 90;

/// One limit, and the topic of what is in use of it.
struct Limit {
    topic: &'static str,
    /// What is counted.
    unit: &'static str,
    key: &'static str,
    max: fn(&Options) -> usize,
    /// What happens when it is reached.
    consequence: &'static str,
    cure: &'static str,
    /// Whether a broker of this version publishes the topic in any case.
    is_expected: bool,
}

const LIMITS: [Limit; 4] = [
    Limit {
        topic: "$SYS/broker/clients/total",
        unit: "sessions",
        key: "broker.limits.sessions",
        max: |options| options.sessions_max,
        consequence: "a client that asks for a new persistent session is refused, unless an idle one can be discarded",
        cure: "raise the key, or lower broker.limits.session_idle or session_expiry so that abandoned sessions end",
        is_expected: true,
    },
    Limit {
        topic: "$SYS/broker/retained messages/count",
        unit: "retained messages",
        key: "broker.limits.retained_messages",
        max: |options| options.retained_messages_max,
        consequence: "further retained messages are not stored",
        cure: "raise the key, or clear topics with an empty retained message",
        is_expected: true,
    },
    Limit {
        topic: "$SYS/broker/retained messages/bytes",
        unit: "bytes of retained messages",
        key: "broker.limits.retained_size",
        max: |options| options.retained_bytes_max,
        consequence: "further retained messages are not stored",
        cure: "raise the key, or clear topics with an empty retained message",
        is_expected: true,
    },
    Limit {
        topic: "$SYS/broker/heap/current",
        unit: "bytes of memory",
        key: "broker.limits.memory",
        max: |options| options.memory_bytes_max,
        consequence: "connections, subscriptions and retained messages are refused and queued messages are dropped",
        cure: "raise the key if the machine has the memory, or lower queue_size, retained_size and send_buffer",
        is_expected: false,
    },
];

/// The values of the topics of [`LIMITS`].
type Values = BTreeMap<String, u64>;

/// Returns what is in use of each limit; nothing when no gateway is running.
pub(super) fn examine(broker: &EmbeddedBroker) -> Vec<Finding> {
    let socket = &broker.server.house_socket;
    match UnixStream::connect(socket) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let text = format!("not examined: {} may be opened by the service's user and root only", socket.display());
            return vec![Finding::warning(SUBJECT, text, "sudo sensegate doctor")];
        }
        Err(_) => return Vec::new(),
    }
    if broker.machine.system_interval.is_none() {
        let text = "not examined: broker.sys_interval is 0, so that the broker publishes nothing about itself";
        return vec![Finding::warning(SUBJECT, text, "sys_interval = \"10s\" in [broker]")];
    }
    match read(socket) {
        Ok(values) => judge(&values, &broker.machine),
        Err(why) => {
            let text = format!("not examined: {}: {why}", socket.display());
            vec![Finding::problem(SUBJECT, text, "look at the gateway's log: `journalctl -u sensegate`")]
        }
    }
}

fn read(socket: &Path) -> Result<Values, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(read_values(socket))
}

async fn read_values(socket: &Path) -> Result<Values, String> {
    let options = client::Options {
        version: ProtocolVersion::V5,
        client_id: CLIENT_ID.into(),
        clean_session: true,
        session_expiry_s: 0,
        keep_alive: Duration::from_secs(60),
        credentials: None,
        will: None,
        packet_bytes_max: PACKET_BYTES_MAX,
        receive_max: u16::MAX,
        patience: WAIT,
    };
    let address = Address::Unix(socket.to_owned());
    let (mut link, _) = client::connect(&address, None, &options).await.map_err(|error| error.to_string())?;
    let filters = LIMITS.iter().filter_map(|limit| TopicFilter::new(limit.topic).ok());
    link.subscribe(filters.map(|filter| Subscription::new(filter, QoS::AtMostOnce)).collect());
    let mut values = Values::new();
    // a gateway of another version may lack some of them
    let outcome = tokio::time::timeout(WAIT, collect(&mut link, &mut values)).await;
    link.disconnect().await;
    match outcome {
        Ok(Err(why)) => Err(why),
        _ if values.is_empty() => Err(format!("the broker sent no values within {} s", WAIT.as_secs())),
        _ => Ok(values),
    }
}

/// Reads retained values until all that are expected have come.
async fn collect(link: &mut Link, values: &mut Values) -> Result<(), String> {
    let is_missing =
        |values: &Values| LIMITS.iter().any(|limit| limit.is_expected && !values.contains_key(limit.topic));
    while is_missing(values) {
        match link.next_event().await {
            Event::Message(message) => {
                let value = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
                values.extend(value.map(|value| (message.topic, value)));
            }
            Event::Lost(loss) => return Err(loss.to_string()),
            Event::Acknowledged(..) | Event::Subscribed(..) | Event::Unsubscribed(_) => {}
        }
    }
    Ok(())
}

/// A warning for each limit that is nearly or fully used; one line when there is none.
fn judge(values: &Values, options: &Options) -> Vec<Finding> {
    let known = LIMITS.iter().filter_map(|limit| {
        let max = (limit.max)(options) as u64;
        values.get(limit.topic).map(|used| (limit, *used, max))
    });
    let known: Vec<_> = known.collect();
    let is_near = |used: u64, max: u64| used.saturating_mul(100) >= max.saturating_mul(WARNING_PERCENT);
    let warnings: Vec<_> = known.iter().filter(|(_, used, max)| is_near(*used, *max)).map(warning).collect();
    if !warnings.is_empty() {
        return warnings;
    }
    let used: Vec<_> = known.iter().map(|(limit, used, max)| format!("{used} of {max} {}", limit.unit)).collect();
    vec![Finding::ok(SUBJECT, format!("{} in use", used.join(", ")))]
}

fn warning((limit, used, max): &(&Limit, u64, u64)) -> Finding {
    let Limit { unit, key, consequence, cure, .. } = limit;
    let when = if used >= max { "is reached" } else { "is nearly reached; then" };
    let join = if used >= max { ": " } else { " " };
    Finding::warning(SUBJECT, format!("{used} of {max} {unit}: {key} {when}{join}{consequence}"), *cure)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::finding::Verdict;
    use super::*;
    use crate::server;

    fn options() -> Options {
        Options { sessions_max: 100, retained_messages_max: 1000, retained_bytes_max: 5000, ..Options::default() }
    }

    fn judged(sessions: u64, retained: u64, bytes: u64) -> Vec<Finding> {
        let [of_sessions, of_retained, of_bytes, _] = LIMITS.map(|limit| limit.topic.to_owned());
        judge(&[(of_sessions, sessions), (of_retained, retained), (of_bytes, bytes)].into(), &options())
    }

    fn broker(socket: &Path, system_interval: Option<Duration>) -> EmbeddedBroker {
        let server = server::Options {
            listeners: Vec::new(),
            house_socket: socket.to_owned(),
            connections_max: 1,
            connections_per_address_max: 1,
            login_bytes_max: 1,
            logins_bytes_max: 1,
            send_buffer_bytes_max: 1,
            access: server::Access::default(),
        };
        EmbeddedBroker { machine: Options { system_interval, ..options() }, server }
    }

    #[test]
    fn limits_that_are_far_away_are_one_line() {
        let expected = "3 of 100 sessions, 50 of 1000 retained messages, 900 of 5000 bytes of retained messages in use";
        assert_eq!(judged(3, 50, 900), [Finding::ok(SUBJECT, expected)]);
    }

    #[test]
    fn limit_that_is_reached_or_nearly_so_is_a_warning_with_its_key_and_what_to_do() {
        for (sessions, words) in [(100, "is reached: "), (90, "is nearly reached; then ")] {
            let [finding] = judged(sessions, 1, 1).try_into().unwrap();
            assert_eq!(finding.verdict, Verdict::Warning);
            let expected = format!("{sessions} of 100 sessions: broker.limits.sessions {words}a client that asks");
            assert!(finding.text.starts_with(&expected), "{finding}");
            assert!(finding.cure.contains("session_idle"), "{finding}");
        }
        let keys: Vec<_> = judged(89, 1000, 4999).into_iter().map(|finding| finding.text).collect();
        assert!(keys[0].contains("retained_messages") && keys[1].contains("retained_size"), "{keys:?}");
    }

    #[test]
    fn without_a_running_gateway_there_is_nothing_to_say() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("house.sock");
        assert_eq!(examine(&broker(&socket, None)), []);
        drop(UnixListener::bind(&socket).unwrap());
        assert_eq!(examine(&broker(&socket, None)), [], "a socket that a process has left behind");
    }

    #[test]
    fn broker_that_publishes_nothing_about_itself_cannot_be_examined() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("house.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let [finding] = examine(&broker(&socket, None)).try_into().unwrap();
        assert!(finding.verdict == Verdict::Warning && finding.text.contains("sys_interval"), "{finding}");
    }
}
