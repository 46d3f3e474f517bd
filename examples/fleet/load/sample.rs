//! The payload of a sample: one JSON object with everything that a consumer needs to put it in its place.

use sensegate::base::clock::{Monotonic, Wall};
use serde::{Deserialize, Serialize};

/// What identifies a sample together with its gateway; a consumer needs no more to find copies and gaps.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Identity<'a> {
    /// Whose boot the sequence belongs to; here one for the whole run.
    pub(super) boot_id: &'a str,
    /// From 1.
    pub(super) sequence: u32,
}

#[derive(Serialize)]
struct Sample<'a> {
    boot_id: &'a str,
    sequence: u32,
    monotonic_ms: u64,
    time_ms: i64,
    synchronised: bool,
    source: &'static str,
    readings: Readings,
}

/// In °C, hPa and %RH.
#[derive(Serialize)]
struct Readings {
    temperature: f64,
    pressure: f64,
    humidity: f64,
}

/// Sample `sequence` of the gateway at `place`.
pub(super) fn payload(boot_id: &str, place: u32, sequence: u32, now: Monotonic, wall: Wall) -> Vec<u8> {
    let drift = f64::from((place % 100) * 5 + sequence % 100);
    let readings = Readings {
        temperature: (1_800.0 + drift) / 100.0,
        pressure: (101_000.0 + drift) / 100.0,
        humidity: (400.0 + drift / 10.0).round() / 10.0,
    };
    let monotonic_ms = u64::try_from(now.since_boot().as_millis()).unwrap_or(u64::MAX);
    let (time_ms, source) = (wall.unix_ms(), "simulated");
    let sample = Sample { boot_id, sequence, monotonic_ms, time_ms, synchronised: true, source, readings };
    serde_json::to_vec(&sample).expect("numbers and plain words are JSON")
}

/// Reads who a sample is; `None` for what is none.
pub(super) fn identity(payload: &[u8]) -> Option<Identity<'_>> {
    serde_json::from_slice(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_as_a_gateway_s_and_tells_who_it_is() {
        let payload = payload("a-boot", 3, 7, Monotonic::ZERO, Wall::from_unix_ms(1_795_377_331_250));
        let expected = "{\"boot_id\":\"a-boot\",\"sequence\":7,\"monotonic_ms\":0,\"time_ms\":1795377331250,\
             \"synchronised\":true,\"source\":\"simulated\",\
             \"readings\":{\"temperature\":18.22,\"pressure\":1010.22,\"humidity\":40.2}}";
        assert_eq!(String::from_utf8_lossy(&payload), expected);
        assert_eq!(identity(&payload), Some(Identity { boot_id: "a-boot", sequence: 7 }));
        assert_eq!(identity(b"21.37"), None);
    }
}
