//! The command line: what was typed becomes what was decided.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Parser;
use sensegate::base::secret::Secret;
use sensegate::mqtt::{QoS, TopicFilter};

use crate::load::{CONSUMERS_MAX, Options, SAMPLES_MAX, Template};

/// Microseconds since the start of the samples are kept in four bytes.
const SECONDS_MAX: u64 = 3_600;

/// A fleet of simulated gateways against any broker of MQTT 3.1.1, and consumers that check what arrives.
#[derive(Debug, Parser)]
#[command(name = "fleet", max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where the broker is
    #[arg(long, value_name = "mqtt://HOST:PORT", default_value = "mqtt://127.0.0.1:1883", value_parser = address)]
    broker: SocketAddr,
    /// How many gateways
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    gateways: u32,
    /// Number of the first one, so that several processes share a fleet
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    first: u32,
    /// Time between two samples of a gateway
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// How long samples are taken
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    seconds: u64,
    /// Quality of service of the samples, 0 or 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// User name; {gateway} in it stands for the client identifier
    #[arg(long, requires = "password")]
    username: Option<String>,
    /// Password of all of them; other users of this machine can read it
    #[arg(long, requires = "username")]
    password: Option<String>,
    /// Where samples go
    #[arg(long, value_name = "TEMPLATE", default_value = "fleet/{gateway}/samples", value_parser = Template::topic)]
    topic: Template,
    /// Where birth and will go, retained
    #[arg(long, value_name = "TEMPLATE", default_value = "fleet/{gateway}/status", value_parser = Template::topic)]
    status_topic: Template,
    /// How many consumers check what arrives
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=i64::from(CONSUMERS_MAX)))]
    subscribers: u16,
    /// Name of the group in which the consumers share one subscription
    #[arg(long, value_name = "GROUP")]
    shared: Option<String>,
    /// Keep the sessions of the consumers while they are away
    #[arg(long)]
    persistent: bool,
    /// Connections opened a second; 0 for as many as the broker answers
    #[arg(long, value_name = "N", default_value_t = 500)]
    connect_rate: u32,
    /// Time without progress after which a phase is over
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// Process of the broker on this machine, to tell its memory and processor time too
    #[arg(long, value_name = "PID")]
    broker_pid: Option<u32>,
    /// Print one line of JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// What they ask for.
    ///
    /// # Errors
    /// When they do not go together.
    pub(crate) fn decide(self) -> Result<Options, String> {
        let samples = Duration::from_secs(self.seconds).as_nanos() / self.interval.as_nanos();
        let options = Options {
            address: self.broker,
            gateways: self.gateways,
            first: self.first,
            interval: self.interval,
            samples: u32::try_from(samples).unwrap_or(u32::MAX),
            qos: QoS::from_bits(self.qos).unwrap_or_default(),
            credentials: self.username.map(|name| Template::new(&name)).zip(self.password.map(Secret::new)),
            samples_topic: self.topic,
            status_topic: self.status_topic,
            consumers: self.subscribers,
            shared: self.shared,
            is_persistent: self.persistent,
            connect_rate: self.connect_rate,
            patience: self.patience,
            broker_pid: self.broker_pid,
        };
        match options.samples_of_all() {
            0 => Err("--interval is longer than --seconds: there would be no sample".into()),
            1..=SAMPLES_MAX => check_group(options),
            more => Err(format!("{more} samples are more than the {SAMPLES_MAX} that one run keeps account of")),
        }
    }
}

fn check_group(options: Options) -> Result<Options, String> {
    let Some(group) = &options.shared else { return Ok(options) };
    let filter = TopicFilter::new(&format!("$share/{group}/#"));
    match filter.and_then(|filter| filter.shared().map(|shared| shared.is_some())) {
        Ok(true) => Ok(options),
        _ => Err(format!("{group:?} is no name of a group: at least one character, none of them / + #")),
    }
}

/// Resolves `mqtt://HOST:PORT`; the port may be left out.
fn address(typed: &str) -> Result<SocketAddr, String> {
    let authority = typed.strip_prefix("mqtt://").ok_or("mqtt://HOST:PORT is expected; TLS is not spoken here")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let with_port = if has_port { authority.to_owned() } else { format!("{authority}:1883") };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| error.to_string())?;
    addresses.next().ok_or_else(|| "the name has no address".to_owned())
}

fn interval(typed: &str) -> Result<Duration, String> {
    let interval = humantime::parse_duration(typed).map_err(|error| error.to_string())?;
    let range = Duration::from_millis(1)..=Duration::from_secs(SECONDS_MAX);
    range.contains(&interval).then_some(interval).ok_or_else(|| "1ms to 1h is expected".into())
}
