//! A client's way to the broker: opened, lost, opened again after a wait.

use std::time::Duration;

use mio::{Registry, Token};
use sensegate::base::backoff::Backoff;
use sensegate::base::clock::Monotonic;
use sensegate::mqtt::{
    ClientId, ConnAck, Connect, ConnectReturnCode, Disconnect, Packet, Password, Properties, ProtocolVersion, Will,
};

use super::connection::{Connection, Output};
use super::error::FleetError;
use super::latency::Histogram;
use super::ledger::Ledger;
use super::options::Options;

/// What is promised to the broker; a PINGREQ leaves after a third of it in silence.
const KEEP_ALIVE_S: u16 = 60;

/// Waits between attempts, as a gateway's own: decorrelated jitter.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// What all clients of a run share.
pub(super) struct Context<'o> {
    pub(super) options: &'o Options,
    pub(super) registry: Registry,
    pub(super) boot_id: String,
    pub(super) ledger: Ledger,
    /// Connections without CONNACK.
    pub(super) opening: u32,
    /// Whether anybody was ever let in: before that, what goes wrong is a mistake and no outage.
    pub(super) is_proven: bool,
    /// Connections that ended although nobody wanted it.
    pub(super) lost: u64,
    pub(super) last_reason: String,
    /// From opening a connection to its CONNACK.
    pub(super) connect: Histogram,
    /// When the last CONNACK came.
    pub(super) connected: Monotonic,
}

/// One client's connection and how it gets the next one.
pub(super) struct Link {
    token: Token,
    client_id: String,
    will: Option<Will>,
    /// Whether the next CONNECT throws an old session away.
    pub(super) clean_session: bool,
    stage: Stage,
    pub(super) connection: Option<Connection>,
    opened: Monotonic,
    refusal: Option<ConnectReturnCode>,
    backoff: Backoff,
    retry_at: Option<Monotonic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    /// Until CONNACK.
    Opening,
    Open,
    /// DISCONNECT is on its way.
    Left,
}

impl Link {
    pub(super) fn new(token: Token, client_id: String, will: Option<Will>, clean_session: bool) -> Self {
        let backoff = Backoff::new(WAITS[0], WAITS[1], token.0 as u64);
        let (stage, opened) = (Stage::Closed, Monotonic::ZERO);
        let (connection, refusal, retry_at) = (None, None, None);
        Self { token, client_id, will, clean_session, stage, connection, opened, refusal, backoff, retry_at }
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(super) fn has_left(&self) -> bool {
        self.stage == Stage::Left
    }

    /// Begins to connect.
    ///
    /// # Errors
    /// When nobody was ever let in, and the system does not even begin.
    pub(super) fn open(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        (self.stage, self.opened, self.retry_at, self.refusal) = (Stage::Opening, now, None, None);
        context.opening += 1;
        match Connection::open(context.options.address, &context.registry, self.token, now) {
            Ok(mut connection) => {
                connection.output.push(&Packet::Connect(self.connect(context.options)));
                self.connection = Some(connection);
                Ok(())
            }
            Err(error) => self.lose(&error.to_string(), context, now),
        }
    }

    fn connect(&self, options: &Options) -> Connect {
        let credentials = options.credentials.as_ref();
        let password = |text: &str| Password::from(bytes::Bytes::copy_from_slice(text.as_bytes()));
        Connect {
            version: ProtocolVersion::V311,
            clean_session: self.clean_session,
            keep_alive_s: KEEP_ALIVE_S,
            properties: Properties::NONE,
            client_id: ClientId::new(self.client_id.as_str()),
            will: self.will.clone(),
            user_name: credentials.map(|(user_name, _)| user_name.of(&self.client_id)),
            password: credentials.map(|(_, secret)| password(secret.reveal())),
        }
    }

    /// Whether the broker let the client in.
    ///
    /// # Errors
    /// When it did not, and will not the next time.
    pub(super) fn handle_connack(
        &mut self,
        connack: &ConnAck,
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<bool, FleetError> {
        let code = ConnectReturnCode::from(connack.reason);
        match code {
            ConnectReturnCode::Accepted => {
                self.stage = Stage::Open;
                self.backoff.reset();
                context.opening = context.opening.saturating_sub(1);
                (context.is_proven, context.connected) = (true, now);
                context.connect.add(now.since(self.opened));
                Ok(true)
            }
            ConnectReturnCode::ServerUnavailable if context.is_proven => {
                self.refusal = Some(code);
                Ok(false)
            }
            _ => Err(FleetError::Refused { client_id: self.client_id.clone(), code }),
        }
    }

    /// Says goodbye; the connection ends with the next [`Self::settle`].
    pub(super) fn leave(&mut self, output: &mut Output) {
        output.push(&Packet::Disconnect(Disconnect::NORMAL));
        self.stage = Stage::Left;
    }

    /// Takes a connection back that was worked with, unless it is over.
    pub(super) fn settle(
        &mut self,
        mut connection: Connection,
        lost: Option<String>,
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<(), FleetError> {
        match lost.or_else(|| connection.flush(now)) {
            _ if self.has_left() => Ok(()),
            Some(reason) => self.lose(&reason, context, now),
            None => {
                self.connection = Some(connection);
                Ok(())
            }
        }
    }

    fn lose(&mut self, reason: &str, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        match self.stage {
            Stage::Opening => context.opening = context.opening.saturating_sub(1),
            _ => context.lost += 1,
        }
        self.stage = Stage::Closed;
        let refused = self.refusal.map(|code| format!("CONNACK code {}", code as u8));
        let reason = refused.unwrap_or_else(|| reason.to_owned());
        if !context.is_proven {
            let (client_id, address) = (self.client_id.clone(), context.options.address);
            return Err(FleetError::Unreachable { client_id, address, reason });
        }
        context.last_reason = format!("{}: {reason}", self.client_id);
        self.retry_at = Some(now + self.backoff.next_wait());
        Ok(())
    }

    /// Connects again when the wait is over, and breaks a long silence.
    pub(super) fn keep(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), FleetError> {
        if self.retry_at.is_some_and(|retry_at| retry_at <= now) {
            return self.open(context, now);
        }
        let silence_max = Duration::from_secs(u64::from(KEEP_ALIVE_S) / 3);
        let is_silent = |connection: &mut Connection| now.since(connection.written) > silence_max;
        match self.connection.take_if(is_silent).filter(|_| self.stage == Stage::Open) {
            Some(mut connection) => {
                connection.output.push(&Packet::PingReq);
                self.settle(connection, None, context, now)
            }
            None => Ok(()),
        }
    }
}

/// A client of the run, at either end of the broker.
pub(super) trait Client {
    fn link(&mut self) -> &mut Link;

    fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        output: &mut Output,
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<(), FleetError>;

    /// Reads, answers and writes what there is.
    fn handle_ready(
        &mut self,
        scratch: &mut [u8],
        context: &mut Context<'_>,
        now: Monotonic,
    ) -> Result<(), FleetError> {
        let Some(mut connection) = self.link().connection.take() else { return Ok(()) };
        let lost = connection.read(scratch, |packet, output| self.handle_packet(packet, output, context, now))?;
        self.link().settle(connection, lost, context, now)
    }
}
