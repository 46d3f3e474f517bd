//! Whether the kernel has a driver of its own on a chip. rppal forces the address (`I2C_SLAVE_FORCE`), so the kernel
//! never refuses with EBUSY: two masters of one chip would switch it off behind each other's back.

use std::fs;
use std::path::Path;

/// Where the kernel lists I²C devices.
pub const SYSFS_DEVICES: &str = "/sys/bus/i2c/devices";

/// The name under which the kernel knows a device: `1-005f`.
pub(super) fn device_name(bus: u8, address: u8) -> String {
    format!("{bus}-{address:04x}")
}

/// The kernel driver bound to `address` on `bus`, `hts221` for example; `None` when there is none.
///
/// `devices` is [`SYSFS_DEVICES`], or a directory made like it.
pub fn bound_driver(devices: &Path, bus: u8, address: u8) -> Option<String> {
    let link = devices.join(device_name(bus, address)).join("driver");
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
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
        assert_eq!(bound_driver(devices.path(), 1, 0x5f).as_deref(), Some("hts221"));
        assert_eq!(bound_driver(devices.path(), 1, 0x5c), None);
        assert_eq!(bound_driver(devices.path(), 0, 0x5f), None);
    }
}
