//! One output of several registers, with its status bits.

/// The registers of one output, low byte first.
///
/// With block data update, a conversion that is done between the reading of the first and of the last byte waits
/// until the last is read, so that no reader gets half of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latch<const N: usize> {
    shown: [u8; N],
    waiting: Option<[u8; N]>,
    is_being_read: bool,
    is_new: bool,
    is_overrun: bool,
}

impl<const N: usize> Latch<N> {
    pub(super) fn new(shown: [u8; N]) -> Self {
        Self { shown, waiting: None, is_being_read: false, is_new: false, is_overrun: false }
    }

    /// A conversion is done; `several` when others went unseen before it.
    pub(super) fn convert(&mut self, bytes: [u8; N], several: bool, block_data_update: bool) {
        self.is_overrun |= self.is_new || several;
        self.is_new = true;
        if block_data_update && self.is_being_read {
            self.waiting = Some(bytes);
        } else {
            self.shown = bytes;
        }
    }

    /// Reads byte `index`; the last one clears the status bits.
    pub(super) fn read(&mut self, index: usize) -> u8 {
        let byte = self.shown.get(index).copied().unwrap_or(0);
        if index + 1 == N {
            self.finish_reading();
        } else {
            self.is_being_read = true;
        }
        byte
    }

    fn finish_reading(&mut self) {
        (self.is_being_read, self.is_overrun) = (false, false);
        self.is_new = self.waiting.is_some();
        if let Some(bytes) = self.waiting.take() {
            self.shown = bytes;
        }
    }

    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) const fn is_overrun(&self) -> bool {
        self.is_overrun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_byte_clears_the_status_and_an_unread_value_is_an_overrun() {
        let mut latch = Latch::new([0, 0]);
        latch.convert([1, 2], false, true);
        assert!(latch.is_new() && !latch.is_overrun());
        latch.convert([3, 4], false, true);
        assert!(latch.is_overrun());
        assert_eq!(latch.read(0), 3);
        assert!(latch.is_new());
        assert_eq!(latch.read(1), 4);
        assert!(!latch.is_new() && !latch.is_overrun());
    }

    #[test]
    fn block_data_update_keeps_both_halves_together() {
        let mut latch = Latch::new([1, 1]);
        assert_eq!(latch.read(0), 1);
        latch.convert([2, 2], false, true);
        assert_eq!(latch.read(1), 1);
        assert!(latch.is_new());
        assert_eq!((latch.read(0), latch.read(1)), (2, 2));
    }

    #[test]
    fn without_block_data_update_the_halves_may_differ() {
        let mut latch = Latch::new([1, 1]);
        assert_eq!(latch.read(0), 1);
        latch.convert([2, 2], false, false);
        assert_eq!(latch.read(1), 2);
    }
}
