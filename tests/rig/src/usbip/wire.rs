//! USB/IP: headers of 48 bytes in network order, with the data behind them.

/// Every header, of requests and answers.
pub(super) const HEADER_BYTES: usize = 48;

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const SUBMIT_ANSWER: u32 = 3;
const UNLINK_ANSWER: u32 = 4;
/// A transfer to the host.
const IN: u32 = 1;
/// `-EPIPE`: how a device says on the wire that it does not know a request.
const STALLED: i32 = -32;
/// The most that one transfer may carry here: the longest message of i2c-dev.
const TRANSFER_BYTES_MAX: u32 = 8192;

/// What the kernel asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Do a transfer.
    Submit(Submit),
    /// Give a transfer up. It was answered before this is read, so there is nothing to give up.
    Unlink {
        /// The number of this request.
        number: u32,
    },
}

/// One transfer on endpoint 0, the only one there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Submit {
    number: u32,
    is_in: bool,
    length: u32,
    pub(super) setup: [u8; 8],
}

impl Request {
    /// Reads a header; `None` ends the connection: what follows cannot be told from what came.
    pub(super) fn decode(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let field = |index: usize| header.as_chunks().0.get(index).copied().map(u32::from_be_bytes);
        let number = field(1)?;
        match field(0)? {
            SUBMIT => {
                let (is_in, length) = (field(3)? == IN, field(6)?);
                let setup = *header.last_chunk()?;
                (length <= TRANSFER_BYTES_MAX).then_some(Self::Submit(Submit { number, is_in, length, setup }))
            }
            UNLINK => Some(Self::Unlink { number }),
            _ => None,
        }
    }
}

impl Submit {
    /// Bytes that follow the header.
    pub(super) fn sent_bytes(&self) -> usize {
        if self.is_in { 0 } else { self.length as usize }
    }

    /// The answer: what the device sends, cut to what was asked for, or that it does not know the request.
    pub(super) fn answer(&self, result: Option<Vec<u8>>) -> Vec<u8> {
        let status = if result.is_some() { 0 } else { STALLED };
        let mut data = result.unwrap_or_default();
        data.truncate(self.length as usize);
        let done = if self.is_in { u32::try_from(data.len()).unwrap_or(u32::MAX) } else { self.length };
        let mut answer = encode(SUBMIT_ANSWER, self.number, status, if status == 0 { done } else { 0 });
        if self.is_in {
            answer.append(&mut data);
        }
        answer
    }
}

/// The answer to [`Request::Unlink`]: too late.
pub(super) fn answer_unlink(number: u32) -> Vec<u8> {
    encode(UNLINK_ANSWER, number, 0, 0)
}

/// Device, direction and endpoint are zero in an answer.
fn encode(command: u32, number: u32, status: i32, done: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    for field in [command, number, 0, 0, 0, status.cast_unsigned(), done] {
        header.extend(field.to_be_bytes());
    }
    header.resize(HEADER_BYTES, 0);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u32, direction: u32, length: u32) -> [u8; HEADER_BYTES] {
        let fields = [command, 77, 0x0001_0002, direction, 0, 0, length, 0, 0, 0];
        let bytes: Vec<u8> = fields.into_iter().flat_map(u32::to_be_bytes).chain(*b"setup678").collect();
        bytes.try_into().unwrap()
    }

    fn submit(direction: u32, length: u32) -> Submit {
        match Request::decode(&header(SUBMIT, direction, length)) {
            Some(Request::Submit(submit)) => submit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn data_follows_an_outward_header_and_an_inward_answer() {
        let (outward, inward) = (submit(0, 4), submit(1, 4));
        assert_eq!((outward.sent_bytes(), inward.sent_bytes()), (4, 0));
        assert_eq!(&inward.setup, b"setup678");
        assert_eq!(inward.answer(Some(vec![1, 2])), [&encode(3, 77, 0, 2)[..], &[1, 2]].concat());
        assert_eq!(inward.answer(Some(vec![7; 9])), [&encode(3, 77, 0, 4)[..], &[7; 4]].concat());
        assert_eq!(outward.answer(Some(vec![])), encode(3, 77, 0, 4));
    }

    #[test]
    fn unknown_request_of_the_device_is_a_stall() {
        assert_eq!(submit(1, 4).answer(None), encode(3, 77, -32, 0));
        assert_eq!(encode(3, 77, -32, 0)[20..24], [0xff, 0xff, 0xff, 0xe0]);
    }

    #[test]
    fn unlink_is_told_by_its_own_number() {
        assert_eq!(Request::decode(&header(UNLINK, 0, 0)), Some(Request::Unlink { number: 77 }));
        assert_eq!(answer_unlink(77)[..8], [0, 0, 0, 4, 0, 0, 0, 77]);
        assert_eq!(answer_unlink(77).len(), HEADER_BYTES);
    }

    #[test]
    fn what_is_no_request_ends_the_connection() {
        assert_eq!(Request::decode(&header(9, 0, 0)), None);
        assert_eq!(Request::decode(&header(SUBMIT, 0, TRANSFER_BYTES_MAX + 1)), None);
    }
}
