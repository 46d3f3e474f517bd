//! What waits for one socket: small frames copied behind each other, large ones shared by reference.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::mqtt::Frame;

/// A frame longer than this is shared between its receivers instead of copied: one reference costs less than the copy.
const COPY_BYTES_MAX: usize = 1024;

/// Slices handed to one vectored write; what is left waits for the next one.
pub(super) const SLICES_MAX: usize = 32;

/// Written bytes that a tail may drag along before the rest is moved to its front.
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

/// Buffers kept for later use, and the capacities up to which one is kept.
const POOL_BUFFERS_MAX: usize = 64;
const POOL_CAPACITY_MAX: usize = 64 * 1024;
const POOL_PARTS_MAX: usize = 64;

/// Bytes on their way to one socket. An idle one holds nothing.
#[derive(Debug, Default)]
pub(super) struct Outbox(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// Full parts, oldest first.
    parts: VecDeque<Bytes>,
    /// Copied bytes behind all parts.
    tail: Vec<u8>,
    /// How much of the first part, or of the tail when there is none, is written already.
    written: usize,
    bytes: usize,
}

/// Empty buffers that outboxes lend each other.
#[derive(Debug, Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "a box goes from outbox to outbox as it is")]
    spare: Vec<Box<Waiting>>,
}

impl Pool {
    /// Keeps what nothing waits in, if it is of a usual size.
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
    /// Bytes that are not written yet.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Puts a frame behind all others.
    pub(super) fn push(&mut self, frame: &Frame, pool: &mut Pool) {
        self.0.get_or_insert_with(|| pool.spare.pop().unwrap_or_default()).push(frame);
    }

    /// What is to be written next, oldest first.
    pub(super) fn slices<'a, 'b>(&'a self, slices: &'b mut [IoSlice<'a>; SLICES_MAX]) -> &'b [IoSlice<'a>] {
        let Some(waiting) = &self.0 else { return &[] };
        let mut count = 0;
        for (slice, rest) in slices.iter_mut().zip(waiting.rests()) {
            *slice = IoSlice::new(rest);
            count += 1;
        }
        slices.get(..count).unwrap_or_default()
    }

    /// The socket has taken `count` bytes.
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

    /// What is not written yet, in pieces of some bytes.
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
            // a peer that never quite catches up must not keep all it ever got
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
