//! The system calls that neither std nor rustix nor evdev shows: the one file with `unsafe` in it.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The bit of [`clock_status`] that says that nobody keeps the wall clock right (adjtimex(2), `STA_UNSYNC`).
pub(super) const CLOCK_UNSYNCHRONISED: i32 = libc::STA_UNSYNC;

/// The kernel's status bits of the wall clock (adjtimex(2), `STA_*`); `None` where it may not be asked, as under
/// systemd's `ProtectClock=`, which gives EPERM.
///
/// The times beside the bits are not looked at, so it does not matter how wide they are.
#[expect(unsafe_code, reason = "adjtimex(2) is nowhere to be had as a safe call")]
pub(super) fn clock_status() -> Option<i32> {
    // SAFETY: `timex` consists of integers, for which zero is a value. With `modes` zero the call changes nothing, and
    // it writes to nothing but the struct, which outlives it.
    let (answer, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (answer >= 0).then_some(timex.status)
}

/// Selects the first gamma table of `rpisense-fb`, with the values that it had when the module was loaded
/// (`SENSEFB_FBIORESET_GAMMA` with table 0).
///
/// # Errors
/// ENOTTY where another driver, or none, is behind the file.
#[expect(unsafe_code, reason = "ioctl(2) has no safe form, as what it does depends on the number")]
pub(crate) fn reset_matrix_gamma(device: BorrowedFd<'_>) -> io::Result<()> {
    const RESET_GAMMA: libc::Ioctl = 61698;
    const FIRST_TABLE: libc::c_ulong = 0;
    // SAFETY: the third argument is a number to the driver that knows this request, which it does not follow as an
    // address; a driver that does not know the request answers ENOTTY. The descriptor is open as long as the borrow.
    match unsafe { libc::ioctl(device.as_raw_fd(), RESET_GAMMA, FIRST_TABLE) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `EVIOCSCLOCKID` (`linux/input.h`): direction and size of its argument, its group and its number.
const SET_CLOCK: libc::Ioctl = 0x4004_45a0;

/// Lets an input device stamp what it tells this open file by the clock of [`super::clock::Monotonic`].
///
/// # Errors
/// When it is no input device, or its kernel is older than 4.1.
#[expect(unsafe_code, reason = "the crate evdev does not offer this request")]
pub(crate) fn stamp_by_boot_clock(device: BorrowedFd<'_>) -> io::Result<()> {
    let clock: c_int = libc::CLOCK_BOOTTIME;
    // SAFETY: the request reads one `int` through the pointer, which outlives the call.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), SET_CLOCK, &raw const clock) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A descriptor that a task can wait for until there is something to read. Called on a runtime of tokio's.
///
/// # Errors
/// When nothing of its kind can be waited for, as with a plain file.
#[expect(unsafe_code, reason = "tokio takes any owner of a descriptor, and cannot know that this one keeps it")]
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` has one descriptor, which stays open until it is dropped, and the `AsyncFd` owns it.
    let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// Another descriptor of the open file that `descriptor` is of.
///
/// # Errors
/// When there are too many descriptors.
#[cfg(feature = "sensehat-stick")]
#[expect(unsafe_code, reason = "the crate sensehat-stick shows its descriptor as a number")]
pub(crate) fn duplicate(descriptor: std::os::fd::RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number came from an owner that is alive while this is called, and is used for this call only.
    unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_file_that_is_no_matrix_refuses_its_request() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(reset_matrix_gamma(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn a_file_that_is_no_input_device_has_no_clock_to_set() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(stamp_by_boot_clock(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }

    #[test]
    fn the_kernel_answers_with_bits_it_knows_or_not_at_all() {
        // STA_PLL to STA_CLK, the sixteen bits that there are
        assert!(clock_status().is_none_or(|bits| (0..=0xffff).contains(&bits)));
    }
}
