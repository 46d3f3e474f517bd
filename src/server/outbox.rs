//! Bytes to be sent to one socket: small frames are copied into one buffer, large ones are shared by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::mqtt::Frame;

/// A frame longer than this is shared between its receivers instead of copied: one reference costs less than the copy.
const COPY_BYTES_MAX: usize = 1024;

/// Slices of one vectored write; the others wait for the next one.
pub(super) const SLICES_MAX: usize = 32;

/// Written bytes at the front of a buffer, beyond which the rest is moved to its front.
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

/// Buffers that are kept for reuse, and the capacities beyond which a buffer is freed.
const POOL_BUFFERS_MAX: usize = 64;
const POOL_CAPACITY_MAX: usize = 64 * 1024;
const POOL_PARTS_MAX: usize = 64;

/// Bytes to be sent to one socket. An empty outbox has no buffer.
#[derive(Debug, Default)]
pub(super) struct Outbox(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// Complete parts, oldest first.
    parts: VecDeque<Bytes>,
    /// Copied bytes, to be sent after all parts.
    tail: Vec<u8>,
    /// Bytes of the first part, or of the tail if there is none, that are written.
    written: usize,
    bytes: usize,
}

/// Empty buffers for reuse by any outbox.
#[derive(Debug, Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "outboxes hold boxes, which are reused as they are")]
    spare: Vec<Box<Waiting>>,
}

impl Pool {
    /// Keeps an empty buffer for reuse, unless it is large or there are enough.
    fn give(&mut self, mut empty: Box<Waiting>) {
        let is_usual = empty.tail.capacity() <= POOL_CAPACITY_MAX && empty.parts.capacity() <= POOL_PARTS_MAX;
        if is_usual && self.spare.len() < POOL_BUFFERS_MAX {
            empty.tail.clear();
            empty.written = 0;
            self.spare.push(empty);
        }
    }
}

impl Outbox {
    /// Returns the bytes that are not written yet.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Appends a frame.
    pub(super) fn push(&mut self, frame: &Frame, pool: &mut Pool) {
        self.0.get_or_insert_with(|| pool.spare.pop().unwrap_or_default()).push(frame);
    }

    /// Fills `slices` with the bytes to be written next, oldest first.
    pub(super) fn slices<'a, 'b>(&'a self, slices: &'b mut [IoSlice<'a>; SLICES_MAX]) -> &'b [IoSlice<'a>] {
        let Some(waiting) = &self.0 else { return &[] };
        let mut count = 0;
        for (slice, rest) in slices.iter_mut().zip(waiting.rests()) {
            *slice = IoSlice::new(rest);
            count += 1;
        }
        slices.get(..count).unwrap_or_default()
    }

    /// Removes the first `count` bytes, which were written.
    pub(super) fn advance(&mut self, count: usize, pool: &mut Pool) {
        let Some(waiting) = &mut self.0 else { return };
        waiting.advance(count);
        if waiting.bytes == 0
            && let Some(empty) = self.0.take()
        {
            pool.give(empty);
        }
    }
}

impl Waiting {
    fn push(&mut self, frame: &Frame) {
        self.bytes += frame.wire_len();
        if frame.wire_len() <= COPY_BYTES_MAX {
            frame.append_to(&mut self.tail);
        } else {
            let rest = frame.append_own_to(&mut self.tail);
            if !self.tail.is_empty() {
                self.parts.push_back(std::mem::take(&mut self.tail).into());
            }
            self.parts.push_back(rest);
        }
    }

    /// Returns the non-empty slices that are not written yet.
    fn rests(&self) -> impl Iterator<Item = &[u8]> {
        let parts = self.parts.iter().map(|part| &part[..]).chain(std::iter::once(&self.tail[..]));
        let mut start = self.written;
        parts.filter_map(move |part| part.get(std::mem::take(&mut start)..)).filter(|rest| !rest.is_empty())
    }

    fn advance(&mut self, count: usize) {
        self.bytes -= count;
        self.written += count;
        while let Some(first) = self.parts.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.parts.pop_front();
        }
        if self.parts.is_empty() && self.written > WRITTEN_BYTES_MAX.max(self.tail.len() / 2) {
            // else the buffer of a peer that never catches up would keep all that was ever sent
            self.tail.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_outbox_that_is_never_quite_empty_does_not_grow() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        outbox.push(&Frame::Whole(vec![0; 100].into()), &mut pool);
        for _ in 0..100_000 {
            outbox.push(&Frame::Whole(vec![0; 100].into()), &mut pool);
            outbox.advance(100, &mut pool);
        }
        assert_eq!(outbox.bytes(), 100);
        let held = outbox.0.map_or(0, |waiting| waiting.tail.capacity());
        assert!(held < 1 << 20, "{held} bytes held");
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_however_the_socket_takes_them(
            lengths in prop::collection::vec(prop_oneof![1_usize..60, 900_usize..3000], 1..60),
            takes in prop::collection::vec(1_usize..4000, 1..400),
        ) {
            let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
            let (mut expected, mut written) = (Vec::new(), Vec::new());
            for (number, length) in (0_u8..).zip(lengths) {
                let bytes = vec![number; length];
                expected.extend_from_slice(&bytes);
                outbox.push(&Frame::Whole(bytes.into()), &mut pool);
            }
            for take in takes.into_iter().chain(std::iter::repeat(100_000)) {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let offered: Vec<u8> = outbox.slices(&mut slices).iter().flat_map(|slice| slice.to_vec()).collect();
                let count = take.min(offered.len());
                written.extend_from_slice(&offered[..count]);
                outbox.advance(count, &mut pool);
                if outbox.bytes() == 0 {
                    break;
                }
            }
            prop_assert_eq!(written, expected);
            prop_assert!(outbox.0.is_none());
        }
    }
}
