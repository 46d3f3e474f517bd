//! Whether the kernel has a driver of its own on a chip. rppal forces the address (`I2C_SLAVE_FORCE`), so the kernel
//! never refuses with EBUSY: two masters of one chip would switch it off behind each other's back.

use std::fs;
use std::path::Path;

/// Where the kernel lists I²C devices.
pub const SYSFS_DEVICES: &str = "/sys/bus/i2c/devices";

/// A kernel driver that owns a chip, and how to part them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundDriver {
    /// The driver's name in sysfs: `st-press-i2c`.
    pub name: String,
    /// The module it comes from, whose name is not the driver's: `st_pressure_i2c`.
    pub module: String,
    /// The device's name in sysfs: `1-005c`.
    pub device: String,
}

impl BoundDriver {
    /// The command that frees the chip until the next boot.
    pub fn unbind_command(&self) -> String {
        format!("echo {} | sudo tee /sys/bus/i2c/drivers/{}/unbind", self.device, self.name)
    }

    /// The command that frees it from the next boot on.
    pub fn blacklist_command(&self) -> String {
        format!("echo blacklist {} | sudo tee -a /etc/modprobe.d/sensegate.conf", self.module)
    }
}

/// The name under which the kernel knows a device: `1-005f`.
pub(super) fn device_name(bus: u8, address: u8) -> String {
    format!("{bus}-{address:04x}")
}

/// The kernel driver bound to `address` on `bus`; `None` when there is none.
///
/// `devices` is [`SYSFS_DEVICES`], or a directory made like it.
pub fn bound_driver(devices: &Path, bus: u8, address: u8) -> Option<BoundDriver> {
    let device = device_name(bus, address);
    let link = devices.join(&device).join("driver");
    let target = fs::read_link(&link).ok()?;
    let name = target.file_name()?.to_string_lossy().into_owned();
    let module = module_of(&link, &name);
    Some(BoundDriver { name, module, device })
}

/// What sysfs says, else the mainline kernel's name for it.
fn module_of(link: &Path, driver: &str) -> String {
    let module = fs::canonicalize(link.join("module")).ok();
    let name = module.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| match driver {
        "hts221" => "hts221_i2c".into(),
        "st-press-i2c" => "st_pressure_i2c".into(),
        other => other.replace('-', "_"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_driver_is_named_by_the_link_and_absent_without_it() {
        let devices = tempfile::tempdir().unwrap();
        let chip = devices.path().join("1-005f");
        fs::create_dir(&chip).unwrap();
        assert_eq!(bound_driver(devices.path(), 1, 0x5f), None);
        std::os::unix::fs::symlink("../../../../bus/i2c/drivers/hts221", chip.join("driver")).unwrap();
        let bound = bound_driver(devices.path(), 1, 0x5f).unwrap();
        assert_eq!((bound.name.as_str(), bound.module.as_str()), ("hts221", "hts221_i2c"));
        assert_eq!(bound.unbind_command(), "echo 1-005f | sudo tee /sys/bus/i2c/drivers/hts221/unbind");
        assert_eq!(bound_driver(devices.path(), 1, 0x5c), None);
        assert_eq!(bound_driver(devices.path(), 0, 0x5f), None);
    }
}
