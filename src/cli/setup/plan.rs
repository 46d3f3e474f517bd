//! What was decided, before anything is written.

/// The answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// First level of all topics.
    pub(super) prefix: String,
    /// Who the broker is.
    pub(super) broker: Broker,
}

/// Who the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    /// The gateway.
    Embedded {
        /// Port without TLS, of this machine and, without TLS, of the others.
        port: u16,
        /// How other machines come in; `None` when they do not.
        lan: Option<Lan>,
    },
    /// The one at this URL.
    External(String),
}

/// How other machines come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lan {
    /// Their user.
    pub(super) user: String,
    /// Whether the user gets another password if there is one already.
    pub(super) has_new_password: bool,
    /// The port with TLS; `None` without TLS.
    pub(super) tls_port: Option<u16>,
}

impl Plan {
    /// How other machines come in to the embedded broker.
    pub(super) fn lan(&self) -> Option<&Lan> {
        match &self.broker {
            Broker::Embedded { lan, .. } => lan.as_ref(),
            Broker::External(_) => None,
        }
    }

    /// The port that other machines speak to.
    pub(super) fn lan_port(&self) -> Option<u16> {
        match &self.broker {
            Broker::Embedded { port, lan: Some(lan) } => Some(lan.tls_port.unwrap_or(*port)),
            _ => None,
        }
    }

    /// The filter of everything that is published.
    pub(super) fn filter(&self) -> String {
        format!("{}/#", self.prefix)
    }
}
