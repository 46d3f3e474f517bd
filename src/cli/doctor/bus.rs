//! The bus device: is it there, may it be opened, and does the kernel keep its chips for itself?

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::sensors::bus::bound_driver;

use super::finding::Finding;

const SUBJECT: &str = "i2c bus";
/// Where the firmware's settings are: since Debian 12, and before.
const FIRMWARE_FILES: [&str; 2] = ["boot/firmware/config.txt", "boot/config.txt"];

/// Whether `dev/i2c-{bus}` below `root` opens for reading and writing. Nothing is sent.
pub(super) fn check_device(root: &Path, bus: u8, user_id: u32) -> Finding {
    let device = root.join(format!("dev/i2c-{bus}"));
    match File::options().read(true).write(true).open(&device) {
        Ok(_) => Finding::ok(SUBJECT, device.display().to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => advise_missing(root, &device),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => advise_permission(root, &device, user_id),
        Err(error) => Finding::problem(SUBJECT, format!("{}: {error}", device.display()), "look at dmesg"),
    }
}

fn advise_missing(root: &Path, device: &Path) -> Finding {
    let text = format!("{} is not there", device.display());
    let cure = if !is_raspberry_pi(root) {
        advise_elsewhere(root)
    } else if let Some(file) = FIRMWARE_FILES.into_iter().find(|file| is_switched_on(&root.join(file))) {
        format!("I2C is switched on in /{file}: sudo modprobe i2c-dev, and reboot if it stays away")
    } else {
        "sudo raspi-config nonint do_i2c 0 (or the line dtparam=i2c_arm=on in /boot/firmware/config.txt), reboot; \
         sudo modprobe i2c-dev if it stays away"
            .into()
    };
    Finding::problem(SUBJECT, text, cure)
}

/// Whether this is a Raspberry Pi on which I2C is switched off, so that `raspi-config` can switch it on.
pub(in crate::cli) fn is_switched_off(root: &Path, bus: u8) -> bool {
    !root.join(format!("dev/i2c-{bus}")).exists()
        && is_raspberry_pi(root)
        && !FIRMWARE_FILES.into_iter().any(|file| is_switched_on(&root.join(file)))
}

/// The board's name in the device tree, as the firmware tells it to the kernel.
fn is_raspberry_pi(root: &Path) -> bool {
    let model = fs::read(root.join("proc/device-tree/model")).unwrap_or_default();
    model.starts_with(b"Raspberry Pi")
}

fn advise_elsewhere(root: &Path) -> String {
    let buses = other_buses(root);
    let named = if buses.is_empty() { String::new() } else { format!(" (there are {})", buses.join(", ")) };
    format!("this machine is no Raspberry Pi: name its bus in sensors.bus{named}, or run with --simulate")
}

fn other_buses(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("dev")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut buses: Vec<_> = names.filter(|name| name.starts_with("i2c-")).collect();
    buses.sort();
    buses
}

/// Whether the firmware's settings switch the bus on: `dtparam=i2c_arm=on`, alone or in a list, `=on` being the default.
fn is_switched_on(file: &Path) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let parameters =
        text.lines().filter_map(|line| line.trim().strip_prefix("dtparam=")).flat_map(|list| list.split(','));
    parameters.map(str::trim).any(|word| matches!(word, "i2c_arm" | "i2c_arm=on" | "i2c" | "i2c=on"))
}

fn advise_permission(root: &Path, device: &Path, user_id: u32) -> Finding {
    let group_id = fs::metadata(device).map_or(0, |metadata| metadata.gid());
    let group = name_of(&root.join("etc/group"), group_id);
    let user = name_of(&root.join("etc/passwd"), user_id);
    let text = format!("user {user} may not open {}, which belongs to group {group}", device.display());
    let cure = format!("sudo usermod -aG {group} {user}, then log in again; for a service SupplementaryGroups={group}");
    Finding::problem(SUBJECT, text, cure)
}

/// The name of a user or group: the first field of the line whose third is `id`; the number where there is none.
fn name_of(file: &Path, id: u32) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let wanted = id.to_string();
    let named = text.lines().find(|line| line.split(':').nth(2) == Some(&wanted));
    named.and_then(|line| line.split(':').next()).unwrap_or(&wanted).to_owned()
}

/// Whether a kernel driver owns the chip at `address`. It would switch the chip off behind the gateway's back.
pub(super) fn check_driver(root: &Path, bus: u8, address: u8) -> Finding {
    let devices = root.join("sys/bus/i2c/devices");
    let Some(driver) = bound_driver(&devices, bus, address) else {
        return Finding::ok("kernel driver", format!("none at 0x{address:02x}"));
    };
    let text = format!("{} owns the chip at 0x{address:02x}", driver.name);
    let cure = format!(
        "now: {}; for good: {}; a newer overlay of the HAT (sudo apt full-upgrade) leaves its chips alone",
        driver.unbind_command(),
        driver.blacklist_command()
    );
    Finding::problem("kernel driver", text, cure)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::finding::Verdict;
    use super::*;
    use crate::cli::testing::machine;

    fn cure(files: &[(&str, &str)]) -> String {
        let finding = check_device(machine(files).path(), 1, 0);
        assert_eq!(finding.verdict, Verdict::Problem);
        finding.cure
    }

    const MODEL: (&str, &str) = ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0");

    #[test]
    fn bus_that_opens_is_ok() {
        let root = machine(&[("dev/i2c-1", "")]);
        assert_eq!(check_device(root.path(), 1, 0).verdict, Verdict::Ok);
        assert_eq!(check_device(root.path(), 0, 0).verdict, Verdict::Problem);
    }

    #[test]
    fn pi_whose_bus_is_switched_off_is_told_how_to_switch_it_on() {
        let off = ("boot/firmware/config.txt", "#dtparam=i2c_arm=on\ndtparam=i2c_arm=off\ndtparam=spi=on\n");
        for files in [&[MODEL][..], &[MODEL, off]] {
            let cure = cure(files);
            assert!(cure.contains("raspi-config nonint do_i2c 0") && cure.contains("dtparam=i2c_arm=on"), "{cure}");
        }
    }

    #[test]
    fn pi_whose_bus_is_switched_on_is_told_to_load_the_module() {
        for line in ["dtparam=i2c_arm=on", "  dtparam=spi=on,i2c_arm=on", "dtparam=i2c_arm"] {
            for file in FIRMWARE_FILES {
                let cure = cure(&[MODEL, (file, line)]);
                assert!(cure.contains("modprobe i2c-dev") && cure.contains(file) && !cure.contains("raspi"), "{cure}");
            }
        }
    }

    #[test]
    fn other_machine_is_told_its_buses_and_to_simulate() {
        let cure = cure(&[("dev/i2c-7", ""), ("dev/i2c-0", "")]);
        assert!(cure.contains("i2c-0, i2c-7") && cure.contains("--simulate"), "{cure}");
    }

    #[test]
    fn missing_permission_names_the_group_and_the_user() {
        let root = machine(&[
            ("dev/i2c-1", ""),
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\npi:x:1000:1000::/home/pi:/bin/sh\n"),
        ]);
        let group_id = fs::metadata(root.path().join("dev/i2c-1")).unwrap().gid();
        fs::write(root.path().join("etc/group"), format!("video:x:44444:\ni2c:x:{group_id}:\n")).unwrap();
        let finding = advise_permission(root.path(), &root.path().join("dev/i2c-1"), 1000);
        assert!(finding.cure.starts_with("sudo usermod -aG i2c pi,"), "{}", finding.cure);
        let stranger = advise_permission(root.path(), &root.path().join("dev/i2c-1"), 4711);
        assert!(stranger.text.contains("user 4711"), "{}", stranger.text);
    }

    #[test]
    fn bound_driver_is_named_with_its_module_and_how_to_part_them() {
        let root = machine(&[("sys/module/hts221_i2c/x", ""), ("sys/bus/i2c/drivers/hts221/x", "")]);
        let bus = root.path().join("sys/bus/i2c");
        for (device, driver) in [("1-005f", "hts221"), ("1-005c", "st-press-i2c")] {
            fs::create_dir_all(bus.join("devices").join(device)).unwrap();
            symlink(format!("../../drivers/{driver}"), bus.join("devices").join(device).join("driver")).unwrap();
        }
        symlink("../../../../module/hts221_i2c", bus.join("drivers/hts221/module")).unwrap();
        let humidity = check_driver(root.path(), 1, 0x5f);
        assert_eq!(humidity.verdict, Verdict::Problem);
        assert!(humidity.cure.contains("echo 1-005f | sudo tee /sys/bus/i2c/drivers/hts221/unbind"), "{humidity}");
        assert!(humidity.cure.contains("blacklist hts221_i2c ") && humidity.cure.contains("overlay"), "{humidity}");
        let pressure = check_driver(root.path(), 1, 0x5c);
        assert!(pressure.cure.contains("blacklist st_pressure_i2c "), "{pressure}");
        assert_eq!(check_driver(root.path(), 0, 0x5c).verdict, Verdict::Ok);
    }
}
