"""The checks of a Debian system under systemd: checks.py IMAGE ROOT-DISK MEDIA-DISK.

One boot for installing, using, breaking and killing; it ends with a power cut, as the second one does; the third looks
what is left, and removes the package.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.disk import VolatileDisk
from host.report import Failed, Report
from systemd.failures import Failures
from systemd.guest import Guest, System
from systemd.package import Package
from systemd.power_cut import PowerCut
from systemd.service import Service


class GuestReport(Report):
    """The checks of a guest; what its journal says is shown for one that fails."""

    guest: Guest | None = None

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Runs the block as a check."""
        failures = self.failures
        with super().check(name):
            yield
        if self.failures > failures and self.guest:
            show(self.guest)


@contextmanager
def booted(system: System, report: GuestReport, what: str, disk: VolatileDisk | None = None) -> Iterator[Guest]:
    """A machine that is up."""
    began = time.monotonic()
    with Guest(system, disk.socket_path if disk else None) as guest:
        report.guest = guest
        with report.check(what):
            guest.wait_until_up()
        yield guest
    print(f"       {time.monotonic() - began:6.1f} s  systemd: all of these in one boot", flush=True)


def show(guest: Guest) -> None:
    """Prints the last words of the guest's journal, or of its console when there is nobody to ask."""
    try:
        said = guest.must("journalctl --no-pager -q -n 60 -o short-monotonic").rstrip()
    except (Failed, OSError):
        said = guest.console()
    print(f"--- the guest\n{said}\n---", file=sys.stderr, flush=True)


def main(image: Path, root: Path, media: Path) -> int:
    """Runs all checks, each of which builds on those before it. Returns the status of the process."""
    report = GuestReport("systemd")
    system = System(image, root, media)
    power = PowerCut(report)
    with booted(system, report, "boots a Debian system") as guest:
        package = Package(guest, report)
        service = Service(guest, report)
        package.install()
        service.find_the_hat()
        service.let_others_in()
        package.upgrade()
        service.serve()
        Failures(guest, report).run()
        power.cut_dead(guest)
    with power.disk(root) as disk, booted(system, report, "boots after a power cut", disk) as guest:
        power.check(guest)
        power.cut_at_the_disk(guest, disk)
    with booted(system, report, "boots after another power cut") as guest:
        power.check(guest)
        Package(guest, report).remove()
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
