"""The package: installed, upgraded, removed and purged with dpkg."""

from __future__ import annotations

import shlex

from host.report import Report, expect
from systemd.client import Client, Mailbox
from systemd.guest import Guest

CONFIGURATION = "/etc/sensegate/sensegate.toml"
DPKG_SECONDS = 120.0
WATCHDOG_LEAST = ("1min", "5min")
OWNERS = {
    "/etc/sensegate": "755 root:root",
    CONFIGURATION: "644 root:root",
    "/etc/credstore": "700 root:root",
    "/var/lib/sensegate": "700 sensegate:sensegate",
    "/var/lib/sensegate/broker.db": "600 sensegate:sensegate",
}
FILES = (
    "/usr/share/man/man1/sensegate.1.gz",
    "/usr/share/man/man1/sensegate-run.1.gz",
    "/usr/share/bash-completion/completions/sensegate",
)
LEFT_OVER = "{ find /etc /usr /var /run -name '*sensegate*' -not -path '/var/log/*'; } 2>/dev/null"


class Package:
    """What dpkg does."""

    def __init__(self, guest: Guest, report: Report) -> None:
        self._guest, self._report = guest, report

    def install(self) -> None:
        """The lower version, which is the current one but for a line of its configuration."""
        check = self._report.check
        with check("the package installs with dpkg alone"):
            self._guest.must("dpkg --install /media/previous.deb", DPKG_SECONDS)
            self._guest.expect_output("dpkg --verify sensegate", "")
        with check("its user is in the groups of the devices"):
            groups = self._guest.must("id --name --groups sensegate").split()
            expect({"sensegate", "i2c", "input", "video"} == set(groups), f"the user's groups are {groups}")
        with check("its service is enabled, active, and told ready itself"):
            self._is_enabled_and_ready()
        with check("the shipped watchdog waits for a minute at least"):
            expect(self._guest.property("WatchdogUSec") in WATCHDOG_LEAST, "WatchdogSec is less than a minute")
        with check("configuration and state belong to whom they should"):
            for path, owner in OWNERS.items():
                self._guest.expect_output(f"stat -c '%a %U:%G' {path}", owner)
        with check("manual pages and completions are in place"):
            self._guest.must(f"ls {' '.join(FILES)}")

    def _is_enabled_and_ready(self) -> None:
        self._guest.expect_output("systemctl is-enabled sensegate", "enabled")
        self._guest.expect_property("ActiveState", "active")
        self._guest.expect_property("Type", "notify")
        expect("quantities" in self._guest.property("StatusText"), "the service has not told its status")

    def upgrade(self) -> None:
        """To the current version, which ships another configuration than the one that was edited."""
        with self._report.check("an upgrade restarts the service, and keeps configuration, retained and queued messages"):
            mailbox = Mailbox(self._guest.mqtt_port, "over-the-upgrade")
            mailbox.fill(20)
            with Client(self._guest.mqtt_port, "keeper") as client:
                client.publish("kept/over/the/upgrade", "retained", retain=True)
            before, process = self._guest.must(f"cat {CONFIGURATION}"), self._guest.property("MainPID")
            self._guest.must("dpkg --install --force-confold /media/sensegate.deb </dev/null", DPKG_SECONDS)
            expect(self._guest.must(f"cat {CONFIGURATION}") == before, "the configuration is not as it was")
            self._guest.must(f"test -e {CONFIGURATION}.dpkg-dist")
            expect(self._guest.property("MainPID") != process, "the service was not restarted")
            self._guest.expect_property("ActiveState", "active")
            mailbox.check()
            with Client(self._guest.mqtt_port, "seeker") as client:
                client.subscribe("kept/#")
                client.wait_for("the retained message comes", lambda heard: "kept/over/the/upgrade" in heard)

    def remove(self) -> None:
        """What was stopped stays so; then it goes, and takes everything along at last."""
        check = self._report.check
        with check("a service that was stopped and disabled stays so over an upgrade"):
            self._guest.must("systemctl disable --now sensegate")
            self._guest.must("dpkg --install --force-confold /media/sensegate.deb </dev/null", DPKG_SECONDS)
            self._guest.expect_property("ActiveState", "inactive")
            expect(self._guest.run("systemctl is-enabled sensegate").output.strip() == "disabled", "it is enabled")
        with check("removed, the service is stopped, and configuration and state are kept"):
            self._guest.must("systemctl enable --now sensegate")
            self._guest.must("dpkg --remove sensegate", DPKG_SECONDS)
            self._guest.expect_property("ActiveState", "inactive")
            self._guest.must(f"test -e {CONFIGURATION} && test -e /var/lib/sensegate/broker.db && ! test -e /usr/bin/sensegate")
        with check("purged, nothing is left but its user"):
            self._guest.must("dpkg --purge sensegate", DPKG_SECONDS)
            self._guest.expect_output(LEFT_OVER, "")
            self._guest.must("! test -e /etc/credstore && id sensegate")
            self._guest.expect_property("LoadState", "not-found")


def edit(guest: Guest, *expressions: str) -> None:
    """Changes the gateway's configuration with sed."""
    guest.must(f"sed -i {' '.join(f'-e {shlex.quote(each)}' for each in expressions)} {CONFIGURATION}")
