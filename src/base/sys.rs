//! The system calls that neither std nor rustix shows: the one file with `unsafe` in it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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
    fn the_kernel_answers_with_bits_it_knows_or_not_at_all() {
        // STA_PLL to STA_CLK, the sixteen bits that there are
        assert!(clock_status().is_none_or(|bits| (0..=0xffff).contains(&bits)));
    }
}
