//! What goes wrong. Each fault stays until [`Ubidots::heal`](super::Ubidots::heal), but for those that say "once".

use std::time::Duration;

use sensegate::mqtt::ConnectReturnCode;

use super::packet::Kind;

/// A fault of the service or of the network to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Publishes are stored and never acknowledged.
    NoPubAck,
    /// Publishes are stored at once and acknowledged so much later.
    LatePubAck(Duration),
    /// Once: the connection is closed behind the next acknowledgement, as when the broker crashes there.
    CloseAfterPubAck,
    /// Once: so many publishes more are stored, the last of them without an acknowledgement: there the connection is
    /// closed.
    CloseBeforePubAck {
        /// At least one.
        publishes: u32,
    },
    /// Once: the next packet of this kind is sent by half, then the connection is reset (RST).
    ResetWithin(Kind),
    /// Sockets stay open and the kernel takes what they are sent; nothing is read and nothing answered. When it is
    /// healed, what was sent is read.
    HalfOpen,
    /// Every CONNECT is refused with this code and the connection closed.
    Refuse(ConnectReturnCode),
    /// The answer to a CONNECT comes so much later.
    SlowConnAck(Duration),
    /// Publishes are acknowledged and lost, as beyond a limit.
    SwallowDots,
}

/// What happens to a client that publishes with QoS 2, which Ubidots does not document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QoS2 {
    /// Its connection is closed.
    #[default]
    Disconnects,
    /// It is answered to the end and its data stored, without a look for copies.
    IsTaken,
}

/// The faults that are there now, but for [`Fault::HalfOpen`], which connections are woken for.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) pub_ack: Answer,
    pub(super) is_swallowing: bool,
    pub(super) refusal: Option<ConnectReturnCode>,
    pub(super) conn_ack_after: Duration,
    close_after_pub_ack: bool,
    publishes_until_close: Option<u32>,
    reset_within: Option<Kind>,
}

/// How something is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    #[default]
    AtOnce,
    After(Duration),
    Never,
}

/// What a publish is to come to, whatever it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The connection goes on.
    Answered(Answer),
    /// It is answered at once, then the connection closed.
    AnsweredAndClosed,
    /// The connection is closed instead of an answer.
    Closed,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        match fault {
            Fault::NoPubAck => self.pub_ack = Answer::Never,
            Fault::LatePubAck(delay) => self.pub_ack = Answer::After(delay),
            Fault::CloseAfterPubAck => self.close_after_pub_ack = true,
            Fault::CloseBeforePubAck { publishes } => self.publishes_until_close = Some(publishes),
            Fault::ResetWithin(kind) => self.reset_within = Some(kind),
            Fault::HalfOpen => {}
            Fault::Refuse(code) => self.refusal = Some(code),
            Fault::SlowConnAck(delay) => self.conn_ack_after = delay,
            Fault::SwallowDots => self.is_swallowing = true,
        }
    }

    /// The fate of one more publish of QoS 1 or 2.
    pub(super) fn strike_publish(&mut self) -> Fate {
        if let Some(publishes) = self.publishes_until_close {
            self.publishes_until_close = publishes.checked_sub(1).filter(|&left| left > 0);
            if self.publishes_until_close.is_none() {
                return Fate::Closed;
            }
        }
        if std::mem::take(&mut self.close_after_pub_ack) {
            return Fate::AnsweredAndClosed;
        }
        Fate::Answered(self.pub_ack)
    }

    /// Whether the connection is to be reset within a packet of this kind.
    pub(super) fn strike_packet(&mut self, kind: Kind) -> bool {
        self.reset_within.take_if(|struck| *struck == kind).is_some()
    }
}
