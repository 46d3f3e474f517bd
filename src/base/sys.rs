//! The system call that neither std nor rustix shows: the one file with `unsafe` in it.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_with_bits_it_knows_or_not_at_all() {
        // STA_PLL to STA_CLK, the sixteen bits that there are
        assert!(clock_status().is_none_or(|bits| (0..=0xffff).contains(&bits)));
    }
}
