//! One record: a moment, and what both chips said.

use crate::sensors::{Quantity, Readings};

/// Length of a record.
pub const RECORD_BYTES: usize = 17 * NUMBER_BYTES;

const NUMBER_BYTES: usize = 8;
/// Numbers of the IMU that nobody measures here: accelerometer, gyroscope and compass.
const IMU_NUMBERS: usize = 9;
/// Numbers of the pose that follows from them. It is written as zero: the official player fails over one that is not a
/// number.
const POSE_NUMBERS: usize = 3;

/// What was measured at one moment; `None` where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Record {
    /// Seconds since 1970.
    pub time_s: f64,
    /// In hPa.
    pub pressure: Option<f64>,
    /// Of the pressure chip, in °C.
    pub temperature_from_pressure: Option<f64>,
    /// In %RH.
    pub humidity: Option<f64>,
    /// Of the humidity chip, in °C.
    pub temperature_from_humidity: Option<f64>,
}

impl Record {
    /// What stands in `readings` of what is measured, at `time_s`.
    pub fn of(time_s: f64, readings: &Readings) -> Self {
        let value = |quantity| readings.get(quantity).and_then(|reading| reading.as_ref().ok()).copied();
        Self {
            time_s,
            pressure: value(Quantity::Pressure),
            temperature_from_pressure: value(Quantity::TemperatureFromPressure),
            humidity: value(Quantity::Humidity),
            temperature_from_humidity: value(Quantity::TemperatureFromHumidity),
        }
    }

    /// As it stands in the file.
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let measured = [
            self.time_s,
            number(self.pressure),
            number(self.temperature_from_pressure),
            number(self.humidity),
            number(self.temperature_from_humidity),
        ];
        let numbers = measured.into_iter().chain([f64::NAN; IMU_NUMBERS]).chain([0.0; POSE_NUMBERS]);
        let mut bytes = [0; RECORD_BYTES];
        for (place, number) in bytes.chunks_exact_mut(NUMBER_BYTES).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads what stands in the file. Every record has a meaning; whether its values are some that a chip can measure is
    /// not asked here.
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Self {
        let (numbers, _) = bytes.as_chunks::<NUMBER_BYTES>();
        let mut numbers = numbers.iter().map(|bytes| f64::from_le_bytes(*bytes));
        let mut number = || numbers.next().unwrap_or(f64::NAN);
        let time_s = number();
        let mut value = || Some(number()).filter(|value| !value.is_nan());
        Self {
            time_s,
            pressure: value(),
            temperature_from_pressure: value(),
            humidity: value(),
            temperature_from_humidity: value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock::Monotonic;
    use crate::sensors::{Absence, Reason};

    fn value() -> impl Strategy<Value = Option<f64>> {
        proptest::option::of(any::<f64>().prop_filter("NaN stands for nothing", |value| !value.is_nan()))
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            time_s in any::<f64>().prop_filter("a time is a number", |time| !time.is_nan()),
            values in (value(), value(), value(), value()),
        ) {
            let (pressure, temperature_from_pressure, humidity, temperature_from_humidity) = values;
            let record =
                Record { time_s, pressure, temperature_from_pressure, humidity, temperature_from_humidity };
            prop_assert_eq!(Record::decode(&record.encode()), record);
        }

        #[test]
        fn any_bytes_are_a_record(bytes in proptest::collection::vec(any::<u8>(), RECORD_BYTES)) {
            let record = Record::decode(&bytes.try_into().unwrap());
            prop_assert!(record.pressure.is_none_or(|value| !value.is_nan()));
        }
    }

    #[test]
    fn absent_readings_and_the_imu_are_not_a_number_and_the_pose_is_zero() {
        let readings = Readings::of(|quantity| match quantity {
            Quantity::Pressure => Some(Ok(1013.25)),
            Quantity::TemperatureFromPressure => Some(Ok(22.5)),
            _ => Some(Err(Absence { reason: Reason::NoChip, text: "nobody".into(), since: Monotonic::ZERO })),
        });
        let bytes = Record::of(7.5, &readings).encode();
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: Vec<_> = numbers.iter().map(|number| f64::from_le_bytes(*number)).collect();
        assert_eq!((numbers.len(), rest.len()), (17, 0));
        assert_eq!(numbers[..3], [7.5, 1013.25, 22.5]);
        assert!(numbers[3..14].iter().all(|number| number.is_nan()), "{numbers:?}");
        assert_eq!(numbers[14..], [0.0; 3]);
    }
}
