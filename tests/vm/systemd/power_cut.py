"""Power cuts of the whole system: what the gateway acknowledged is there after each.

First QEMU is killed dead: what the guest's kernel had not written is lost, and nothing of what it had. Then the disk has
a volatile cache besides (host/disk.py): what the guest wrote and did not flush is lost or kept sector by sector, of the
whole root file system. tests/vm/mini cuts the gateway's own file system many times more.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.disk import FLUSH, WRITE, VolatileDisk
from host.report import Report, expect
from mini.power_cut import Ledger, Publisher, Subscriber
from systemd.guest import Guest
from systemd.package import edit

WRITING_SECONDS = (1.0, 3.0)


class PowerCut:
    """What was acknowledged, over all boots."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ledger = Ledger()
        self._seed = time.time_ns() % 1_000_000
        self._random = random.Random(self._seed)

    def cut_dead(self, guest: Guest) -> None:
        """The first cut, of a disk without a cache of its own."""
        with self._report.check("power is cut in mid-write"):
            edit(guest, '/^address = "0.0.0.0:1883"/a allow_anonymous = true')
            guest.must("systemctl restart sensegate")
            Subscriber(guest.mqtt_port).fetch()
            publisher = self._publish(guest)
            guest.cut()
            publisher.stop()

    @contextmanager
    def disk(self, root: Path) -> Iterator[VolatileDisk]:
        """The root disk behind a cache, whose power goes at the end of the block."""
        disk = VolatileDisk(root, self._seed)
        yield disk
        waiting, lost = disk.cut_power()
        print(f"       the disk lost {lost} of {waiting} sectors that were not flushed (seed {self._seed})", flush=True)

    def cut_at_the_disk(self, guest: Guest, disk: VolatileDisk) -> None:
        """The second cut, at a write or a flush."""
        with self._report.check("power is cut again, at a disk with a volatile cache"):
            publisher = self._publish(guest)
            disk.stop_at(self._random.choice((WRITE, FLUSH)))
            guest.cut()
            publisher.stop()

    def check(self, guest: Guest) -> None:
        """Lets the subscriber fetch everything, and compares it with what was acknowledged."""
        ledger = self._ledger
        with self._report.check(f"it serves, and all {len(ledger.owed)} messages acknowledged before the cut are there"):
            guest.expect_property("ActiveState", "active")
            fetched = Subscriber(guest.mqtt_port).fetch()
            missing = sorted(ledger.owed - fetched.numbers)
            expect(not missing, f"acknowledged and gone: {len(missing)} messages, {missing[:10]} …")
            expect(fetched.session_present, "the session is gone")
            for topic, least in ledger.retained.items():
                kept, most = fetched.retained.get(topic), ledger.sent[topic]
                expect(kept is not None and least <= kept <= most, f"{topic} is {kept}, expected {least} to {most}")
            ledger.owed.clear()

    def _publish(self, guest: Guest) -> Publisher:
        """Somebody who publishes, at some moment in the middle of it."""
        publisher = Publisher(guest.mqtt_port, self._ledger)
        publisher.wait_for_first_acknowledgement()
        time.sleep(self._random.uniform(*WRITING_SECONDS))
        return publisher
