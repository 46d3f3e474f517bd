//! `sub`: what is published comes out line by line.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{ArgAction, Args};

use super::client::{ConnectionArgs, Event, Link, Message, parse_qos};
use crate::base::backoff::Backoff;
use crate::mqtt::{QoS, TopicFilter};

/// Exit code of `mosquitto_sub` when its -W is over.
const TIMED_OUT: u8 = 27;
/// Waits between attempts to connect again.
const RECONNECT_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Subscribe to topics and print what comes, with the flags of mosquitto's client
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct SubscribeArgs {
    /// How to reach the broker.
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Topic to subscribe to, + for one level, # for all below; may be repeated
    #[arg(short, long, required = true, value_parser = parse_filter, allow_hyphen_values = true)]
    pub(crate) topic: Vec<TopicFilter>,
    /// Highest quality of service wanted: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = parse_qos)]
    pub(crate) qos: QoS,
    /// Print the topic before each message
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Exit after so many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Exit after so many seconds, with code 27
    #[arg(short = 'W', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_s: Option<u64>,
    /// Do not print messages that come from the broker's store
    #[arg(short = 'R')]
    pub(crate) no_retained: bool,
    /// Print no newline after a message
    #[arg(short = 'N')]
    pub(crate) no_newline: bool,
    /// Print this help
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

fn parse_filter(text: &str) -> Result<TopicFilter, String> {
    TopicFilter::new_strict(text).map_err(|error| format!("the topic {error}"))
}

/// Prints messages until `-C`, `-W`, Ctrl-C, SIGTERM or the end of whoever reads them.
///
/// # Errors
/// When there is no connection at the start, or the broker refuses; in words for the operator.
pub(crate) fn run(args: &SubscribeArgs) -> anyhow::Result<ExitCode> {
    if let Err(code) = args.connection.check() {
        return Ok(code);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(subscribe(args)) {
        Err(_) if args.connection.quiet => Ok(ExitCode::FAILURE),
        outcome => outcome,
    }
}

async fn subscribe(args: &SubscribeArgs) -> anyhow::Result<ExitCode> {
    let client_id = args.connection.client_id("sub");
    let link = Link::open(&args.connection, &client_id)?;
    let printer = Printer::new(args, io::stdout());
    let mut subscriber = Subscriber { args, client_id, link, printer, was_connected: false, backoff: backoff() };
    let code = tokio::select! {
        end = subscriber.run() => end?,
        stopped = stop_signal() => stopped?,
        () = time_out(args.timeout_s) => ExitCode::from(TIMED_OUT),
    };
    subscriber.link.close().await;
    Ok(code)
}

fn backoff() -> Backoff {
    let (base, cap) = RECONNECT_WAITS;
    Backoff::new(base, cap, fastrand::u64(..))
}

async fn stop_signal() -> anyhow::Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn time_out(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

struct Subscriber<'a> {
    args: &'a SubscribeArgs,
    client_id: String,
    link: Link,
    printer: Printer<io::Stdout>,
    was_connected: bool,
    backoff: Backoff,
}

impl Subscriber<'_> {
    /// Runs until the last message that is wanted, or until nobody reads.
    async fn run(&mut self) -> anyhow::Result<ExitCode> {
        loop {
            match self.link.next_event().await {
                Event::Connected => self.handle_connected()?,
                Event::Subscribed(denials) => self.check_denials(&denials)?,
                Event::Message(message) => {
                    if self.printer.print(&message)? == Next::Stop {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                Event::Lost(loss) if self.was_connected && !loss.is_refusal => self.reconnect(&loss.why).await?,
                Event::Lost(loss) => bail!("{}", self.args.connection.failure_text(&loss)),
                Event::Completed | Event::Refused(_) => {}
            }
        }
    }

    fn handle_connected(&mut self) -> anyhow::Result<()> {
        if self.was_connected {
            self.complain(&format!("connected to {} again", self.args.connection.address()));
        }
        self.was_connected = true;
        anyhow::ensure!(self.link.try_subscribe(&self.args.topic, self.args.qos), "a topic was refused by the client");
        Ok(())
    }

    fn check_denials(&mut self, denials: &[Option<String>]) -> anyhow::Result<()> {
        self.backoff.reset();
        for (filter, denial) in self.args.topic.iter().zip(denials) {
            if let Some(why) = denial {
                self.complain(&format!("{filter}: {why}"));
            }
        }
        anyhow::ensure!(denials.iter().any(Option::is_none), "every subscription was denied by the broker");
        Ok(())
    }

    async fn reconnect(&mut self, why: &str) -> anyhow::Result<()> {
        let wait = self.backoff.next_wait();
        let address = self.args.connection.address();
        self.complain(&format!("{address}: {why}; trying again in {:.1} s", wait.as_secs_f64()));
        tokio::time::sleep(wait).await;
        self.link = Link::open(&self.args.connection, &self.client_id)?;
        Ok(())
    }

    fn complain(&self, line: &str) {
        if !self.args.connection.quiet {
            eprintln!("{line}");
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

/// Messages to bytes, each flushed at once, because a reader at the end of a pipe waits for it.
struct Printer<W> {
    out: W,
    is_verbose: bool,
    skips_retained: bool,
    has_newline: bool,
    left: Option<u64>,
}

impl<W: Write> Printer<W> {
    fn new(args: &SubscribeArgs, out: W) -> Self {
        Self {
            out,
            is_verbose: args.verbose,
            skips_retained: args.no_retained,
            has_newline: !args.no_newline,
            left: args.count,
        }
    }

    /// Prints one message. A reader that has gone away is no error: it has seen enough.
    fn print(&mut self, message: &Message) -> io::Result<Next> {
        if self.left == Some(0) || (self.skips_retained && message.retain) {
            return Ok(self.next());
        }
        match self.write(message) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Next::Stop),
            written => written?,
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        Ok(self.next())
    }

    fn next(&self) -> Next {
        if self.left == Some(0) { Next::Stop } else { Next::GoOn }
    }

    fn write(&mut self, message: &Message) -> io::Result<()> {
        let mut line = Vec::with_capacity(message.topic.len() + message.payload.len() + 2);
        if self.is_verbose {
            line.extend_from_slice(&message.topic);
            line.push(b' ');
        }
        line.extend_from_slice(&message.payload);
        if self.has_newline {
            line.push(b'\n');
        }
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(messages: &[Message], printer: &mut Printer<Vec<u8>>) -> Vec<Next> {
        messages.iter().map(|message| printer.print(message).unwrap()).collect()
    }

    fn message(payload: &'static [u8], retain: bool) -> Message {
        Message { topic: "a/b".into(), payload: payload.into(), retain }
    }

    fn printer() -> Printer<Vec<u8>> {
        Printer { out: Vec::new(), is_verbose: false, skips_retained: false, has_newline: true, left: None }
    }

    #[test]
    fn payloads_come_out_as_they_are_with_a_newline_each() {
        let mut printer = printer();
        printed(&[message(b"21.37", false), message(b"", true), message(b"\xff\x00", false)], &mut printer);
        assert_eq!(printer.out, b"21.37\n\n\xff\x00\n");
    }

    #[test]
    fn verbose_puts_the_topic_in_front() {
        let mut printer = Printer { is_verbose: true, ..printer() };
        printed(&[message(b"1", false)], &mut printer);
        assert_eq!(printer.out, b"a/b 1\n");
    }

    #[test]
    fn count_ends_after_so_many_printed_messages_and_skipped_ones_do_not_count() {
        let mut printer = Printer { left: Some(2), skips_retained: true, ..printer() };
        let messages = [message(b"old", true), message(b"1", false), message(b"2", false), message(b"3", false)];
        assert_eq!(printed(&messages, &mut printer), [Next::GoOn, Next::GoOn, Next::Stop, Next::Stop]);
        assert_eq!(printer.out, b"1\n2\n");
    }

    #[test]
    fn a_reader_that_has_gone_ends_it_quietly() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut printer =
            Printer { out: Gone, is_verbose: false, skips_retained: false, has_newline: true, left: None };
        assert_eq!(printer.print(&message(b"1", false)).unwrap(), Next::Stop);
    }
}
