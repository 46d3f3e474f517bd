//! The kernel's framebuffer of the matrix (`rpisense-fb`): found by its name, written one frame at a time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{Frame, Gamma};
use crate::base::sys;

/// The name by which the matrix is told from a screen.
const NAME: &str = "RPi-Sense FB";

/// Where the kernel lists framebuffers, under the root of the file system.
const CLASS: &str = "sys/class/graphics";

/// Why the matrix cannot be found, opened or written to.
#[derive(Debug, thiserror::Error)]
pub enum FramebufferError {
    /// No framebuffer has the name of the matrix, or the one that has it has no device.
    #[error("no LED matrix: `{}` has no framebuffer named `{NAME}`; is the HAT plugged in, and the overlay rpi-sense \
        loaded?", .class.display())]
    Absent {
        /// The directory that was searched.
        class: PathBuf,
    },
    /// The device may not be opened by this user.
    #[error("no permission to write to the LED matrix at `{}`: the user has to be in the group `video`", .path.display())]
    Permission {
        /// The device.
        path: PathBuf,
    },
    /// Any other failure.
    #[error("cannot use the LED matrix at `{}`", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl FramebufferError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::PermissionDenied => Self::Permission { path },
            _ => Self::Io { path, source },
        }
    }
}

/// The open framebuffer.
///
/// On some kernels of the series 6.1 the driver takes frames and shows nothing; that cannot be seen from here.
#[derive(Debug)]
pub struct Framebuffer {
    path: PathBuf,
    file: File,
}

impl Framebuffer {
    /// Finds the matrix under `root` and opens it for writing, with the driver's first gamma table in use: another program
    /// may have left the one for low light there, which would come on top of this one's. `root` is `/`, or a directory made like it: with
    /// `sys/class/graphics/fb*/name` and `dev/fb*`.
    ///
    /// # Errors
    /// When it is not there, may not be opened, or cannot be.
    pub fn open(root: &Path) -> Result<Self, FramebufferError> {
        let class = root.join(CLASS);
        let device = find(&class)?.ok_or_else(|| FramebufferError::Absent { class: class.clone() })?;
        let path = root.join("dev").join(device);
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => {
                // a driver without the tables has none to reset
                let _ = sys::reset_matrix_gamma(file.as_fd());
                Ok(Self { path, file })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(FramebufferError::Absent { class }),
            Err(error) => Err(FramebufferError::new(&path, error)),
        }
    }

    /// The device's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the device that was opened is still the one at its path: a HAT that was taken away, and came back, is
    /// another one.
    pub fn is_there(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino(), metadata.rdev());
        let opened = self.file.metadata().map(identity);
        fs::metadata(&self.path).map(identity).is_ok_and(|found| opened.is_ok_and(|opened| opened == found))
    }

    /// Shows a frame: one write of 128 bytes at the beginning of the device.
    ///
    /// # Errors
    /// When the kernel refuses the write, as it does when the HAT is gone.
    pub fn show(&mut self, frame: &Frame, gamma: Gamma) -> Result<(), FramebufferError> {
        let bytes = gamma.apply(frame).to_rgb565();
        self.file.write_all_at(&bytes, 0).map_err(|error| FramebufferError::new(&self.path, error))
    }
}

/// The name of the device of the matrix: `fb0`, `fb1`. Entries without a name, and those that go away meanwhile, are
/// passed over.
fn find(class: &Path) -> Result<Option<String>, FramebufferError> {
    let entries = match fs::read_dir(class) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|error| FramebufferError::new(class, error))?,
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with("fb") && is_matrix(&class.join(name))).min())
}

/// Whether the framebuffer in this directory of sysfs is the matrix.
fn is_matrix(directory: &Path) -> bool {
    fs::read_to_string(directory.join("name")).is_ok_and(|name| name.trim() == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Rgb;

    /// A machine made of files, with these framebuffers; the devices hold what a screen would.
    fn machine(framebuffers: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("dev")).unwrap();
        for (device, name) in framebuffers {
            let directory = root.path().join(CLASS).join(device);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("name"), format!("{name}\n")).unwrap();
            fs::write(root.path().join("dev").join(device), [0xaa; Frame::BYTES]).unwrap();
        }
        root
    }

    #[test]
    fn the_matrix_is_found_beside_a_screen_and_every_pixel_is_written() {
        let root = machine(&[("fb0", "vc4drmfb"), ("fb1", NAME)]);
        let mut framebuffer = Framebuffer::open(root.path()).unwrap();
        assert_eq!(framebuffer.path(), root.path().join("dev/fb1"));
        let frame = Frame::from_fn(|x, y| Rgb::new(u8::try_from(x * 32).unwrap(), u8::try_from(y * 32).unwrap(), 255));
        framebuffer.show(&Frame::filled(Rgb::RED), Gamma::Default).unwrap();
        framebuffer.show(&frame, Gamma::Default).unwrap();
        let bytes = fs::read(root.path().join("dev/fb1")).unwrap();
        assert_eq!(bytes.len(), 128);
        for (x, y) in (0..8).flat_map(|y| (0..8).map(move |x| (x, y))) {
            let at = (y * 8 + x) * 2;
            let bits = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let (red, green) = (bits >> 11, bits >> 5 & 0x3f);
            assert_eq!((usize::from(red), usize::from(green), bits & 0x1f), (x * 4, y * 8, 31), "{x},{y}");
        }
        assert_eq!(fs::read(root.path().join("dev/fb0")).unwrap(), [0xaa; 128], "the screen is left alone");
    }

    #[test]
    fn a_device_that_went_or_is_another_one_is_not_there() {
        let root = machine(&[("fb0", NAME)]);
        let framebuffer = Framebuffer::open(root.path()).unwrap();
        assert!(framebuffer.is_there());
        fs::remove_file(framebuffer.path()).unwrap();
        assert!(!framebuffer.is_there());
        fs::write(framebuffer.path(), [0; Frame::BYTES]).unwrap();
        assert!(!framebuffer.is_there());
    }

    #[test]
    fn low_light_is_darker() {
        let root = machine(&[("fb0", NAME)]);
        let mut framebuffer = Framebuffer::open(root.path()).unwrap();
        framebuffer.show(&Frame::filled(Rgb::WHITE), Gamma::LowLight).unwrap();
        // 18 of 31 red, 37 of 63 green, 18 of 31 blue
        let expected = 0x94b2_u16.to_le_bytes().repeat(64);
        assert_eq!(fs::read(framebuffer.path()).unwrap(), expected);
    }

    #[test]
    fn a_machine_without_the_matrix_says_so() {
        for root in [machine(&[]), machine(&[("fb0", "vc4drmfb")])] {
            let error = Framebuffer::open(root.path()).unwrap_err();
            assert!(matches!(error, FramebufferError::Absent { .. }), "{error}");
        }
        let root = machine(&[("fb0", NAME)]);
        fs::remove_file(root.path().join("dev/fb0")).unwrap();
        assert!(matches!(Framebuffer::open(root.path()).unwrap_err(), FramebufferError::Absent { .. }));
    }

    #[test]
    fn who_may_not_write_is_told_which_group_may() {
        let error = FramebufferError::new(Path::new("/dev/fb1"), ErrorKind::PermissionDenied.into());
        assert!(matches!(error, FramebufferError::Permission { .. }));
        assert!(error.to_string().contains("`/dev/fb1`: the user has to be in the group `video`"));
    }

    #[test]
    fn what_else_goes_wrong_is_told_with_the_path() {
        let root = machine(&[("fb0", NAME)]);
        fs::remove_file(root.path().join("dev/fb0")).unwrap();
        fs::create_dir(root.path().join("dev/fb0")).unwrap();
        let error = Framebuffer::open(root.path()).unwrap_err();
        assert!(matches!(&error, FramebufferError::Io { path, .. } if path.ends_with("dev/fb0")), "{error}");
    }
}
