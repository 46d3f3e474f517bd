//! A gateway whose uplink goes to a local Ubidots, and a witness of what it sampled: a client of the gateway's own
//! broker whose session outlives the gateway, so that what the broker has taken, the witness gets.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use sensegate::base::clock;
use sensegate::sensors::SampleMessage;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Gateway, PATIENCE, POLL, Subscriber, eventually, has_mosquitto_clients, publish, skip_or_fail};
use crate::ubidots_server::{Dot, Limits, Options, TOKEN, Ubidots};

/// The device that the gateway is.
pub(crate) const DEVICE: &str = "pi";

/// The topic that readings go to.
pub(crate) const DEVICE_TOPIC: &str = "/v1.6/devices/pi";

/// What is sent.
pub(crate) const VARIABLES: [&str; 3] = ["temperature", "pressure", "humidity"];

/// Where the uplink tells how it is.
pub(crate) const STATE: &str = "myRasp/uplink/ubidots/state";

/// The most that one publish holds.
const BODY_BYTES_MAX: usize = 9_500;

/// In any five seconds: three a second, one that was saved up, and one that was late.
const PUBLISHES_IN_5_S_MAX: usize = 5 * 3 + 2;

/// How far a reading's time may be from when it was taken, where the clock is not known to be right: times then are
/// told from the first one on by the clock that never jumps, both rounded to a millisecond. Samples are 100 ms apart.
const TIME_TOLERANCE_MS: u64 = 20;

/// What names a sample: its boot, and its number within it.
pub(crate) type Id = (String, u64);

/// How a site starts.
pub(crate) struct Plan<'a> {
    pub(crate) is_tls: bool,
    /// `clock.wait`. Whether this machine's clock is known to be right differs from one to the next.
    pub(crate) clock_wait: &'a str,
    /// Further keys of `[uplink.ubidots]`, and further tables behind them.
    pub(crate) keys: &'a str,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { is_tls: false, clock_wait: "0s", keys: "" }
    }
}

/// All of it.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    ubidots: Option<Ubidots>,
    witness: Subscriber,
    /// In the order in which they were taken; what came twice is there once.
    witnessed: RefCell<Vec<SampleMessage>>,
    /// When samples were taken that a kill may have cost: milliseconds since the boot.
    unpromised: Vec<RangeInclusive<u64>>,
    files: TempDir,
}

impl Site {
    /// Starts one with further keys of `[uplink.ubidots]`, and tables behind them.
    pub(crate) fn start(keys: &str) -> Option<Self> {
        Self::start_as(&Plan { keys, ..Plan::default() }, Ubidots::start())
    }

    /// Starts one that goes to `ubidots`. Gives `None`, and says so, where mosquitto's programs are not installed.
    pub(crate) fn start_as(plan: &Plan<'_>, ubidots: Ubidots) -> Option<Self> {
        if !has_mosquitto_clients() {
            skip_or_fail("mosquitto_sub and mosquitto_pub are not installed");
            return None;
        }
        ubidots.limit(Limits { connects: None, ..Limits::DOCUMENTED });
        let files = TempDir::with_prefix("site-").unwrap();
        let token_file = files.path().join("token");
        fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        let url = if plan.is_tls {
            format!("mqtts://localhost:{}\"\nca_file = \"{}", ubidots.tls_port(), ubidots.ca_file().display())
        } else {
            format!("mqtt://127.0.0.1:{}", ubidots.port())
        };
        let Plan { clock_wait, keys, .. } = plan;
        let gateway = Gateway::start(&format!(
            "[clock]\nwait = \"{clock_wait}\"\n[uplink.ubidots]\nenabled = true\ndevice = \"{DEVICE}\"\n\
             context = true\nurl = \"{url}\"\ntoken_file = \"{}\"\n{keys}\n",
            token_file.display()
        ));
        let witness = Subscriber::start_with(&gateway, &["-i", "witness", "-c", "-q", "1", "-t", "myRasp/samples"]);
        Some(Self {
            gateway,
            ubidots: Some(ubidots),
            witness,
            witnessed: RefCell::default(),
            unpromised: Vec::new(),
            files,
        })
    }

    pub(crate) fn ubidots(&self) -> &Ubidots {
        self.ubidots.as_ref().unwrap()
    }

    /// Ends Ubidots and starts another one on the same ports, which knows nothing of the first. Gives the first one's
    /// dots.
    pub(crate) fn replace_ubidots(&mut self) -> Vec<Dot> {
        let first = self.ubidots.take().unwrap();
        let options = Options { port: first.port(), tls_port: first.tls_port(), ..Options::default() };
        first.stop_listening();
        first.cut();
        let dots = eventually("all have gone", || first.clients().is_empty().then(|| first.all_dots()));
        drop(first);
        self.ubidots = Some(Ubidots::start_with(options));
        dots
    }

    /// The file with the token.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.files.path().join("token")
    }

    /// The samples that the gateway's broker has taken so far, in the order in which they were taken.
    pub(crate) fn samples(&self) -> Vec<SampleMessage> {
        let mut witnessed = self.witnessed.borrow_mut();
        while let Some(message) = self.witness.message_within(Duration::ZERO) {
            assert_eq!((message.qos, message.retain), (1, false));
            let sample = SampleMessage::from_json(message.payload.as_bytes()).unwrap();
            let is_promised = !self.unpromised.iter().any(|range| range.contains(&sample.monotonic_ms));
            if is_promised && !witnessed.iter().any(|known| id(known) == id(&sample)) {
                witnessed.push(sample);
            }
        }
        witnessed.clone()
    }

    /// Waits until so many samples more are taken.
    pub(crate) fn wait_for_samples(&self, more: usize) -> Vec<SampleMessage> {
        let count = self.samples().len() + more;
        eventually(&format!("{count} samples"), || Some(self.samples()).filter(|samples| samples.len() >= count))
    }

    /// Waits until so many dots of the temperature have arrived.
    pub(crate) fn wait_for_dots(&self, count: usize) -> Vec<Dot> {
        self.ubidots().wait_for_dots(DEVICE, VARIABLES[0], count)
    }

    /// Waits until every sample that was taken until now has arrived, and checks the whole stay: nothing lost, values
    /// and times as they were taken, in order, in good conduct. Gives the samples.
    pub(crate) fn expect_all(&self) -> Vec<SampleMessage> {
        let samples = self.samples();
        self.wait_until_arrived(&samples);
        self.check_readings(&samples);
        self.check_order();
        self.check_conduct();
        samples
    }

    /// Waits until each of these has arrived with all values that it has.
    pub(crate) fn wait_until_arrived(&self, samples: &[SampleMessage]) {
        let deadline = clock::monotonic() + PATIENCE;
        loop {
            let missing = self.missing(samples);
            if missing.is_empty() {
                return;
            }
            assert!(clock::monotonic() < deadline, "not within {PATIENCE:?}: {missing:?}\n{}", self.gateway.printed());
            std::thread::sleep(POLL);
        }
    }

    /// The values of these that have not arrived.
    fn missing(&self, samples: &[SampleMessage]) -> Vec<(&'static str, Id)> {
        let of_variable = |variable: &'static str| {
            let arrived = ids(&self.ubidots().dots(DEVICE, variable));
            let told = samples.iter().filter(move |sample| value(sample, variable).is_some()).map(id);
            told.filter(move |id| !arrived.contains(id)).map(move |id| (variable, id))
        };
        VARIABLES.into_iter().flat_map(of_variable).collect()
    }

    /// Values and times, copies among them, are those of the samples.
    pub(crate) fn check_readings(&self, samples: &[SampleMessage]) {
        let samples: BTreeMap<Id, &SampleMessage> = samples.iter().map(|sample| (id(sample), sample)).collect();
        for dot in self.ubidots().all_dots().iter().filter(|dot| VARIABLES.contains(&dot.variable.as_str())) {
            let Some(sample) = samples.get(&id_of(dot)) else { continue };
            assert_eq!(Some(dot.value), value(sample, &dot.variable), "{dot:?}");
            assert!(
                dot.is_dated && dot.timestamp_ms.abs_diff(sample.time_ms) <= TIME_TOLERANCE_MS,
                "{dot:?} of {sample:?}"
            );
            let quality = dot.context.get("time_quality").and_then(Value::as_str);
            assert_eq!(quality, (!sample.synchronised).then_some("unsynchronised"), "{dot:?}");
        }
    }

    /// What arrived for the first time came in order, with times that grow.
    pub(crate) fn check_order(&self) {
        for variable in VARIABLES {
            let first = first_arrivals(&self.ubidots().dots(DEVICE, variable));
            for pair in first.windows(2) {
                let [earlier, later] = [&pair[0], &pair[1]];
                assert!(id_of(earlier).1 < id_of(later).1, "{earlier:?} before {later:?}");
                assert!(earlier.timestamp_ms < later.timestamp_ms, "{earlier:?} before {later:?}");
            }
        }
    }

    /// What Ubidots asks of clients is kept.
    pub(crate) fn check_conduct(&self) {
        let ubidots = self.ubidots();
        assert_eq!(ubidots.misconduct(), Vec::<String>::new());
        assert_eq!(ubidots.counters().dropped_in_all(), 0, "{:?}", ubidots.counters().dropped);
        for (_, publish) in ubidots.publishes() {
            assert!(publish.payload.len() <= BODY_BYTES_MAX, "{} bytes", publish.payload.len());
        }
    }

    /// Publishes keep to `publishes_per_s`; a gateway that starts anew knows nothing of those before it. Whether each of
    /// them keeps to what Ubidots takes shows in what it drops.
    pub(crate) fn check_rate(&self) {
        let most = self.ubidots().publishes_max_within(Duration::from_secs(5));
        assert!(most <= PUBLISHES_IN_5_S_MAX, "{most}");
    }

    /// Kills the gateway. Gives the samples that must not be lost: those that its broker had acknowledged. The witness
    /// may have seen some more, which it was sent before they were durable.
    pub(crate) fn kill(&mut self) -> Vec<SampleMessage> {
        let samples = self.samples();
        // acknowledged when everything before it is durable
        publish(&self.gateway, &["-q", "1", "-r", "-t", "fence", "-m", "durable"]);
        self.gateway.kill();
        let promised_until = samples.last().map_or(0, |sample| sample.monotonic_ms);
        self.unpromised.push(promised_until + 1..=clock::monotonic().since_boot_ms());
        samples
    }

    /// The connection is cut, and none is accepted until [`Ubidots::listen_again`].
    pub(crate) fn cut(&self) {
        self.ubidots().stop_listening();
        self.ubidots().cut();
    }

    /// Subscribes to the state of the uplink.
    pub(crate) fn watch_state(&self) -> Subscriber {
        Subscriber::start(&self.gateway, STATE)
    }

    /// How many lines of the log hold this.
    pub(crate) fn count_logged(&self, text: &str) -> usize {
        self.gateway.printed().lines().filter(|line| line.contains(text)).count()
    }
}

/// The next state that is as wanted.
pub(crate) fn expect_state(watcher: &Subscriber, is_wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let state: Value = serde_json::from_str(&watcher.message().payload).unwrap();
        if is_wanted(&state) {
            return state;
        }
    }
}

/// Whether a state says that the far side has accepted.
pub(crate) fn is_connected(state: &Value) -> bool {
    state["connected"] == true
}

pub(crate) fn id(sample: &SampleMessage) -> Id {
    (sample.boot_id.clone(), sample.sequence)
}

/// Which sample a dot is from.
pub(crate) fn id_of(dot: &Dot) -> Id {
    let boot_id = dot.context.get("boot_id").and_then(Value::as_str);
    let sequence = dot.context.get("sequence").and_then(Value::as_u64);
    boot_id.map(str::to_owned).zip(sequence).unwrap_or_else(|| panic!("no sample is named by {dot:?}"))
}

pub(crate) fn ids(dots: &[Dot]) -> BTreeSet<Id> {
    dots.iter().map(id_of).collect()
}

/// Without those that came before.
pub(crate) fn first_arrivals(dots: &[Dot]) -> Vec<Dot> {
    let mut seen = BTreeSet::new();
    dots.iter().filter(|dot| seen.insert(id_of(dot))).cloned().collect()
}

/// What a sample says of a variable; a sensor may have nothing to say, as at the start.
pub(crate) fn value(sample: &SampleMessage, variable: &str) -> Option<f64> {
    sample.readings.get(variable)?.value
}
