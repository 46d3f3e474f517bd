//! `sensegate dump`: the registers of a real HAT as a file for `--simulate`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::bail;

use super::read::wait_for_values;
use crate::sensors::bus::Bus;
use crate::sensors::dump::Dump;
use crate::sensors::{self, Chip, Hat, SourceOptions};

/// Lets the chips convert, reads their registers and prints them as TOML. A chip that does not answer is told on
/// standard error and left out: exit code 1.
///
/// # Errors
/// A simulated source, no bus, or no chip that answers: nothing is printed then.
pub(super) fn run(options: &sensors::Options) -> anyhow::Result<ExitCode> {
    let SourceOptions::I2c { bus } = options.source else {
        bail!("a dump is read from a real HAT: leave --simulate out, and set sensors.source to i2c or auto");
    };
    let mut hat = Hat::new(Bus::open(bus)?, options);
    wait_for_values(|now| hat.sample(now));
    let dump = Dump::read_from(hat.bus_mut())?;
    io::stdout().lock().write_all(dump.to_string().as_bytes())?;
    report_missing(&dump, &mut io::stderr().lock())
}

fn report_missing(dump: &Dump, err: &mut impl Write) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for chip in Chip::ALL.into_iter().filter(|&chip| dump.registers(chip).is_none()) {
        writeln!(err, "sensegate: {chip} at 0x{:02x} does not answer and is not in the dump", chip.address())?;
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: SourceOptions) -> String {
        run(&sensors::Options::of(source)).unwrap_err().to_string()
    }

    #[test]
    fn simulated_hat_and_missing_bus_are_refused_politely() {
        assert!(error(SourceOptions::Simulated).contains("real HAT"));
        assert!(error(SourceOptions::I2c { bus: 251 }).contains("/dev/i2c-251 is not there"));
    }

    #[test]
    fn missing_chip_is_named_and_is_a_failure() {
        let mut dump = Dump::default();
        dump.set(Chip::Hts221, 0x0f, &[0xbc]);
        let mut err = Vec::new();
        assert_eq!(report_missing(&dump, &mut err).unwrap(), ExitCode::FAILURE);
        assert!(String::from_utf8(err).unwrap().contains("LPS25H at 0x5c does not answer"));
        dump.set(Chip::Lps25h, 0x0f, &[0xbd]);
        assert_eq!(report_missing(&dump, &mut Vec::new()).unwrap(), ExitCode::SUCCESS);
    }
}
