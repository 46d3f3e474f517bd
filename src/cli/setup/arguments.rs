//! What can be typed behind `sensegate setup`.

use std::path::PathBuf;

use clap::Args;

use super::super::passwd::parse_user;

/// What stands below the flags in the help.
const AFTER_HELP: &str = "\
Nothing is written before everything was asked, checked as `sensegate check` does, shown and agreed to. Beside the
configuration lie `passwords`, `acl` and, with TLS, `tls/`; lines and comments that are there stay. A configuration that
is changed is kept as sensegate.toml.bak-N.

With --yes nothing is asked: what the flags leave open is as the file says, else as by default. Then a port that somebody
else has is replaced by the next free one, and a user that exists keeps the password (--new-password gives another).
Nothing but a sensegate that systemd runs is started again, and I2C is switched on only with --enable-i2c.

Exit codes: 0, 1 for a failure or a no, 64 without a terminal and without --yes, 78 for a file that has problems.";

/// Make the first configuration: asks, or takes the defaults with --yes
#[derive(Args, Clone, Debug)]
#[command(after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(in crate::cli) struct SetupArgs {
    /// The file to write; without it /etc/sensegate/sensegate.toml
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Ask nothing
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Tell what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// First level of all topics
    #[arg(long)]
    pub(super) prefix: Option<String>,
    /// Port of the broker, without TLS (1883)
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,
    /// Let no other machine in
    #[arg(long, conflicts_with_all = ["tls", "user", "new_password"])]
    pub(super) no_lan: bool,
    /// User for the other machines (laptop)
    #[arg(long, value_name = "NAME", value_parser = parse_user)]
    pub(super) user: Option<String>,
    /// Give that user another password, if there is one already
    #[arg(long)]
    pub(super) new_password: bool,
    /// Let other machines in through TLS only, with a certificate made here, or renewed
    #[arg(long)]
    pub(super) tls: bool,
    /// Port of the broker with TLS (8883)
    #[arg(long, value_name = "PORT", requires = "tls", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) tls_port: Option<u16>,
    /// Publish to the broker at URL, such as `mqtt://127.0.0.1:1883`, instead of being one
    #[arg(long, value_name = "URL", conflicts_with_all = ["port", "no_lan", "tls", "user", "new_password"])]
    pub(super) broker: Option<String>,
    /// Switch I2C on with raspi-config where it is off
    #[arg(long)]
    pub(super) enable_i2c: bool,
}
