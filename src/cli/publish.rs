//! `pub`: one message, or one a line, to a broker.

use std::io::{self, BufRead as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{ArgAction, ArgGroup, Args};
use tokio::sync::mpsc;

use super::EXIT_USAGE;
use super::client::{ConnectionArgs, Event, Link, parse_qos};
use crate::mqtt::{QoS, TopicName};

/// Messages sent and not yet acknowledged, at most: below what rumqttc keeps in flight (100), so that it never has to
/// refuse one.
const WINDOW: usize = 50;
/// Lines that may wait to be sent; beyond it reading waits.
const LINES_MAX: usize = 64;

/// Publish a message, with the flags of mosquitto's client
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, disable_version_flag = true)]
#[command(group(ArgGroup::new("what").required(true)))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct PublishArgs {
    /// How to reach the broker.
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    /// Topic to publish to
    #[arg(short, long, value_parser = parse_topic, allow_hyphen_values = true)]
    pub(crate) topic: TopicName,
    /// The message
    #[arg(short, long, group = "what", allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// Send an empty message; with -r it clears what is retained
    #[arg(short, long, group = "what")]
    pub(crate) null_message: bool,
    /// Send each line of the standard input as a message
    #[arg(short = 'l', long, group = "what")]
    pub(crate) stdin_line: bool,
    /// Send the whole standard input as one message
    #[arg(short, long, group = "what")]
    pub(crate) stdin_file: bool,
    /// Send the content of a file as one message
    #[arg(short, long, group = "what")]
    pub(crate) file: Option<PathBuf>,
    /// Quality of service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = parse_qos)]
    pub(crate) qos: QoS,
    /// Let the broker keep the message for later subscribers
    #[arg(short, long)]
    pub(crate) retain: bool,
    /// Print this help
    #[arg(long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

/// Parses a topic. One with control characters is checked with the other flags: see [`check_topic`].
fn parse_topic(text: &str) -> Result<TopicName, String> {
    TopicName::new(text).map_err(|error| format!("the topic {error}"))
}

/// Refuses a topic that the broker refuses. Control characters are accepted only to clear a retained message from before
/// the broker refused them.
fn check_topic(args: &PublishArgs) -> Result<(), ExitCode> {
    if args.retain && args.null_message {
        return Ok(());
    }
    TopicName::new_strict(args.topic.as_str()).map(drop).map_err(|error| {
        eprintln!("error: --topic: the topic {error}; with -r -n a retained message of this topic is cleared");
        ExitCode::from(EXIT_USAGE)
    })
}

/// Publishes; returns when the broker has everything.
///
/// # Errors
/// When the input cannot be read, there is no connection, or the broker refuses; in words for the operator.
pub(crate) fn run(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    if let Err(code) = args.connection.check().and_then(|()| check_topic(args)) {
        return Ok(code);
    }
    let payloads = payloads(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(publish(args, payloads));
    // the thread that reads the standard input may wait for a line for ever
    runtime.shutdown_background();
    match outcome {
        Err(_) if args.connection.quiet => Ok(ExitCode::FAILURE),
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

/// The messages as they come; the channel ends with the last.
fn payloads(args: &PublishArgs) -> anyhow::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, payloads) = mpsc::channel(LINES_MAX);
    if args.stdin_line {
        std::thread::Builder::new().name("lines".into()).spawn(move || read_lines(&sender))?;
    } else {
        sender.try_send(single_payload(args)?).context("the first message finds room")?;
    }
    Ok(payloads)
}

fn single_payload(args: &PublishArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(path) = &args.file {
        return std::fs::read(path).with_context(|| path.display().to_string());
    }
    let mut payload = args.message.clone().unwrap_or_default().into_bytes();
    if args.stdin_file {
        io::stdin().lock().read_to_end(&mut payload).context("standard input")?;
    }
    Ok(payload)
}

fn read_lines(lines: &mpsc::Sender<Vec<u8>>) {
    // an input that breaks off ends the messages, as its end does
    for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

async fn publish(args: &PublishArgs, payloads: mpsc::Receiver<Vec<u8>>) -> anyhow::Result<()> {
    let link = Link::open(&args.connection, &args.connection.client_id("pub"))?;
    let mut publisher = Publisher { args, link, payloads, is_connected: false, is_drained: false, outstanding: 0 };
    publisher.run().await?;
    publisher.link.close().await;
    Ok(())
}

struct Publisher<'a> {
    args: &'a PublishArgs,
    link: Link,
    payloads: mpsc::Receiver<Vec<u8>>,
    is_connected: bool,
    is_drained: bool,
    outstanding: usize,
}

impl Publisher<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        while !(self.is_drained && self.outstanding == 0) {
            let may_send = self.is_connected && !self.is_drained && self.outstanding < WINDOW;
            tokio::select! {
                event = self.link.next_event() => self.handle_event(event)?,
                payload = self.payloads.recv(), if may_send => match payload {
                    Some(payload) => self.send(payload)?,
                    None => self.is_drained = true,
                },
            }
        }
        Ok(())
    }

    fn send(&mut self, payload: Vec<u8>) -> anyhow::Result<()> {
        let PublishArgs { topic, qos, retain, .. } = self.args;
        if !self.link.try_publish(topic, *qos, *retain, payload) {
            bail!("{topic}: the connection takes no message");
        }
        self.outstanding += 1;
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Connected => self.is_connected = true,
            Event::Completed => self.outstanding = self.outstanding.saturating_sub(1),
            Event::Refused(why) => bail!("the broker refused the message to {}: {why}", self.args.topic),
            Event::Lost(loss) if self.is_connected => {
                bail!(
                    "{}: connection lost with {} unacknowledged: {}",
                    self.args.connection.address(),
                    self.outstanding,
                    loss.why
                );
            }
            Event::Lost(loss) => bail!("{}", self.args.connection.failure_text(&loss)),
            Event::Message(_) | Event::Subscribed(_) => {}
        }
        Ok(())
    }
}
