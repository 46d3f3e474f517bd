//! Samples as the agent publishes them, one a second, numbered from 0.

use sensegate::sensors::{Quantity, ReadingMessage, SampleMessage};

/// Where the agent publishes them.
pub(crate) const TOPIC: &str = "myRasp/samples";

/// Tells them from those that the gateway under measurement takes itself.
pub(crate) const BOOT_ID: &str = "5a3c1e70-9d42-4b6f-8a17-0c2e4d6f8b91";

/// When the first was taken: 2026-11-22T20:35:31.250Z.
const FIRST_MS: i64 = 1_795_379_731_250;

/// The sample with this number.
pub(crate) fn json(sequence: u64) -> String {
    let monotonic_ms = (sequence + 1) * 1000;
    let message = SampleMessage {
        boot_id: BOOT_ID.into(),
        sequence,
        monotonic_ms,
        time_ms: FIRST_MS.saturating_add_unsigned(monotonic_ms),
        synchronised: true,
        source: "i2c".into(),
        readings: Quantity::MAIN.map(|quantity| (quantity.name().into(), reading(quantity, sequence))).into(),
    };
    message.to_json()
}

/// As many digits as a sensor gives, and no value twice in a row.
fn reading(quantity: Quantity, sequence: u64) -> ReadingMessage {
    let wave = (f64::from(u32::try_from(sequence % 1_000_000).unwrap_or(0)) / 97.0).sin();
    let value = match quantity {
        Quantity::Temperature => 21.0 + wave,
        Quantity::Pressure => 1013.0 + wave,
        _ => 45.0 + wave,
    };
    ReadingMessage::new(quantity, &Ok(value))
}
