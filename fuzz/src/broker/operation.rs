//! What may happen to a machine.

use arbitrary::Arbitrary;

use super::setting::Setting;
use super::sketch::Sketch;

/// A machine and its life.
#[derive(Arbitrary, Debug)]
pub struct Input {
    /// How the machine is set up.
    pub setting: Setting,
    /// What happens, in order.
    pub operations: Vec<Operation>,
}

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Arbitrary, Debug)]
pub enum Operation {
    /// A client opens a connection; one that it had is forgotten by the client, not by the machine.
    Open {
        /// Which client.
        client: u8,
        /// Whether over the private socket.
        is_house: bool,
    },
    /// A client sends a packet.
    Packet {
        /// Which client.
        client: u8,
        /// What.
        packet: Sketch,
    },
    /// A client sends some bytes.
    Bytes {
        /// Which client.
        client: u8,
        /// What; read until the first packet that is not whole.
        bytes: Vec<u8>,
    },
    /// A client answers what it was sent, as the protocol asks.
    Answer {
        /// Which client.
        client: u8,
        /// How many packets.
        count: u8,
    },
    /// A client's transport is gone.
    Close {
        /// Which client.
        client: u8,
    },
    /// Time passes.
    Pass {
        /// How much of it.
        seconds: u32,
    },
    /// A request to persist is answered.
    Persist {
        /// Which of those that are open.
        which: u8,
    },
    /// A request to load is answered.
    Load,
    /// A login is judged.
    Judge {
        /// Which of those that wait.
        which: u8,
        /// How.
        verdict: u8,
    },
    /// Passwords and rights are read again.
    Reload {
        /// What becomes of the sessions.
        standings: u8,
    },
    /// The disk has no room any more, or has some again.
    Disk {
        /// Whether it is full.
        is_full: bool,
    },
    /// Everybody is told that the process ends.
    ShutDown,
    /// The process dies and begins again.
    Restart {
        /// How many of the requests to persist that were not answered had reached the disk.
        written: u8,
        /// What became of the users of sessions and wills meanwhile.
        standings: u8,
        /// How long the computer was off; without it, only the process ended.
        off_s: Option<u32>,
    },
}
