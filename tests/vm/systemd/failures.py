"""What goes wrong: broken configurations, a process that is killed, one that hangs."""

from __future__ import annotations

import time

from host.report import Report, expect
from systemd.client import Client, Mailbox
from systemd.guest import Guest
from systemd.package import CONFIGURATION

EXIT_CONFIGURATION = "78"
# Instead of the shipped minute.
WATCHDOG_SECONDS = 8
DROP_IN = "/etc/systemd/system/sensegate.service.d/watchdog.conf"


class Failures:
    """The gateway in trouble."""

    def __init__(self, guest: Guest, report: Report) -> None:
        self._guest, self._report = guest, report

    def run(self) -> None:
        """Leaves a healthy service behind."""
        check = self._report.check
        with check("a reload with a broken configuration is refused with file:line:column, and the old one stays in force"):
            self._reload_broken()
        with check("a restart with it fails with status 78, and is not tried again"):
            self._restart_broken()
        with check("killed, it is started again, and what was acknowledged is delivered"):
            self._kill()
        with check("stopped dead, it is killed by the watchdog and started again"):
            self._shorten_the_watchdog()
            self._hang("kill -STOP $(property MainPID)")
        with check("the broker's thread alone hangs: the same"):
            self._hang(HANG_THREAD, "systemctl kill --signal=KILL hang")
            self._guest.must(f"rm {DROP_IN} && systemctl daemon-reload && systemctl restart sensegate")

    def _reload_broken(self) -> None:
        self._guest.must(f"cp {CONFIGURATION} /run/sound.toml && echo 'nonsense = 1' >>{CONFIGURATION}")
        self._broken_at = f"{CONFIGURATION}:{self._guest.must(f'wc -l <{CONFIGURATION}').strip()}:1: "
        moment, process = self._guest.now(), self._guest.property("MainPID")
        with Client(self._guest.mqtt_port, "unimpressed") as client:
            client.subscribe("myRasp/#")
            self._guest.must("systemctl reload sensegate")
            errors = self._guest.wait_for_line(moment, "stays in force", "-p", "err")
            expect(self._broken_at in errors, f"the journal does not say {self._broken_at}:\n{errors}")
            heard = len(client.heard.get("myRasp/state", []))
            client.wait_for("states go on", lambda words: len(words.get("myRasp/state", [])) > heard + 2)
            expect(client.lost == 0, "the client was disconnected")
        self._guest.expect_property("ActiveState", "active")
        self._guest.expect_property("MainPID", process)

    def _restart_broken(self) -> None:
        moment = self._guest.now()
        expect(self._guest.run("systemctl restart sensegate").status != 0, "the restart succeeded")
        self._guest.expect_property("ActiveState", "failed")
        self._guest.expect_property("ExecMainStatus", EXIT_CONFIGURATION)
        restarts = self._guest.property("NRestarts")
        errors = self._guest.wait_for_line(moment, self._broken_at, "-p", "err")
        expect("nonsense" in errors, f"the journal does not name the key:\n{errors}")
        time.sleep(5)
        self._guest.expect_property("NRestarts", restarts)
        self._guest.expect_property("ActiveState", "failed")
        self._guest.must(f"cp /run/sound.toml {CONFIGURATION} && systemctl start sensegate")

    def _kill(self) -> None:
        mailbox = Mailbox(self._guest.mqtt_port, "over-the-kill")
        mailbox.fill(50)
        restarts = int(self._guest.property("NRestarts"))
        self._guest.must("systemctl kill --kill-whom=main --signal=KILL sensegate")
        self._guest.wait_for(f"is NRestarts {restarts + 1}")
        self._guest.wait_for("is ActiveState active")
        mailbox.check()

    def _shorten_the_watchdog(self) -> None:
        self._guest.must(f"mkdir -p $(dirname {DROP_IN})")
        self._guest.put(DROP_IN, f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}\n")
        self._guest.must("systemctl daemon-reload && systemctl restart sensegate")
        # It lives with a watchdog that is fed.
        process = self._guest.property("MainPID")
        time.sleep(1.5 * WATCHDOG_SECONDS)
        self._guest.expect_property("MainPID", process)

    def _hang(self, command: str, release: str = "true") -> None:
        moment, process = self._guest.now(), self._guest.property("MainPID")
        self._guest.must(command)
        self._guest.wait_for_line(moment, "Watchdog timeout", seconds=6 * WATCHDOG_SECONDS)
        self._guest.must(release)
        self._guest.wait_for(f"is_not MainPID {process}", 90)
        self._guest.wait_for("is ActiveState active", 90)
        with Client(self._guest.mqtt_port, "after-the-watchdog") as client:
            client.subscribe("myRasp/state")
            client.wait_for("it serves", lambda heard: "myRasp/state" in heard)


# Only this thread is traced, and stays for minutes at its next system call. strace would then keep it from dying, too.
HANG_THREAD = (
    "task=$(grep -lx broker /proc/$(property MainPID)/task/*/comm | cut -d/ -f5); "
    "systemd-run --quiet --unit=hang strace -qq -o /dev/null -p $task -e trace=all -e inject=all:delay_enter=600000000; "
    "wait_for 20 grep -q 'TracerPid:.[1-9]' /proc/$task/status"
)
