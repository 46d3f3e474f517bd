//! What a child does to its own mount namespace: a `/dev` with the virtual bus in it, and a `/sys/bus` of the test's.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libc::c_ulong;
use tempfile::TempDir;

use crate::sys::{self, Step};

/// Devices that any program may expect, taken over from the machine.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Links that udev makes, name and target.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Directories on the machine that the namespaces are made from. Nothing is mounted on them here.
pub(crate) struct Stage(TempDir);

impl Stage {
    pub(crate) fn new() -> io::Result<Self> {
        let stage = Self(TempDir::new()?);
        fs::create_dir(stage.dev())?;
        fs::create_dir_all(stage.sys_bus().join("i2c/devices"))?;
        Ok(stage)
    }

    fn dev(&self) -> PathBuf {
        self.0.path().join("dev")
    }

    fn sys_bus(&self) -> PathBuf {
        self.0.path().join("sys-bus")
    }

    fn client(&self, bus: u8, address: u8) -> PathBuf {
        self.sys_bus().join(format!("i2c/devices/{bus}-{address:04x}"))
    }

    /// Shows a kernel driver at `address`: `devices/1-005c/driver` leads to `drivers/{driver}`.
    pub(crate) fn bind_driver(&self, bus: u8, address: u8, driver: &str) -> io::Result<()> {
        let client = self.client(bus, address);
        fs::create_dir_all(&client)?;
        fs::create_dir_all(self.sys_bus().join("i2c/drivers").join(driver))?;
        fs::write(client.join("name"), driver)?;
        symlink(format!("../../drivers/{driver}"), client.join("driver"))
    }

    /// Takes the driver away again.
    pub(crate) fn unbind_driver(&self, bus: u8, address: u8) -> io::Result<()> {
        fs::remove_dir_all(self.client(bus, address))
    }

    /// The steps, in order. `/dev` is made aside and moved into place, since its devices come out of the machine's.
    pub(crate) fn steps(&self, bus: u8, fuse_fd: i32) -> Vec<Step> {
        let dev = self.dev();
        let device = dev.join(format!("i2c-{bus}"));
        let options = format!("fd={fuse_fd},rootmode=100660,user_id=0,group_id=0,allow_other");
        let mut steps = vec![Step::LeaveNamespace, mount("tmpfs", &dev, "tmpfs", sys::NO_SUID, "mode=755")];
        steps.extend(DEVICES.into_iter().flat_map(|name| take_over(name, &dev)));
        steps.extend(
            LINKS.map(|(name, target)| Step::Link { target: c_string(target), name: c_string(dev.join(name)) }),
        );
        steps.push(Step::Directory(c_string(dev.join("shm"))));
        steps.push(Step::File(c_string(&device)));
        steps.push(mount("sensegate-rig", &device, "fuse", sys::NO_SUID, &options));
        steps.push(mount(&dev, "/dev", "", sys::MOVE, ""));
        steps.push(mount(self.sys_bus(), "/sys/bus", "", sys::BIND, ""));
        steps
    }
}

/// An empty file with the machine's device mounted over it; nothing where the machine has none.
fn take_over(name: &str, dev: &Path) -> Vec<Step> {
    let (source, target) = (Path::new("/dev").join(name), dev.join(name));
    if !source.exists() {
        return Vec::new();
    }
    vec![Step::File(c_string(&target)), mount(source, &target, "", sys::BIND, "")]
}

fn mount(source: impl AsRef<OsStr>, target: impl AsRef<OsStr>, kind: &str, flags: c_ulong, data: &str) -> Step {
    let [source, target] = [source.as_ref(), target.as_ref()].map(c_string);
    Step::Mount { source, target, kind: c_string(kind), flags, data: c_string(data) }
}

fn c_string(text: impl AsRef<OsStr>) -> CString {
    CString::new(text.as_ref().as_bytes()).expect("paths that the system gave have no NUL")
}
