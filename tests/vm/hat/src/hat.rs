//! The HAT itself: chips, adapter, stick, and what can be done to them.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use embedded_hal::i2c::I2c;
use sensegate::base::clock;
use sensegate::sensors::Chip;
use sensegate::sensors::dump::Dump;
use sensegate::sensors::simulated::SimulatedHat;
use sensegate_rig::{Stick, UsbAdapter};

/// What [`VirtualHat::obey`] takes.
pub(crate) const COMMANDS: &str = "\
    plug                        the adapter is plugged in, its chips fresh from power-on
    unplug                      the adapter is pulled out
    fault nack 0x5f             a fault of the chips, and all others of the simulated HAT
    heal                        the end of all faults
    set lps25h 0x28 00 20 40    registers from there on, as if the chip had measured that all along
    transactions                how many there have been
    push up                     the stick is pushed and let go: up, left, right, down, middle
    press up                    the stick is pushed and held
    stick out                   the stick alone is taken away
    stick in                    it is back";

/// `AV_CONF` and `RES_CONF`, `CTRL_REG1`: how the chip is set, which a change of what it measures must not touch.
const SETTINGS: [u8; 2] = [0x10, 0x20];

/// A HAT with its adapter and its stick.
pub(crate) struct VirtualHat {
    dump: Dump,
    chips: Arc<Mutex<SimulatedHat>>,
    adapter: UsbAdapter<SimulatedHat>,
    /// `None` while it is taken away.
    stick: Option<Stick>,
}

impl VirtualHat {
    /// A HAT with the registers of the file `dump`, plugged in.
    pub(crate) fn new(dump: &Path) -> anyhow::Result<Self> {
        let dump = Dump::load(dump)?;
        let chips = Arc::new(Mutex::new(SimulatedHat::from_dump(&dump, clock::monotonic)));
        let mut adapter = UsbAdapter::new(Arc::clone(&chips));
        adapter.plug().context("the adapter cannot be plugged in: is the module vhci-hcd loaded?")?;
        Ok(Self { dump, chips, adapter, stick: Some(make_stick()?) })
    }

    /// Does what the words say.
    pub(crate) fn obey(&mut self, words: &[&str]) -> anyhow::Result<String> {
        match words {
            ["plug"] => self.plug()?,
            ["unplug"] => self.adapter.unplug()?,
            ["fault", fault @ ..] => self.lock().inject(fault.join(" ").parse()?),
            ["heal"] => self.lock().heal(),
            ["set", chip, first, bytes @ ..] => self.set(chip.parse()?, first, bytes)?,
            ["transactions"] => return Ok(self.lock().transactions().to_string()),
            ["push", direction] => self.stick()?.push(direction.parse().map_err(anyhow::Error::msg)?)?,
            ["press", direction] => self.stick()?.press(direction.parse().map_err(anyhow::Error::msg)?)?,
            ["stick", "out"] => self.stick = None,
            ["stick", "in"] => self.stick = Some(make_stick()?),
            _ => bail!("`{}` is none of:\n{COMMANDS}", words.join(" ")),
        }
        Ok(String::new())
    }

    fn stick(&mut self) -> anyhow::Result<&mut Stick> {
        self.stick.as_mut().context("the stick is taken away")
    }

    fn plug(&mut self) -> anyhow::Result<()> {
        self.lock().replug();
        Ok(self.adapter.plug()?)
    }

    /// Puts chips with other registers in the place of those that are there, set as they are. Faults end.
    fn set(&mut self, chip: Chip, first: &str, bytes: &[&str]) -> anyhow::Result<()> {
        let first = parse_byte(first.strip_prefix("0x").unwrap_or(first))?;
        let bytes = bytes.iter().map(|byte| parse_byte(byte)).collect::<anyhow::Result<Vec<_>>>()?;
        self.dump.set(chip, first, &bytes);
        let mut dump = self.dump.clone();
        let mut chips = self.lock();
        for chip in Chip::ALL {
            for register in SETTINGS {
                let mut value = [0];
                if chips.write_read(chip.address(), &[register], &mut value).is_ok() {
                    dump.set(chip, register, &value);
                }
            }
        }
        *chips = SimulatedHat::from_dump(&dump, clock::monotonic);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, SimulatedHat> {
        self.chips.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_stick() -> anyhow::Result<Stick> {
    Stick::new().context("the stick cannot be made: is the module uinput loaded?")
}

fn parse_byte(text: &str) -> anyhow::Result<u8> {
    u8::from_str_radix(text, 16).with_context(|| format!("`{text}` is no byte in hex"))
}
